using HybridWater: RESERVOIR, compile, evaluate, linearize, pull_linearize, reservoir, solve, two_cells
using HybridWater: ADAPTIVE, TABLEAUX

const EXPLODING = (
    "(y, u, x, p, w, c) -> (y[1] = p[1] * u[1]^2 + x[1]; y[2] = u[1]; nothing)",
    "(us, xs, ps, ws, u, x, p, w, ys, c) -> begin
        us[1] += 2p[1] * u[1] * ys[1] + ys[2]
        xs[1] += ys[1]
        ps[1] += u[1]^2 * ys[1]
        nothing
    end",
    "(J, T, u, x, dx, p, w, c) -> (J[1, 1] = 2p[1] * u[1]; J[2, 1] = 1.0; T[1] = dx[1]; nothing)",
    "",
    "",
)

function exploding()
    return compile(EXPLODING, (1, 1, 1, 1, 0, 0, 0, 0), (), Float64[], [1 2; 1 1])
end

"Solve the linear reservoir (its network switched off) and return the storage and outflow."
function drain(method; rain=[4.0 0.0 1.0], k=0.3, interpolation="constant", mean=true, substeps=2)
    forcing = reshape(rain, 1, :, 1)
    how = (method, substeps, 1e-9, 1e-9, 10_000, interpolation)
    inputs = (fill(k, 1, 1), zeros(13), forcing, fill(5.0, 1, 1))
    states, fluxes, final, failed, _ = solve(reservoir(), inputs..., how, mean, 0.5, false)
    @test failed == [0]
    return vec(states), vec(fluxes), only(final)
end

@testset "linear reservoir: $method" for method in string.(union(keys(TABLEAUX), keys(ADAPTIVE)))
    # dS/dt = P - k S over records of half a day
    S, storages, outflows = 5.0, Float64[], Float64[]
    for P in (4.0, 0.0, 1.0)
        after = P / 0.3 + (S - P / 0.3) * exp(-0.3 * 0.5)
        push!(outflows, P - (after - S) / 0.5)
        S = after
        push!(storages, S)
    end
    tolerance = get(Dict("euler" => 5e-2, "heun" => 1e-3), method, 1e-6)
    states, fluxes, final = drain(method)
    @test states ≈ storages rtol = tolerance
    @test fluxes ≈ outflows rtol = 5tolerance
    @test final == states[end]
    balance = 0.5 .* ([4.0, 0.0, 1.0] .- fluxes) .- diff([5.0; states])
    @test maximum(abs, balance) < (method == "fbdf" ? 1e-8 : 1e-12)  # multistep: its tolerance
    before, now, _ = drain(method; mean=false)
    @test before ≈ [5.0; storages[1:2]] rtol = tolerance
    @test now == 0.3 .* before
end

@testset "orders of the explicit methods" begin
    reference = drain("tsit5"; interpolation="pchip")[3]
    for (method, order) in (("euler", 1), ("heun", 2), ("rk4", 4))
        error(n) = abs(drain(method; interpolation="pchip", substeps=n)[3] - reference)
        @test log2(error(2) / error(4)) ≈ order atol = 0.3
    end
end

@testset "a failed entry leaves the others alone" begin
    for method in ("rk4", "tsit5", "rodas5p")
        how = (method, 2, 1e-6, 1e-6, 1000, "constant")
        inputs = ([0.1 1.0], Float64[], zeros(1, 20, 2), [0.1 1.0])
        states, fluxes, final, failed, _ = solve(exploding(), inputs..., how, true, 1.0, false)
        @test failed[1] == 0 && failed[2] > 0
        @test all(isfinite, states[:, :, 1]) && all(isnan, states[:, failed[2]:end, 2])
        @test all(isfinite, states[:, 1:(failed[2] - 1), 2])
        @test isfinite(final[1]) && isnan(final[2])
    end
end

@testset "fluxes without solving" begin
    states = reshape([1.0, 2.0, 3.0], 1, 3, 1)
    found = evaluate(reservoir(), fill(0.3, 1, 1), zeros(13), zeros(1, 3, 1), states)
    @test vec(found) == [0.3, 0.6, 0.3 * 3.0]
end

@testset "threads do not change anything" begin
    how = ("tsit5", 2, 1e-6, 1e-6, 1000, "constant")
    forcing = rand(1, 30, 40)
    inputs(b) = (fill(0.3, 1, length(b)), sin.(1:13), forcing[:, :, b], ones(1, length(b)))
    together = solve(reservoir(), inputs(1:40)..., how, true, 1.0, false)
    alone = solve(reservoir(), inputs(7:7)..., how, true, 1.0, false)
    @test together[1][:, :, 7:7] == alone[1] && together[2][:, :, 7:7] == alone[2]
end

@testset "rates, slopes and their products without solving" begin
    rates, slopes = linearize(reservoir(), fill(0.3, 1, 2), zeros(13), [1.0 4.0], [5.0 6.0])
    @test rates ≈ [1.0 - 1.5 4.0 - 1.8]
    @test vec(slopes) ≈ [-0.3, -0.3]
    ps, ws, xs = pull_linearize(reservoir(), fill(0.3, 1, 2), zeros(13), [1.0 4.0], [5.0 6.0], ones(1, 2))
    @test ps ≈ [-5.0 -6.0] && xs ≈ [1.0 1.0]
    @test size(ws) == (13, 1)
    _, slopes = linearize(two_cells(), fill(0.3, 1, 1), Float64[], fill(1.0, 1, 1), [2.0; 7.0;;])
    @test slopes[:, :, 1] ≈ [-0.3 0.3; 0.3 -0.3]
end
