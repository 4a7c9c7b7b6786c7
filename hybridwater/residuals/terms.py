"""Terms: what the bias, the scale and the persistence of an error may depend on.

All are made from the simulation alone (and from covariates that the caller adds), so that they
are known wherever the simulation is. Changes are bounded, all but the fall: what is learned of the
many days without a flood is a straight line that leads to absurd flows in the few days with one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from hybridwater.errors import DeclarationError, nearest

_YEAR = 365.2425
_STEP = 0.1  # of transformed flow: bound of what a record is above or below the one before
_HIGHEST = 2.0  # standard deviations: bound of the capped and of the bounded level
_DEPARTURE = 1.0  # standard deviations: bound of what means of the past are above or below now


@dataclass(frozen=True)
class Scaling:
    """Centre and spread of the transformed simulation of each site over the fit, shape (site,)."""

    centre: np.ndarray
    spread: np.ndarray

    @staticmethod
    def of(z: np.ndarray, used: np.ndarray) -> Scaling:
        """Measure ``z`` (site, time) over the records that are used, (site, time) of bool."""
        kept = np.where(used, z, np.nan)
        return Scaling(np.nanmean(kept, axis=1), np.maximum(np.nanstd(kept, axis=1), 1e-3))


Term = Callable[[np.ndarray, np.ndarray, pd.DatetimeIndex], list[np.ndarray]]


def _before(z: np.ndarray) -> np.ndarray:
    return np.concatenate([z[:, :1], z[:, :-1]], axis=1)


def _smooth(z: np.ndarray, records: float) -> np.ndarray:
    """Exponentially weighted mean of now and the past."""
    weight = 1 / records
    smoothed, _ = lfilter([weight], [1, weight - 1], z, zi=z[:, :1] * (1 - weight))
    return smoothed


def _bounded(x: np.ndarray, most: float) -> np.ndarray:
    return most * np.tanh(x / most)


def _departure(records: float) -> Term:
    return lambda z, c, t: [_bounded(_smooth(c, records) - c, _DEPARTURE)]


def _angle(times: pd.DatetimeIndex) -> np.ndarray:
    return 2 * np.pi * (times.day_of_year.to_numpy() - 1) / _YEAR


TERMS: dict[str, tuple[Term, str]] = {
    "level": (lambda z, c, t: [c], "simulated state: transformed simulation about its mean"),
    "extremity": (
        lambda z, c, t: [np.log1p(c * c)],
        "distance of the simulation from its mean, on either side",
    ),
    "capped level": (
        lambda z, c, t: [np.where(c > 0, _bounded(c, _HIGHEST), c)],
        "level; above the mean it is bounded",
    ),
    "bounded level": (
        lambda z, c, t: [_bounded(c, _HIGHEST)],
        "level, bounded on both sides of the mean",
    ),
    "fall": (lambda z, c, t: [_before(c) - c], "fall since the record before"),
    "previous": (
        lambda z, c, t: [np.tanh((_before(z) - z) / _STEP)],
        "fall since the record before, bounded",
    ),
    "rise": (
        lambda z, c, t: [np.tanh(np.maximum(z - _before(z), 0) / _STEP)],
        "rise since the record before, bounded",
    ),
    "recent": (_departure(3), "mean of about 3 records, less now; bounded"),
    "wetness": (_departure(10), "mean of about 10 records, less now; bounded"),
    "storage": (_departure(40), "mean of about 40 records, less now; bounded"),
    "season": (
        lambda z, c, t: [np.broadcast_to(f(_angle(t)), z.shape) for f in (np.sin, np.cos)],
        "first harmonic of the year",
    ),
}
"""Term by name: how it is made of transformed simulation (site, time), the same standardised, and
times; and what it is."""


def check_terms(names: Sequence[str], covariates: Sequence[str], where: str) -> None:
    """Refuse unknown terms.

    Raises
    ------
    DeclarationError
        For a name that is neither a term nor a covariate.
    """
    known = [*TERMS, *covariates]
    for name in names:
        if name not in known:
            raise DeclarationError(
                f"There is no term '{name}': {nearest(name, known)}",
                where=where,
                fix=f"Choose out of {', '.join(known)}, or add a covariate of that name",
            )


def design(
    names: Sequence[str],
    z: np.ndarray,
    scaling: Scaling,
    times: pd.DatetimeIndex,
    covariates: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Lay out terms as columns, the first of which is one.

    Parameters
    ----------
    names : sequence of str
        Terms or covariates.
    z : numpy.ndarray, shape (site, time)
        Transformed simulation.
    scaling : Scaling
        Of the fit.
    times : pandas.DatetimeIndex
        Of the simulation.
    covariates : mapping of str to numpy.ndarray
        Standardised, each of shape (site, time).

    Returns
    -------
    numpy.ndarray, shape (term, site, time)
    """
    standard = (z - scaling.centre[:, np.newaxis]) / scaling.spread[:, np.newaxis]
    columns = [np.ones_like(z)]
    for name in names:
        columns += [covariates[name]] if name in covariates else TERMS[name][0](z, standard, times)
    return np.stack(columns)


def term_labels(names: Sequence[str], covariates: Collection[str]) -> list[str]:
    """Return the names of the columns of :func:`design`."""
    labels = ["constant"]
    for name in names:
        seasonal = name == "season" and name not in covariates
        labels += ["season_sin", "season_cos"] if seasonal else [name]
    return labels
