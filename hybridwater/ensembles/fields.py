"""Noise that is correlated in time and space."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from hybridwater import units
from hybridwater.errors import EnsembleError, UnitError

if TYPE_CHECKING:
    import xarray as xr

_RADIUS = 6371.0  # of the Earth, km
_NAMES = {"latitude": ("latitude", "lat"), "longitude": ("longitude", "lon")}


def quantity(text: str, unit: str, what: str) -> float:
    """Return a number with a unit, such as ``"3 d"``, in another unit.

    Raises
    ------
    EnsembleError
        If it is none.
    """
    number, _, said = str(text).strip().partition(" ")
    try:
        return float(units.convert(float(number), said, unit))
    except (ValueError, UnitError) as error:
        raise EnsembleError(
            f"'{text}' cannot be taken as {what} [{unit}].",
            fix="Write a number and a unit, as in '3 d' or '50 km'",
        ) from error


def places(records: xr.Dataset, dimension: str) -> np.ndarray:
    """Return latitude and longitude of cells, shape (cell, 2), in degrees.

    Raises
    ------
    EnsembleError
        If the dataset does not have them.
    """
    found = []
    for meaning, names in _NAMES.items():
        known = [
            v
            for n, v in records.variables.items()
            if v.dims == (dimension,) and (n in names or v.attrs.get("standard_name") == meaning)
        ]
        if not known:
            raise EnsembleError(
                f"The records have no {meaning} of '{dimension}', so nothing is known of "
                "distances.",
                fix=f"Add a variable '{meaning}' over '{dimension}', or leave out the correlation "
                "length",
            )
        found.append(known[0].values.astype(float))
    return np.stack(found, axis=1)


def correlated(
    rng: np.random.Generator,
    times: int,
    memory: float | None,
    factor: np.ndarray | None,
) -> np.ndarray:
    """Draw standard normal noise, shape (time, cell); an axis without correlation is of length 1.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where it comes from.
    times : int
        Number of records.
    memory : float or None
        Correlation of successive records; None for noise that is the same at all times.
    factor : numpy.ndarray or None
        As of `cholesky`; None for noise that is the same in all cells.
    """
    from scipy.linalg.blas import dtrmm
    from scipy.signal import lfilter

    shape = (1 if memory is None else times, 1 if factor is None else len(factor))
    noise = rng.standard_normal(shape)
    if factor is not None:
        # of a triangle: half of a product
        noise = dtrmm(1.0, factor.T, noise.T, trans_a=1, overwrite_b=1).T
    if memory:
        noise[1:] *= np.sqrt(1 - memory**2)
        noise = lfilter([1.0], [1.0, -memory], noise, axis=0)
    return np.asarray(noise)


def cholesky(points: np.ndarray, length: float) -> np.ndarray:
    """Return the factor of the correlation ``exp(-d / length)`` with great-circle distances [km].

    Parameters
    ----------
    points : numpy.ndarray
        Latitude and longitude, shape (cell, 2).
    length : float
        Distance at which the correlation is 1/e [km].
    """
    return _cholesky(points.tobytes(), length)


@functools.lru_cache(maxsize=4)
def _cholesky(points: bytes, length: float) -> np.ndarray:
    latitude, longitude = np.deg2rad(np.frombuffer(points).reshape(-1, 2)).T
    flat = np.cos(latitude)
    vectors = np.stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)])
    chords = np.linalg.norm(vectors[:, :, None] - vectors[:, None], axis=0)
    distance = 2 * _RADIUS * np.arcsin(np.minimum(chords / 2, 1))
    correlation = np.exp(-distance / length)
    correlation[np.diag_indices_from(correlation)] += 1e-9  # for cells at one place
    return np.linalg.cholesky(correlation)
