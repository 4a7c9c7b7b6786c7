# Multilayer perceptrons with one output, on weights in a flat vector.

"""
    Layout(sizes, activation, offset)

Where the weights of a network lie: layer after layer from `offset` on, in each the matrix (row
after row), then the bias. `activation` is `:tanh`, `:softplus` or `:silu`.
"""
struct Layout
    sizes::Vector{Int}
    activation::Symbol
    offset::Int
end

"""
    Perceptron(layout, T)

A network of N inputs with memory for one evaluation and its derivative.
"""
struct Perceptron{N,A,T}
    offset::Int
    "What enters each layer, and the output."
    values::Vector{Vector{T}}
    "Slopes of the activation in each hidden layer."
    slopes::Vector{Vector{T}}
    "Sensitivities to `values`."
    bars::Vector{Vector{T}}
end

function Perceptron(layout::Layout, ::Type{T}=Float64) where {T}
    vectors() = [zeros(T, n) for n in layout.sizes]
    hidden = [zeros(T, n) for n in layout.sizes[2:(end - 1)]]
    N = first(layout.sizes)
    return Perceptron{N,layout.activation,T}(layout.offset, vectors(), hidden, vectors())
end

@inline activate(::Val{:tanh}, z) = (a = tanh(z); (a, 1 - a * a))
@inline activate(::Val{:softplus}, z) = (softplus(z), sigmoid(z))
@inline activate(::Val{:silu}, z) = (s = sigmoid(z); (z * s, s + z * s * (1 - s)))

"""
    evaluate!(network, w, inputs)

Return the raw output of a network.
"""
@inline function evaluate!(network::Perceptron{N,A}, w, inputs::NTuple{N,Any}) where {N,A}
    copyto!(network.values[1], inputs)
    at, depth = network.offset, length(network.slopes)
    @inbounds for layer in 1:(depth + 1)
        x, z = network.values[layer], network.values[layer + 1]
        bias = at + length(x) * length(z)
        for j in eachindex(z)
            total = w[bias + j]
            row = at + (j - 1) * length(x)
            @simd for i in eachindex(x)
                total += w[row + i] * x[i]
            end
            z[j] = total
        end
        if layer <= depth
            slopes = network.slopes[layer]
            for j in eachindex(z)
                z[j], slopes[j] = activate(Val(A), z[j])
            end
        end
        at = bias + length(z)
    end
    return @inbounds network.values[end][1]
end

"""
    backpropagate!(ws, network, w, bar)

Return `bar` times the gradient of the output with respect to the inputs, at the last evaluation;
add the share of the weights to `ws` unless it is `nothing`.
"""
@inline function backpropagate!(ws, network::Perceptron{N}, w, bar) where {N}
    network.bars[end][1] = bar
    at = network.offset
    @inbounds for layer in eachindex(network.slopes)
        at += (length(network.values[layer]) + 1) * length(network.values[layer + 1])
    end
    @inbounds for layer in (length(network.slopes) + 1):-1:1
        x, xs, zs = network.values[layer], network.bars[layer], network.bars[layer + 1]
        bias = at + length(x) * length(zs)
        fill!(xs, zero(eltype(xs)))
        for j in eachindex(zs)
            row = at + (j - 1) * length(x)
            z = zs[j]
            @simd for i in eachindex(x)
                xs[i] += z * w[row + i]
            end
            _add!(ws, row, z, x)
            _add!(ws, bias + j, z)
        end
        if layer > 1
            slopes = network.slopes[layer - 1]
            @simd for i in eachindex(x)
                xs[i] *= slopes[i]
            end
            at -= (length(network.values[layer - 1]) + 1) * length(x)
        end
    end
    return ntuple(k -> @inbounds(network.bars[1][k]), Val(N))
end

"Return the gradient of the output with respect to the inputs, at the last evaluation."
@inline input_gradient!(network, w) = backpropagate!(nothing, network, w, 1.0)

@inline _add!(::Nothing, at, z) = nothing
@inline _add!(::Nothing, row, z, x) = nothing
@inline _add!(ws::Vector, at, z) = @inbounds ws[at] += z
@inline function _add!(ws::Vector, row, z, x)
    @inbounds @simd for i in eachindex(x)
        ws[row + i] += z * x[i]
    end
end

"""
    effective(w, signs)

Return the weights in use: `sign * |w|` where a sign is demanded, which keeps an effect monotone.
"""
effective(w, signs) = @. ifelse(iszero(signs), w, signs * abs(w))

"Turn sensitivities to the weights in use into those to the weights."
function pull_effective!(ws, w, signs)
    @. ws = ifelse(iszero(signs), ws, ws * signs * sign(w))
    return ws
end

"""
    lux(layout, w)

Return a network as a Lux model and its parameters as a `ComponentVector`. Needs Lux and
ComponentArrays to be loaded.
"""
function lux end
