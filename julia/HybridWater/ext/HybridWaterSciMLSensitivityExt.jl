# Adjoint equations by SciMLSensitivity. Their vector-Jacobian products are those of the generated
# code, or, as a check of that, what Zygote or ReverseDiff finds in the equations alone.

module HybridWaterSciMLSensitivityExt

using HybridWater: HybridWater, Entry, Layout, Model, Path, Sums, activate
using HybridWater: again, augmented!, augmented_jacobian!, augmented_slope!, check_interrupt, completed
using HybridWater: pull!, start!, steps_of, _local
using OrdinaryDiffEqSDIRK: KenCarp4
using OrdinaryDiffEqTsit5: Tsit5
using SciMLBase: SciMLBase, ODEFunction, ODEProblem
using SciMLSensitivity:
    GaussAdjoint, InterpolatingAdjoint, ReverseDiffVJP, ZygoteVJP, adjoint_sensitivities

"Adjoint equations by name; `autojacvec=true` takes the products that come with the equations."
const KINDS = (;
    gauss=GaussAdjoint(; autojacvec=true),
    interpolating=InterpolatingAdjoint(; autojacvec=true),
    reversediff=GaussAdjoint(; autojacvec=ReverseDiffVJP()),
    zygote=GaussAdjoint(; autojacvec=ZygoteVJP()),
)

"""
For going back through a record: the equations with their derivatives, and the adjoint method. What is
differentiated by is their parameter, one vector.
"""
struct Adjoint{F,S}
    equations::F
    kind::S
end

function HybridWater.adjoint(::Val{kind}, model::Model, entry::Entry) where {kind}
    way = KINDS[kind]
    rates!, products = if way.autojacvec === true
        (dy, y, _, t) -> (check_interrupt(); augmented!(dy, y, entry, t)), generated(model, entry)
    else
        traceable(model, entry), (;)
    end
    equations = ODEFunction{true,SciMLBase.FullSpecialize}(
        rates!;
        jac=(J, y, p, t) -> augmented_jacobian!(J, y, entry, t),
        tgrad=(dT, y, p, t) -> augmented_slope!(dT, y, entry, t),
        jac_prototype=zeros(length(entry.T), length(entry.T)),
        products...,
    )
    return Adjoint(equations, way)
end

"The vector-Jacobian products of the generated code."
function generated(model::Model, entry::Entry)
    n, m = entry.states, entry.outputs
    sums, us, ys = Sums(model, entry), zeros(n), zeros(n + m)
    function products!(v, y, t)
        check_interrupt()
        foreach(a -> fill!(a, 0.0), (us, sums.parameters, sums.weights, sums.coefficients))
        copyto!(ys, v)
        pull!(us, sums, entry, y, _local(entry, t), ys)
        return nothing
    end
    function vjp(out, v, y, p, t)
        products!(v, y, t)
        fill!(out, 0.0)
        copyto!(out, us)
        return nothing
    end
    function vjp_p(out, v, y, p, t)
        products!(v, y, t)
        copyto!(out, gather(sums.parameters, sums.weights, sums.coefficients))
        return nothing
    end
    return (; vjp, vjp_p)
end

"A network without memory."
struct Plain{A}
    layout::Layout
end

function HybridWater.evaluate!(network::Plain{A}, w, inputs::Tuple) where {A}
    (; sizes, offset) = network.layout
    x, at = collect(inputs), offset
    for layer in 2:length(sizes)
        bias = at + sizes[layer - 1] * sizes[layer]
        matrix = reshape(w[(at + 1):bias], sizes[layer - 1], sizes[layer])
        z = matrix' * x .+ w[(bias + 1):(bias + sizes[layer])]
        x = layer < length(sizes) ? map(z -> first(activate(Val(A), z)), z) : z
        at = bias + sizes[layer]
    end
    return only(x)
end

"The equations as a function of all that is differentiated by, which writes into `dy` only."
function traceable(model::Model, entry::Entry)
    networks = Tuple(Plain{layout.activation}(layout) for layout in model.networks)
    p, w = length(entry.p), length(entry.w)
    orders = size(entry.coefficients, 2)
    return function (dy, y, inputs, t)
        tau = _local(entry, t)
        coefficients = reshape(inputs[(p + w + 1):end], :, orders)
        x = coefficients * tau .^ (0:(orders - 1))
        model.rates(dy, y, x, inputs[1:p], inputs[(p + 1):(p + w)], networks)
        return nothing
    end
end

"""
A method whose solves either reach their end or throw: `adjoint_sensitivities` makes a gradient of
what it has.
"""
struct Finishing{A} <: SciMLBase.AbstractODEAlgorithm
    method::A
end

function SciMLBase.__solve(problem::SciMLBase.AbstractODEProblem, way::Finishing; options...)
    return completed(SciMLBase.__solve(problem, way.method; options...))
end

gather(p, w, coefficients) = [p; w; vec(coefficients)]

function HybridWater.pull_record!(
    bar, sums, outputs_bar, start, way::Adjoint, entry::Entry, path::Path
)
    o = entry.options
    start!(start, path, first(steps_of(path, entry.record)))
    edge = o.step * entry.record
    inputs = gather(entry.p, entry.w, entry.coefficients)
    problem = ODEProblem(way.equations, [start; zero(outputs_bar)], (edge - o.step, edge), inputs)
    return pull_adjoint!(bar, sums, outputs_bar ./ o.step, problem, again(entry), way, edge, o)
end

"Behind the choice of a method, so that everything here is compiled for it."
function pull_adjoint!(bar, sums, integrals_bar, problem, method, way, edge, o)
    n = length(bar)
    tight = (; abstol=o.atol, reltol=o.rtol, dt=o.step, maxiters=o.max_steps, verbose=false)
    solution = completed(SciMLBase.solve(problem, method; tight...))
    ends = [bar; integrals_bar]
    stiff = !(method isa Tsit5) && way.kind isa GaussAdjoint
    back, inputs = adjoint_sensitivities(
        solution,
        Finishing(stiff ? KenCarp4() : Tsit5());
        t=[edge],
        dgdu_discrete=(out, _...) -> copyto!(out, ends),
        sensealg=way.kind,
        abstol=o.rtol * max(maximum(abs, ends), floatmin()),
        reltol=o.rtol,
        verbose=false,
    )
    copyto!(bar, 1, back, 1, n)
    at = 0
    for part in (sums.parameters, sums.weights, sums.coefficients)
        part .+= reshape(view(vec(inputs), (at + 1):(at + length(part))), size(part))
        at += length(part)
    end
    return nothing
end

end
