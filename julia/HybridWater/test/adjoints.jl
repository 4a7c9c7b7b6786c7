using ForwardDiff: ForwardDiff
using HybridWater: HybridWater, SciMLBase, ODEProblem, Options, Record, SolveFailed, Tsit5
using HybridWater: Workspace, attempt, load_package, pull, reservoir, solve
using ReverseDiff: ReverseDiff
using SciMLSensitivity: SciMLSensitivity
using Zygote: Zygote

const RAIN = reshape(abs.(cos.(1.0:6.0)) .* 3, 1, :, 1)
const GIVEN = (fill(0.3, 1, 1), 0.4 .* sin.(1:13), RAIN, fill(5.0, 1, 1))

"Gradient by parameters, weights, initial states and forcing, one after the other."
function gradient(method, way, interpolation)
    how = (method, 2, 1e-10, 1e-10, 10_000, interpolation)
    _, fluxes, _, failed, record = solve(reservoir(), GIVEN..., how, true, 0.5, true)
    bars = cos.(reshape(1.0:6.0, 1, 6, 1)), sin.(reshape(1.0:6.0, 1, 6, 1))
    return reduce(vcat, map(vec, pull(record, bars..., failed, true, way)))
end

@testset "ways to the gradient, $interpolation" for interpolation in ("constant", "pchip")
    expected = gradient("tsit5", "discrete", interpolation)
    scale = maximum(abs, expected)
    @test load_package("SciMLSensitivity", "1ed8b502-d754-442c-8d5d-10ac956f44a1")
    @test !load_package("Nothing", "00000000-0000-0000-0000-000000000001")
    for (method, way) in (
        ("rodas5p", "discrete"),
        ("auto", "discrete"),
        ("tsit5", "forward"),
        ("fbdf", "forward"),
        ("tsit5", "gauss"),
        ("tsit5", "interpolating"),
        ("fbdf", "gauss"),
        ("tsit5", "zygote"),
        ("tsit5", "reversediff"),
        ("fbdf", "reversediff"),
    )
        found = gradient(method, way, interpolation)
        close = method == "fbdf" ? 1e-6 : 1e-8  # errors of a multistep method add up
        @test found ≈ expected rtol = 0 atol = close * scale
    end
end

@testset "a record that cannot be solved again: $way" for way in ("forward", "gauss", "interpolating")
    options(max_steps) = Options(:fbdf, 2, 1e-6, 1e-6, max_steps, :constant, true, 1.0)
    inputs = (fill(3000.0, 1, 1), zeros(13), fill(2.0, 1, 1, 1), fill(5.0, 1, 1))
    how = ("fbdf", 2, 1e-6, 1e-6, 10_000, "constant")
    _, fluxes, _, failed, record = solve(reservoir(), inputs..., how, true, 1.0, true)
    @test failed == [0]
    kept = (record.entries, record.paths, record.weights)
    pulled(max_steps) = attempt(
        pull, Record(record.model, options(max_steps), kept...), fluxes, fluxes, failed, true, way
    )
    @test first(pulled(10_000))
    done, (kind, message, _) = @test_logs pulled(4)
    @test !done && kind == "SolveFailed"
    @test message == "a record could not be solved again for its gradient (MaxIters)"
end

@testset "an adjoint that does not reach the beginning" begin
    extension = Base.get_extension(HybridWater, :HybridWaterSciMLSensitivityExt)
    grows = ODEProblem((u, p, t) -> u .^ 2, [1.0], (0.0, 2.0))
    finishing = extension.Finishing(Tsit5())
    @test_throws SolveFailed SciMLBase.solve(grows, finishing; verbose=false)
    shorter = SciMLBase.remake(grows; tspan=(0.0, 0.5))
    @test SciMLBase.solve(shorter, finishing; reltol=1e-9).u[end] ≈ [2.0] rtol = 1e-6
end

@testset "generated products against three differentiators" begin
    # the reservoir, written as a function of all that it depends on
    function rates(v)
        u, x, p, w = v[1], v[2], v[3], v[4:16]
        hidden = [tanh(w[2j - 1] * u + w[2j] * x + w[6 + j]) for j in 1:3]
        learned = sum(w[9 + j] * hidden[j] for j in 1:3) + w[13]
        return [x - p * u - learned, p * u]
    end
    v, ys = [2.0; 1.5; 0.3; 0.4 .* sin.(1:13)], [0.7, -1.3]
    us, xs, ps, ws = zeros(1), zeros(1), zeros(1), zeros(13)
    Workspace(reservoir()).pullback(us, xs, ps, ws, v[1:1], v[2:2], v[3:3], v[4:16], ys)
    product(v) = sum(ys .* rates(v))
    for expected in (
        ForwardDiff.gradient(product, v),
        ReverseDiff.gradient(product, v),
        only(Zygote.gradient(product, v)),
    )
        @test [us; xs; ps; ws] ≈ expected rtol = 1e-12
    end
end

@testset "auto changes its method where the model turns stiff" begin
    stiff(k) = begin
        how = ("auto", 2, 1e-6, 1e-6, 10_000, "constant")
        inputs = (fill(k, 1, 1), zeros(13), fill(2.0, 1, 40, 1), fill(5.0, 1, 1))
        states, _, _, failed, record = solve(reservoir(), inputs..., how, true, 1.0, true)
        @test failed == [0]
        @test states[end] ≈ 2 / k rtol = 1e-4
        any(only(record.paths).implicit)
    end
    @test !stiff(0.3)
    @test stiff(3000.0)
end
