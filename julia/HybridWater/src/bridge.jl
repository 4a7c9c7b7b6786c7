# What Python calls first: functions run, arrays handed over, exceptions turned into text.
#
# An array is described by `(ARRAY, type, address, size)`. Its numbers are copied from Python's
# memory on the way in, and by Python from Julia's on the way out: no object of one language ever
# owns memory of the other.

const ARRAY = "hybridwater array"
const NUMBERS = Dict{String, DataType}(
    "Float64" => Float64, "Float32" => Float32, "Int64" => Int64, "Bool" => Bool
)
const Numbers = Union{Float64, Float32, Int64, Bool}
const Description = Tuple{String, String, Int64, Tuple}

"Arrays of the last call that Python has not copied yet."
const RETURNED = Any[]

"""
    answer(f, arguments...)

Do what Python asks: described arrays become arrays, and the other way round. See [`attempt`](@ref).
"""
function answer(f, arguments...)
    return attempt(() -> describe(f(map(take, arguments)...)))
end

"""
    attempt(f, arguments...)

Return `(true, f(arguments...))`, or `(false, (kind, message, backtrace))` if it throws: nothing of
Julia's exception outlives the call.
"""
function attempt(f, arguments...)
    try
        return (true, f(arguments...))
    catch exception
        return (false, explain(exception, catch_backtrace()))
    end
end

"""
    let_go()

Forget the arrays of the last call.
"""
let_go() = (empty!(RETURNED); nothing)

"The value that Python has given, or described."
take(value) = value
take(values::Tuple) = map(take, values)
function take(value::Description)
    mark, numbers, address, size = value
    mark == ARRAY || return map(take, value)
    return copy(unsafe_wrap(Array, Ptr{NUMBERS[numbers]}(UInt(address)), size))
end

"The value as Python can take it over."
describe(value) = value
describe(values::Tuple) = map(describe, values)
describe(values::AbstractArray{T}) where {T <: Numbers} = describe(Array{T}(values))
function describe(values::Array{T}) where {T <: Numbers}
    push!(RETURNED, values)
    return (ARRAY, string(T), Int64(UInt(pointer(values))), size(values))
end

"The name of the type of an exception, its message, and both with the backtrace, as texts."
function explain(exception, backtrace)
    cause = _cause(exception)
    shown = sprint(showerror, exception, backtrace)
    return (string(nameof(typeof(cause))), sprint(showerror, cause), shown)
end

"The exception inside those that tasks and threads wrap around it."
_cause(exception) = exception
_cause(exception::TaskFailedException) = _cause(current_exceptions(exception.task)[end].exception)
_cause(exception::CompositeException) = isempty(exception) ? exception : _cause(first(exception))
