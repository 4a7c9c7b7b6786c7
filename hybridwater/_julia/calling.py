"""Calls from Python into the Julia package, arrays and failures included."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from hybridwater._julia import startup
from hybridwater._julia.availability import INSTALL
from hybridwater._julia.failures import JuliaFailed, translate

#: Types of numbers that an array may hold, by Julia's names for them.
_NUMBERS = {
    "Float64": np.dtype(np.float64),
    "Float32": np.dtype(np.float32),
    "Int64": np.dtype(np.int64),
    "Bool": np.dtype(np.bool_),
}
_NAMES = {numbers: name for name, numbers in _NUMBERS.items()}

#: The first part of the tuple that describes an array, as in ``bridge.jl``.
_ARRAY = "hybridwater array"

# One call at a time: a thread that waits for Python's lock on its way out of Julia would keep
# another thread's garbage collection waiting for ever (PythonCall issue 627). Work is spread over
# processors inside a call, by Julia's own threads.
_turn = threading.Lock()
_holder = 0  # the thread whose turn it is, or was last


def call(function: Any, *arguments: Any, calls_python: bool = False) -> Any:
    """Call a Julia function; Python's other threads go on, and Ctrl-C ends it.

    Parameters
    ----------
    function : str or handle
        Name of a function of the Julia package, or a function that an earlier call returned.
    *arguments
        Numbers, texts, None, handles, numpy arrays, and tuples of these. An array
        ``(batch, time, variable)`` arrives as a dense Julia array ``[variable, time, batch]``:
        the same bytes, copied once.
    calls_python : bool
        Whether Julia calls functions of Python meanwhile. Then Python's lock is kept, and other
        threads go on only while those functions run.

    Returns
    -------
    object
        Arrays are copied once, with the axes turned round again; tuples are converted part by
        part; what Python has no type for comes back as a handle, to be given to other calls.

    Raises
    ------
    JuliaFailed
        If the Julia code throws; `JuliaSolveFailed` if it broke down numerically.
    KeyboardInterrupt
        After Ctrl-C in the main thread. The next call works.
    MissingDependency
        If Julia cannot be started; see `hybridwater._julia.startup.start`.
    """
    global _holder
    if _turn.locked() and _holder == threading.get_ident():
        raise JuliaFailed(
            "Julia was called by a function of Python that Julia itself is calling",
            fix="Inside that function, solve with engine='embedded'",
        )
    julia = startup.start()  # which also refuses a fork, in which the lock may never come free
    with _turn:
        _holder = threading.get_ident()
        julia.bell.clear()
        try:
            with julia.bell.listening():
                target = _function(julia, function)
                inputs, _alive = _describe(arguments)
                answer = julia.module.answer
                answer = answer if calls_python else answer._jl_call_nogil
                done, result = answer(target, *inputs)
            if done:
                return _take(result)
        finally:
            julia.module.let_go()
            julia.release()
        if julia.bell.rung:
            raise KeyboardInterrupt
        kind, message, backtrace = result
        name = function if isinstance(function, str) else str(function)
        raise translate(kind, message, backtrace, name)


def _function(julia: startup.Julia, function: Any) -> Any:
    if not isinstance(function, str):
        return function
    try:
        return getattr(julia.module, function)
    except AttributeError:
        what = f"The Julia package HybridWater has no function '{function}'"
        raise JuliaFailed(what, fix=INSTALL) from None


def _describe(values: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[np.ndarray]]:
    """Put the addresses of arrays in their place, and return the arrays too, to be kept alive."""
    described, alive = [], []
    for value in values:
        if isinstance(value, tuple):
            value, more = _describe(value)
            alive += more
        elif isinstance(value, np.ndarray):
            if value.dtype not in _NAMES:
                raise TypeError(f"an array of {value.dtype} cannot be given to Julia")
            dense = np.asarray(value, order="C")
            alive.append(dense)
            address = dense.__array_interface__["data"][0]
            value = (_ARRAY, _NAMES[dense.dtype], address, dense.shape[::-1])
        described.append(value)
    return tuple(described), alive


def _take(value: Any) -> Any:
    """Copy the arrays that a result describes."""
    if not isinstance(value, tuple):
        return value
    if len(value) == 4 and isinstance(value[0], str) and value[0] == _ARRAY:
        return np.array(_Memory(*value[1:]))
    return tuple(_take(part) for part in value)


class _Memory:
    """An array in Julia's memory, as numpy can see it."""

    def __init__(self, numbers: str, address: int, size: tuple[int, ...]) -> None:
        self.__array_interface__ = {
            "version": 3,
            "typestr": _NUMBERS[numbers].str,
            "data": (address, True),
            "shape": size[::-1],
        }
