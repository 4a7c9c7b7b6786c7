"""Fitting the constants of a structure: variable projection."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares, nnls

from hybridwater.discovery.forms import Visited
from hybridwater.discovery.structures import Candidate, Evaluated, Structure

_EVALUATIONS = 60
_LINEAR = ("threshold",)  # constants that are searched as they are; the others as logarithms


@dataclass(frozen=True)
class Target:
    """What is to be explained, at some samples.

    Parameters
    ----------
    x : numpy.ndarray
        Inputs, shape (sample, input).
    y : numpy.ndarray
        The term, shape (sample,).
    gate : numpy.ndarray
        Gate of an empty store, shape (sample,).
    weight : numpy.ndarray
        Shape (sample,), of sum one.
    variance : float
        Variance of the term over all samples, weighted.
    """

    x: np.ndarray
    y: np.ndarray
    gate: np.ndarray
    weight: np.ndarray
    variance: float

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, gate: np.ndarray, weight: np.ndarray) -> Target:
        """Take all samples of a term; weights of any sum."""
        weight = weight / weight.sum()
        return cls(x, y, gate, weight, float(weight @ (y - weight @ y) ** 2))

    def part(self, rows: np.ndarray) -> Target:
        """Return some samples."""
        weight = self.weight[rows]
        return dataclasses.replace(
            self,
            x=self.x[rows],
            y=self.y[rows],
            gate=self.gate[rows],
            weight=weight / weight.sum(),
        )

    def errors(self, candidate: Evaluated, visited: Sequence[Visited]) -> np.ndarray:
        """Return squared errors, shape (sample,), over the variance of the term."""
        difference = candidate.values(self.x, visited, self.gate) - self.y
        return difference**2 / self.variance

    def error(self, candidate: Evaluated, visited: Sequence[Visited]) -> float:
        """Return the weighted mean of the squared errors over the variance of the term."""
        return float(self.weight @ self.errors(candidate, visited))


def polish(
    structure: Structure,
    start: Sequence[float] | np.ndarray,
    target: Target,
    visited: Sequence[Visited],
    *,
    positive: bool,
) -> Candidate | None:
    """Fit all constants by least squares.

    The amplitudes are solved for inside (variable projection, Golub and Pereyra 1973,
    doi:10.1137/0710036), so that only the constants inside the forms are searched.

    Parameters
    ----------
    structure : Structure
        What to fit.
    start : sequence of float
        Constants inside the forms to begin from.
    target : Target
        What to explain.
    visited : sequence of Visited
        One per input.
    positive : bool
        Whether amplitudes must be positive.

    Returns
    -------
    Candidate or None
        ``None`` if the products are not independent or an amplitude is zero: a simpler structure
        says the same.
    """
    kinds = structure.kinds
    root = np.sqrt(target.weight)
    y = root * target.y
    factor = root * target.gate if structure.gated else root
    logarithmic = np.array([kind not in _LINEAR for _, kind in kinds], dtype=bool)
    bounds = np.array([visited[c].limits(kind) for c, kind in kinds]).reshape(-1, 2)

    def constants(free: np.ndarray) -> np.ndarray:
        return np.where(logarithmic, np.exp(np.where(logarithmic, free, 0.0)), free)

    def solve(inner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        columns = structure.columns(target.x, visited, inner) * factor[:, None]
        if structure.plain:
            amplitudes = np.ones(1)
        elif columns.shape[1] == 1:
            norm = columns[:, 0] @ columns[:, 0]
            amplitudes = (columns.T @ y) / max(norm, 1e-300)
            amplitudes = np.maximum(amplitudes, 0.0) if positive else amplitudes
        else:
            size = np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
            scaled = columns / size
            if positive:
                amplitudes = nnls(scaled, y)[0] / size
            else:
                amplitudes = np.linalg.lstsq(scaled, y, rcond=1e-10)[0] / size
        return amplitudes, columns @ amplitudes - y

    if kinds:
        with np.errstate(invalid="ignore", divide="ignore"):
            low, high = (np.where(logarithmic, np.log(np.abs(b)), b) for b in bounds.T)
            first = np.where(logarithmic, np.log(np.abs(start)), start)
        first = np.clip(first, low + 1e-6 * (high - low), high - 1e-6 * (high - low))
        scale = np.where(logarithmic, 1.0, np.maximum(high - low, 1e-12))
        found = least_squares(
            lambda free: solve(constants(free))[1],
            first,
            bounds=(low, high),
            x_scale=scale,
            max_nfev=_EVALUATIONS,
            xtol=1e-6,
            ftol=1e-7,
        )
        inner = constants(found.x)
    else:
        inner = np.zeros(0)
    amplitudes, _ = solve(inner)
    if not np.isfinite(amplitudes).all() or not np.all(amplitudes != 0):
        return None
    return Candidate(structure, inner, amplitudes)
