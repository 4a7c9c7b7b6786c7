using HybridWater
using Test

@testset "HybridWater" begin
    @test pkgversion(HybridWater) isa VersionNumber
    include("quality.jl")
    include("functions.jl")
    include("networks.jl")
    include("roots.jl")
    include("forcing.jl")
    include("solving.jl")
    include("gradients.jl")
    include("columns.jl")
    include("thresholds.jl")
    include("adjoints.jl")
    include("problems.jl")
    include("boundary.jl")
end
