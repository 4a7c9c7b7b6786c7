using ComponentArrays: ComponentVector
using ForwardDiff: ForwardDiff
using HybridWater: Layout, Perceptron, backpropagate!, effective, evaluate!, input_gradient!
using HybridWater: lux, pull_effective!
using Lux: Lux

"A network in plain Julia, to compare with."
function plain(layout, w, x)
    at = layout.offset
    act = Dict(:tanh => tanh, :softplus => z -> log1p(exp(z)), :silu => z -> z / (1 + exp(-z)))
    for layer in 2:length(layout.sizes)
        m, n = layout.sizes[layer], length(x)
        W = reshape(w[(at + 1):(at + m * n)], n, m)'
        x = W * x .+ w[(at + m * n + 1):(at + m * n + m)]
        layer < length(layout.sizes) && (x = act[layout.activation].(x))
        at += m * (n + 1)
    end
    return only(x)
end

@testset "networks: $activation" for activation in (:tanh, :softplus, :silu)
    layout = Layout([3, 5, 4, 1], activation, 2)
    w, x = sin.(1:60), (0.3, -0.8, 1.1)
    network = Perceptron(layout)
    @test evaluate!(network, w, x) ≈ plain(layout, w, collect(x)) rtol = 1e-13
    slopes = ForwardDiff.gradient(x -> plain(layout, w, x), collect(x))
    @test collect(input_gradient!(network, w)) ≈ slopes rtol = 1e-12
    ws = zero(w)
    @test collect(backpropagate!(ws, network, w, -2.0)) ≈ -2slopes rtol = 1e-12
    chain, parameters = lux(layout, w)
    @test parameters isa ComponentVector
    _, state = Lux.setup(Lux.Random.default_rng(), chain)
    @test only(first(chain(collect(x), parameters, state))) ≈ plain(layout, w, collect(x))
    @test ws ≈ -2ForwardDiff.gradient(w -> plain(layout, w, collect(x)), w) rtol = 1e-12
end

@testset "signs of weights" begin
    w, signs = [0.5, -0.5, 0.5, -0.5], [0.0, 0.0, -1.0, 1.0]
    @test effective(w, signs) == [0.5, -0.5, -0.5, 0.5]
    slopes = ForwardDiff.gradient(w -> sum([1, 2, 3, 4] .* effective(w, signs)), w)
    @test pull_effective!([1.0, 2.0, 3.0, 4.0], w, signs) == slopes
end
