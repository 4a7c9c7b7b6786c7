# Adaptive methods of OrdinaryDiffEq, from record edge to record edge.

"Adaptive methods by name."
const ADAPTIVE = Dict{Symbol,Any}(
    :tsit5 => Tsit5(),
    :rosenbrock23 => Rosenbrock23(),
    :rodas5p => Rodas5P(),
    :trbdf2 => TRBDF2(),
    :kencarp4 => KenCarp4(),
    :fbdf => FBDF(),
    :auto => AutoTsit5(Rodas5P()),
)

"The same for models with columns, whose linear systems are sparse."
const ADAPTIVE_SPARSE = Dict{Symbol,Any}(
    :tsit5 => Tsit5(),
    :rosenbrock23 => Rosenbrock23(; linsolve=KLUFactorization()),
    :rodas5p => Rodas5P(; linsolve=KLUFactorization()),
    :trbdf2 => TRBDF2(; linsolve=KLUFactorization()),
    :kencarp4 => KenCarp4(; linsolve=KLUFactorization()),
    :fbdf => FBDF(; linsolve=KLUFactorization()),
    :auto => AutoTsit5(Rodas5P(; linsolve=KLUFactorization())),
)

"Whether the last step was one of Rodas5P."
implicit(integrator) = _implicit(integrator.alg, integrator.cache)
_implicit(::Rodas5P, _) = true
_implicit(::CompositeAlgorithm, cache) = cache.current == 2
_implicit(_, _) = false

"States and outputs so far, the outputs as further states under the same error control."
function augmented!(dy, y, entry::Entry, t)
    rates!(dy, entry, y, _local(entry, t))
    return nothing
end

augmented_jacobian!(J, y, entry::Entry, t) = slopes!(J, entry, y, _local(entry, t))

function augmented_slope!(dT, y, entry::Entry, t)
    if entry.options.interpolation === :constant
        fill!(dT, 0.0)
    else
        J = has_columns(entry) ? copy(entry.functions.sparsity.square) : zeros(length(y), length(y))
        slopes!(J, entry, y, _local(entry, t))
        copyto!(dT, entry.T)
    end
    return nothing
end

"Local time, 0 .. 1 within the record in hand."
@inline _local(entry::Entry, t) = t / entry.options.step - (entry.record - 1)

const EQUATIONS = ODEFunction{true,SciMLBase.FullSpecialize}(
    augmented!; jac=augmented_jacobian!, tgrad=augmented_slope!
)

function sparse_equations(entry::Entry)
    return ODEFunction{true,SciMLBase.FullSpecialize}(
        augmented!;
        jac=augmented_jacobian!,
        tgrad=augmented_slope!,
        jac_prototype=copy(entry.functions.sparsity.square),
    )
end

"An integrator that stands at the beginning of the first record."
function integrator(entry::Entry, method, initial)
    y = zeros(entry.states + entry.outputs)
    copyto!(y, initial)
    o = entry.options
    at_record!(entry, 1)
    equations = has_columns(entry) ? sparse_equations(entry) : EQUATIONS
    problem = ODEProblem{true}(equations, y, (0.0, o.step * size(entry.forcing, 2)), entry)
    return init(
        problem,
        method;
        reltol=o.rtol,
        abstol=o.atol,
        dt=o.step,
        maxiters=typemax(Int),
        save_on=false,
        save_start=false,
        save_end=false,
        dense=false,
        calck=!isempty(entry.levels),
        verbose=false,
    )
end

"""
    run_record!(state, integral, integrator, entry, path)

Solve the record in hand; return whether its end was reached. The steps are noted in `path`.
"""
function run_record!(state, integral, integrator, entry::Entry, path)
    n, o = entry.states, entry.options
    y, edge = integrator.u, o.step * entry.record
    if entry.record > 1  # outputs begin anew, and the forcing has jumped
        fill!(view(y, (n + 1):length(y)), 0.0)
        u_modified!(integrator, true)
    end
    add_tstop!(integrator, edge)
    crossings = 0
    if !isempty(entry.levels)
        set_switches!(entry, view_states(y, n), 0.0)
        u_modified!(integrator, true)  # of the first record too: rates were computed without them
    end
    for _ in 1:o.max_steps
        check_interrupt()
        copyto!(state, 1, y, 1, n)
        before = integrator.t
        step!(integrator)
        tau = _local(entry, before)
        note!(path, tau, (integrator.t - before) / o.step, state, n, implicit(integrator))
        SciMLBase.successful_retcode(check_error(integrator)) ||
            check_error(integrator) == ReturnCode.Default ||
            return false
        if !isempty(entry.levels)
            which = cross!(integrator, entry, before)
            shorten!(path, (integrator.t - before) / o.step)
            note_switches!(path, entry, which)
            note_end!(path, entry, y)
            if which > 0
                crossings += 1
                crossings > MAX_CROSSINGS && return false
                tau = _local(entry, integrator.t)
                change_over!(view(y, 1:n), view(y, (n + 1):length(y)), entry, tau, which, 1.0)
                u_modified!(integrator, true)
                integrator.t < edge && add_tstop!(integrator, edge)
            end
        end
        if integrator.t >= edge
            copyto!(state, 1, integrator.u, 1, n)
            copyto!(integral, 1, integrator.u, n + 1, length(integral))
            return true
        end
    end
    return false
end
