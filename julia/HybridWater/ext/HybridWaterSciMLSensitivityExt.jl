# Adjoint equations by SciMLSensitivity, with the vector-Jacobian products of the generated code.

module HybridWaterSciMLSensitivityExt

using HybridWater: HybridWater, Entry, Model, Path, Sums
using HybridWater: again, augmented!, augmented_jacobian!, augmented_slope!, check_interrupt, completed
using HybridWater: pull!, start!, steps_of, _local
using OrdinaryDiffEqSDIRK: KenCarp4
using OrdinaryDiffEqTsit5: Tsit5
using SciMLBase: SciMLBase, ODEFunction, ODEProblem
using SciMLSensitivity: GaussAdjoint, InterpolatingAdjoint, adjoint_sensitivities

const KINDS = (; gauss=GaussAdjoint, interpolating=InterpolatingAdjoint)

"""
Memory for going back through a record: the equations with their derivatives, everything that is
differentiated by in one vector, and the adjoint method.
"""
struct Adjoint{F,S}
    equations::F
    inputs::Vector{Float64}
    kind::S
end

function HybridWater.adjoint(::Val{kind}, model::Model, entry::Entry) where {kind}
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
    equations = ODEFunction{true,SciMLBase.FullSpecialize}(
        (dy, y, p, t) -> (check_interrupt(); augmented!(dy, y, entry, t));
        jac=(J, y, p, t) -> augmented_jacobian!(J, y, entry, t),
        tgrad=(dT, y, p, t) -> augmented_slope!(dT, y, entry, t),
        jac_prototype=zeros(n + m, n + m),
        vjp,
        vjp_p,
    )
    inputs = gather(entry.p, entry.w, entry.coefficients)
    return Adjoint(equations, inputs, KINDS[kind](; autojacvec=true))
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
    problem = ODEProblem(way.equations, [start; zero(outputs_bar)], (edge - o.step, edge), way.inputs)
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
