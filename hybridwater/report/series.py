"""Take one series of one basin out of what a caller hands in, or say clearly why that fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from hybridwater import units
from hybridwater.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd


def one_basin(
    data: xr.DataArray, what: str, basin: str | None = None, unit: str | None = None
) -> xr.DataArray:
    """Return one basin's series over time, in a unit.

    Parameters
    ----------
    data : xarray.DataArray
        Shape (time,) or (basin, time), with units.
    what : str
        What the series is, for errors.
    basin : str, optional
        The basin to take; may be left out where there is only one.
    unit : str, optional
        Unit to convert to.

    Returns
    -------
    xarray.DataArray
        Shape (time,), float64.

    Raises
    ------
    DataError
        If the basin is unknown or not given, other dimensions are left, the time labels are not
        increasing, or there are no values.
    UnitError
        If units are missing or incompatible.
    """
    units.require(data)
    data = _select_basin(data, what, basin)
    if data.dims != ("time",):
        raise DataError(
            f"The {what} series has the dimensions {data.dims}, but one series over time is drawn.",
            where=str(data.name or what),
            fix="Select or average until only 'time' is left, for example data.mean('member')",
        )
    if data.sizes["time"] < 2 or bool(data.isnull().all()):
        raise DataError(
            f"The {what} series has no values to draw.",
            where=f"{data.name or what}{f', basin {basin}' if basin else ''}",
            fix="Give at least two records, not all of them missing (NaN)",
        )
    if not data.indexes["time"].is_monotonic_increasing or not data.indexes["time"].is_unique:
        raise DataError(
            f"The times of the {what} series are not increasing.",
            where=str(data.name or what),
            fix="Sort them and drop duplicates: data.sortby('time').drop_duplicates('time')",
        )
    data = data.astype(float)
    return units.to_units(data, unit) if unit else data


def _select_basin(data: xr.DataArray, what: str, basin: str | None) -> xr.DataArray:
    if "basin" not in data.dims:
        return data
    known = [str(b) for b in data["basin"].values]
    if basin is None:
        if len(known) != 1:
            raise DataError(
                f"The {what} series has {len(known)} basins, but one is drawn.",
                where=str(data.name or what),
                fix=f"Name it, for example basin='{known[0]}'" if known else "Give a basin",
            )
        return data.isel(basin=0)
    if str(basin) not in known:
        raise DataError(
            f"There is no basin '{basin}' in the {what} series.",
            where=str(data.name or what),
            fix=f"Give a basin that is there; {nearest(str(basin), known)}",
        )
    return data.isel(basin=known.index(str(basin)))


def models(
    simulated: xr.DataArray | Mapping[str, xr.DataArray], basin: str | None = None
) -> dict[str, xr.DataArray]:
    """Return named simulations of one basin, all in the unit of the first.

    Parameters
    ----------
    simulated : xarray.DataArray or mapping of str to xarray.DataArray
        One simulation, which is then called "simulated", or several by name.
    basin : str, optional
        The basin to take.

    Returns
    -------
    dict of str to xarray.DataArray
        Each of shape (time,).

    Raises
    ------
    DataError, UnitError
        As :func:`one_basin`; DataError also if there is no simulation at all.
    """
    if isinstance(simulated, xr.DataArray):
        simulated = {"simulated": simulated}
    if not simulated:
        raise DataError(
            "There is no simulation to draw.",
            where="simulated",
            fix="Give a data array, or a dictionary such as {'hybrid': discharge}",
        )
    unit = units.require(next(iter(simulated.values())))
    return {name: one_basin(data, name, basin, unit) for name, data in simulated.items()}


def drawing_times(data: xr.DataArray) -> np.ndarray:
    """Return the times at which the values of a series are drawn.

    Records are labelled with the start of their interval. A mean over the interval is drawn in
    the middle of it, an end-of-record value (``cell_methods`` "time: point") at its end.

    Parameters
    ----------
    data : xarray.DataArray
        Shape (time,).

    Returns
    -------
    numpy.ndarray of datetime64
        Shape (time,).
    """
    step = record_length(data.indexes["time"])
    is_point = "point" in data.attrs.get("cell_methods", "")
    return data["time"].values + (step if is_point else step / 2)


def record_length(times: pd.DatetimeIndex) -> np.timedelta64:
    """Return the length of a record: the most common step between time labels."""
    steps, counts = np.unique(np.diff(times.values), return_counts=True)
    return steps[counts.argmax()]
