# Second derivatives of the rates: the derivative of a vector-Jacobian product along a direction, by
# dual numbers through the same generated code.

"""
Memory for second derivatives. Column j of `u`, `x` and `y` is a direction in states and forcing,
and the sensitivity to the rates whose product with their slope along it is differentiated.
"""
struct SecondOrder
    u::Matrix{Float64}
    x::Matrix{Float64}
    y::Matrix{Float64}
    bars::NTuple{4,Vector{Dual1}}
    at::NTuple{2,Vector{Dual1}}
end

function SecondOrder(entry::Entry)
    n, m, nx = entry.states, entry.outputs, length(entry.x)
    count = min(n, length(RODAS5P.c)) + 1
    duals(size) = zeros(Dual1, size)
    sizes = (n, nx, length(entry.p), length(entry.w))
    return SecondOrder(
        zeros(n, count),
        zeros(nx, count),
        zeros(n + m, count),
        map(duals, sizes),
        (duals(n), duals(nx)),
    )
end

"""
    directions!(second, stages, method, entry, h)

Write down the directions in which second derivatives are needed, and return their columns: those
of the stages, or of all states if these are fewer; and that of time if the forcing varies.
"""
function directions!(second::SecondOrder, stages, method, entry, h)
    n = entry.states
    few = n < length(method.c)
    count = few ? n : length(method.c)
    fill!(second.u, 0.0)
    fill!(second.x, 0.0)
    fill!(second.y, 0.0)
    few && (second.u[:, 1:n] .= I(n))
    for i in eachindex(method.c)
        k, ys = stages.k[i], stages.ys[i]
        if few
            for state in 1:n
                axpy!(k[state], ys, view(second.y, :, state))
            end
        else
            second.u[:, i] .= view(k, 1:n)
            second.y[:, i] .= ys
        end
        axpy!(h * method.d[i], ys, view(second.y, :, count + 1))
    end
    entry.options.interpolation === :constant && return 1:count
    second.x[:, count + 1] .= entry.dx
    return 1:(count + 1)
end

"Add the derivative along one direction to `bar` and `sums`."
function pull_twice!(bar, sums::Sums, second::SecondOrder, entry, start, tau, column)
    us, xs, ps, ws = second.bars
    foreach(bars -> fill!(bars, zero(Dual1)), second.bars)
    u, x = second.at
    forcing_at!(entry.x, entry.coefficients, tau)
    for k in eachindex(u)
        u[k] = ForwardDiff.Dual{Nothing}(start[k], second.u[k, column])
    end
    for k in eachindex(x)
        x[k] = ForwardDiff.Dual{Nothing}(entry.x[k], second.x[k, column])
    end
    ys = second.y[:, column]
    entry.functions.twice(us, xs, ps, ws, u, x, entry.p, entry.w, ys)
    add!(into, duals) = (into .+= ForwardDiff.partials.(duals, 1))
    add!(bar, us)
    add!(sums.parameters, ps)
    add!(sums.weights, ws)
    varies = !iszero(view(second.x, :, column))
    power, slope = 1.0, 0.0  # of tau^(order - 1), and its derivative
    for order in axes(sums.coefficients, 2)
        for k in eachindex(xs)
            sums.coefficients[k, order] += power * ForwardDiff.partials(xs[k], 1)
            if varies  # the direction itself depends on the coefficients
                sums.coefficients[k, order] +=
                    slope / entry.options.step * ForwardDiff.value(xs[k])
            end
        end
        slope = order * power
        power *= tau
    end
    return nothing
end
