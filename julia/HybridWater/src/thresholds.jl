# Thresholds and events: steps that end where one is crossed or happens, and gradients across it.
#
# After the forcings that are given, the equations have switches, each on (one) where its threshold is
# positive: held between crossings, so that the equations are smooth. Then come the fluxes of events,
# zero but for the moment at which an amount moves. `entry.levels` are thresholds, what is positive
# where events happen, and the amounts of events.

"Crossings that one substep, or one record of an adaptive method, may have."
const MAX_CROSSINGS = 3
const NARROW = 1e-13

watched(entry::Entry) = length(entry.levels) - entry.events
switches(entry::Entry) = watched(entry) - entry.events
_row(entry::Entry, k) = size(entry.forcing, 1) + k
on(entry::Entry, k) = k <= switches(entry) && entry.coefficients[_row(entry, k), 1] > 0.5
flip!(entry::Entry, k) = (entry.coefficients[_row(entry, k), 1] = on(entry, k) ? 0.0 : 1.0; nothing)

"Thresholds at local time `tau` into `entry.levels`."
function levels!(entry::Entry, u, tau)
    forcing_at!(entry.x, entry.coefficients, tau)
    entry.functions.levels(entry.levels, u, entry.x, entry.p, entry.w)
    return nothing
end

"Set all switches as the thresholds are; one may depend on those before it, `entry.depth` deep."
function set_switches!(entry::Entry, u, tau)
    for k in 1:watched(entry)
        entry.coefficients[_row(entry, k), :] .= 0.0
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
    crossed = [k for k in 1:watched(entry) if beyond(entry, k) > 0]
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
        note_end!(path, entry, state)
        tau += s
        left -= s
        iszero(which) && return true
        change_over!(state, integral, entry, tau, which, entry.options.step)
    end
    return left <= NARROW * width
end

"""
    cross!(integrator, entry, before, path)

Go back to the first threshold that the last step of an integrator, from time `before` on, has
crossed, or at which an event happens; return its number, or zero.
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
    return which
end

view_states(y, n) = y[1:n]

"""
    change_over!(state, integral, entry, tau, which, unit)

Flip a switch, or let an event happen: move its amount, and add it, over `unit`, to the `integral` of
outputs.
"""
function change_over!(state, integral, entry::Entry, tau, which, unit)
    which <= switches(entry) && return flip!(entry, which)
    n, row = entry.states, _row(entry, which)
    u = collect(Float64, state)
    levels!(entry, u, tau)
    without, moved = zeros(n + entry.outputs), zeros(n + entry.outputs)
    rates!(without, entry, u, tau)
    entry.coefficients[row, 1] = entry.levels[entry.events + which]
    rates!(moved, entry, u, tau)
    entry.coefficients[row, 1] = 0.0
    moved .-= without
    state .+= view(moved, 1:n)
    integral .+= view(moved, (n + 1):length(moved)) ./ unit
    return nothing
end

shorten!(path::Path, width) = (path.width[end] = width; nothing)
shorten!(::Nothing, _) = nothing

"Keep the state at the end of a step, before an event changes it."
function note_end!(path::Path, entry::Entry, state)
    iszero(entry.events) || append!(path.ends, view(state, 1:entry.states))
    return nothing
end

note_end!(::Nothing, _...) = nothing

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

Set the switches as they were in a step. If it ended on a threshold or with an event, where g = 0, turn
`bar`, the sensitivity after it, into that before: with rates f- and f+ on the two sides,
`bar + dg (bar (f+ - f-)) / (dg/dt + dg f-)`, the saltation matrix transposed (Aizerman and
Gantmacher 1958), after what moves at once; what goes to parameters, weights and forcing is added to
`sums`.
"""
function pull_crossing!(bar, sums, outputs_bar, entry::Entry, path::Path, step)
    iszero(watched(entry)) && return nothing
    which = path.crossed[step]
    goes_on = step < length(path.tau) && !(step in path.last)
    if iszero(which) || which <= switches(entry) && !goes_on
        use_switches!(entry, path, step)
        return nothing
    end
    n, h = entry.states, entry.options.step
    state(array, k) = array[(n * (k - 1) + 1):(n * k)]
    u = iszero(entry.events) ? state(path.states, step + 1) : state(path.ends, step)
    tau = path.tau[step] + path.width[step]
    rates = zeros(n + entry.outputs)
    "What a later crossing gains by the rates on one side."
    function gain(sensitivity, u)
        rates!(rates, entry, u, tau)
        of_outputs = sum(outputs_bar .* view(rates, (n + 1):length(rates)))
        return h * sum(sensitivity .* view(rates, 1:n)) + of_outputs
    end
    after = 0.0
    if goes_on
        use_switches!(entry, path, step + 1)
        after = gain(bar, state(path.states, step + 1))
    end
    use_switches!(entry, path, step)
    along = which > switches(entry) ? pull_event!(bar, sums, outputs_bar, entry, u, tau, which) : 0.0
    before = gain(bar, u) + along
    slopes = map(zero, (bar, entry.x, entry.p, entry.w))
    pull_levels!(slopes, entry, u, tau, which, 1.0)
    pace = sum(slopes[2] .* entry.dx) + h * sum(slopes[1] .* view(rates, 1:n))
    factor = goes_on && !iszero(pace) ? (after - before) / pace : 0.0
    add!(bar, sums, map(slope -> factor .* slope, slopes), tau)
    return nothing
end

"Go back through the moment of an event; return the sensitivity along time, through the forcing."
function pull_event!(bar, sums, outputs_bar, entry::Entry, u, tau, which)
    bars = map(zero, (bar, entry.x, entry.p, entry.w))
    row = _row(entry, which)
    levels!(entry, u, tau)
    ys = [bar; outputs_bar ./ entry.options.step]
    entry.coefficients[row, 1] = entry.levels[entry.events + which]
    forcing_at!(entry.x, entry.coefficients, tau)
    entry.functions.pullback(bars..., u, entry.x, entry.p, entry.w, ys)
    of_amount = bars[2][row]
    entry.coefficients[row, 1] = 0.0
    forcing_at!(entry.x, entry.coefficients, tau)
    entry.functions.pullback(bars..., u, entry.x, entry.p, entry.w, -ys)
    pull_levels!(bars, entry, u, tau, entry.events + which, of_amount)
    add!(bar, sums, bars, tau)
    return sum(bars[2] .* entry.dx)
end

"Add the sensitivities that follow from that to one of the levels."
function pull_levels!(bars, entry::Entry, u, tau, k, of_level)
    ys = zeros(length(entry.levels))
    ys[k] = of_level
    forcing_at!(entry.x, entry.coefficients, tau)
    forcing_slope!(entry.dx, entry.coefficients, tau)
    entry.functions.pull_levels(bars..., u, entry.x, entry.p, entry.w, ys)
    return nothing
end

"Add sensitivities to states, forcing, parameters and weights at local time `tau`."
function add!(bar, sums::Sums, bars, tau)
    bar .+= bars[1]
    sums.parameters .+= bars[3]
    sums.weights .+= bars[4]
    for order in axes(sums.coefficients, 2)
        sums.coefficients[:, order] .+= tau^(order - 1) .* bars[2]
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
