# Thresholds: steps that end where one is crossed, and gradients across it.
#
# The last `entry.switches` forcings of the equations are switches, each on (one) where its threshold
# is positive. Between crossings they are held, so that the equations are smooth.

"Crossings that one substep, or one record of an adaptive method, may have."
const MAX_CROSSINGS = 3
const NARROW = 1e-13

switches(entry::Entry) = length(entry.levels)
_row(entry::Entry, k) = size(entry.forcing, 1) + k
on(entry::Entry, k) = entry.coefficients[_row(entry, k), 1] > 0.5
flip!(entry::Entry, k) = (entry.coefficients[_row(entry, k), 1] = on(entry, k) ? 0.0 : 1.0; nothing)

"Thresholds at local time `tau` into `entry.levels`."
function levels!(entry::Entry, u, tau)
    forcing_at!(entry.x, entry.coefficients, tau)
    entry.functions.levels(entry.levels, u, entry.x, entry.p, entry.w)
    return nothing
end

"Set all switches as the thresholds are; one may depend on those before it, `entry.depth` deep."
function set_switches!(entry::Entry, u, tau)
    for k in 1:switches(entry)
        entry.coefficients[_row(entry, k), 2:end] .= 0.0
    end
    for _ in 1:entry.depth
        levels!(entry, u, tau)
        for k in 1:switches(entry)
            entry.coefficients[_row(entry, k), 1] = entry.levels[k] > 0
        end
    end
    return nothing
end

"How far a threshold is on the wrong side of its switch, where positive; not a number is beyond."
function beyond(entry::Entry, k)
    level = on(entry, k) ? -entry.levels[k] : entry.levels[k]
    return isnan(level) ? Inf : level
end

"""
    first_crossing(reach, entry, length)

Return where, in 0 to `length`, the first of the thresholds is crossed that are crossed at the end,
and its number; `(length, 0)` if none is. `reach(s)` computes the levels at s. Bisection and the
Illinois method (Dowell and Jarratt 1971, doi:10.1007/BF01934364) in turn.
"""
function first_crossing(reach, entry::Entry, length)
    reach(length)
    crossed = [k for k in 1:switches(entry) if beyond(entry, k) > 0]
    isempty(crossed) && return length, 0
    worst() = findmax(k -> beyond(entry, k), crossed)
    above, which = worst()
    reach(0.0)
    below, already = worst()
    below > 0 && return zero(length), crossed[already]
    lo, hi, side, count = zero(length), length, 0, 0
    while hi - lo > NARROW && count < 60
        secant = hi - above * (hi - lo) / (above - below)
        middle = lo < secant < hi && count % 3 != 2 ? secant : (lo + hi) / 2
        reach(middle)
        value, at = worst()
        if value > 0  # the end that stays for the second time counts half
            side == 1 && (below /= 2)
            hi, above, which, side = middle, value, at, 1
        else
            side == -1 && (above /= 2)
            lo, below, side = middle, value, -1
        end
        count += 1
    end
    return hi, crossed[which]
end

"A substep from local time `tau` in pieces that end on thresholds; whether its end was reached."
function located_step!(state, integral, entry::Entry, stages, tableau, path, tau, width)
    trial, unused = similar(state), similar(integral)
    left = width
    set_switches!(entry, state, tau)
    for _ in 0:MAX_CROSSINGS
        function reach(s)
            copyto!(trial, state)
            advance!(trial, unused, stages, tableau, entry, tau, s)
            return levels!(entry, trial, tau + s)
        end
        s, which = first_crossing(reach, entry, left)
        note!(path, tau, s, state, entry.states)
        note_switches!(path, entry, which)
        advance!(state, integral, stages, tableau, entry, tau, s)
        tau += s
        left -= s
        iszero(which) && return true
        flip!(entry, which)
    end
    return left <= NARROW * width
end

"""
    cross!(integrator, entry, before, path)

Go back to the first threshold that the last step of an integrator, from time `before` on, has
crossed, and change over there; return its number, or zero.
"""
function cross!(integrator, entry::Entry, before)
    n = entry.states
    length = integrator.t - before
    at = similar(integrator.u)
    function reach(s)
        s < length ? integrator(at, before + s) : copyto!(at, integrator.u)
        return levels!(entry, view_states(at, n), _local(entry, before + s))
    end
    s, which = first_crossing(reach, entry, length)
    iszero(which) && return 0
    s < length && SciMLBase.change_t_via_interpolation!(integrator, before + s)
    flip!(entry, which)
    u_modified!(integrator, true)
    return which
end

view_states(y, n) = y[1:n]

function note_switches!(path::Path, entry::Entry, which)
    for k in 1:switches(entry)
        push!(path.on, on(entry, k))
    end
    push!(path.crossed, which)
    return nothing
end

note_switches!(::Nothing, _...) = nothing

"""
    pull_crossing!(bar, sums, outputs_bar, entry, path, step)

Set the switches as they were in a step. If it ended on a threshold g and the record went on, turn
`bar`, the sensitivity after changing over, into that before: with rates f- and f+ on the two sides,
`bar + dg (bar (f+ - f-)) / (dg/dt + dg f-)`, the saltation matrix transposed (Aizerman and
Gantmacher 1958); what goes to parameters, weights and forcing through g is added to `sums`.
"""
function pull_crossing!(bar, sums, outputs_bar, entry::Entry, path::Path, step)
    count = switches(entry)
    iszero(count) && return nothing
    which = path.crossed[step]
    if iszero(which) || step + 1 > length(path.tau) || step in path.last
        use_switches!(entry, path, step)
        return nothing
    end
    n, m = entry.states, entry.outputs
    u = path.states[(n * step + 1):(n * (step + 1))]
    tau = path.tau[step + 1]
    after, before = zeros(n + m), zeros(n + m)
    use_switches!(entry, path, step + 1)
    rates!(after, entry, u, tau)
    use_switches!(entry, path, step)
    rates!(before, entry, u, tau)
    slopes = map(zero, (bar, entry.x, entry.p, entry.w))
    unit = [Float64(k == which) for k in 1:count]
    forcing_at!(entry.x, entry.coefficients, tau)
    forcing_slope!(entry.dx, entry.coefficients, tau)
    entry.functions.pull_levels(slopes..., u, entry.x, entry.p, entry.w, unit)
    h = entry.options.step
    pace = sum(slopes[2] .* entry.dx) + h * sum(slopes[1] .* view(before, 1:n))
    gain = h * sum(bar .* view(after .- before, 1:n))
    gain += sum(outputs_bar .* view(after .- before, (n + 1):(n + m)))
    factor = iszero(pace) ? 0.0 : gain / pace
    bar .+= factor .* slopes[1]
    sums.parameters .+= factor .* slopes[3]
    sums.weights .+= factor .* slopes[4]
    power = 1.0
    for order in axes(sums.coefficients, 2)
        sums.coefficients[:, order] .+= (factor * power) .* slopes[2]
        power *= tau
    end
    return nothing
end

function use_switches!(entry::Entry, path::Path, step)
    count = switches(entry)
    for k in 1:count
        entry.coefficients[_row(entry, k), :] .= 0.0
        entry.coefficients[_row(entry, k), 1] = path.on[count * (step - 1) + k]
    end
    return nothing
end
