using HybridWater: ForwardDiff

@testset "unknowns" begin
    function search(equations, guesses, low, high)
        s = HybridWater.begin_search(guesses, low, high)
        while true
            residuals, slopes = equations(HybridWater.place(s)...)
            s = HybridWater.narrow(s, residuals, slopes)
            HybridWater.finished(s) && return HybridWater.settle(s, residuals, slopes)
        end
    end
    kepler(mean) = z -> ((z - 0.99sin(z) - mean,), (1 - 0.99cos(z),))
    circle(r) = (x, y) -> ((x^2 + y^2 - r^2, y - x^2), (2x, 2y, -2x, 1.0))

    for mean in (0.0, 0.5, 3.0)
        (z,) = search(kepler(mean), (2.0,), (0.0,), (4.0,))
        @test z - 0.99sin(z) ≈ mean atol = 1e-14
    end
    @test isnan(only(search(z -> ((z^2 - 2,), (2z,)), (0.5,), (0.0,), (1.0,))))

    for r in (0.5, 1.0, 3.0)
        x, y = search(circle(r), (9.0, 0.1), (0.01, 0.0), (10.0, 10.0))
        @test y ≈ (sqrt(1 + 4r^2) - 1) / 2 rtol = 1e-13
        @test x ≈ sqrt(y) rtol = 1e-13
    end
    @test all(isnan, search(circle(1e3), (9.0, 0.1), (0.01, 0.0), (10.0, 10.0)))

    slope(f) = x -> ForwardDiff.derivative(f, x)
    z = only(search(kepler(1.0), (2.0,), (0.0,), (4.0,)))
    by_mean = slope(mean -> only(search(kepler(mean), (2.0,), (0.0,), (4.0,))))
    @test by_mean(1.0) ≈ 1 / (1 - 0.99cos(z)) rtol = 1e-11
    by_radius = slope(r -> last(search(circle(r), (9.0, 0.1), (0.01, 0.0), (10.0, 10.0))))
    @test by_radius(1.0) ≈ 2 / sqrt(5) rtol = 1e-11

    matrix = [0.0 1.0 2.0; 1.0 1.0 0.0; 3.0 0.0 1.0]
    flat = Tuple(permutedims(matrix))
    @test collect(HybridWater.solve_linear(flat, (1.0, 2.0, 3.0))) ≈ matrix \ [1.0, 2.0, 3.0]
    once(guess) = @allocated search(kepler(1.0), guess, (0.0,), (4.0,))
    once((2.0,))
    @test once((2.0,)) == 0
end
