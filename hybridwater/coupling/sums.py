"""Sums over cells, at the price of one call of BLAS: they are taken many times in every step."""

from __future__ import annotations

import functools

import numpy as np


@functools.lru_cache(maxsize=64)
def _ones(size: int) -> np.ndarray:
    return np.ones(size)


def total(values: np.ndarray) -> float:
    """Return the sum over cells, of an array of any shape.

    A sum that is finite has only finite terms; one that is not may have overflown.
    """
    if values.ndim != 1:
        values = np.ravel(values)
    return float(values.dot(_ones(values.size)))


def square(values: np.ndarray) -> float:
    """Return the sum of squares over cells, of an array of any shape."""
    if values.ndim != 1:
        values = np.ravel(values)
    return float(values.dot(values))


def weighted(values: np.ndarray, factor: np.ndarray | float) -> float:
    """Return the sum of values times factors, shapes (cell,) and (cell,) or ()."""
    if isinstance(factor, float):
        return total(values) * factor
    return float(values.dot(factor))
