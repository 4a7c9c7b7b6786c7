"""Discharge that a case learns from: gages, segments of a reference run, and what is held out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.cases.training_table import DELAWARE, Observations
from hybridwater.coupling.outputs import at_cells
from hybridwater.errors import CaseError, CouplingError, DataError, nearest
from hybridwater.files import open_netcdf
from hybridwater.units import to_units

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

SEGMENT = "gage_segment"
_DISCHARGE = "discharge"


def read_gages(
    asked: Observations, count: int, reference: Path | None, channel: str
) -> xr.DataArray:
    """Read what is known of discharge.

    Parameters
    ----------
    asked : Observations
        What the case says.
    count : int
        Number of segments.
    reference : pathlib.Path, optional
        The reference run, for segments.
    channel : str
        Name of its channel.

    Returns
    -------
    xarray.DataArray
        Shape (time, gage), in m3 s-1, with the coordinate ``gage_segment``.

    Raises
    ------
    DataError, UnitError
        If something is missing or of another kind, or a segment is none of those that there are.
    """
    import xarray as xr

    parts = []
    if asked.discharge is not None:
        where = asked.table.where("discharge")
        if asked.discharge == DELAWARE:
            from hybridwater.data import read_delaware

            data = read_delaware().observed
        else:
            data = open_netcdf(asked.discharge, DataError)
        for variable, dims in ((_DISCHARGE, {"time", "gage"}), (SEGMENT, {"gage"})):
            if variable not in data or set(data[variable].dims) != dims:
                raise DataError(
                    f"There is no '{variable}' over {' and '.join(sorted(dims))} "
                    f"({nearest(variable, map(str, data.variables))}).",
                    where,
                    "Give discharge over time and gage, and the index of the segment of each gage",
                )
        names = data["gage"].values.astype(str)
        segments = data[SEGMENT].values.astype(int)
        found = data[_DISCHARGE].reset_coords(drop=True).transpose("time", "gage")
        parts.append(found.assign_coords(gage=names).assign_coords({SEGMENT: ("gage", segments)}))
    if asked.segments:
        assert reference is not None
        parts.append(_of_reference(asked, reference, channel))
    found = xr.concat([to_units(x, "m3 s-1") for x in parts], "gage", join="outer")
    far = (found[SEGMENT] < 0) | (found[SEGMENT] >= count)
    if bool(far.any()):
        raise DataError(
            f"The segment {int(found[SEGMENT][far][0])} of '{found['gage'].values[far][0]}' is "
            f"none of the {count} segments, which count from zero.",
            asked.table.where(),
        )
    if not found.indexes["gage"].is_unique:
        raise DataError("A gage is there twice.", asked.table.where())
    return found


def _of_reference(asked: Observations, file: Path, channel: str) -> xr.DataArray:
    """Return what the reference run says of some segments."""
    from hybridwater.cases.delaware import DISCHARGE

    variable = f"{channel}.{DISCHARGE}"
    if file.is_dir():
        file, variable = file / f"{channel}.nc", DISCHARGE
    place = f"reference '{file}', variable '{variable}'"
    data = open_netcdf(file, DataError)
    if variable not in data or data[variable].ndim != 2 or data[variable].dims[0] != "time":
        raise DataError(
            f"There is no such variable over time and segments "
            f"({nearest(variable, map(str, data.data_vars))}).",
            place,
            "Keep it in the reference run: [output] variables",
        )
    flow, wanted = data[variable].reset_coords(drop=True), np.array(asked.segments)
    try:
        flow = at_cells(flow, wanted).rename({flow.dims[1]: "gage"})
    except CouplingError as error:
        raise DataError(error.what, place, error.fix) from error
    names = [f"segment {k}" for k in wanted]
    return flow.assign_coords({"gage": names, SEGMENT: ("gage", wanted)}).rename(_DISCHARGE)


def days_of(times: pd.DatetimeIndex, period: tuple[str, str], where: str) -> np.ndarray:
    """Say which days of a run are in a period.

    Raises
    ------
    CaseError
        If none is.
    """
    found = np.zeros(len(times), dtype=bool)
    try:
        found[times.slice_indexer(*period)] = True
    except (TypeError, ValueError, KeyError) as error:
        raise CaseError(f"{' to '.join(period)} are no dates: {error}.", where) from error
    if not found.any():
        raise CaseError(
            f"No day of the run, {times[0]:%Y-%m-%d} to {times[-1]:%Y-%m-%d}, is in it.",
            where,
            "Give days of the run, or a later end in [run]",
        )
    return found


def usable(observed: xr.DataArray, times: pd.DatetimeIndex, asked: Observations) -> xr.DataArray:
    """Leave out gages with few observed days in the run.

    Raises
    ------
    DataError
        If none is left.
    """
    days = observed.reindex(time=times).notnull().sum("time").values
    if not (days >= asked.least_days).any():
        raise DataError(
            f"No gage was observed on {asked.least_days} days of the run; at most on {days.max()}.",
            asked.table.where("least_days"),
        )
    return observed.isel(gage=days >= asked.least_days)


def held_out(observed: xr.DataArray, asked: Observations) -> np.ndarray:
    """Say which gages nothing is learned from.

    Raises
    ------
    CaseError
        If there are no such gages, or no others.
    """
    names, where = observed["gage"].values, asked.table.where("held_out")
    held = asked.held_out
    if isinstance(held, int):
        if not 0 <= held < len(names):
            raise CaseError(f"{held} of {len(names)} gages cannot be held out.", where)
        drawn = np.random.default_rng(asked.seed).permutation(len(names))[:held]
        return np.isin(np.arange(len(names)), drawn)
    for name in held:
        if name not in names:
            raise CaseError(f"There is no gage '{name}' ({nearest(name, names)}).", where)
    found = np.isin(names, held)
    if found.all():
        raise CaseError("All gages are held out.", where)
    return found
