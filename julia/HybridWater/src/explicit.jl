# Explicit Runge-Kutta steps and their discrete adjoint.

"An explicit Runge-Kutta method: `a[i][j]` for j < i, weights `b`, nodes `c`."
struct Tableau
    a::Vector{Vector{Float64}}
    b::Vector{Float64}
    c::Vector{Float64}
end

"""
Explicit methods by name. `tsit5` is the fifth-order solution of Tsitouras (2011,
doi:10.1016/j.camwa.2011.06.002, table 1), whose seventh stage only serves the error estimate.
"""
const TABLEAUX = Dict(
    :euler => Tableau([Float64[]], [1.0], [0.0]),
    :heun => Tableau([Float64[], [1.0]], [0.5, 0.5], [0.0, 1.0]),
    :rk4 => Tableau(
        [Float64[], [0.5], [0.0, 0.5], [0.0, 0.0, 1.0]],
        [1 / 6, 1 / 3, 1 / 3, 1 / 6],
        [0.0, 0.5, 0.5, 1.0],
    ),
    :tsit5 => Tableau(
        [
            Float64[],
            [0.161],
            [-0.008480655492356989, 0.335480655492357],
            [2.8971530571054935, -6.359448489975075, 4.3622954328695815],
            [5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525],
            [
                5.86145544294642,
                -12.92096931784711,
                8.159367898576159,
                -0.071584973281401,
                -0.028269050394068383,
            ],
        ],
        [
            0.09646076681806523,
            0.01,
            0.4798896504144996,
            1.379008574103742,
            -3.290069515436081,
            2.324710524099774,
        ],
        [0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0],
    ),
)

"Memory for the stages of one step: states `u` and rates `y` of each, sensitivities `us`, `ys`."
struct Stages
    u::Vector{Vector{Float64}}
    y::Vector{Vector{Float64}}
    us::Vector{Vector{Float64}}
    ys::Vector{Float64}
end

function memory(tableau::Tableau, entry::Entry)
    n, total = entry.states, entry.states + entry.outputs
    vectors(size) = [zeros(size) for _ in tableau.c]
    return Stages(vectors(n), vectors(total), vectors(n), zeros(total))
end

"States of all stages, and their rates up to the stage `count`, of a step from `start`."
function stages!(stages::Stages, tableau::Tableau, entry::Entry, start, tau, width, count)
    h = width * entry.options.step
    for i in eachindex(tableau.c)
        u = stages.u[i]
        copyto!(u, start)
        for j in 1:(i - 1)
            a, y = tableau.a[i][j], stages.y[j]
            iszero(a) && continue
            @inbounds @simd for k in eachindex(u)
                u[k] += h * a * y[k]
            end
        end
        i <= count && rates!(stages.y[i], entry, u, tau + tableau.c[i] * width)
    end
    return nothing
end

"""
    advance!(state, integral, stages, tableau, entry, tau, width)

Advance `state` in place by a step from local time `tau`, and add what the outputs come to over the
step, in parts of the record, to `integral`.
"""
function advance!(state, integral, stages::Stages, tableau::Tableau, entry::Entry, tau, width)
    stages!(stages, tableau, entry, state, tau, width, length(tableau.c))
    h, n = width * entry.options.step, entry.states
    for (b, y) in zip(tableau.b, stages.y)
        @inbounds @simd for k in eachindex(state)
            state[k] += h * b * y[k]
        end
        @inbounds @simd for k in eachindex(integral)
            integral[k] += width * b * y[n + k]
        end
    end
    return nothing
end

"""
    pull_step!(bar, sums, outputs_bar, stages, tableau, entry, start, tau, width)

Turn `bar`, the sensitivity to the states after a step, into that to the states before it, in
place, and add to `sums`. `outputs_bar` is the sensitivity to the mean outputs of the record.
"""
function pull_step!(
    bar, sums, outputs_bar, stages::Stages, tableau::Tableau, entry, start, tau, width
)
    stages!(stages, tableau, entry, start, tau, width, length(tableau.c) - 1)
    h, n = width * entry.options.step, entry.states
    ys = stages.ys
    for i in length(tableau.c):-1:1
        @inbounds for k in 1:n
            ys[k] = h * tableau.b[i] * bar[k]
        end
        for j in (i + 1):length(tableau.c)
            a, us = tableau.a[j][i], stages.us[j]
            iszero(a) && continue
            @inbounds @simd for k in 1:n
                ys[k] += h * a * us[k]
            end
        end
        @inbounds for k in eachindex(outputs_bar)
            ys[n + k] = width * tableau.b[i] * outputs_bar[k]
        end
        fill!(stages.us[i], 0.0)
        pull!(stages.us[i], sums, entry, stages.u[i], tau + tableau.c[i] * width, ys)
    end
    for us in stages.us
        bar .+= us
    end
    return nothing
end
