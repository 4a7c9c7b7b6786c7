"""Distributions of what is uncertain, declared by name and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybridwater.errors import EnsembleError, nearest

#: Kind to what its numbers are.
KINDS = {
    "uniform": ("low", "high"),
    "loguniform": ("low", "high"),
    "triangular": ("low", "mode", "high"),
    "normal": ("mean", "sd"),
    "truncated_normal": ("mean", "sd", "low", "high"),
    "lognormal": ("sd of the logarithm",),
}


@dataclass(frozen=True)
class Distribution:
    """A distribution of one number.

    Parameters
    ----------
    kind : str
        A key of :data:`KINDS`. ``lognormal`` has the mean 1: it is made for factors.
    numbers : tuple of float
        As :data:`KINDS` names them.

    Raises
    ------
    EnsembleError
        If there is no such kind, or the numbers make none.
    """

    kind: str
    numbers: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise EnsembleError(
                f"There is no distribution '{self.kind}' ({nearest(self.kind, KINDS)})."
            )
        wanted = KINDS[self.kind]
        numbers = self.numbers
        fits = len(numbers) == len(wanted) and bool(np.isfinite(numbers).all())
        if not fits or not self._ordered(dict(zip(wanted, numbers, strict=True))):
            raise EnsembleError(
                f"{', '.join(f'{n:g}' for n in numbers) or 'Nothing'} makes no {self.kind} "
                "distribution.",
                fix=f"Give {', '.join(wanted)}; spreads above zero, low below high"
                + (" and above zero" if self.kind == "loguniform" else ""),
            )

    def _ordered(self, said: dict[str, float]) -> bool:
        spread = said.get("sd", said.get("sd of the logarithm", 1.0)) > 0
        low, high = said.get("low", -np.inf), said.get("high", np.inf)
        within = low <= said.get("mode", low) <= high
        return spread and low < high and within and (self.kind != "loguniform" or low > 0)

    def quantile(self, u: Any) -> np.ndarray:
        """Return the value below which a share of the distribution lies.

        Parameters
        ----------
        u : array_like
            Shares between 0 and 1, any shape.

        Returns
        -------
        numpy.ndarray
            Same shape.
        """
        from scipy.special import ndtr, ndtri

        u, n = np.asarray(u, float), self.numbers
        if self.kind == "uniform":
            return n[0] + (n[1] - n[0]) * u
        if self.kind == "loguniform":
            return n[0] * (n[1] / n[0]) ** u
        if self.kind == "triangular":
            low, mode, high = n
            rising = low + np.sqrt(u * (high - low) * (mode - low))
            falling = high - np.sqrt((1 - u) * (high - low) * (high - mode))
            return np.where(u * (high - low) < mode - low, rising, falling)
        if self.kind == "lognormal":
            return np.exp(n[0] * ndtri(u) - n[0] ** 2 / 2)
        if self.kind == "normal":
            return n[0] + n[1] * ndtri(u)
        mean, sd, low, high = n
        ends = ndtr((low - mean) / sd), ndtr((high - mean) / sd)
        inside = mean + sd * ndtri(ends[0] + u * (ends[1] - ends[0]))
        return np.clip(inside, low, high)

    def of_normal(self, z: np.ndarray) -> np.ndarray:
        """Return the values that have the ranks of standard normal numbers; same shape."""
        from scipy.special import ndtr

        n = self.numbers
        if self.kind == "lognormal":
            return np.exp(n[0] * z - n[0] ** 2 / 2)
        if self.kind == "normal":
            return n[0] + n[1] * z
        return self.quantile(np.clip(ndtr(z), 1e-15, 1 - 1e-15))

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(f'{n:g}' for n in self.numbers)})"


def distribution(said: Distribution | Mapping[str, Any]) -> Distribution:
    """Return a distribution as it is, or make it from a table such as ``{"uniform": [0, 1]}``.

    Raises
    ------
    EnsembleError
        If it is none.
    """
    if isinstance(said, Distribution):
        return said
    if not isinstance(said, Mapping) or len(said) != 1:
        raise EnsembleError(
            f"{said!r} is not a distribution.", fix="Write { uniform = [0.1, 0.5] } or the like"
        )
    kind, numbers = next(iter(said.items()))
    listed = numbers if isinstance(numbers, list | tuple) else [numbers]
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in listed):
        raise EnsembleError(
            f"The numbers of '{kind}' are {numbers!r}.", fix="Write { uniform = [0.1, 0.5] }"
        )
    return Distribution(str(kind), tuple(map(float, listed)))


def uniform(low: float, high: float) -> Distribution:
    """Return a distribution with all values between two numbers equally likely."""
    return Distribution("uniform", (low, high))


def normal(mean: float, sd: float) -> Distribution:
    """Return a normal distribution."""
    return Distribution("normal", (mean, sd))


def lognormal(sd: float) -> Distribution:
    """Return a log-normal distribution of factors: mean 1, and the spread of the logarithm."""
    return Distribution("lognormal", (sd,))
