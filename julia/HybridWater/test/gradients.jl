using HybridWater: evaluate, pull, pull_evaluate, reservoir, solve

const METHODS = ("euler", "heun", "rk4", "tsit5", "rodas5p")

"Weighted sum of all results, as a function of everything that goes in."
function weighted(inputs, how, mean, bars)
    states, fluxes, _ = solve(reservoir(), inputs..., how, mean, 0.5, false)
    return sum(bars[1] .* states) + sum(bars[2] .* fluxes)
end

"Central differences with Richardson extrapolation."
function differences(f, x, h=1e-3)
    return map(eachindex(x)) do i
        function central(h)
            up, down = copy(x), copy(x)
            up[i] += h
            down[i] -= h
            return (f(up) - f(down)) / 2h
        end
        return (4central(h / 2) - central(h)) / 3
    end
end

@testset "gradients: $method, $interpolation, mean=$mean" for method in METHODS,
    interpolation in ("constant", "linear", "pchip"),
    mean in (true, false)

    # steps are not differentiated, so adaptive ones must not change with the inputs: tolerances
    # that every step of a whole record meets
    how = (method, 3, 0.9, 0.9, 100, interpolation)
    inputs = [
        [0.3 0.6], 0.4 .* sin.(1:13), abs.(cos.(reshape(1.0:10.0, 1, 5, 2))) .* 3, [2.0 4.0]
    ]
    bars = sin.(reshape(1.0:10.0, 1, 5, 2)), cos.(reshape(1.0:10.0, 1, 5, 2))
    states, fluxes, _, failed, record = solve(reservoir(), inputs..., how, mean, 0.5, true)
    p, w, s, x = pull(record, bars[2], bars[1], failed, true)
    for (k, found) in enumerate((p, w, x, s))
        f(values) = weighted((inputs[1:(k - 1)]..., values, inputs[(k + 1):end]...), how, mean, bars)
        @test vec(found) ≈ vec(differences(f, inputs[k])) rtol = 1e-7 atol = 1e-8
    end
end

@testset "weights of each entry" begin
    how = ("rk4", 2, 1e-6, 1e-6, 100, "constant")
    w = 0.3 .* sin.(reshape(1.0:26.0, 13, 2))
    inputs = ([0.3 0.6], w, fill(2.0, 1, 4, 2), [2.0 4.0])
    _, fluxes, _, failed, record = solve(reservoir(), inputs..., how, true, 1.0, true)
    _, own, _, _ = pull(record, one.(fluxes), zero(fluxes), failed, false)
    @test size(own) == (13, 2)
    for b in 1:2
        part = ([0.3 0.6][:, b:b], w[:, b], fill(2.0, 1, 4, 1), [2.0 4.0][:, b:b])
        _, fluxes, _, failed, record = solve(reservoir(), part..., how, true, 1.0, true)
        _, alone, _, _ = pull(record, one.(fluxes), zero(fluxes), failed, false)
        @test own[:, b] == vec(alone)
    end
end

@testset "fluxes without solving" begin
    inputs = [[0.3 0.6], 0.4 .* sin.(1:13), fill(2.0, 1, 3, 2), reshape(1.0:6.0, 1, 3, 2)]
    bars = cos.(reshape(1.0:6.0, 1, 3, 2))
    p, w = pull_evaluate(reservoir(), inputs..., bars)
    value(p, w) = sum(bars .* evaluate(reservoir(), p, w, inputs[3:4]...))
    @test vec(p) ≈ differences(p -> value(p, inputs[2]), inputs[1]) rtol = 1e-8
    @test vec(w) ≈ differences(w -> value(inputs[1], w), inputs[2]) atol = 1e-8
end
