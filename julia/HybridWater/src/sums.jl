# What sensitivities add up to over all steps.

"Sensitivities to parameters, weights and, at the record in hand, coefficients of the forcing."
struct Sums
    parameters::Vector{Float64}
    weights::Vector{Float64}
    x::Vector{Float64}
    coefficients::Matrix{Float64}
end

function Sums(model::Model, entry::Entry)
    return Sums(
        zeros(model.parameters),
        zeros(model.weights),
        zeros(model.forcings),
        zero(entry.coefficients),
    )
end

"""
    pull!(us, sums, entry, u, tau, ys)

Add the sensitivities to states (`us`), parameters, weights and forcing that follow from those to
derivatives and outputs (`ys`) at states `u` and local time `tau`.
"""
function pull!(us, sums::Sums, entry::Entry, u, tau, ys)
    forcing_at!(entry.x, entry.coefficients, tau)
    fill!(sums.x, 0.0)
    f = entry.functions.pullback
    f(us, sums.x, sums.parameters, sums.weights, u, entry.x, entry.p, entry.w, ys)
    power = 1.0
    for order in axes(sums.coefficients, 2)
        @inbounds @simd for k in eachindex(sums.x)
            sums.coefficients[k, order] += power * sums.x[k]
        end
        power *= tau
    end
    return nothing
end
