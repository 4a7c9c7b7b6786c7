# A model: generated functions and the sizes of what they take.

"""
A right-hand side, compiled from source by [`compile`](@ref): functions, the numbers of states,
forcings, parameters, outputs, weights, switches and events (the last of the forcings, see
thresholds.jl), how deep switches depend on each other, the networks, the signs of constrained
weights (zero where a weight is free), and the places (row, column) of the Jacobian that are not
always zero.
A model with columns has `colours`, one per state (see [`Sparsity`](@ref)), and the `geometry` of
its cells and faces; both are empty in other models.
"""
struct Model
    rates::Function
    pullback::Function
    jacobian::Function
    levels::Function
    pull_levels::Function
    states::Int
    forcings::Int
    parameters::Int
    outputs::Int
    weights::Int
    switches::Int
    events::Int
    depth::Int
    networks::Vector{Layout}
    signs::Vector{Float64}
    pattern::Matrix{Int}
    colours::Vector{Int}
    geometry::Vector{Float64}
end

"""
    compile(sources, sizes, networks, signs, pattern, colours, geometry)

Make a [`Model`](@ref) from source as the Python package writes it.

# Arguments
- `sources`: texts of the anonymous functions `rates(y, u, x, p, w, c)`, derivatives and outputs
  into `y`; `pullback(us, xs, ps, ws, u, x, p, w, ys, c)`, which adds up sensitivities;
  `jacobian(J, T, u, x, dx, p, w, c)`, slopes with respect to states into `J`, along time into `T`;
  `levels` and its `pullback`: like rates, see thresholds.jl. A function that is never called may be
  an empty text.
- `sizes`: numbers of states, forcings, parameters, outputs, weights, switches and events, and how
  deep switches depend on each other.
- `networks`: sizes, activation and offset of each.
- `signs`: one per weight.
- `pattern`: (2, places).
- `colours`, `geometry`: of a model with columns, whose functions find the geometry and memory of
  their own behind the networks in `c`, and whose `jacobian` is an empty text.
"""
function compile(sources, sizes, networks, signs, pattern, colours=Int[], geometry=Float64[])
    layouts = [Layout(collect(Int, n[1]), Symbol(n[2]), Int(n[3])) for n in networks]
    functions = map(source -> isempty(source) ? _unused : _generated(source), sources)
    return Model(functions..., map(Int, sizes)..., layouts, signs, pattern, colours, geometry)
end

_unused(_...) = nothing

function _generated(source)
    return RuntimeGeneratedFunction(@__MODULE__, @__MODULE__, Meta.parse(source))
end

"A number and its derivative along one direction."
const Dual1 = ForwardDiff.Dual{Nothing,Float64,1}

"Arrays of one type in and out, so that solvers are compiled once for all models."
const Rates = FunctionWrapper{Nothing,NTuple{5,Vector{Float64}}}
const Pullback = FunctionWrapper{Nothing,NTuple{9,Vector{Float64}}}
const Slopes = FunctionWrapper{
    Nothing,Tuple{Matrix{Float64},fieldtypes(NTuple{6,Vector{Float64}})...}
}
const Twice = FunctionWrapper{
    Nothing,Tuple{fieldtypes(NTuple{6,Vector{Dual1}})...,fieldtypes(NTuple{3,Vector{Float64}})...}
}

"Several numbers' derivatives at once: as many directions as a dual number has."
const Dual4 = ForwardDiff.Dual{Nothing,Float64,4}
const Several = FunctionWrapper{
    Nothing,Tuple{fieldtypes(NTuple{3,Vector{Dual4}})...,fieldtypes(NTuple{2,Vector{Float64}})...}
}

"""
    Workspace(model)

A model's functions with memory of their own, for use by one task at a time.

`rates(y, u, x, p, w)`, `pullback(us, xs, ps, ws, u, x, p, w, ys)`,
`jacobian(J, T, u, x, dx, p, w)`; `twice` is `pullback` with dual numbers but for `p`, `w`, `ys`.
A model with columns has, in the place of `jacobian`, `several`: `rates` with dual numbers but for
`p` and `w`, and its [`Sparsity`](@ref).
"""
struct Workspace
    rates::Rates
    pullback::Pullback
    jacobian::Slopes
    twice::Twice
    several::Several
    sparsity::Sparsity{Dual4}
    levels::Rates
    pull_levels::Pullback
end

function Workspace(model::Model)
    memory(T) = isempty(model.colours) ? () : (model.geometry, T[])
    networks(T) = (map(layout -> Perceptron(layout, T), model.networks)..., memory(T)...)
    functions = (model.rates, model.pullback, model.jacobian, model.levels, model.pull_levels)
    several = isempty(model.colours) ? Several(_unused) : _several(model.rates, networks(Dual4))
    sparsity = Sparsity(Dual4, model)
    return _workspace(functions..., networks(Float64), networks(Dual1), several, sparsity)
end

_several(rates::F, networks) where {F} = Several((y, u, x, p, w) -> rates(y, u, x, p, w, networks))

function _workspace(
    rates::F, pullback::G, jacobian::H, levels::L, pull_levels::M, networks, duals, several, sparsity
) where {F,G,H,L,M}
    back(f) = Pullback(
        (us, xs, ps, ws, u, x, p, w, ys) -> f(us, xs, ps, ws, u, x, p, w, ys, networks)
    )
    return Workspace(
        Rates((y, u, x, p, w) -> rates(y, u, x, p, w, networks)),
        back(pullback),
        Slopes((J, T, u, x, dx, p, w) -> jacobian(J, T, u, x, dx, p, w, networks)),
        Twice(
            (us, xs, ps, ws, u, x, p, w, ys) -> pullback(us, xs, ps, ws, u, x, p, w, ys, duals)
        ),
        several,
        sparsity,
        Rates((y, u, x, p, w) -> levels(y, u, x, p, w, networks)),
        back(pull_levels),
    )
end
