# Through all records of an entry, forward and backward.

"""
    sweep!(states, fluxes, initial, entry, path)

Solve all records. Return the state at the end, and the number of the first record whose end could
not be reached (zero if there is none).

`states` (state, time) and `fluxes` (output, time) receive means and states at the end of each
record, or both at its start if outputs are instantaneous.
"""
function sweep!(states, fluxes, initial, entry::Entry, path)
    method = entry.options.method
    if !haskey(ADAPTIVE, method)
        tableau = TABLEAUX[method]
        return _sweep!(states, fluxes, initial, entry, path, memory(tableau, entry)) do s, z, e, m
            return fixed_steps!(s, z, e, m, tableau, path)
        end
    end
    methods = has_columns(entry) ? ADAPTIVE_SPARSE : ADAPTIVE
    solver = integrator(entry, methods[method], initial)
    result = _sweep!(states, fluxes, initial, entry, path, solver) do state, integral, e, m
        return run_record!(state, integral, m, e, path)
    end
    s = solver.stats
    entry.statistics .= (s.naccept, s.nreject, s.nf, s.njacs, s.nw)
    return result
end

function fixed_steps!(state, integral, entry::Entry, stages, tableau, path)
    width = 1 / entry.options.substeps
    for k in 1:entry.options.substeps
        check_interrupt()
        tau = (k - 1) * width
        if !isempty(entry.levels)
            located_step!(state, integral, entry, stages, tableau, path, tau, width) || return false
            continue
        end
        note!(path, tau, width, state, entry.states)
        advance!(state, integral, stages, tableau, entry, tau, width)
    end
    return true
end

function _sweep!(run!, states, fluxes, initial, entry::Entry, path, memory)
    n, m, o = entry.states, entry.outputs, entry.options
    state, integral, now = collect(Float64, initial), zeros(m), zeros(n + m)
    for record in axes(states, 2)
        check_interrupt()
        at_record!(entry, record)
        if !o.mean
            isempty(entry.levels) || set_switches!(entry, state, 0.0)
            rates!(now, entry, state, 0.0)
            states[:, record] .= state
            fluxes[:, record] .= view(now, (n + 1):(n + m))
        end
        fill!(integral, 0.0)
        reached = run!(state, integral, entry, memory)
        close_record!(path)
        reached && all(isfinite, state) && all(isfinite, integral) || return state, record
        if o.mean
            states[:, record] .= state
            fluxes[:, record] .= integral
            haskey(ADAPTIVE, o.method) && (fluxes[:, record] ./= o.step)
        end
    end
    return state, 0
end

"""
    pull_sweep!(sums, forcings, states_bar, fluxes_bar, way, entry, path)

Go back through the records. Return the sensitivity to the initial state; add those to parameters
and weights to `sums`, and those to the forcing to `forcings` unless it is `nothing`. `way` is how a
record is gone back through: [`Steps`](@ref) in `path`, [`Forward`](@ref), or an adjoint equation.
"""
function pull_sweep!(sums::Sums, forcings, states_bar, fluxes_bar, way, entry::Entry, path::Path)
    n, m, o = entry.states, entry.outputs, entry.options
    bar, start, ys = zeros(n), zeros(n), zeros(n + m)
    outputs_bar = zeros(m)
    for record in length(path.last):-1:1
        check_interrupt()
        at_record!(entry, record)
        fill!(sums.coefficients, 0.0)
        if o.mean
            bar .+= view(states_bar, :, record)
            outputs_bar .= view(fluxes_bar, :, record)
        end
        pull_record!(bar, sums, outputs_bar, start, way, entry, path)
        if !o.mean  # `start` is the state at the start of the record
            bar .+= view(states_bar, :, record)
            fill!(ys, 0.0)
            copyto!(ys, n + 1, view(fluxes_bar, :, record), 1, m)
            pull!(bar, sums, entry, start, 0.0, ys)
        end
        isnothing(forcings) || pull_coefficients!(
            forcings, sums.coefficients, entry.forcing, record, o.interpolation
        )
    end
    return bar
end

back(::Val{:discrete}, model, entry, forcing) = Steps(entry)
back(::Val{:forward}, model, entry, forcing) = Forward(model, entry, forcing)
back(::Val{kind}, model, entry, forcing) where {kind} = adjoint(Val(kind), model, entry)

"""
    adjoint(kind, model, entry)

Return the way back through records by an adjoint equation: `Val(:gauss)`, `Val(:interpolating)`,
`Val(:zygote)` or `Val(:reversediff)`. Needs SciMLSensitivity to be loaded, see [`load_package`](@ref).
"""
function adjoint end
