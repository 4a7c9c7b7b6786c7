using HybridWater
using Test

@testset "HybridWater" begin
    @test pkgversion(HybridWater) isa VersionNumber
end
