"""Shapes of what a solver is given. Compiled code reads arrays where it expects them, unasked."""

from __future__ import annotations

import math

import numpy as np

from hybridwater.errors import DeclarationError
from hybridwater.ude.model import UDE


def check_inputs(
    ude: UDE, parameters: np.ndarray, weights: np.ndarray, **others: tuple[np.ndarray, int]
) -> None:
    """Raise if arrays do not fit a model, or each other.

    Parameters
    ----------
    ude : UDE
        The model.
    parameters, weights : numpy.ndarray
        Must have the shapes (batch, n_parameters), and (n_weights,) or (batch, n_weights).
    **others : (numpy.ndarray, int)
        ``forcing``, and ``initial_state`` or ``states``, each with the number of axes that it must
        have: two are (batch, values), three are (batch, time, values).

    Raises
    ------
    DeclarationError
        If an array has another shape, or there is no record.
    """
    program = ude.program
    names = {
        "parameters": program.parameters,
        "forcing": program.forcings,
        "initial_state": program.value_names,
        "states": program.value_names,
    }
    sizes: dict[str, int] = {}
    for name, (array, ndim) in {"parameters": (parameters, 2), **others}.items():
        axes = ("batch", "time")[: ndim - 1]
        shape, count = np.shape(array), len(names[name])
        if len(shape) == ndim:
            sizes = dict(zip(axes, shape, strict=False)) | sizes
        expected = (*(sizes.get(axis, axis) for axis in axes), count)
        if shape != expected:
            order = ", ".join(dict.fromkeys(names[name])) or "none"
            _refuse(name, shape, expected, f"model '{ude.name}'", f"Give in its last axis: {order}")
    if sizes.get("time") == 0:
        raise DeclarationError("The forcing has no records.", f"model '{ude.name}'")
    n, batch = program.n_weights, sizes["batch"]
    if np.shape(weights) not in ((n,), (batch, n)):
        either = f"({n},) or ({batch}, {n})"
        _refuse("weights", np.shape(weights), either, f"model '{ude.name}'")


def side_by_side(*shape: int) -> np.ndarray:
    """Return zeros of a shape (batch, ...) as engines compute: entries side by side in memory.

    They begin at a multiple of 64 bytes, where XLA takes what it is given without a copy.
    """
    size = math.prod(shape)
    numbers = np.zeros(size + 8)
    first = -numbers.ctypes.data % 64 // numbers.itemsize
    turned = numbers[first : first + size].reshape(*shape[1:], shape[0])
    return np.moveaxis(turned, -1, 0)


def check_shape(name: str, array: np.ndarray, expected: tuple[int, ...]) -> None:
    """Raise :class:`DeclarationError` if an array has another shape."""
    if np.shape(array) != expected:
        _refuse(name, np.shape(array), expected)


def _refuse(
    name: str, shape: tuple, expected: object, where: str | None = None, fix: str | None = None
) -> None:
    text = str(expected).replace("'", "")
    raise DeclarationError(f"The array '{name}' has the shape {shape}, not {text}.", where, fix)
