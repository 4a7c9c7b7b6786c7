"""Catchments of the Delaware case: everything upstream of a gage, lumped into one basin."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import xarray as xr

from hybridwater.data.daylight import day_length
from hybridwater.data.delaware_case import Delaware, read_delaware
from hybridwater.data.discharge import specific_discharge
from hybridwater.data.pet import oudin
from hybridwater.errors import DataError, nearest

MINIMUM_DAYS = 700
"""Valid days of discharge, out of 731, that make a gage usable."""


def upstream_segments(downstream: np.ndarray) -> np.ndarray:
    """Find which segments lie upstream of which.

    Parameters
    ----------
    downstream : numpy.ndarray of int, shape (segments,)
        Index of the next segment, -1 at an outlet.

    Returns
    -------
    numpy.ndarray of bool, shape (segments, segments)
        ``[i, j]`` is true where water of segment j passes segment i (and for i = j).

    Raises
    ------
    DataError
        If the segments form a circle.
    """
    start = np.arange(len(downstream))
    upstream = np.zeros((len(downstream), len(downstream)), dtype=bool)
    here = start
    for _ in range(len(downstream)):
        upstream[here, start] = True
        here, start = downstream[here], start[downstream[here] >= 0]
        here = here[here >= 0]
        if not len(here):
            return upstream
    raise DataError(
        "The river segments form a circle.",
        where=f"segment {start[0]}",
        fix="Correct 'downstream', so that every segment ends at an outlet (-1)",
    )


def delaware_gages(minimum_days: int = MINIMUM_DAYS) -> pd.DataFrame:
    """List the gages that a model can be fitted to.

    Parameters
    ----------
    minimum_days : int, optional
        Fewest valid days of discharge.

    Returns
    -------
    pandas.DataFrame
        Index ``gage``; columns ``name``, ``segment`` (index), ``hrus`` and ``segments``
        (numbers upstream), ``area`` [km2] of the HRUs upstream, ``drainage_area`` [km2] by the
        USGS, ``area_ratio`` (the former over the latter: far from 1 where the gage lies inside a
        segment), ``valid_days``, ``runoff_ratio`` (mean discharge over mean precipitation).
        Units in ``attrs["units"]``.

    Raises
    ------
    MissingDependency
        If pywatershed is not installed.
    """
    case = read_delaware()
    observed = _usable(case.observed, minimum_days)
    mask, segments = _upstream(case, observed)
    area = mask @ case.forcing["area"].values
    rain = mask * case.forcing["area"].values @ case.forcing["prcp"].values / area[:, np.newaxis]
    flow = observed["discharge"].values * 86.4 / area[:, np.newaxis]
    rain[np.isnan(flow)] = np.nan
    table = pd.DataFrame(
        {
            "name": observed["name"].values,
            "segment": observed["gage_segment"].values,
            "hrus": mask.sum(axis=1),
            "segments": segments,
            "area": area,
            "drainage_area": observed["drainage_area"].values,
            "area_ratio": area / observed["drainage_area"].values,
            "valid_days": observed["discharge"].notnull().sum("time").values,
            "runoff_ratio": np.nansum(flow, axis=1) / np.nansum(rain, axis=1),
        },
        index=pd.Index(observed["gage"].values, name="gage"),
    )
    table.attrs["units"] = {
        "area": "km2",
        "drainage_area": "km2",
        "valid_days": "d",
    } | dict.fromkeys(("hrus", "segments", "area_ratio", "runoff_ratio"), "1")
    return table


def delaware_catchment(gage: str) -> xr.Dataset:
    """Lump all HRUs upstream of a gage into one catchment.

    Parameters
    ----------
    gage : str
        USGS number, for example ``"01420500"``; see `delaware_gages`.

    Returns
    -------
    xarray.Dataset
        As `delaware`, with one basin.

    Raises
    ------
    DataError
        For a gage that is not there.
    MissingDependency
        If pywatershed is not installed.
    """
    return delaware([gage])


def delaware(gages: Iterable[str] | None = None) -> xr.Dataset:
    """Lump the HRUs upstream of each gage into catchments.

    Parameters
    ----------
    gages : iterable of str, optional
        USGS numbers; by default all of `delaware_gages`.

    Returns
    -------
    xarray.Dataset
        Dimensions (basin, time), where a basin is named by its gage: area-weighted ``prcp``
        [mm d-1], ``tmin``, ``tmax``, ``tmean`` [degC]; ``dayl`` [h] after Forsythe et al. (1995);
        ``pet`` [mm d-1] after Oudin et al. (2005); ``qobs`` [mm d-1], discharge divided by the
        area upstream. Static attributes with dimension (basin), area-weighted.

    Raises
    ------
    DataError
        For a gage that is not there.
    MissingDependency
        If pywatershed is not installed.

    Notes
    -----
    Catchments of gages along one river are nested, so they are not independent samples.
    """
    case = read_delaware()
    known = [str(gage) for gage in case.observed["gage"].values]
    usable = _usable(case.observed, MINIMUM_DAYS)["gage"].values
    wanted = [str(gage) for gage in (usable if gages is None else gages)]
    for gage in wanted:
        if gage not in known:
            raise DataError(
                f"There is no gage '{gage}': {nearest(gage, known)}",
                where=f"gage '{gage}'",
                fix="Choose one of hybridwater.data.delaware_gages()",
            )
    observed = case.observed.sel(gage=wanted)
    mask, _ = _upstream(case, observed)
    sizes = mask * case.forcing["area"].values
    area = sizes.sum(axis=1)
    weights = xr.DataArray(sizes / area[:, np.newaxis], dims=("gage", "basin"))
    lumped = xr.Dataset(
        {
            name: xr.dot(weights, data, dim="basin").assign_attrs(data.attrs)
            for name, data in case.forcing.items()
        }
    ).rename(gage="basin")
    lumped = lumped.assign_coords(basin=("basin", wanted, {"long_name": "USGS gage"}))
    lumped["area"] = ("basin", area, case.forcing["area"].attrs)
    lumped["dayl"] = day_length(lumped["latitude"], lumped["time"])
    lumped["pet"] = oudin(lumped["tmean"], lumped["latitude"])
    flow = observed["discharge"].rename(gage="basin").assign_coords(basin=lumped["basin"])
    lumped["qobs"] = specific_discharge(flow, lumped["area"])
    return lumped.assign_attrs(case.forcing.attrs)


def _usable(observed: xr.Dataset, minimum_days: int) -> xr.Dataset:
    valid = observed["discharge"].notnull().sum("time")
    return observed.isel(gage=np.flatnonzero((valid >= minimum_days).values))


def _upstream(case: Delaware, observed: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """HRUs upstream of each gage (gage, HRU), and the number of its segments upstream."""
    above = upstream_segments(case.structure["downstream"].values)
    above = above[observed["gage_segment"].values]
    target = case.structure["hru_segment"].values
    return above[:, target] & (target >= 0), above.sum(axis=1)
