# Unknowns that equations define: safeguarded Newton within bounds, and small linear systems.
#
# Generated code runs the loop; what it evaluates at `place(search)` goes to `narrow`. Numbers of the
# search are plain; dual numbers of the equations give the solution its derivative in `settle`, by
# the implicit function theorem.

const MAX_ITERATIONS = 128
const STEP, FLOOR = eps()^(2 / 3), 64eps()

"Whether a Newton step is so small that the error after it is rounding."
_small(step, z, width) = abs(step) <= max(STEP * abs(z), FLOOR * width)

"How a search stands."
@enum Stand looking solved closed unsolvable

"One equation: Newton with bisection where it leaves the bracket or is slow."
struct Bracket
    z::Float64
    lo::Float64
    hi::Float64
    width::Float64
    guess::Float64
    at_low::Float64
    last::Float64
    count::Int
    stand::Stand
end

"Several equations: Newton, damped so that the next correction is smaller."
struct Damped{N,M}
    trial::NTuple{N,Float64}
    z::NTuple{N,Float64}
    step::NTuple{N,Float64}
    matrix::NTuple{M,Float64}
    damping::Float64
    low::NTuple{N,Float64}
    high::NTuple{N,Float64}
    count::Int
    stand::Stand
end

"""
    begin_search(guesses, low, high)

Return a search for the values, one per equation, at which residuals are zero.
"""
function begin_search(guesses::Tuple{Float64}, low, high)
    (lo,), (hi,) = low, high
    return Bracket(lo, lo, hi, hi - lo, guesses[1], NaN, hi - lo, -2, looking)
end

function begin_search(guesses::NTuple{N,Float64}, low, high) where {N}
    z = map(clamp, guesses, low, high)
    return Damped(z, z, z, ntuple(_ -> 0.0, Val(N * N)), 1.0, low, high, -1, looking)
end

"Where residuals and their slopes are wanted."
place(s::Bracket) = (s.z,)
place(s::Damped) = s.trial

within(z, s::Damped) = all(map((lo, v, hi) -> lo <= v <= hi, s.low, z, s.high))
finished(s) = s.stand != looking

"""
    narrow(search, residuals, slopes)

Go on with a search by what was found at `place(search)`; `slopes` are those of residuals (rows)
with respect to the values, row after row.
"""
function narrow(s::Bracket, residuals, slopes)
    r, slope = ForwardDiff.value(residuals[1]), ForwardDiff.value(slopes[1])
    s.count == -2 &&
        return Bracket(s.hi, s.lo, s.hi, s.width, s.guess, sign(r), s.last, -1, looking)
    if s.count == -1
        stand = s.at_low * sign(r) <= 0 ? looking : unsolvable
        return Bracket(s.guess, s.lo, s.hi, s.width, s.guess, s.at_low, s.last, 0, stand)
    end
    lo, hi = sign(r) == s.at_low ? (s.z, s.hi) : (s.lo, s.z)
    newton = s.z - r / slope
    good = lo <= newton <= hi && 2abs(newton - s.z) <= s.last && isfinite(slope)
    new = good ? newton : (lo + hi) / 2
    stand = if iszero(r) || good && _small(newton - s.z, s.z, s.width)
        solved
    elseif hi - lo <= 4eps() * max(abs(new), cbrt(eps()) * s.width)
        closed
    else
        s.count < MAX_ITERATIONS ? looking : unsolvable
    end
    z = stand == looking ? new : s.z
    last = abs(new - s.z)
    return Bracket(z, lo, hi, s.width, s.guess, s.at_low, last, s.count + 1, stand)
end

function narrow(s::Damped{N,M}, residuals, slopes) where {N,M}
    r = map(Float64 ∘ ForwardDiff.value, residuals)
    matrix = map(Float64 ∘ ForwardDiff.value, slopes)
    width = map(-, s.high, s.low)
    size(step) = maximum(map((d, w) -> abs(d / w), step, width))
    next = map(-, solve_linear(matrix, r))
    better = true
    if s.count >= 0
        allowed = (1 - s.damping / 4) * size(s.step)
        better = size(solve_linear(s.matrix, r)) <= allowed && all(isfinite, next)
    end
    if better
        stand = if !all(isfinite, next)
            unsolvable
        elseif all(map(_small, next, s.trial, width)) && within(s.trial .+ next, s)
            solved
        else
            looking
        end
        z, step, kept = s.trial, next, matrix
        damping = s.count < 0 ? 1.0 : min(1.0, 2s.damping)
    else
        z, step, kept, damping = s.z, s.step, s.matrix, s.damping / 2
        # where a step is rounding, none is better
        stuck = damping < sqrt(eps())
        stand = stuck ? (size(step) <= STEP ? closed : unsolvable) : looking
    end
    stand == looking && s.count >= MAX_ITERATIONS && (stand = unsolvable)
    trial = stand == looking ? map(clamp, z .+ damping .* step, s.low, s.high) : s.trial
    return Damped(trial, z, step, kept, damping, s.low, s.high, s.count + 1, stand)
end

"""
    settle(search, residuals, slopes)

Return the solution, from the residuals and slopes at `place(search)` of a search that has finished;
NaN if there is none within the bounds.
"""
function settle(s, residuals, slopes)
    correction = solve_linear(slopes, residuals)
    s.stand == unsolvable && return map(d -> oftype(d, NaN), correction)
    s.stand == solved && return place(s) .- correction
    return place(s) .- (correction .- map(ForwardDiff.value, correction))
end

"""
    solve_linear(matrix, right)

Solve a small linear system by elimination with pivoting. `matrix` is given row after row.
"""
@inline solve_linear(matrix::Tuple{Any}, right::Tuple{Any}) = (right[1] / matrix[1],)
@inline function solve_linear(matrix::NTuple{M,Any}, right::NTuple{N,Any}) where {M,N}
    T = promote_type(map(typeof, matrix)..., map(typeof, right)...)
    entries = map(T, matrix)
    rows = ntuple(i -> ntuple(j -> entries[(i - 1) * N + j], Val(N)), Val(N))
    return _eliminate(rows, map(T, right))
end

_eliminate(rows::Tuple{Tuple{Any}}, right::Tuple{Any}) = (right[1] / rows[1][1],)
function _eliminate(rows::NTuple{N,NTuple{N,Any}}, right::NTuple{N,Any}) where {N}
    best = argmax(map(row -> abs(row[1]), rows))
    order = ntuple(i -> i == 1 ? best : i == best ? 1 : i, Val(N))
    pivot, value = rows[best], right[best]
    factors = ntuple(i -> rows[order[i + 1]][1] / pivot[1], Val(N - 1))
    rest = ntuple(Val(N - 1)) do i
        return Base.tail(rows[order[i + 1]]) .- factors[i] .* Base.tail(pivot)
    end
    right_rest = ntuple(i -> right[order[i + 1]] - factors[i] * value, Val(N - 1))
    x = _eliminate(rest, right_rest)
    return ((value - sum(Base.tail(pivot) .* x)) / pivot[1], x...)
end
