using Aqua: Aqua
using ExplicitImports: check_no_implicit_imports, check_no_stale_explicit_imports

@testset "quality" begin
    Aqua.test_all(HybridWater)
    @test check_no_implicit_imports(HybridWater) === nothing
    @test check_no_stale_explicit_imports(HybridWater) === nothing
end
