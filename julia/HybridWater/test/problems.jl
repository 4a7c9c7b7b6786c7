using HybridWater: follow, wrap, ODEProblem, Rodas5P

"One linear reservoir under constant rain: content at a time, and mean outflow until then."
function drained(rain, k, initial, time)
    content = rain / k + (initial - rain / k) * exp(-k * time)
    return content, rain - (content - initial) / time
end

"Solve a problem over two intervals under different rain."
function twice(problem, fluxes; method="tsit5", count=1)
    wrapped, u0, p, names, start, fluxes_count, python = wrap(problem, fluxes, false)
    @test (start, fluxes_count, python) == (1.0, count, false)
    initial = reshape(u0, :, 1)
    parameters = repeat(p, 1, 2, 1)
    parameters[1, 2, 1] = 5.0
    return follow(wrapped, initial, parameters, [1.0, 3.0, 4.0], method, (1e-10, 1e-10), 1000)
end

@testset "problems: $(typeof(p)), $(typeof(u0))" for p in ([2.0, 0.3], (2.0, 0.3), (rain=2.0, k=0.3)),
    u0 in (8.0, [8.0])

    problem = ODEProblem((u, p, t) -> p[1] .- p[2] .* u, u0, (1.0, 9.0), p)
    for method in ("tsit5", "auto", Rodas5P())
        states, means, failed, reasons, statistics = twice(problem, (u, p, t) -> p[2] .* u; method)
        @test failed == [0] && reasons == ("",)
        first, first_mean = drained(2.0, 0.3, 8.0, 2.0)
        second, second_mean = drained(5.0, 0.3, first, 1.0)
        @test vec(states) ≈ [first, second] rtol = 1e-7
        @test vec(means) ≈ [first_mean, second_mean] rtol = 1e-6
        @test statistics[1] > 0
    end
end

@testset "problems: threads, and what a function keeps" begin
    kept = zeros(1)
    function rates!(du, u, p, t)
        kept[1] = p[1] * u[1]
        yield()
        du[1] = -kept[1]
        return nothing
    end
    wrapped = wrap(ODEProblem(rates!, [1.0], (0.0, 1.0), [1.0]), nothing, false)[1]
    rates = reshape(collect(0.1:0.1:2.0), 1, 1, :)
    states, = follow(wrapped, ones(1, 20), rates, [0.0, 1.0], "tsit5", (1e-9, 1e-9), 1000)
    @test vec(states) ≈ exp.(-vec(rates)) rtol = 1e-7
end

@testset "a problem with one number as parameter" begin
    wrapped, u0, p = wrap(ODEProblem((u, p, t) -> -p * u, 2.0, (0.0, 3.0), 1), nothing, false)
    @test (u0, p) == ([2.0], [1.0])
    rates = reshape([0.5, 1.5], 1, 2, 1)
    states, = follow(wrapped, fill(2.0, 1, 1), rates, [0.0, 1.0, 3.0], "tsit5", (1e-9, 1e-9), 1000)
    @test vec(states) ≈ [2exp(-0.5), 2exp(-3.5)] rtol = 1e-7
end

@testset "problems that fail" begin
    wrapped = wrap(ODEProblem((u, p, t) -> p[1] .* u .^ 2, [1.0], (0.0, 1.0), [1.0]), nothing, false)[1]
    rates = reshape([0.1, 0.1, 2.0, 2.0], 1, 2, 2)
    given = (ones(1, 2), rates, [0.0, 0.4, 1.0])
    states, _, failed, reasons, _ = follow(wrapped, given..., "tsit5", (1e-6, nothing), 1000)
    @test failed == [0, 2] && isempty(reasons[1]) && !isempty(reasons[2])
    @test all(isfinite, states[:, :, 1]) && isfinite(states[1, 1, 2]) && isnan(states[1, 2, 2])
    _, _, failed, reasons, _ = @test_logs follow(wrapped, given..., "tsit5", (1e-12, 1e-12), 1)
    @test reasons == ("MaxIters", "MaxIters")
    @test_throws ArgumentError wrap(3, nothing, false)
end
