using HybridWater: HybridWater, ForwardDiff, power

const Along2 = ForwardDiff.Dual{Nothing,Float64,2}
dual(value, slopes...) = ForwardDiff.Dual{Nothing}(value, map(Float64, slopes)...)
parts(x) = [ForwardDiff.value(x); ForwardDiff.partials(x)...]

@testset "powers of a negative base" begin
    @test power(-2.0, 2.0) === 4.0 && power(-2.0, 3.0) === -8.0 && power(-2.0, -1.0) === -0.5
    @test isnan(power(-2.0, 2.5)) && isnan(power(-2.0, NaN)) && isnan(power(NaN, 2.0))
    @test power(2.0, 0.5) == sqrt(2) && power(0.0, 2.0) === 0.0
    @test parts(power(dual(-2.0, 1, 0), 3.0)) == [-8, 12, 0]
    @test isnan(ForwardDiff.value(power(dual(-2.0, 1, 0), 2.5)))
    # an exponent that is differentiated by, or only could be
    @test isequal(parts(power(dual(-2.0, 1, 0), dual(3.0, 0, 1))), [-8, 12, NaN])
    @test parts(power(dual(-2.0, 1, 5), dual(3.0, 0, 0))) == [-8, 12, 60]
    @test isequal(parts(power(-2.0, dual(2.0, 0, 1))), [4, 0, NaN])
    @test parts(power(dual(2.0, 1, 0), dual(3.0, 0, 1))) ≈ [8, 12, 8log(2)]
    @test power(dual(-2.0, 1, 0), dual(3.0, 0, 1)) isa Along2
end
