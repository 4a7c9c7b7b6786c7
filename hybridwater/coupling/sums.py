"""Sums over cells, at the price of one call of BLAS: they are taken many times in every step."""

from __future__ import annotations

import functools
import hashlib
import math
from weakref import WeakValueDictionary

import numpy as np
from scipy.linalg.blas import ddot

# Rounding of a dot product grows with its length, and over three million equal cells is more than
# what a ledger may miss. More terms than these are added up pairwise, products after blocks.
_MANY, _BLOCK = 2**12, 2**8

_FACTORS: WeakValueDictionary[bytes, np.ndarray] = WeakValueDictionary()


@functools.lru_cache(maxsize=64)
def ones(size: int) -> np.ndarray:
    """Return as many ones; the dot product with them is a sum."""
    return np.ones(size)


def total(values: np.ndarray) -> float:
    """Return the sum over cells, of an array of any shape.

    A sum that is finite has only finite terms; one that is not may have overflown.
    """
    if type(values) is not np.ndarray or values.ndim != 1:
        values = np.ravel(values)
    size = values.size
    if size > _MANY:
        return _pairwise(values)
    return ddot(values, ones(size)) if size else 0.0


def total_and_norm(values: np.ndarray) -> tuple[float, float]:
    """Return the sum and the Euclidean norm over cells, of an array of any shape."""
    if type(values) is not np.ndarray or values.ndim != 1:
        values = np.ravel(values)
    size = values.size
    if not size:
        return 0.0, 0.0
    added = ddot(values, ones(size)) if size <= _MANY else _pairwise(values)
    return added, math.sqrt(ddot(values, values))


def totals(values: np.ndarray, copies: int) -> np.ndarray:
    """Return the sum over the cells of each copy, shape (copy,); copies follow one another."""
    rows = np.reshape(values, (copies, -1))
    size = rows.shape[1]
    return rows @ ones(size) if size <= _MANY else np.add.reduce(rows, axis=1)


def totals_and_norms(values: np.ndarray, copies: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sum and Euclidean norm over the cells of each copy, both of shape (copy,)."""
    rows = np.reshape(values, (copies, -1))
    squares = rows[:, None, :] @ rows[:, :, None]  # dot products of BLAS
    return totals(rows, copies), np.sqrt(squares[:, 0, 0])


def weighted_rows(rows: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return what `weighted` does of each copy: from shape (copy, cell) to (copy,)."""
    few = rows.shape[1] <= _MANY
    return rows @ factors if few else np.array([weighted(row, factors) for row in rows])


def weighted(values: np.ndarray, factors: np.ndarray) -> float:
    """Return the sum over cells of values times factors, both of shape (cell,)."""
    size = values.size
    if size != factors.size:
        raise ValueError(f"There are {size} values for {factors.size} cells.")
    if size > _MANY:
        whole = size - size % _BLOCK
        rows = (x[:whole].reshape(-1, _BLOCK) for x in (values, factors))
        rest = values[whole:] * factors[whole:]
        return _pairwise(np.einsum("ij,ij->i", *rows)) + _pairwise(rest)
    return ddot(values, factors) if size else 0.0


def _pairwise(values: np.ndarray) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.add.reduce(values, dtype=float))


def shared(factors: np.ndarray) -> np.ndarray:
    """Return factors of cells, or the equal ones that are in use; not to be changed.

    Most exchanges multiply by the same few areas, which stay in the cache if they are one array.
    """
    factors.flags.writeable = False
    return _FACTORS.setdefault(hashlib.blake2b(factors.tobytes()).digest(), factors)
