# Back through a record by the steps that were taken: the exact derivative of what was computed.

"Methods with their memory: that of explicit steps, that of implicit ones; `nothing` if unused."
struct Steps{E,I}
    explicit::E
    implicit::I
end

function Steps(entry::Entry)
    with_memory(method) = (method, memory(method, entry))
    name = entry.options.method
    name === :auto && return Steps(with_memory(TABLEAUX[:tsit5]), with_memory(RODAS5P))
    name === :rodas5p && return Steps(nothing, with_memory(RODAS5P))
    return Steps(with_memory(TABLEAUX[name]), nothing)
end

"The numbers of the steps of a record."
function steps_of(path::Path, record)
    return (record == 1 ? 1 : path.last[record - 1] + 1):path.last[record]
end

"Write the states at the start of a step into `start`."
function start!(start, path::Path, step)
    n = length(start)
    return copyto!(start, 1, path.states, n * (step - 1) + 1, n)
end

"""
    pull_record!(bar, sums, outputs_bar, start, way, entry, path)

Turn `bar`, the sensitivity to the states at the end of the record in hand, into that to the states
at its start, in place, and add to `sums`. `start` receives the states at the start.
"""
function pull_record!(bar, sums, outputs_bar, start, way::Steps, entry::Entry, path::Path)
    for step in reverse(steps_of(path, entry.record))
        check_interrupt()
        start!(start, path, step)
        method, stages = path.implicit[step] ? way.implicit : way.explicit
        tau, width = path.tau[step], path.width[step]
        pull_crossing!(bar, sums, outputs_bar, entry, path, step)
        iszero(width) ||
            pull_step!(bar, sums, outputs_bar, stages, method, entry, start, tau, width)
    end
    return nothing
end
