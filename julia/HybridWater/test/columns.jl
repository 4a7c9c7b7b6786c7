using HybridWater:
    Entry, Options, Sparsity, Workspace, at_record!, factorised!, pull, slopes!, solve, two_cells
using LinearAlgebra: I, ldiv!
using SparseArrays: nonzeros

"How all of these solves go."
how(method, tolerance=1e-8) = (method, 4, tolerance, tolerance, 10_000, "constant")

"Two cells that exchange water at the rate k, the first under rain."
exact_sum(rain, initial, time) = sum(initial) + rain * time

@testset "columns: the sparse Jacobian" begin
    model = two_cells()
    options = Options(:rodas5p, 1, 1e-6, 1e-6, 100, :linear, true, 2.0)
    entry = Entry(Workspace(model), model, options, [0.3], Float64[], [1.0 5.0])
    at_record!(entry, 1)
    J = copy(entry.functions.sparsity.square)
    slopes!(J, entry, [2.0, 7.0], 0.25)
    @test Matrix(J) ≈ [-0.3 0.3 0.0; 0.3 -0.3 0.0; 0.0 0.5 0.0]
    @test entry.T ≈ [2.0, 0.0, 0.0]  # rain rises by 4 in a record of length 2
    W = copy(entry.functions.sparsity.inner)
    factors = Ref{Any}(nothing)
    for shift in (5.0, 11.0)  # the second time with the pattern of the first
        x = [1.0, 2.0]
        ldiv!(factorised!(W, J, entry, shift, factors), x)
        @test (shift * I - [-0.3 0.3; 0.3 -0.3]) * x ≈ [1.0, 2.0]
    end
    @test all(isfinite, nonzeros(W))
end

@testset "columns: $method" for method in
                               ("rk4", "tsit5", "rosenbrock23", "rodas5p", "trbdf2", "kencarp4", "fbdf")
    inputs = ([0.3;;], Float64[], fill(2.0, 1, 5, 1), [1.0; 4.0;;])
    states, fluxes, final, failed, _, counts = solve(
        two_cells(), inputs..., how(method), true, 1.0, false
    )
    @test failed == [0]
    @test sum(final) ≈ exact_sum(2.0, inputs[4], 5.0) rtol = method == "fbdf" ? 1e-8 : 1e-12
    difference(t) = 1 / 0.3 + (1 - 4 - 1 / 0.3) * exp(-0.6t)
    @test final[1] - final[2] ≈ difference(5.0) rtol = method == "trbdf2" ? 1e-4 : 1e-5
    @test method == "rk4" ? all(iszero, counts) : counts[1] > 0
end

@testset "columns: gradients of $method" for method in ("rk4", "rodas5p")
    inputs = [[0.3;;], Float64[], fill(2.0, 1, 5, 1), [1.0; 4.0;;]]
    function value(k, x)
        given = (inputs[1:(k - 1)]..., x, inputs[(k + 1):end]...)
        states, fluxes, _ = solve(two_cells(), given..., how(method, 1e-10), true, 1.0, false)
        return sum(states[1, :, 1]) + sum(fluxes)
    end
    states, fluxes, _, failed, record, _ = solve(
        two_cells(), inputs..., how(method, 1e-10), true, 1.0, true
    )
    bars = zero(states)
    bars[1, :, 1] .= 1
    p, _, s, x = pull(record, one.(fluxes), bars, failed, true)
    for (k, found) in ((1, p), (3, x), (4, s))
        @test vec(found) ≈ vec(differences(x -> value(k, x), inputs[k])) rtol = 1e-6
    end
end
