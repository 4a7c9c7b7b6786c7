# A model: generated functions and the sizes of what they take.

"""
A right-hand side, compiled from source by [`compile`](@ref): functions, the numbers of states,
forcings, parameters, outputs, weights and switches (the last of the forcings, see thresholds.jl),
how deep these depend on each other, the networks, the signs of constrained weights (zero where a
weight is free), and the places (row, column) of the Jacobian that are not always zero.
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
    depth::Int
    networks::Vector{Layout}
    signs::Vector{Float64}
    pattern::Matrix{Int}
end

"""
    compile(sources, sizes, networks, signs, pattern)

Make a [`Model`](@ref) from source as the Python package writes it.

# Arguments
- `sources`: texts of the anonymous functions `rates(y, u, x, p, w, c)`, derivatives and outputs
  into `y`; `pullback(us, xs, ps, ws, u, x, p, w, ys, c)`, which adds up sensitivities;
  `jacobian(J, T, u, x, dx, p, w, c)`, slopes with respect to states into `J`, along time into `T`;
  `levels` and its `pullback`: thresholds into `y`, like rates.
- `sizes`: numbers of states, forcings, parameters, outputs, weights and switches, and their depth.
- `networks`: sizes, activation and offset of each.
- `signs`: one per weight.
- `pattern`: (2, places).
"""
function compile(sources, sizes, networks, signs, pattern)
    layouts = [Layout(collect(Int, n[1]), Symbol(n[2]), Int(n[3])) for n in networks]
    return Model(map(_generated, sources)..., map(Int, sizes)..., layouts, signs, pattern)
end

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

"""
    Workspace(model)

A model's functions with memory of their own, for use by one task at a time.

`rates(y, u, x, p, w)`, `pullback(us, xs, ps, ws, u, x, p, w, ys)`,
`jacobian(J, T, u, x, dx, p, w)`; `twice` is `pullback` with dual numbers but for `p`, `w`, `ys`.
"""
struct Workspace
    rates::Rates
    pullback::Pullback
    jacobian::Slopes
    twice::Twice
    levels::Rates
    pull_levels::Pullback
end

function Workspace(model::Model)
    networks(T) = Tuple(Perceptron(layout, T) for layout in model.networks)
    functions = (model.rates, model.pullback, model.jacobian, model.levels, model.pull_levels)
    return _workspace(functions..., networks(Float64), networks(Dual1))
end

function _workspace(
    rates::F, pullback::G, jacobian::H, levels::L, pull_levels::M, networks, duals
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
        Rates((y, u, x, p, w) -> levels(y, u, x, p, w, networks)),
        back(pull_levels),
    )
end
