# The discrete adjoint of Rosenbrock steps.
#
# A step from u of length h, with J and T the slopes of the rates f with respect to states and
# time, solves for stages k
#     (I / (h gamma) - J) k_i = f(u + sum_j a_ij k_j, t + c_i h) + h d_i T + sum_j C_ij / h k_j
# and ends at u + sum_i b_i k_i (Hairer and Wanner 1996, sect. IV.7). Outputs are further states on
# which nothing depends, so that linear systems have the size of the states only.

"A Rosenbrock method in the form above; `b` is the last row of `a`, then 1."
struct Rosenbrock
    a::Matrix{Float64}
    C::Matrix{Float64}
    gamma::Float64
    b::Vector{Float64}
    c::Vector{Float64}
    d::Vector{Float64}
end

function Rosenbrock(a, C, gamma, c, d)
    stages = length(c)
    matrix(rows) = [j < i ? Float64(rows[i][j]) : 0.0 for i in 1:stages, j in 1:stages]
    return Rosenbrock(matrix(a), matrix(C), gamma, [a[end]; 1.0], c, d)
end

"Rodas5P, Steinebach (2023, doi:10.1007/s10543-023-00967-x), table 3."
const RODAS5P = Rosenbrock(
    [
        [],
        [3.0],
        [2.849394379747939, 0.45842242204463923],
        [-6.954028509809101, 2.489845061869568, -10.358996098473584],
        [2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641],
        [
            -7.502846399306121,
            2.561846144803919,
            -11.627539656261098,
            -0.18268767659942256,
            0.030198172008377946,
        ],
        [
            -7.502846399306121,
            2.561846144803919,
            -11.627539656261098,
            -0.18268767659942256,
            0.030198172008377946,
            1.0,
        ],
        [
            -7.502846399306121,
            2.561846144803919,
            -11.627539656261098,
            -0.18268767659942256,
            0.030198172008377946,
            1.0,
            1.0,
        ],
    ],
    [
        [],
        [-14.155112264123755],
        [-17.97296035885952, -2.859693295451294],
        [147.12150275711716, -1.41221402718213, 71.68940251302358],
        [165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306],
        [
            24.854864614690072,
            -3.0009227002832186,
            47.4931110020768,
            5.5814197821558125,
            -0.6610691825249471,
        ],
        [
            30.91273214028599,
            -3.1208243349937974,
            77.79954646070892,
            34.28646028294783,
            -19.097331116725623,
            -28.087943162872662,
        ],
        [
            37.80277123390563,
            -3.2571969029072276,
            112.26918849496327,
            66.9347231244047,
            -40.06618937091002,
            -54.66780262877968,
            -9.48861652309627,
        ],
    ],
    0.21193756319429014,
    [
        0.0,
        0.6358126895828704,
        0.4095798393397535,
        0.9769306725060716,
        0.4288403609558664,
        1.0,
        1.0,
        1.0,
    ],
    [
        0.21193756319429014,
        -0.42387512638858027,
        -0.3384627126235924,
        1.8046452872882734,
        2.325825639765069,
        0.0,
        0.0,
        0.0,
    ],
)

"Memory for the adjoint of one step: stages `k` (states and outputs), where they are, sensitivities."
struct RosenbrockStages{M}
    u::Vector{Vector{Float64}}
    k::Vector{Vector{Float64}}
    ks::Vector{Vector{Float64}}
    ys::Vector{Vector{Float64}}
    us::Vector{Float64}
    y::Vector{Float64}
    J::M
    W::M
    factors::Base.RefValue{Any}
    second::SecondOrder
end

function memory(method::Rosenbrock, entry::Entry)
    n, total = entry.states, entry.states + entry.outputs
    vectors(size) = [zeros(size) for _ in method.c]
    s = entry.functions.sparsity
    J, W = has_columns(entry) ? (copy(s.square), copy(s.inner)) : (zeros(total, n), zeros(n, n))
    return RosenbrockStages(
        vectors(n),
        vectors(total),
        vectors(total),
        vectors(total),
        zeros(n),
        zeros(total),
        J,
        W,
        Ref{Any}(nothing),
        SecondOrder(entry),
    )
end

function pull_step!(
    bar, sums, outputs_bar, stages::RosenbrockStages, method::Rosenbrock, entry, start, tau, width
)
    h = width * entry.options.step
    slopes!(stages.J, entry, start, tau)
    W = factorised!(stages.W, stages.J, entry, 1 / (h * method.gamma), stages.factors)
    _stages!(stages, W, method, entry, start, tau, width)
    _pull_stages!(bar, sums, outputs_bar, stages, W, method, entry, tau, width)
    # what the stages say of J and T: second derivatives of the rates at the start of the step
    second = stages.second
    for column in directions!(second, stages, method, entry, h)
        pull_twice!(bar, sums, second, entry, start, tau, column)
    end
    return nothing
end

function factorised!(W::Matrix, J::Matrix, entry, shift, _)
    copyto!(W, view(J, axes(W, 1), :))
    W .*= -1
    for i in axes(W, 1)
        W[i, i] += shift
    end
    return lu!(W)
end

function through!(kz, J::Matrix, entry, ku)
    return mul!(kz, view(J, (entry.states + 1):size(J, 1), :), ku, 1.0, 1.0)
end

function back_through!(us, J::Matrix, entry, zs)
    return mul!(us, view(J, (entry.states + 1):size(J, 1), :)', zs, 1.0, 1.0)
end

"Compute all stages `k` and the states at which they take the rates."
function _stages!(stages, W, method, entry, start, tau, width)
    h, n, m = width * entry.options.step, entry.states, entry.outputs
    T = copy(entry.T)
    for i in eachindex(method.c)
        u, k = stages.u[i], stages.k[i]
        copyto!(u, start)
        for j in 1:(i - 1)
            axpy!(method.a[i, j], view(stages.k[j], 1:n), u)
        end
        rates!(k, entry, u, tau + method.c[i] * width)
        axpy!(h * method.d[i], T, k)
        for j in 1:(i - 1)
            axpy!(method.C[i, j] / h, stages.k[j], k)
        end
        ku, kz = view(k, 1:n), view(k, (n + 1):(n + m))
        ldiv!(W, ku)
        through!(kz, stages.J, entry, ku)
        kz .*= h * method.gamma
    end
    return nothing
end

"Go back through the stages, with J and T held fixed; `ys[i]` are sensitivities to right sides."
function _pull_stages!(bar, sums, outputs_bar, stages, W, method, entry, tau, width)
    h, n, m = width * entry.options.step, entry.states, entry.outputs
    for (b, ks) in zip(method.b, stages.ks)
        ks[1:n] .= b .* bar
        ks[(n + 1):(n + m)] .= (b / entry.options.step) .* outputs_bar
    end
    for i in reverse(eachindex(method.c))
        ks, ys = stages.ks[i], stages.ys[i]
        ys[(n + 1):(n + m)] .= (h * method.gamma) .* view(ks, (n + 1):(n + m))
        ys[1:n] .= view(ks, 1:n)
        back_through!(view(ys, 1:n), stages.J, entry, view(ys, (n + 1):(n + m)))
        ldiv!(W', view(ys, 1:n))
        fill!(stages.us, 0.0)
        pull!(stages.us, sums, entry, stages.u[i], tau + method.c[i] * width, ys)
        bar .+= stages.us
        for j in 1:(i - 1)
            axpy!(method.C[i, j] / h, ys, stages.ks[j])
            axpy!(method.a[i, j], stages.us, view(stages.ks[j], 1:n))
        end
    end
    return nothing
end
