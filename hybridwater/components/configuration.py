"""Configuration files of components: TOML with the keywords of the constructor."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hybridwater.errors import ComponentError, nearest


def read_configuration(component: type, path: str | Path) -> dict[str, Any]:
    """Read the keywords of a component's constructor.

    Parameters
    ----------
    component : type
        The class; its constructor has keywords only.
    path : str or pathlib.Path
        TOML file. Arrays of numbers become `numpy.ndarray`.

    Raises
    ------
    ComponentError
        If the file cannot be read, or has a keyword that the component does not have.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            entries = tomllib.load(stream)
    except OSError as error:
        raise ComponentError(
            f"The configuration cannot be read ({error.strerror}).", str(path)
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ComponentError(f"The configuration is not TOML ({error}).", str(path)) from error
    known = list(inspect.signature(component).parameters)
    for name in entries:
        if name not in known:
            raise ComponentError(
                f"'{component.__name__}' has no option '{name}' ({nearest(name, known)}).",
                str(path),
            )
    return {name: _array(value) for name, value in entries.items()}


def _array(value: Any) -> Any:
    numbers = isinstance(value, list) and all(isinstance(v, int | float) for v in value)
    return np.array(value, float) if numbers else value


def per_cell(component: str, **values: Any) -> dict[str, np.ndarray]:
    """Broadcast parameters to one number per cell.

    Parameters
    ----------
    component : str
        Name of the component, for the error.
    **values
        Numbers, or arrays of shape (cell,).

    Returns
    -------
    dict of str to numpy.ndarray
        Each of shape (cell,), float64, writable.

    Raises
    ------
    ComponentError
        If two of them have different lengths, or one is not finite.
    """
    arrays = {name: np.atleast_1d(np.asarray(v, float)) for name, v in values.items()}
    n = max(a.size for a in arrays.values())
    longest = next(name for name, a in arrays.items() if a.size == n)
    for name, array in arrays.items():
        if array.ndim != 1 or array.size not in {1, n}:
            raise ComponentError(
                f"'{name}' has the shape {array.shape}, but '{longest}' has {n} cells.",
                f"component '{component}'",
                "Give one number, or one per cell",
            )
        if not np.isfinite(array).all():
            raise ComponentError(f"'{name}' is not finite.", f"component '{component}'")
    return {name: np.broadcast_to(a, (n,)).copy() for name, a in arrays.items()}


def require_range(
    component: str, name: str, values: np.ndarray, low: float, high: float = np.inf
) -> None:
    """Raise ComponentError if a parameter leaves the range [low, high] in a cell."""
    bad = np.flatnonzero(~((values >= low) & (values <= high)))
    if bad.size:
        raise ComponentError(
            f"'{name}' is {values[bad[0]]:g}, which is outside [{low:g}, {high:g}].",
            f"component '{component}', cell {bad[0]}",
        )


def require_same(component: str, what: str, values: Sequence[Any]) -> None:
    """Refuse parts of a stack that differ in what they must share.

    Raises
    ------
    ComponentError
        If two values are not the same.
    """
    if not all(np.array_equal(value, values[0]) for value in values[1:]):
        raise ComponentError(
            f"Runs that step together differ in '{what}'.",
            f"component '{component}'",
            "Run members one by one: leave out batch",
        )


def stacked_cells(
    component: str, parts: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return parameters of cells of several runs, those of one run after those of the other.

    Parameters
    ----------
    component : str
        Name of the component, for the error.
    parts : sequence of mapping
        As of `per_cell`, with the ``area`` among them.

    Raises
    ------
    ComponentError
        If areas are not the same in all runs: exchanges count with them.
    """
    require_same(component, "area", [p["area"] for p in parts])
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
