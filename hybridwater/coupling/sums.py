"""Sums over cells, at the price of one call of BLAS: they are taken many times in every step."""

from __future__ import annotations

import functools
import math

import numpy as np

_Array = np.ndarray


@functools.lru_cache(maxsize=64)
def _ones(size: int) -> np.ndarray:
    return np.ones(size)


def total(values: np.ndarray) -> float:
    """Return the sum over cells, of an array of any shape.

    A sum that is finite has only finite terms; one that is not may have overflown.
    """
    flat = values if type(values) is _Array and values.ndim == 1 else np.ravel(values)
    return float(flat.dot(_ones(flat.size)))


def total_and_norm(values: np.ndarray) -> tuple[float, float]:
    """Return the sum over cells and the Euclidean norm, of an array of any shape."""
    flat = values if type(values) is _Array and values.ndim == 1 else np.ravel(values)
    return float(flat.dot(_ones(flat.size))), math.sqrt(flat.dot(flat))
