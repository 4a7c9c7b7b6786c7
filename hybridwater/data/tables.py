"""Readers for your own records: CSV tables and NetCDF files with CF units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cf_xarray  # noqa: F401 - registers the accessor Dataset.cf
import numpy as np
import pandas as pd
import xarray as xr

from hybridwater import units as unit_registry
from hybridwater.data.checks import DIMENSIONS
from hybridwater.errors import DataError, UnitError, nearest
from hybridwater.files import open_netcdf


def read_csv(
    path: str | Path,
    units: Mapping[str, str],
    time: str = "date",
    basin: str | None = None,
    *,
    time_format: str = "ISO8601",
    missing: Sequence[float] = (),
) -> xr.Dataset:
    """Read records from a CSV table.

    Parameters
    ----------
    path : str or pathlib.Path
        Table with a header line; separated by commas, semicolons, tabs or blanks.
    units : mapping of str to str
        The columns to read, each with its unit; other columns are left out.
    time : str, optional
        Column with the start of each record interval.
    basin : str, optional
        Column with the name of the basin, in a table of many basins. By default the table is of
        one basin, named like the file.
    time_format : str, optional
        Format of the times, for example ``"%d.%m.%Y"``; by default ISO 8601 (2001-12-31 23:00).
        Day and month are never guessed.
    missing : sequence of float, optional
        Codes that mean a missing value, for example ``(-999,)``. Empty fields always do.

    Returns
    -------
    xarray.Dataset
        Dimensions (basin, time), one variable per column, in the units given.

    Raises
    ------
    DataError
        Where the file or a column is not found, a time or number cannot be read, or times are
        unsorted or duplicate within a basin.
    UnitError
        Where a unit is missing or unknown.
    """
    path = _existing(path)
    for column, unit in units.items():
        try:
            unit_registry.parse(unit)
        except UnitError as error:
            raise UnitError(error.what, f"column '{column}' of {path}", error.fix) from error
    table = _table(path, {time: str} if basin is None else {time: str, basin: str})
    for column in (time, *([basin] if basin else []), *units):
        if column not in table:
            raise DataError(
                f"There is no column '{column}': {nearest(column, map(str, table.columns))}",
                where=str(path),
                fix="Name a column of the header line",
            )
    times = _times(pd.Series(table[time]), time_format, path)
    names = pd.Series(table[basin]) if basin else pd.Series(path.stem, index=table.index)
    _check_order(times, names, path)
    numbers = {column: _numbers(pd.Series(table[column]), missing, path) for column in units}
    index = pd.MultiIndex.from_arrays([names, times], names=["basin", "time"])
    dataset = xr.Dataset.from_dataframe(pd.DataFrame(numbers).set_index(index))
    dataset = dataset.assign_coords(basin=dataset["basin"].values.astype(str))
    for column, unit in units.items():
        dataset[column].attrs = {"units": unit, "long_name": column}
    return dataset.assign_attrs(source=path.name)


def read_netcdf(path: str | Path, rename: Mapping[str, str] | None = None) -> xr.Dataset:
    """Read records from a NetCDF file with CF units.

    Parameters
    ----------
    path : str or pathlib.Path
        File with records of one basin (time) or many (basin, time). The time axis and the names
        of the basins (``cf_role = "timeseries_id"``) are recognised by their CF attributes.
    rename : mapping of str to str, optional
        New names of variables and dimensions, for example ``{"station": "basin"}``.

    Returns
    -------
    xarray.Dataset
        Dimensions (basin, time); a file of one basin gets its name as the basin's. Numbers in
        float64, in the units of the file.

    Raises
    ------
    DataError
        Where the file cannot be read, a name to rename is not there, or a variable has other
        dimensions.
    UnitError
        Where a variable has no units or unknown ones.
    """
    path = _existing(path)
    dataset = open_netcdf(path)
    known = [str(name) for name in (*dataset.variables, *dataset.dims)]
    for name in rename or {}:
        if name not in known:
            raise DataError(
                f"There is no variable '{name}' to rename: {nearest(name, known)}",
                where=str(path),
                fix="Name a variable or dimension of the file",
            )
    dataset = _cf_names(dataset.rename(rename or {}))
    if "basin" not in dataset.dims:
        dataset = dataset.drop_vars("basin", errors="ignore").expand_dims(basin=[path.stem])
    elif "basin" in dataset.coords:
        dataset = dataset.assign_coords(basin=_names(dataset["basin"].values))
    for name, data in dataset.data_vars.items():
        alien = [d for d in data.dims if d not in DIMENSIONS]
        if alien:
            raise DataError(
                f"'{name}' has the dimension '{alien[0]}', but records have dimensions out of "
                f"{DIMENSIONS}.",
                where=str(path),
                fix=f"If it counts basins, rename={{'{alien[0]}': 'basin'}}; else select or "
                "average it first",
            )
        if np.issubdtype(data.dtype, np.number):
            unit_registry.require(data)
            dataset[name] = data.astype(float).transpose(*(d for d in DIMENSIONS if d in data.dims))
    return dataset


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise DataError("The file does not exist.", where=str(path), fix="Check the path")
    return path


def _table(path: Path, text: Any) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            header = stream.readline()
        separator = max(",;\t", key=header.count)
        return pd.read_csv(
            path,
            sep=separator if separator in header else r"\s+",
            dtype=text,
            skipinitialspace=True,
            encoding="utf-8-sig",
        )
    except ValueError as error:  # of which pandas' and Unicode's errors are kinds
        raise DataError(
            f"The file cannot be read as a table ({error}).",
            where=str(path),
            fix="Save it as CSV in UTF-8, with one header line and as many fields in every line",
        ) from error


def _times(text: pd.Series, time_format: str, path: Path) -> pd.DatetimeIndex:
    times = pd.to_datetime(text, format=time_format, errors="coerce", utc=True)
    if times.isna().any():
        row = int(np.argmax(times.isna()))
        raise DataError(
            f"The time '{text.iloc[row]}' does not have the format {time_format}.",
            where=f"line {row + 2} of {path}",
            fix="Give the format, for example time_format='%d.%m.%Y'",
        )
    return pd.DatetimeIndex(times.dt.tz_localize(None))


def _check_order(times: pd.DatetimeIndex, names: pd.Series, path: Path) -> None:
    if names.isna().any():
        raise DataError(
            "A record has no basin.",
            where=f"line {int(np.argmax(names.isna())) + 2} of {path}",
            fix="Fill in the basin's name",
        )
    series = pd.Series(times, index=names.index)
    steps = series.groupby(names, sort=False).diff()
    for wrong, what, fix in (
        (steps < pd.Timedelta(0), "comes after a later one", "Sort the table, or check the order "
         "of day and month in time_format"),
        (steps == pd.Timedelta(0), "is there more than once", "Keep one record per time"),
    ):  # fmt: skip
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(
                f"The time {times[row]} of basin '{names.iloc[row]}' {what}.",
                where=f"line {row + 2} of {path}",
                fix=fix,
            )


def _numbers(column: pd.Series, missing: Sequence[float], path: Path) -> np.ndarray:
    numbers = pd.Series(pd.to_numeric(column, errors="coerce"))
    wrong = numbers.isna() & column.notna()
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"'{column.iloc[row]}' in the column '{column.name}' is not a number.",
            where=f"line {row + 2} of {path}",
            fix="Leave missing values empty, and write decimals with a point",
        )
    return numbers.mask(numbers.isin(np.array(missing, dtype=float))).to_numpy(dtype=float)


def _cf_names(dataset: xr.Dataset) -> xr.Dataset:
    """Name the time axis ``time`` and the series identifier ``basin``, by their CF attributes."""
    names = {}
    axis = [n for n in dataset.cf.coordinates.get("time", []) if n in dataset.dims]
    if "time" not in dataset.dims and len(axis) == 1:
        names[axis[0]] = "time"
    series = dataset.cf.cf_roles.get("timeseries_id", [])
    if "basin" not in dataset.dims and len(series) == 1 and dataset[series[0]].ndim == 1:
        identifier = series[0]
        dimension = dataset[identifier].dims[0]
        if identifier != dimension:
            dataset = dataset.set_index({dimension: identifier})
        names[dimension] = "basin"
    return dataset.rename(names)


def _names(values: np.ndarray) -> np.ndarray:
    """Turn names of basins into text, also where the file holds bytes."""
    return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in values])
