# Ctrl-C, and cancellation by another thread.
#
# Python's signal handler writes the number of each signal to a file that is mapped into memory;
# `check_interrupt` looks at the next byte. Nothing is thrown into running code from outside.

const SIGINT = UInt8(2)

"Memory that signals are written to, a byte each in order; none when Julia runs by itself."
const SIGNALS = Ref{Ptr{UInt8}}(C_NULL)
const SIGNALS_LENGTH = Ref(0)

"""
    listen(address, length)

Take `length` bytes at `address` as the place where signals are written. The memory must stay
valid for the life of the process.
"""
function listen(address::Integer, length::Integer)
    SIGNALS_LENGTH[] = length
    SIGNALS[] = Ptr{UInt8}(UInt(address))
    return nothing
end

"""
    interrupted()

Return whether this call was asked to end. Costs one load from memory.
"""
@inline function interrupted()
    signals = SIGNALS[]
    signals == C_NULL && return false
    number = unsafe_load(signals, :monotonic)
    return !iszero(number) && _search(signals)
end

"Look for SIGINT among all signals since the call began."
@noinline function _search(signals::Ptr{UInt8})
    for i in 1:SIGNALS_LENGTH[]
        number = unsafe_load(signals + i - 1, :monotonic)
        number == SIGINT && return true
        iszero(number) && return false
    end
    return false
end

"""
    check_interrupt()

Throw an `InterruptException` if this call was asked to end. Loops that may run for long call it
once per step, in every thread, and what a package steps through once per evaluation.
"""
@inline function check_interrupt()
    interrupted() && throw(InterruptException())
    return nothing
end
