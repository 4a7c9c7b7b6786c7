"""The door for data: what a model may not be fed is refused here, in plain words.

Every function returns its input, converted, or raises; nothing is repaired silently.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

import numpy as np
import pandas as pd
import xarray as xr

from hybridwater import units
from hybridwater.data.times import check_time
from hybridwater.errors import DataError, nearest

DIMENSIONS = ("member", "basin", "time")
"""Dimensions that a record may have, in this order."""

_DISCHARGE_NAMES = ("qobs", "q", "discharge", "streamflow", "runoff")
_DISCHARGE_STANDARD_NAMES = ("water_volume_transport_in_river_channel", "runoff_flux")


def check_records(
    dataset: xr.Dataset,
    needed: Mapping[str, str],
    *,
    optional: Mapping[str, str] | None = None,
    allow_missing: Collection[str] = ("qobs",),
) -> xr.Dataset:
    """Check records of forcing (and observations) and convert their units.

    Parameters
    ----------
    dataset : xarray.Dataset
        Variables with dimensions out of (member, basin, time), each with ``units``.
    needed : mapping of str to str
        Variables that must be there, and the unit in which they are wanted.
    optional : mapping of str to str, optional
        Variables that are checked and converted where they are there.
    allow_missing : collection of str, optional
        Variables that may hold NaN (never infinities).

    Returns
    -------
    xarray.Dataset
        The dataset with the named variables in float64, in the wanted units and with their
        dimensions in the order (member, basin, time); all other variables as they were.

    Raises
    ------
    DataError
        Where a variable or ``time`` is missing; times are unsorted, duplicate or have gaps;
        dimensions are wrong; forcing is NaN or infinite; precipitation or discharge is negative.
    UnitError
        Where units are missing or incompatible.
    """
    _check_present(dataset, needed)
    check_time(dataset)
    _check_basins(dataset)
    wanted = dict(needed) | {k: v for k, v in (optional or {}).items() if k in dataset}
    checked = {}
    for name, unit in wanted.items():
        data = _converted(_ordered(dataset[name]), unit)
        _check_finite(data, may_be_missing=name in allow_missing)
        if _is_precipitation(data):
            _check_not_negative(data, "precipitation")
        elif _is_discharge(data):
            _check_not_negative(data, "discharge")
        checked[name] = data
    return dataset.assign(checked)


def check_observations(
    data: xr.DataArray, unit: str, *, signed: bool | None = None
) -> xr.DataArray:
    """Check observations that a model is to be fitted to or judged by.

    Parameters
    ----------
    data : xarray.DataArray, shape (basin, time) or (time,)
        Observations; NaN where there is none.
    unit : str
        The unit in which they are wanted.
    signed : bool, optional
        Whether negative values are possible. By default they are, unless the name or the
        ``standard_name`` says that this is discharge.

    Returns
    -------
    xarray.DataArray
        The observations in float64 and in ``unit``.

    Raises
    ------
    DataError
        Where a basin has no observation at all, or one is infinite, or discharge is negative.
    UnitError
        Where units are missing or incompatible.
    """
    check_time(data)
    _check_basins(data)
    data = _converted(_ordered(data), unit)
    _check_finite(data, may_be_missing=True)
    empty = data.isnull().all("time")
    if bool(empty.any()):
        first = _first(empty)
        raise DataError(
            f"'{data.name}' has no valid observation{_of_basin(first)}"
            f"{_among(int(empty.sum()), empty.size)}.",
            where=_where(data, first),
            fix="Leave the basin out, choose another period, or check the missing-value code",
        )
    if signed is False or (signed is None and _is_discharge(data)):
        _check_not_negative(data, "discharge")
    return data


def check_covers(
    dataset: xr.Dataset | xr.DataArray,
    start: str | np.datetime64 | pd.Timestamp | None = None,
    end: str | np.datetime64 | pd.Timestamp | None = None,
) -> None:
    """Check that records cover a period.

    Parameters
    ----------
    dataset : xarray.Dataset or xarray.DataArray
        Records with a checked ``time`` coordinate, which labels the start of each interval.
    start, end : str or datetime-like, optional
        First and last moment that are needed.

    Raises
    ------
    DataError
        If the records start after ``start`` or end before ``end``, or ``end`` is before ``start``.
    """
    step = check_time(dataset)
    first, last = _timestamp(dataset["time"].values[0]), _timestamp(dataset["time"].values[-1])
    begin = None if start is None else _timestamp(start)
    finish = None if end is None else _timestamp(end)
    if begin is not None and finish is not None and finish < begin:
        raise DataError(
            f"The requested period ends ({finish}) before it starts ({begin}).",
            fix="Exchange start and end",
        )
    if begin is not None and first > begin:
        raise DataError(
            f"The records start late: on {first}, after the requested start {begin}.",
            where=f"time {first}",
            fix=f"Start on {first} or later, or add the records before it",
        )
    if finish is not None and finish >= last + step:
        raise DataError(
            f"The records end early: on {last}, before the requested end {finish}.",
            where=f"time {last}",
            fix=f"End on {last} or earlier, or add the records after it",
        )


def check_attributes(dataset: xr.Dataset, needed: Mapping[str, str]) -> xr.Dataset:
    """Check static attributes and convert their units.

    Parameters
    ----------
    dataset : xarray.Dataset
        Attributes are variables with the dimension ``basin`` only.
    needed : mapping of str to str
        Attributes that must be there, and the unit in which they are wanted.

    Returns
    -------
    xarray.Dataset
        The dataset with these attributes in float64 and in the wanted units.

    Raises
    ------
    DataError
        Where an attribute is missing, has other dimensions, or is not finite in every basin.
    UnitError
        Where units are missing or incompatible.
    """
    _check_present(dataset, needed)
    _check_basins(dataset)
    checked = {}
    for name, unit in needed.items():
        data = dataset[name]
        if data.dims != ("basin",):
            raise DataError(
                f"The attribute '{name}' has the dimensions {data.dims}, not ('basin',).",
                where=name,
                fix="An attribute is one number per basin",
            )
        checked[name] = _converted(data, unit)
        _check_finite(checked[name], may_be_missing=False)
    return dataset.assign(checked)


def _check_present(dataset: xr.Dataset, needed: Mapping[str, str]) -> None:
    for name in needed:
        if name not in dataset:
            raise DataError(
                f"The variable '{name}' is missing: {nearest(name, map(str, dataset.data_vars))}",
                where="the variables of the dataset",
                fix=f"Add '{name}' [{needed[name]}], or rename the variable that holds it",
            )


def _check_basins(dataset: xr.Dataset | xr.DataArray) -> None:
    if "basin" not in dataset.dims:
        return
    if "basin" not in dataset.coords:
        raise DataError(
            "The dimension 'basin' has no coordinate, so basins have no names.",
            where="basin",
            fix='dataset.assign_coords(basin=["name of the first", ...])',
        )
    names = pd.Index(dataset["basin"].values)
    if not all(isinstance(name, str) for name in names):
        raise DataError(
            f"Basin names must be text, but the first is {names[0]!r}.",
            where="basin",
            fix='dataset.assign_coords(basin=dataset["basin"].astype(str)), with leading zeros',
        )
    if names.has_duplicates:
        twice = names[names.duplicated()][0]
        raise DataError(
            f"The basin '{twice}' is there more than once.",
            where=f"basin '{twice}'",
            fix='dataset.drop_duplicates("basin")',
        )


def _ordered(data: xr.DataArray) -> xr.DataArray:
    alien = [d for d in data.dims if d not in DIMENSIONS]
    if alien or "time" not in data.dims:
        problem = f"the dimension '{alien[0]}'" if alien else "no dimension 'time'"
        raise DataError(
            f"'{data.name}' has {problem}, but records have dimensions out of {DIMENSIONS}.",
            where=str(data.name),
            fix="Rename, select or average the dimension"
            if alien
            else "Give one value per record interval",
        )
    return data.transpose(*(d for d in DIMENSIONS if d in data.dims))


def _converted(data: xr.DataArray, unit: str) -> xr.DataArray:
    try:
        numbers = data.astype(float)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"'{data.name}' does not hold numbers ({error}).",
            where=str(data.name),
            fix="Replace text by numbers, and missing values by NaN",
        ) from error
    return units.to_units(numbers, unit)


def _check_finite(data: xr.DataArray, *, may_be_missing: bool) -> None:
    infinite = xr.DataArray(np.isinf(data.values), data.coords, data.dims)
    if bool(infinite.any()):
        _refuse(data, infinite, "infinite", "Replace infinite values; divisions by zero make them")
    if may_be_missing:
        return
    missing = data.isnull()
    if bool(missing.any()):
        late = ""
        if "time" in data.dims:
            series = missing.isel({d: i for d, i in _first_index(missing).items() if d != "time"})
            start = int(np.argmin(series.values))
            if series.values[0] and not series.values[start]:
                late = f"; its record starts late, on {pd.Timestamp(data['time'].values[start])}"
        _refuse(data, missing, f"missing (NaN){late}", "Fill the gap, or choose another period")


def _check_not_negative(data: xr.DataArray, what: str) -> None:
    negative = data < 0.0
    if bool(negative.any()):
        _refuse(
            data,
            negative,
            f"negative, which {what} cannot be",
            "Set the missing-value code (such as -999) to NaN, or correct the values",
        )


def _refuse(data: xr.DataArray, bad: xr.DataArray, why: str, fix: str) -> None:
    first = _first(bad)
    count = int(bad.sum())
    raise DataError(
        f"'{data.name}'{_of_basin(first)} is {why}"
        f" ({count} {'value' if count == 1 else 'values'} in all).",
        where=_where(data, first),
        fix=fix,
    )


def _first_index(flags: xr.DataArray) -> dict[str, int]:
    """Index of the first flag in time, and of the first basin that has one then."""
    order = sorted(flags.dims, key=lambda d: d != "time")
    turned = flags.transpose(*order)
    position = np.unravel_index(int(np.argmax(turned.values)), turned.shape)
    return {str(d): int(i) for d, i in zip(order, position, strict=True)}


def _first(flags: xr.DataArray) -> dict[str, Any]:
    """Coordinates of the first flag, by dimension."""
    return {d: flags[d].values[i] for d, i in _first_index(flags).items()}


def _of_basin(first: Mapping[str, Any]) -> str:
    return f" of basin '{first['basin']}'" if "basin" in first else ""


def _among(count: int, size: int) -> str:
    return f" (nor in {count - 1} more of {size} basins)" if count > 1 else ""


def _where(data: xr.DataArray, first: Mapping[str, Any]) -> str:
    parts = [f"variable '{data.name}'"]
    if "member" in first:
        parts.append(f"member {first['member']}")
    if "basin" in first:
        parts.append(f"basin '{first['basin']}'")
    if "time" in first:
        parts.append(f"time {pd.Timestamp(first['time'])}")
    return ", ".join(parts)


def _timestamp(moment: Any) -> pd.Timestamp:
    return cast("pd.Timestamp", pd.Timestamp(moment))


def _is_precipitation(data: xr.DataArray) -> bool:
    standard_name = str(data.attrs.get("standard_name", ""))
    return data.name == "prcp" or any(
        word in standard_name for word in ("precipitation", "rainfall", "snowfall")
    )


def _is_discharge(data: xr.DataArray) -> bool:
    return (
        data.name in _DISCHARGE_NAMES
        or data.attrs.get("standard_name") in _DISCHARGE_STANDARD_NAMES
    )
