# One entry of a batch (a basin, cell or member): its inputs, where it is in time, its results.

"""
How to solve: `method`, `substeps` per record of fixed steps, tolerances and the largest number of
steps per record of adaptive ones, `interpolation` of the forcing, `mean` outputs or instantaneous
ones, `step`: the length of a record.
"""
struct Options
    method::Symbol
    substeps::Int
    rtol::Float64
    atol::Float64
    max_steps::Int
    interpolation::Symbol
    mean::Bool
    step::Float64
end

"""
Steps that were taken: local time `tau` and `width` of each, relative to the record; the states at
its start, one column each; `implicit`, whether it was one of Rodas5P; `last[r]`, the number of the
last step of record r; where thresholds are located, the switches `on` in each step, the number
`crossed` at its end, or zero, and, if there are events, the states at its `ends`.
"""
struct Path
    tau::Vector{Float64}
    width::Vector{Float64}
    states::Vector{Float64}
    implicit::Vector{Bool}
    last::Vector{Int}
    on::Vector{Float64}
    crossed::Vector{Int}
    ends::Vector{Float64}
end

Path() = Path(Float64[], Float64[], Float64[], Bool[], Int[], Float64[], Int[], Float64[])

function note!(path::Path, tau, width, states, n, implicit=false)
    push!(path.tau, tau)
    push!(path.width, width)
    append!(path.states, view(states, 1:n))
    push!(path.implicit, implicit)
    return nothing
end

note!(::Nothing, _...) = nothing
close_record!(path::Path) = push!(path.last, length(path.tau))
close_record!(::Nothing) = nothing

"""
    Entry(workspace, model, options, p, w, forcing)

The equations of one entry, at a record that [`at_record!`](@ref) sets. `forcing` is
(forcing, time).
"""
mutable struct Entry
    const functions::Workspace
    const options::Options
    const states::Int
    const outputs::Int
    const p::Vector{Float64}
    const w::Vector{Float64}
    const forcing::Matrix{Float64}
    const coefficients::Matrix{Float64}
    const x::Vector{Float64}
    const dx::Vector{Float64}
    const T::Vector{Float64}
    const levels::Vector{Float64}
    const events::Int
    const depth::Int
    "Of an adaptive method: steps, rejected steps, evaluations, Jacobians, factorisations."
    const statistics::Vector{Int}
    record::Int
end

function Entry(functions::Workspace, model::Model, options::Options, p, w, forcing)
    return Entry(
        functions,
        options,
        model.states,
        model.outputs,
        p,
        w,
        forcing,
        zeros(model.forcings, ORDERS[options.interpolation]),
        zeros(model.forcings),
        zeros(model.forcings),
        zeros(model.states + model.outputs),
        zeros(model.switches + 2model.events),
        model.events,
        model.depth,
        zeros(Int, 5),
        0,
    )
end

"Go to a record."
function at_record!(entry::Entry, record)
    entry.record = record
    coefficients!(entry.coefficients, entry.forcing, record, entry.options.interpolation)
    return nothing
end

"Derivatives and outputs at local time `tau` into `y`."
@inline function rates!(y, entry::Entry, u, tau)
    forcing_at!(entry.x, entry.coefficients, tau)
    entry.functions.rates(y, u, entry.x, entry.p, entry.w)
    return nothing
end

"""
    slopes!(J, entry, u, tau)

Slopes of derivatives and outputs with respect to the states into the first columns of `J`, which
may have more, and along time into `entry.T`, at local time `tau`.
"""
function slopes!(J, entry::Entry, u, tau)
    forcing_at!(entry.x, entry.coefficients, tau)
    forcing_slope!(entry.dx, entry.coefficients, tau)
    entry.dx ./= entry.options.step
    fill!(J, 0.0)
    fill!(entry.T, 0.0)
    entry.functions.jacobian(J, entry.T, u, entry.x, entry.dx, entry.p, entry.w)
    return nothing
end
