# Problems of SciML that someone else has made: solved from edge to edge, with their fluxes integrated.
#
# A problem that calls Python must only be solved while Python's lock is held; see `calls_python`.

"A problem whose state and parameters are numbers of Julia, and what is integrated beside it."
struct Wrapped
    problem::SciMLBase.AbstractODEProblem
    "Fluxes of (u, p, t), or nothing."
    fluxes::Any
    count::Int
    calls_python::Bool
end

"Nodes and weights of Gauss and Legendre on 0 to 1, exact up to degree five."
const GAUSS = ((0.5 - sqrt(0.15), 5 / 18), (0.5, 4 / 9), (0.5 + sqrt(0.15), 5 / 18))

"""
    wrap(problem, fluxes, calls_python)

Return a [`Wrapped`](@ref), initial state, parameters, their names (empty if they have none), the time
at which it begins, how many fluxes there are, and whether it calls Python. Needs Python's lock.
"""
function wrap(problem, fluxes, calls_python)
    problem isa SciMLBase.AbstractODEProblem ||
        throw(ArgumentError("a $(nameof(typeof(problem))) is not an ODEProblem"))
    fluxes = SciMLBase.prepare_function(fluxes)  # of Python: lists become arrays
    u0, p = numbers(problem.u0), values_of(problem.p)
    own = SciMLBase.remake(problem; u0=placed(problem.u0, u0), p=placed(problem.p, p))
    start = Float64(first(problem.tspan))
    count = isnothing(fluxes) ? 0 : length(numbers(fluxes(own.u0, own.p, start)))
    parts = (own.f, hasproperty(own.f, :f) ? own.f.f : nothing, own.kwargs, fluxes)
    python = calls_python || any(of_python ∘ typeof, parts)
    names = own.p isa NamedTuple ? map(string, keys(own.p)) : ()
    return Wrapped(own, fluxes, count, python), u0, p, names, start, count, python
end

"Whether a type has a part that belongs to PythonCall."
function of_python(T)
    T isa Union && return of_python(T.a) || of_python(T.b)
    T isa UnionAll && return of_python(Base.unwrap_unionall(T))
    T isa DataType || return false
    nameof(Base.moduleroot(parentmodule(T))) === :PythonCall && return true
    return any(of_python, T.parameters)
end

"The numbers in a state or in what a function of fluxes returns."
numbers(values) = vec(Float64[convert(Float64, value) for value in values])

"The numbers in parameters; none where there are no parameters, or of a kind that is left as it is."
values_of(p::Union{Number,AbstractVector,Tuple,NamedTuple}) = numbers(p)
values_of(_) = Float64[]

"`values` in the form of `old`."
placed(::Number, values) = only(values)
placed(old::AbstractArray, values) = ((_, value) -> value).(old, reshape(values, size(old)))
placed(::Tuple, values) = Tuple(values)
placed(::NamedTuple{names}, values) where {names} = NamedTuple{names}(Tuple(values))
placed(old, _) = old

"""
    follow(wrapped, initial, parameters, edges, method, tolerances, max_steps)

Solve a batch from edge to edge.

# Arguments
- `initial` (state, batch); `parameters` (parameter, interval, batch), constant between two edges;
  `edges`: times.
- `method`: a name of [`ADAPTIVE`](@ref), or an algorithm.
- `tolerances`: relative and absolute, `nothing` for those of the problem; `max_steps` in an interval.

Returns states at the ends of the intervals (state, interval, batch), means of the fluxes over them
(flux, interval, batch), the number of each entry's first interval that could not be solved, zero if
all were, why (a return code of SciML), and what the solver did, as in [`solve`](@ref).
"""
function follow(wrapped::Wrapped, initial, parameters, edges, method, tolerances, max_steps)
    n, intervals, batch = size(initial, 1), length(edges) - 1, size(initial, 2)
    states, means = fill(NaN, n, intervals, batch), fill(NaN, wrapped.count, intervals, batch)
    failed, reasons, statistics = zeros(Int, batch), fill("", batch), zeros(Int, 5, batch)
    algorithm = method isa AbstractString ? ADAPTIVE[Symbol(method)] : method
    options = (; maxiters=max_steps * intervals)
    isnothing(tolerances[1]) || (options = (; options..., reltol=tolerances[1]))
    isnothing(tolerances[2]) || (options = (; options..., abstol=tolerances[2]))
    function work(own, b)
        p = view(parameters, :, :, b)
        integrator = begin_problem(own, view(initial, :, b), p, edges, algorithm, options)
        into = (view(states, :, :, b), view(means, :, :, b))
        failed[b], reasons[b] = follow!(into..., integrator, own, p, edges)
        s = integrator.stats
        statistics[:, b] .= (s.naccept, s.nreject, s.nf, s.njacs, s.nw)
        return nothing
    end
    if wrapped.calls_python
        foreach(b -> work(wrapped, b), 1:batch)
    else  # each task has its own copy, for the sake of what functions keep
        each_entry(work, () -> deepcopy(wrapped), batch)
    end
    return states, means, failed, Tuple(reasons), statistics
end

"An integrator that stands at the first edge."
function begin_problem(wrapped::Wrapped, initial, parameters, edges, algorithm, options)
    problem = SciMLBase.remake(
        wrapped.problem;
        u0=placed(wrapped.problem.u0, initial),
        p=placed(wrapped.problem.p, view(parameters, :, 1)),
        tspan=(first(edges), last(edges)),
    )
    return init(
        problem,
        algorithm;
        options...,
        tstops=edges[2:end],
        save_everystep=false,
        save_start=false,
        save_end=false,
        dense=false,
        calck=!isnothing(wrapped.fluxes),
        verbose=false,  # what is printed from a thread waits for Python's lock
    )
end

"Go from edge to edge; return the first interval whose end was not reached, or zero, and why."
function follow!(states, means, integrator, wrapped::Wrapped, parameters, edges)
    for k in axes(states, 2)
        if k > 1
            integrator.p = placed(wrapped.problem.p, view(parameters, :, k))
            u_modified!(integrator, true)
        end
        sums = zeros(wrapped.count)
        while integrator.t < edges[k + 1]
            check_interrupt()
            before = integrator.t
            step!(integrator)
            code = check_error(integrator)
            going = code in (ReturnCode.Success, ReturnCode.Default) && integrator.t > before
            going || return k, string(code)
            isnothing(wrapped.fluxes) || add_fluxes!(sums, integrator, wrapped, before)
        end
        reached = numbers(integrator.u)
        all(isfinite, reached) && all(isfinite, sums) || return k, "NotFinite"
        states[:, k] .= reached
        means[:, k] .= sums ./ (edges[k + 1] - edges[k])
    end
    return 0, ""
end

"Add the integrals of the fluxes over the last step, from time `before` on."
function add_fluxes!(sums, integrator, wrapped::Wrapped, before)
    width = integrator.t - before
    for (node, weight) in GAUSS
        t = before + node * width
        sums .+= (weight * width) .* numbers(wrapped.fluxes(integrator(t), integrator.p, t))
    end
    return nothing
end
