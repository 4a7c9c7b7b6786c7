# The networks of a model as Lux models, for people who carry on in Julia.

module HybridWaterLuxExt

using ComponentArrays: ComponentVector
using HybridWater: HybridWater, Layout
using Lux: Lux, Chain, Dense

const ACTIVATIONS = Dict(:tanh => tanh, :softplus => Lux.softplus, :silu => Lux.swish)

function HybridWater.lux(layout::Layout, w::AbstractVector)
    sizes, at = layout.sizes, layout.offset
    layers, values = [], []
    for k in 1:(length(sizes) - 1)
        n, m = sizes[k], sizes[k + 1]
        act = k < length(sizes) - 1 ? ACTIVATIONS[layout.activation] : identity
        weight = permutedims(reshape(w[(at + 1):(at + n * m)], n, m))
        bias = w[(at + n * m + 1):(at + (n + 1) * m)]
        push!(layers, Dense(n => m, act))
        push!(values, Symbol(:layer_, k) => (; weight, bias))
        at += (n + 1) * m
    end
    return Chain(layers...), ComponentVector(; values...)
end

end
