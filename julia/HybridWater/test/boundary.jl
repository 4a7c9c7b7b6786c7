# What Python calls, without Python.

using HybridWater: ADAPTIVE, ARRAY, RETURNED, TABLEAUX, Entry, Options, Path, Sums, Workspace
using HybridWater: answer, attempt, back, check_interrupt, evaluate, fixed_steps!, integrator
using HybridWater: interrupted, let_go, listen, memory, pull_record!, reservoir, run_record!, sweep!
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

"Call `f` while an interruption is waiting."
function while_interrupted(f)
    signals = UInt8[2, 0]
    return GC.@preserve signals begin
        listen(UInt(pointer(signals)), 1)
        try
            f()
        finally
            listen(0, 0)
        end
    end
end

@testset "Interruption within a record: $method" for method in ("rk4", "tsit5")
    model, o = reservoir(), Options(Symbol(method), 2, 1e-6, 1e-6, 100, :constant, true, 1.0)
    made() = Entry(Workspace(model), model, o, [0.3], zeros(13), fill(2.0, 1, 1))
    entry, path = made(), Path()
    reached, failed = sweep!(zeros(1, 1), zeros(1, 1), [5.0], entry, path)
    @test failed == 0
    run = if method == "rk4"
        tableau = TABLEAUX[:rk4]
        () -> fixed_steps!([5.0], [0.0], entry, memory(tableau, entry), tableau, nothing)
    else
        solver = integrator(entry, ADAPTIVE[Symbol(method)], [5.0])
        () -> run_record!([5.0], [0.0], solver, entry, nothing)
    end
    ways = method == "rk4" ? (:discrete,) : (:discrete, :forward, :gauss, :interpolating)
    back_again = map(ways) do way
        () -> pull_record!(
            [1.0], Sums(model, entry), [1.0], [0.0], back(Val(way), model, entry, false), entry, path
        )
    end
    for work in (run, back_again...)
        @test_throws InterruptException while_interrupted(work)
        work()  # and once more, to the end
    end
    evaluated() = evaluate(model, [0.3;;], zeros(13), ones(1, 1, 1), ones(1, 1, 1))
    @test_throws CompositeException while_interrupted(evaluated)
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
