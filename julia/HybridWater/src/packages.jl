# Large packages that some functions need, loaded when they are called for.

"""
    load_package(name, uuid)

Load a package, and with it the extension that uses it; return whether the project has it.
"""
function load_package(name::AbstractString, uuid::AbstractString)
    package = Base.PkgId(Base.UUID(uuid), name)
    isnothing(Base.locate_package(package)) && return false
    Base.require(package)
    return true
end

"""
    breed(x, y, weights, powers, power, unary, binary, effort, maxsize, seed)

Search for expressions of `x` that are equal to `y`. Needs SymbolicRegression to be loaded, see
[`load_package`](@ref).

`x` is (input, sample); `powers` (unit, input) and `power` (unit) are the powers of units in the
inputs and in `y`; `unary` and `binary` the names of operators; `effort` is the number of
populations, of members in each, of iterations, and of expressions of each size that are returned.

Return tokens, one expression after the other in postfix order, the number of tokens of each, and
their constants. Token 0 is the next constant, k the k-th input, -k the k-th operator. The same
seed gives the same expressions.
"""
function breed end
