# What Python calls, without Python.

using HybridWater: ARRAY, RETURNED, answer, attempt, check_interrupt, interrupted, let_go, listen
using Test

@testset "Calls that end well or badly" begin
    @test attempt(+, 1, 2) == (true, 3)
    done, (kind, message, shown) = attempt(sqrt, -1.0)
    @test !done
    @test kind == "DomainError"
    @test startswith(message, "DomainError with -1.0")
    @test occursin("Stacktrace", shown)
    fetched() = fetch(Threads.@spawn throw(DivideError()))
    waited() = @sync Threads.@spawn throw(DivideError())
    function looped()
        Threads.@threads for i in 1:2
            throw(DivideError())
        end
    end
    for nested in (fetched, waited, looped)
        @test attempt(nested)[2][1] == "DivideError"
    end
end

@testset "Arrays by their address" begin
    source = collect(reshape(1.0:24.0, 4, 3, 2))
    described = (ARRAY, "Float64", Int(UInt(pointer(source))), (4, 3, 2))
    copied = nothing
    keep(x) = (copied = x; (x, x[1], 1:2))
    done, (back, first, range) = GC.@preserve source answer(keep, described)
    @test done
    @test copied isa Array{Float64, 3}
    @test copied == source
    @test pointer(copied) != pointer(source)
    @test back == (ARRAY, "Float64", Int(UInt(pointer(copied))), (4, 3, 2))
    @test first == 1.0
    @test range[2] == "Int64"
    @test length(RETURNED) == 2
    let_go()
    @test isempty(RETURNED)
    @test answer(identity, ("text", "Float64", 0, (1,))) == (true, ("text", "Float64", 0, (1,)))
    @test answer(x -> x[2], (1, (ARRAY, "Bool", 0, (0,))))[2][4] == (0,)
end

@testset "Interruption" begin
    @test !interrupted()
    signals = zeros(UInt8, 8)
    GC.@preserve signals begin
        listen(UInt(pointer(signals)), length(signals))
        @test check_interrupt() === nothing
        signals[1] = 10 # SIGUSR1
        @test !interrupted()
        signals[2] = 2
        @test interrupted()
        @test_throws InterruptException check_interrupt()
        signals .= 10
        @test !interrupted()
        signals .= 0
        @test @allocated(check_interrupt()) == 0
        listen(0, 0)
    end
    @test !interrupted()
end
