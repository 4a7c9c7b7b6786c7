# Batches: entries on the threads that there are. Arrays come from Python as (variable, time,
# batch), which is (batch, time, variable) in C order.

"What a backward run needs of a forward run."
struct Record
    model::Model
    options::Options
    entries::Vector{Entry}
    paths::Vector{Path}
    weights::Matrix{Float64}
end

"""
Run `work(workspace, b)` for all entries b; each is done by one task at a time, and each task has a
workspace of its own from `make()`.
"""
function each_entry(work, make, batch)
    next = Threads.Atomic{Int}(1)
    @sync for _ in 1:min(Threads.nthreads(), batch)
        Threads.@spawn begin
            workspace = make()
            while (b = Threads.atomic_add!(next, 1)) <= batch
                check_interrupt()
                work(workspace, b)
            end
        end
    end
    return nothing
end

_columns(weights::AbstractVector) = reshape(weights, :, 1)
_columns(weights::AbstractMatrix) = weights
_column(array, b) = size(array, 2) == 1 ? 1 : b

"""
    solve(model, parameters, weights, forcing, initial, how, mean, step, keep)

Solve all entries of a batch.

# Arguments
- `parameters` (parameter, batch); `weights` (weight) shared by the batch, or (weight, batch);
  `forcing` (forcing, time, batch); `initial` (state, batch).
- `how`: method, substeps, rtol, atol, max_steps, interpolation.
- `mean`: whether outputs are means; `step`: length of a record.
- `keep`: whether to keep the steps for [`pull`](@ref).

Returns `(states, fluxes, final, failed, record, statistics)`: (state, time, batch), (output, time,
batch), (state, batch); the number of each entry's first record that could not be solved, zero if all
were; a [`Record`](@ref) or `nothing`; what adaptive methods did, (5, batch), see [`Entry`](@ref).
"""
function solve(model::Model, parameters, weights, forcing, initial, how, mean, step, keep)
    method, substeps, rtol, atol, max_steps, interpolation = how
    o = Options(Symbol(method), substeps, rtol, atol, max_steps, Symbol(interpolation), mean, step)
    records, batch = size(forcing, 2), size(forcing, 3)
    states = fill(NaN, model.states, records, batch)
    fluxes = fill(NaN, model.outputs, records, batch)
    final, failed = fill(NaN, model.states, batch), zeros(Int, batch)
    entries = Vector{Entry}(undef, batch)
    paths = [Path() for _ in 1:(keep ? batch : 0)]
    w = _columns(weights)
    each_entry(() -> Workspace(model), batch) do workspace, b
        used = effective(w[:, _column(w, b)], model.signs)
        entry = Entry(workspace, model, o, parameters[:, b], used, forcing[:, :, b])
        path = keep ? paths[b] : nothing
        reached, failed[b] = sweep!(
            view(states, :, :, b), view(fluxes, :, :, b), view(initial, :, b), entry, path
        )
        iszero(failed[b]) && (final[:, b] .= reached)
        entries[b] = entry
    end
    record = keep ? Record(model, o, entries, paths, w) : nothing
    statistics = reduce(hcat, (entry.statistics for entry in entries); init=zeros(Int, 5, 0))
    return states, fluxes, final, failed, record, statistics
end

"""
    pull(record, fluxes_bar, states_bar, failed, forcing, gradient="discrete")

Turn sensitivities to `fluxes` and `states` of [`solve`](@ref) into those to parameters, weights,
initial states and, if asked for, forcing. Entries that failed have none. `gradient` is the way:
`"discrete"` ([`Steps`](@ref)), `"forward"` ([`Forward`](@ref)), or an [`adjoint`](@ref).
"""
function pull(record::Record, fluxes_bar, states_bar, failed, forcing, gradient="discrete")
    model, batch = record.model, length(record.entries)
    parameters = zeros(model.parameters, batch)
    weights = zeros(model.weights, batch)
    initial = zeros(model.states, batch)
    records = size(fluxes_bar, 2)
    forcings = zeros(forcing ? model.forcings - model.switches - model.events : 0, records, batch)
    each_entry(() -> Workspace(model), batch) do workspace, b
        iszero(failed[b]) || return nothing
        kept = record.entries[b]
        entry = Entry(workspace, model, record.options, kept.p, kept.w, kept.forcing)
        sums = Sums(model, entry)
        into = forcing ? view(forcings, :, :, b) : nothing
        bars = (view(states_bar, :, :, b), view(fluxes_bar, :, :, b))
        way = back(Val(Symbol(gradient)), model, entry, forcing)
        initial[:, b] .= pull_sweep!(sums, into, bars..., way, entry, record.paths[b])
        parameters[:, b] .= sums.parameters
        w = view(record.weights, :, _column(record.weights, b))
        weights[:, b] .= pull_effective!(sums.weights, w, model.signs)
        return nothing
    end
    shared = size(record.weights, 2) == 1 && batch >= 1
    return parameters, shared ? sum(weights; dims=2) : weights, initial, forcings
end
