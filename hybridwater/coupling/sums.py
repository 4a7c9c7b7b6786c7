"""Sums over cells, at the price of one call of BLAS: they are taken many times in every step."""

from __future__ import annotations

import functools
import hashlib
from weakref import WeakValueDictionary

import numpy as np

_FACTORS: WeakValueDictionary[bytes, np.ndarray] = WeakValueDictionary()


@functools.lru_cache(maxsize=64)
def ones(size: int) -> np.ndarray:
    """Return as many ones; the dot product with them is a sum."""
    return np.ones(size)


def flat(values: np.ndarray) -> np.ndarray:
    """Return an array of any shape as one of shape (cell,)."""
    return values if type(values) is np.ndarray and values.ndim == 1 else np.ravel(values)


def total(values: np.ndarray) -> float:
    """Return the sum over cells, of an array of any shape.

    A sum that is finite has only finite terms; one that is not may have overflown.
    """
    if type(values) is not np.ndarray or values.ndim != 1:
        values = np.ravel(values)
    return float(values.dot(ones(values.size)))


def shared(factors: np.ndarray) -> np.ndarray:
    """Return factors of cells, or the equal ones that are in use; not to be changed.

    Most exchanges multiply by the same few areas, which stay in the cache if they are one array.
    """
    factors.flags.writeable = False
    return _FACTORS.setdefault(hashlib.blake2b(factors.tobytes()).digest(), factors)
