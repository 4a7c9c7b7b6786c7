"""The door: simulation and observation as they come, checked and laid out for the numerics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from hybridwater import units
from hybridwater.data.times import check_time
from hybridwater.errors import DataError

FEWEST = 60
"""Observations that a site must have to be fitted."""

_A_COPY = 1 - 1e-9  # least correlation
_ROUNDING = 1e-9  # of the mean of a site: what is no more than this below zero is zero


@dataclass(frozen=True)
class Records:
    """Flow of sites as arrays.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (site, time), float64, in ``unit``.
    sites : tuple of str
        Names; one empty name where the series has no other dimension than time.
    dimension : str or None
        Name of that dimension.
    times : pandas.DatetimeIndex
        Labels of the records.
    unit : str
        Unit of the values.
    step : float
        Time from one record to the next [s].
    """

    values: np.ndarray
    sites: tuple[str, ...]
    dimension: str | None
    times: pd.DatetimeIndex
    unit: str
    step: float


def read_records(
    data: xr.DataArray, what: str, *, unit: str | None = None, gaps: bool = False
) -> Records:
    """Check one series and lay it out.

    Parameters
    ----------
    data : xarray.DataArray
        Dimension ``time`` and at most one other.
    what : str
        "simulation" or "observation", for errors.
    unit : str, optional
        Unit to convert to.
    gaps : bool
        Whether values may be missing (NaN).

    Returns
    -------
    Records

    Raises
    ------
    DataError
        If dimensions, times or values cannot be used.
    UnitError
        If units are missing or incompatible.
    """
    unit = units.require(data) if unit is None else unit
    others = [str(d) for d in data.dims if d != "time"]
    if "time" not in data.dims or len(others) > 1:
        raise DataError(
            f"The {what} has the dimensions {data.dims}, not time and at most one of sites.",
            where=str(data.name or what),
            fix="Select or stack until only 'time' and one dimension of sites are left",
        )
    step = check_time(data).total_seconds()
    dimension = others[0] if others else None
    if dimension and dimension not in data.coords:
        raise DataError(
            f"The dimension '{dimension}' of the {what} has no coordinate, so sites have no names.",
            where=dimension,
            fix=f'data.assign_coords({dimension}=["name of the first", ...])',
        )
    ordered = data.transpose(*others, "time")
    values = np.atleast_2d(np.asarray(units.to_units(ordered.astype(float), unit).values))
    sites = tuple(str(s) for s in data[dimension].values) if dimension else ("",)
    records = Records(values, sites, dimension, data.indexes["time"], unit, step)
    _refuse(records, what, np.isinf(values), "infinite", "Replace infinite values")
    size = np.abs(np.nan_to_num(values, posinf=0.0, neginf=0.0)).mean(axis=1, keepdims=True)
    values[(values < 0) & (values >= -_ROUNDING * size)] = 0.0
    _refuse(records, what, values < 0, "negative", "Set missing-value codes to NaN; see the values")
    if not gaps:
        _refuse(records, what, np.isnan(values), "missing (NaN)", "Simulate the whole period")
    return records


def read_pair(simulated: xr.DataArray, observed: xr.DataArray) -> tuple[Records, np.ndarray]:
    """Check a pair to be fitted.

    Returns
    -------
    Records
        The simulation.
    numpy.ndarray
        Observations of the same sites and times, NaN where there are none.

    Raises
    ------
    DataError
        If a site cannot be fitted, or the two have no times or not all sites in common.
    UnitError
        If units are missing or incompatible.
    """
    simulation = read_records(simulated, "simulation")
    values = matched(simulation, observed)
    for i, site in enumerate(simulation.sites):
        seen = np.isfinite(values[i])
        of_site = f"site '{site}'" if site else "the series"
        if seen.sum() < FEWEST:
            raise DataError(
                f"{_named(site)} has {seen.sum()} observations, which is fewer than {FEWEST}.",
                where=of_site,
                fix="Leave the site out, or observe for longer",
            )
        if not (values[i][seen] > 0).any():
            raise DataError(
                f"{_named(site)} has no observed flow at all: there is no error to learn from.",
                where=of_site,
                fix="Leave the site out, or see whether zeros stand for missing values",
            )
        if np.ptp(simulation.values[i][seen]) == 0:
            raise DataError(
                f"The simulation of {_named(site).lower()} is constant.",
                where=of_site,
                fix="See why the model does not respond, or leave the site out",
            )
        with np.errstate(invalid="ignore"):  # NaN where all that was observed is the same
            alike = np.corrcoef(simulation.values[i][seen], values[i][seen])[0, 1]
        if alike > _A_COPY:
            raise DataError(
                f"{_named(site)} has no errors to learn from: its observations are a straight "
                "line of the simulation.",
                where=of_site,
                fix="See whether both are the same series, or leave the site out",
            )
    return simulation, values


def matched(simulation: Records, observed: xr.DataArray) -> np.ndarray:
    """Return observations at the sites and times of a simulation, NaN where there are none.

    Raises
    ------
    DataError
        If a site of the simulation is not observed, or no time is.
    UnitError
        If units are missing or incompatible.
    """
    observation = read_records(observed, "observation", unit=simulation.unit, gaps=True)
    if type(observation.times) is not type(simulation.times):
        raise DataError(
            "Simulation and observation have different calendars.",
            where="time",
            fix="Convert one of them, for example observed.convert_calendar('standard')",
        )
    rows = pd.Index(observation.sites).get_indexer(pd.Index(simulation.sites))
    if (rows < 0).any():
        missing = simulation.sites[int(np.argmax(rows < 0))]
        raise DataError(
            f"The simulated site '{missing}' is not among the observed ones.",
            where=observation.dimension or "sites",
            fix="Select the same sites from both",
        )
    columns = observation.times.get_indexer(simulation.times)
    if (columns < 0).all():
        raise DataError(
            "Simulation and observation have no time in common.",
            where=f"simulation from {simulation.times[0]}, observation from {observation.times[0]}",
            fix="Give series that overlap, with the same time labels",
        )
    values = observation.values[rows][:, columns]
    values[:, columns < 0] = np.nan
    return values


def read_attributes(
    attributes: xr.Dataset | None, simulation: Records, names: Sequence[str] | None = None
) -> tuple[np.ndarray, list[str]]:
    """Lay out static attributes of the sites.

    Returns
    -------
    numpy.ndarray
        Shape (site, attribute).
    list of str
        Their names.

    Raises
    ------
    DataError
        If an attribute is missing, not one finite number per site, or a site is not there.
    """
    if attributes is None:
        if names:
            raise DataError(
                "The model was fitted with attributes, but none are given.",
                where="attributes",
                fix=f"Give a dataset with {', '.join(names)}",
            )
        return np.zeros((len(simulation.sites), 0)), []
    names = [str(n) for n in attributes.data_vars] if names is None else list(names)
    columns = []
    for name in names:
        if name not in attributes or attributes[name].dims != (simulation.dimension,):
            raise DataError(
                f"The attribute '{name}' is not there with one number per site.",
                where=f"attributes, dimension '{simulation.dimension}'",
                fix=f"Give '{name}' with the dimension '{simulation.dimension}' alone",
            )
        data = attributes[name].astype(float)
        found = pd.Series(data.values, pd.Index(data[simulation.dimension].values.astype(str)))
        values = found.reindex(list(simulation.sites)).to_numpy()
        if not np.isfinite(values).all():
            bad = simulation.sites[int(np.argmin(np.isfinite(values)))]
            raise DataError(
                f"The attribute '{name}' of site '{bad}' is missing.",
                where=f"attribute '{name}'",
                fix="Fill it, or leave the attribute or the site out",
            )
        columns.append(values)
    return np.stack(columns, axis=1) if columns else np.zeros((len(simulation.sites), 0)), names


def read_covariates(
    covariates: xr.Dataset | None, simulation: Records, names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Lay out covariates at the sites and times of a simulation, each (site, time).

    Raises
    ------
    DataError
        If one that is needed is missing, or has no finite value for a site and time.
    """
    given = [str(n) for n in covariates.data_vars] if covariates is not None else []
    result = {}
    for name in given if names is None else names:
        if covariates is None or name not in given:
            raise DataError(
                f"The covariate '{name}' is missing.",
                where="covariates",
                fix=f"Give a dataset with '{name}' over the times of the simulation",
            )
        data = covariates[name]
        alien = [d for d in data.dims if d not in ("time", simulation.dimension)]
        if alien:
            raise DataError(
                f"The covariate '{name}' has the dimension '{alien[0]}'.",
                where="covariates",
                fix=f"Give it over 'time', or over '{simulation.dimension}' and 'time'",
            )
        if "time" in data.dims:
            data = data.reindex(time=simulation.times)
        values = data.astype(float)
        if simulation.dimension in data.dims:
            values = values.assign_coords(
                {simulation.dimension: data[simulation.dimension].values.astype(str)}
            ).reindex({simulation.dimension: list(simulation.sites)})
            values = values.transpose(simulation.dimension, ...)
        table = np.broadcast_to(values.values, simulation.values.shape).copy()
        if not np.isfinite(table).all():
            i, t = (int(k[0]) for k in np.nonzero(~np.isfinite(table)))
            raise DataError(
                f"The covariate '{name}' is missing at site '{simulation.sites[i]}'.",
                where=f"time {simulation.times[t]}",
                fix="Give it for every site and time of the simulation",
            )
        result[name] = table
    return result


def _named(site: str) -> str:
    return f"Site '{site}'" if site else "The series"


def _refuse(records: Records, what: str, bad: np.ndarray, why: str, fix: str) -> None:
    if not bad.any():
        return
    i, t = (int(k[0]) for k in np.nonzero(bad))
    site = records.sites[i]
    raise DataError(
        f"The {what}{f' of site {site!r}' if site else ''} is {why} ({int(bad.sum())} values).",
        where=f"time {records.times[t]}",
        fix=fix,
    )
