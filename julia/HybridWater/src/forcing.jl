# Forcing inside a record: polynomials of the local time 0 .. 1.

"Number of coefficients of each kind of interpolation."
const ORDERS = Dict(:constant => 1, :linear => 2, :pchip => 4)

"""
    coefficients!(c, forcing, record, interpolation)

Write the coefficients of one record into `c` (forcing, order): the value at local time tau is
`sum(c[:, k] * tau^(k - 1))`. `forcing` is (forcing, time); linear and PCHIP curves go through the
values, each taken to hold at the start of its record, the last one held to the end.
"""
function coefficients!(c, forcing, record, interpolation)
    last = size(forcing, 2)
    @inbounds for k in axes(forcing, 1)
        c[k, 1] = forcing[k, record]
        interpolation === :constant && continue
        if record == last
            c[k, 2:end] .= 0
        elseif interpolation === :linear
            c[k, 2] = forcing[k, record + 1] - forcing[k, record]
        else
            c[k, 1], c[k, 2], c[k, 3], c[k, 4] = cubic(r -> forcing[k, r], record, last)
        end
    end
    return c
end

"""
    cubic(value, record, last)

Return the four coefficients of a record of the monotone cubic through `value(1)` to `value(last)`,
which depend on at most the value before the record, its own and the two after it.
"""
function cubic(value, record, last)
    rise = value(record + 1) - value(record)
    slope, next = pchip_slope(value, record, last), pchip_slope(value, record + 1, last)
    return value(record), slope, 3rise - 2slope - next, slope + next - 2rise
end

"""
    pchip_slope(value, record, last)

Slope at a value of the monotone cubic of Fritsch and Butland (1984) for equal steps, with the
limited three-point formula at both ends, as scipy has it.
"""
function pchip_slope(value, record, last)
    last == 2 && return value(2) - value(1)
    record == 1 && return _end_slope(value(2) - value(1), value(3) - value(2))
    if record == last
        return _end_slope(value(last) - value(last - 1), value(last - 1) - value(last - 2))
    end
    before, after = value(record) - value(record - 1), value(record + 1) - value(record)
    product = before * after
    return product > 0 ? 2product / (before + after) : zero(product)
end

function _end_slope(d0, d1)
    slope = (3d0 - d1) / 2
    sign(slope) != sign(d0) && return zero(slope)
    return sign(d0) != sign(d1) && abs(slope) > 3abs(d0) ? 3d0 : slope
end

"Write the forcing at local time `tau` into `x`."
@inline function forcing_at!(x, c, tau)
    @inbounds for k in eachindex(x)
        value = c[k, end]
        for order in (size(c, 2) - 1):-1:1
            value = value * tau + c[k, order]
        end
        x[k] = value
    end
    return x
end

"Write the slope of the forcing, per unit of local time, into `dx`."
@inline function forcing_slope!(dx, c, tau)
    @inbounds for k in eachindex(dx)
        value = zero(eltype(dx))
        for order in size(c, 2):-1:2
            value = value * tau + (order - 1) * c[k, order]
        end
        dx[k] = value
    end
    return dx
end

"""
    pull_coefficients!(forcings, cs, forcing, record, interpolation)

Add what sensitivities `cs` to the coefficients of a record say of the values: `forcings` is
(forcing, time).
"""
function pull_coefficients!(forcings, cs, forcing, record, interpolation)
    last = size(forcing, 2)
    for k in axes(forcing, 1)
        if interpolation === :constant || record == last
            forcings[k, record] += cs[k, 1]
            continue
        end
        if interpolation === :linear
            forcings[k, record] += cs[k, 1] - cs[k, 2]
            forcings[k, record + 1] += cs[k, 2]
            continue
        end
        span = max(1, record - 1):min(last, record + 2)
        slopes = ForwardDiff.gradient(collect(view(forcing, k, span))) do values
            c = cubic(r -> values[r - first(span) + 1], record, last)
            return sum(cs[k, order] * c[order] for order in 1:4)
        end
        forcings[k, span] .+= slopes
    end
    return forcings
end
