# Functions that equations may use. None throws: outside its domain a function is NaN, and the
# solver reports that.

"Smooth step from 0 to 1, `(tanh(x / width) + 1) / 2` (Höge et al. 2022)."
@inline smooth_step(x, width) = (tanh(x / width) + 1) / 2

"Logistic function."
@inline sigmoid(x) = 1 / (1 + exp(-x))

"Soft positive part, `log(1 + exp(x))`."
@inline softplus(x) = max(x, zero(x)) + log1p(exp(-abs(x)))

"Derivative of `max(x, 0)`: the mean of both sides at the kink."
@inline heaviside(x) = ifelse(x > 0, one(x), ifelse(x < 0, zero(x), one(x) / 2))

@inline logarithm(x) = x < 0 ? oftype(x, NaN) : log(x)
@inline root(x) = x < 0 ? oftype(x, NaN) : sqrt(x)
@inline power(x, y) = x < 0 && !isinteger(y) ? oftype(x * y, NaN) : x^y
# ForwardDiff takes the logarithm of the base, which throws below zero: there is no slope there.
@inline function power(x, y::ForwardDiff.Dual{T}) where {T}
    x < 0 || return x^y
    slopes = map(slope -> iszero(slope) ? slope : oftype(slope, NaN), y.partials.values)
    n = ForwardDiff.value(y)
    return power(x, n) + ForwardDiff.Dual{T}(zero(n), slopes)
end
@inline sine(x) = isfinite(x) ? sin(x) : oftype(x, NaN)
@inline cosine(x) = isfinite(x) ? cos(x) : oftype(x, NaN)
