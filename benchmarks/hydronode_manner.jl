# EXP-Hydro with two networks as a plain Julia script, in the published manner of HydroNODE (Höge et
# al. 2022, doi:10.5194/hess-26-5085-2022): a right-hand side that allocates, Lux networks, and
# BacksolveAdjoint with ZygoteVJP. The equations, weights and record edges are those of
# `engine_speed.py`; the last state sums up discharge.

module HydroNodeManner

using ComponentArrays: ComponentVector
using Lux: Chain, Dense, Lux
using OrdinaryDiffEqTsit5: ODEProblem, Tsit5, solve
using SciMLSensitivity: BacksolveAdjoint, ZygoteVJP
using Zygote: Zygote

const ET = Chain(Dense(4 => 8, tanh), Dense(8 => 16, tanh), Dense(16 => 1))
const Q = Chain(Dense(2 => 8, tanh), Dense(8 => 16, tanh), Dense(16 => 1))
const STATES = map(net -> Lux.setup(Lux.Random.default_rng(), net)[2], (ET, Q))

step(x) = (tanh(x / 0.2) + 1) / 2

function rates(u, p, t, forcing)
    day = clamp(floor(Int, t) + 1, 1, size(forcing, 2))
    prcp, tmean, dayl = forcing[1, day], forcing[2, day], forcing[3, day]
    snow, soil = u[1], u[2]
    rain = prcp * step(tmean - p.tmin)
    melt = step(snow) * step(tmean - p.tmax) * min(snow, p.df * (tmean - p.tmax))
    inputs = [soil / 750 - 1, snow / 100 - 1, (tmean + 15) / 22.5 - 1, (dayl - 8) / 4 - 1]
    wet = max(soil, 0) / (max(soil, 0) + 15)
    z = first(ET(inputs, p.et, STATES[1]))[1]
    et = 2 * wet * (max(z, 0) + log1p(exp(-abs(z))))
    q = wet * exp(first(Q([soil / 750 - 1, (rain + melt) / 20 - 1], p.q, STATES[2]))[1])
    return [prcp - rain - melt, rain + melt - et - q, q]
end

"Cut flat weights, row after row, into the layers of a network."
function layers(w, at, sizes)
    values = map(1:(length(sizes) - 1)) do k
        n, m = sizes[k], sizes[k + 1]
        weight = permutedims(reshape(w[(at + 1):(at + n * m)], n, m))
        bias = w[(at + n * m + 1):(at + (n + 1) * m)]
        at += (n + 1) * m
        Symbol(:layer_, k) => (; weight, bias)
    end
    return (; values...)
end

function discharge(forcing, p, initial, tolerance=1e-3)
    days = size(forcing, 2)
    problem = ODEProblem((u, p, t) -> rates(u, p, t, forcing), [initial; 0.0], (0.0, days), p)
    options = (reltol=tolerance, abstol=tolerance, saveat=0:days, tstops=1:(days - 1))
    sensealg = BacksolveAdjoint(; autojacvec=ZygoteVJP())
    return diff(Array(solve(problem, Tsit5(); options..., sensealg))[3, :])
end

function parameters(p, w)
    first_q = 4 * 8 + 8 + 8 * 16 + 16 + 16 + 1
    et, q = layers(w, 0, (4, 8, 16, 1)), layers(w, first_q, (2, 8, 16, 1))
    return ComponentVector(; tmin=p[1], df=p[2], tmax=p[3], et, q)
end

value(forcing, p, w, initial, tolerance) =
    discharge(forcing, parameters(p, w), initial, tolerance)

"Mean squared error of discharge and its gradient, in the order of `parameters`."
function gradient(forcing, p, w, initial, observed)
    loss(values) = sum(abs2, discharge(forcing, values, initial) .- observed) / length(observed)
    found, (gradient,) = Zygote.withgradient(loss, parameters(p, w))
    return found, collect(gradient)
end

end
