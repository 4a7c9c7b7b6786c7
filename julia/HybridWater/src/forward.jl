# Derivatives of a record by forward mode: the record is solved again with dual numbers, for as many
# directions at a time as these have. The error control sees the derivatives too. What is
# differentiated is the exact solution, not the steps of a method: two methods are enough.

"The method that solves a record again."
again(entry::Entry) = entry.options.method === :tsit5 ? Tsit5() : Rodas5P()

"A number and its derivatives along several directions."
const Wide = ForwardDiff.Dual{Nothing,Float64,8}

"Memory for a record in dual numbers; `forcing`: whether to differentiate by the forcing as well."
struct Forward
    rates::FunctionWrapper{Nothing,NTuple{5,Vector{Wide}}}
    jacobian::FunctionWrapper{Nothing,Tuple{Matrix{Wide},fieldtypes(NTuple{6,Vector{Wide}})...}}
    entry::Entry
    p::Vector{Wide}
    w::Vector{Wide}
    coefficients::Matrix{Wide}
    x::Vector{Wide}
    dx::Vector{Wide}
    T::Vector{Wide}
    forcing::Bool
end

function Forward(model::Model, entry::Entry, forcing)
    networks = Tuple(Perceptron(layout, Wide) for layout in model.networks)
    return _forward(model.rates, model.jacobian, networks, entry, forcing)
end

function _forward(rates::F, jacobian::G, networks, entry, forcing) where {F,G}
    return Forward(
        (y, u, x, p, w) -> rates(y, u, x, p, w, networks),
        (J, T, u, x, dx, p, w) -> jacobian(J, T, u, x, dx, p, w, networks),
        entry,
        map(duals -> zeros(Wide, size(duals)), (entry.p, entry.w, entry.coefficients))...,
        map(duals -> zeros(Wide, size(duals)), (entry.x, entry.dx, entry.T))...,
        forcing,
    )
end

function seeded!(dy, y, way::Forward, t)
    check_interrupt()
    forcing_at!(way.x, way.coefficients, _local(way.entry, t))
    way.rates(dy, y, way.x, way.p, way.w)
    return nothing
end

function seeded_jacobian!(J, y, way::Forward, t)
    tau = _local(way.entry, t)
    forcing_at!(way.x, way.coefficients, tau)
    forcing_slope!(way.dx, way.coefficients, tau)
    way.dx ./= way.entry.options.step
    fill!(J, 0.0)
    fill!(way.T, 0.0)
    way.jacobian(J, way.T, y, way.x, way.dx, way.p, way.w)
    return nothing
end

function seeded_slope!(dT, y, way::Forward, t)
    seeded_jacobian!(zeros(Wide, length(y), length(y)), y, way, t)
    copyto!(dT, way.T)
    return nothing
end

const SEEDED = ODEFunction{true,SciMLBase.FullSpecialize}(
    seeded!; jac=seeded_jacobian!, tgrad=seeded_slope!
)

function pull_record!(bar, sums, outputs_bar, start, way::Forward, entry::Entry, path::Path)
    n, o = entry.states, entry.options
    start!(start, path, first(steps_of(path, entry.record)))
    ends = [bar; outputs_bar ./ o.step]
    y = zeros(Wide, n + entry.outputs)
    sources = (start, entry.p, entry.w, entry.coefficients)
    seeds = (view(y, 1:n), way.p, way.w, way.coefficients)
    sums_of = (bar, sums.parameters, sums.weights, sums.coefficients)
    foreach(copyto!, seeds, sources)
    fill!(bar, 0.0)
    places = [(k, i) for k in 1:(way.forcing ? 4 : 3) for i in eachindex(sources[k])]
    for chunk in Iterators.partition(places, ForwardDiff.npartials(Wide))
        fill!(y, zero(Wide))
        copyto!(y, start)
        for (direction, (k, i)) in enumerate(chunk)
            unit = ntuple(==(direction), Val(ForwardDiff.npartials(Wide)))
            seeds[k][i] = ForwardDiff.Dual{Nothing}(sources[k][i], Float64.(unit))
        end
        after = solve_again(again(entry), SEEDED, y, way, entry)
        for (direction, (k, i)) in enumerate(chunk)
            along(dual) = ForwardDiff.partials(dual, direction)
            sums_of[k][i] += sum(ends .* along.(after))
            seeds[k][i] = sources[k][i]
        end
    end
    return nothing
end

"Solve the record in hand with a method and return its end."
function solve_again(method, equations, y, p, entry::Entry)
    o = entry.options
    times = (o.step * (entry.record - 1), o.step * entry.record)
    problem = ODEProblem{true}(equations, y, times, p)
    solver = init(
        problem,
        method;
        reltol=o.rtol,
        abstol=o.atol,
        dt=o.step,
        maxiters=o.max_steps,
        save_on=false,
        verbose=false,
    )
    return completed(SciMLBase.solve!(solver)).u[end]
end

"A record was solved, but not a second time, for its gradient; `code` is SciML's."
struct SolveFailed <: Exception
    code::ReturnCode.T
end

function Base.showerror(io::IO, failed::SolveFailed)
    return print(io, "a record could not be solved again for its gradient (", failed.code, ")")
end

"A solution, if it reached its end."
function completed(solution)
    SciMLBase.successful_retcode(solution) || throw(SolveFailed(solution.retcode))
    return solution
end
