using ForwardDiff: ForwardDiff
using HybridWater: ORDERS, coefficients!, forcing_at!, forcing_slope!, pull_coefficients!

"All coefficients of a series of one forcing: (order, record)."
function all_coefficients(series, interpolation)
    forcing = reshape(series, 1, :)
    c(r) = coefficients!(zeros(eltype(series), 1, ORDERS[interpolation]), forcing, r, interpolation)
    return reduce(hcat, [vec(c(r)) for r in eachindex(series)])
end

@testset "forcing: $interpolation" for interpolation in (:constant, :linear, :pchip)
    series = [1.0, 3.0, 2.0, 2.0, 5.0, 4.0]
    c = all_coefficients(series, interpolation)
    x, dx = zeros(1), zeros(1)
    for r in eachindex(series)
        record = reshape(c[:, r], 1, :)
        @test only(forcing_at!(x, record, 0.0)) == series[r]
        if interpolation !== :constant && r < length(series)
            @test only(forcing_at!(x, record, 1.0)) ≈ series[r + 1]
        end
        slope = ForwardDiff.derivative(t -> sum(record[k] * t^(k - 1) for k in axes(record, 2)), 0.3)
        @test only(forcing_slope!(dx, record, 0.3)) ≈ slope
    end
    bars = cos.(reshape(1:length(c), size(c)))
    pulled = zeros(1, length(series))
    for r in eachindex(series)
        bar = reshape(bars[:, r], 1, :)
        pull_coefficients!(pulled, bar, reshape(series, 1, :), r, interpolation)
    end
    expected = ForwardDiff.gradient(s -> sum(bars .* all_coefficients(s, interpolation)), series)
    @test vec(pulled) ≈ expected
end

@testset "PCHIP as scipy has it" begin
    # scipy.interpolate.PchipInterpolator(range(5), [1, 3, 2, 2, 5])(0.25 + n), scipy 1.16
    series = [1.0, 3.0, 2.0, 2.0, 5.0]
    x = zeros(1)
    at(r) = only(forcing_at!(x, reshape(all_coefficients(series, :pchip)[:, r], 1, :), 0.25))
    @test [at(r) for r in 1:4] ≈ [1.8046875, 2.84375, 2.0, 2.2578125] rtol = 1e-12
end
