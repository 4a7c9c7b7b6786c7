"""Sums over cells, at the price of one call of BLAS: they are taken many times in every step."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np

# Arrays with more numbers are added up at once: to gather them would cost more than it saves.
_LARGE = 50_000
# Arrays that are gathered at most.
_MOST = 256


@functools.lru_cache(maxsize=64)
def _ones(size: int) -> np.ndarray:
    return np.ones(size)


def total(values: np.ndarray) -> float:
    """Return the sum over cells, of an array of any shape.

    A sum that is finite has only finite terms; one that is not may have overflown.
    """
    flat = _flat(values)
    return float(flat.dot(_ones(flat.size)))


class Sums:
    """Sums over cells of many arrays, and their norms, taken together and added to lists."""

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []
        self._places: list[tuple[list[float], list[float] | None, int]] = []

    def add(self, values: np.ndarray, sums: list[float], norms: list[float] | None, i: int) -> None:
        """Add the sum of an array to one list, and its norm to another, when it is time to.

        Parameters
        ----------
        values : numpy.ndarray
            Any shape; not to be changed until then.
        sums, norms : list of float
            Where they are added.
        i : int
            Place in both lists.
        """
        flat = _flat(values)
        if flat.size > _LARGE or not flat.size:
            sums[i] += total(flat)
            if norms is not None:
                norms[i] += math.sqrt(flat.dot(flat))
            return
        self._arrays.append(flat)
        self._places.append((sums, norms, i))
        if len(self._arrays) == _MOST:
            self.settle()

    def settle(self) -> None:
        """Add up what was given since the last time."""
        if not self._arrays:
            return
        first = [0, *itertools.accumulate([a.size for a in self._arrays[:-1]])]
        flat = np.concatenate(self._arrays)
        totals = np.add.reduceat(flat, first).tolist()
        flat *= flat
        squares = np.add.reduceat(flat, first).tolist()
        for (sums, norms, i), sum_, square in zip(self._places, totals, squares, strict=True):
            sums[i] += sum_
            if norms is not None:
                norms[i] += math.sqrt(square)
        self.forget()

    def forget(self) -> None:
        """Forget what was given since the last time."""
        self._arrays, self._places = [], []


def weighted(values: np.ndarray, factor: np.ndarray | float) -> float:
    """Return the sum of values times factors, shapes (cell,) and (cell,) or ()."""
    if isinstance(factor, float):
        return total(values) * factor
    return float(values.dot(factor))


def _flat(values: np.ndarray) -> np.ndarray:
    return values if type(values) is np.ndarray and values.ndim == 1 else np.ravel(values)
