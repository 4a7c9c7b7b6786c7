using HybridWater: compile, pull, solve

"A store under rain x[1] that leaks p[1] while the switch x[2] is on: while it holds more than p[2]."
const LEAKING = (
    "(y, u, x, p, w, c) -> (y[1] = x[1] - p[1] * x[2]; y[2] = p[1] * x[2]; nothing)",
    "(us, xs, ps, ws, u, x, p, w, ys, c) -> begin
        xs[1] += ys[1]
        xs[2] += p[1] * (ys[2] - ys[1])
        ps[1] += x[2] * (ys[2] - ys[1])
        nothing
    end",
    "(J, T, u, x, dx, p, w, c) -> (T[1] = dx[1]; nothing)",
    "(y, u, x, p, w, c) -> (y[1] = u[1] - p[2]; nothing)",
    "(us, xs, ps, ws, u, x, p, w, ys, c) -> (us[1] += ys[1]; ps[2] -= ys[1]; nothing)",
)
leaking() = compile(LEAKING, (1, 2, 2, 1, 0, 1, 0, 1), (), Float64[], zeros(Int, 2, 0))

"A store under rain x[1] of which the share p[1] leaves at once, x[2], when it holds more than p[2]."
const SIPHON = (
    "(y, u, x, p, w, c) -> (y[1] = x[1] - x[2]; y[2] = x[2]; nothing)",
    "(us, xs, ps, ws, u, x, p, w, ys, c) -> (xs[1] += ys[1]; xs[2] += ys[2] - ys[1]; nothing)",
    "(J, T, u, x, dx, p, w, c) -> (T[1] = dx[1]; nothing)",
    "(y, u, x, p, w, c) -> (y[1] = u[1] - p[2]; y[2] = p[1] * u[1]; nothing)",
    "(us, xs, ps, ws, u, x, p, w, ys, c) -> begin
        us[1] += ys[1] + p[1] * ys[2]
        ps[1] += u[1] * ys[2]
        ps[2] -= ys[1]
        nothing
    end",
)
siphon() = compile(SIPHON, (1, 2, 2, 1, 0, 0, 1, 1), (), Float64[], zeros(Int, 2, 0))

"Solve over three records of a day, and pull back the last state and the sum of all outflow."
function three_days(model, method, p; rain=2.0, initial=1.0, tolerance=1e-10)
    how = (method, 2, tolerance, tolerance, 1000, "constant")
    inputs = (reshape(p, :, 1), Float64[], fill(rain, 1, 3, 1), fill(initial, 1, 1))
    states, fluxes, final, failed, record, _ = solve(model, inputs..., how, true, 1.0, true)
    @test failed == [0]
    function gradients(fluxes_bar, last_bar)
        bars = zero(states)
        bars[1, 3, 1] = last_bar
        ps, _, s, x = pull(record, fill(fluxes_bar, 1, 3, 1), bars, failed, true)
        return vec(ps), only(s), sum(x)
    end
    return only(final), sum(fluxes), gradients
end

@testset "a threshold is met to rounding: $method" for method in ("rk4", "tsit5", "rodas5p")
    q, level, r, S = 0.5, 3.3, 2.0, 1.0
    crossed = (level - S) / r
    final, outflow, gradients = three_days(leaking(), method, [q, level])
    @test final ≈ level + (r - q) * (3 - crossed) rtol = 1e-10
    @test outflow ≈ q * (3 - crossed) rtol = 1e-10
    ps, s, x = gradients(0.0, 1.0)
    @test ps ≈ [-(3 - crossed), q / r] rtol = 1e-8
    @test s ≈ (r - q) / r rtol = 1e-8
    @test x ≈ 3 - crossed + (r - q) * (level - S) / r^2 rtol = 1e-8
    ps, s, x = gradients(1.0, 0.0)  # outflow q (3 - (level - S) / r)
    @test ps ≈ [3 - crossed, -q / r] rtol = 1e-8
    @test s ≈ q / r rtol = 1e-8
    @test x ≈ q * (level - S) / r^2 rtol = 1e-8
end

@testset "the first step knows what is on: $method" for method in ("tsit5", "rodas5p")
    # constant rates: any method and tolerance is exact, unless a stage was computed before
    final, outflow, _ = three_days(leaking(), method, [0.5, 3.3]; initial=5.0, tolerance=0.01)
    @test [final, outflow] ≈ [5.0 + 3 * 1.5, 3 * 0.5] rtol = 1e-12
end

@testset "a threshold that is not met changes nothing" begin
    final, outflow, gradients = three_days(leaking(), "rk4", [0.5, 99.0])
    @test final ≈ 7.0 && outflow == 0
    ps, s, x = gradients(1.0, 1.0)
    @test iszero(ps) && [s, x] ≈ [1.0, 3.0]
end

@testset "an event moves water at once, and none is lost: $method" for method in
                                                                    ("rk4", "tsit5", "rodas5p")
    share, level, r, S = 0.7, 4.4, 2.0, 1.0
    final, outflow, gradients = three_days(siphon(), method, [share, level])
    @test outflow ≈ share * level rtol = 1e-9
    @test final ≈ S + 3r - outflow rtol = 1e-10
    ps, s, x = gradients(0.0, 1.0)
    @test ps ≈ [-level, -share] rtol = 1e-8
    @test [s, x] ≈ [1.0, 3.0] rtol = 1e-8
    ps, s, x = gradients(1.0, 0.0)
    @test ps ≈ [level, share] rtol = 1e-8
    @test abs(s) < 1e-8 && abs(x) < 1e-8
end

@testset "an event without end is a failure" begin
    how = ("rk4", 2, 1e-6, 1e-6, 1000, "constant")
    inputs = ([-0.5; 0.5;;], Float64[], fill(2.0, 1, 3, 1), fill(0.4, 1, 1))
    _, _, _, failed, _, _ = solve(siphon(), inputs..., how, true, 1.0, false)
    @test failed == [1]
end
