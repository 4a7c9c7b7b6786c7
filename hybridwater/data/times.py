"""Checks of the time coordinate of records."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
import xarray as xr
from pandas.tseries.frequencies import to_offset

from hybridwater.errors import DataError


def check_time(dataset: xr.Dataset | xr.DataArray) -> pd.Timedelta:
    """Check that times are dates, sorted, unique and regular.

    Parameters
    ----------
    dataset : xarray.Dataset or xarray.DataArray
        Records with the coordinate ``time``, which labels the start of each interval.

    Returns
    -------
    pandas.Timedelta
        The length of one record interval.

    Raises
    ------
    DataError
        Where ``time`` is missing, is not made of dates, or is unsorted, duplicate or irregular.
    """
    times = _dates(dataset)
    steps = np.diff(times.values)
    if (steps < np.timedelta64(0)).any():
        i = int(np.argmax(steps < np.timedelta64(0)))
        raise DataError(
            f"Times are not sorted: {times[i + 1]} comes after {times[i]}.",
            where=f"record {i + 1}",
            fix="Check how the dates were read (day and month exchanged?), then "
            'dataset.sortby("time")',
        )
    if (steps == np.timedelta64(0)).any():
        i = int(np.argmax(steps == np.timedelta64(0)))
        raise DataError(
            f"The time {times[i]} is there more than once.",
            where=f"record {i + 1}",
            fix='Keep one of the two: dataset.drop_duplicates("time")',
        )
    lengths, counts = np.unique(steps, return_counts=True)
    step = lengths[np.argmax(counts)]
    if len(lengths) > 1:
        _refuse_irregular(times, steps, step)
    return _timedelta(step)


def _dates(dataset: xr.Dataset | xr.DataArray) -> pd.DatetimeIndex:
    if "time" not in dataset.coords:
        raise DataError(
            "The coordinate 'time' is missing.",
            where="the coordinates of the dataset",
            fix="Give the records a datetime64 coordinate 'time' with the start of each interval",
        )
    index = dataset["time"]
    if index.dims != ("time",) or not np.issubdtype(index.dtype, np.datetime64):
        raise DataError(
            f"The coordinate 'time' holds {index.dtype} with dimensions {index.dims}, not dates.",
            where="time",
            fix="Use datetime64; for other calendars dataset.convert_calendar('standard')",
        )
    times = pd.DatetimeIndex(index.values)
    if times.hasnans:
        raise DataError(
            "A time is missing (NaT).",
            where=f"record {int(np.argmax(times.isna()))}",
            fix="Check the dates in the source",
        )
    if len(times) < 2:
        raise DataError(
            f"There are {len(times)} records, too few to tell the length of their interval.",
            where="time",
            fix="Give at least two records",
        )
    return times


def _timedelta(step: np.timedelta64) -> pd.Timedelta:
    return cast("pd.Timedelta", pd.Timedelta(step))


def _refuse_irregular(times: pd.DatetimeIndex, steps: np.ndarray, step: np.timedelta64) -> None:
    i = int(np.argmax(steps != step))
    length = _timedelta(step)
    if steps[i] > step and steps[i] % step == np.timedelta64(0):
        lost = int(steps[i] // step) - 1
        raise DataError(
            f"There is a gap in time: after {times[i]} the next record is {times[i + 1]}, "
            f"so {lost} of the records (one every {to_offset(length).freqstr}) "
            f"{'is' if lost == 1 else 'are'} missing.",
            where=f"time {times[i] + length}",
            fix=f"dataset.resample(time='{to_offset(length).freqstr}')"
            ".asfreq(), then fill forcing or choose another period",
        )
    raise DataError(
        f"The time step is irregular: {pd.Timedelta(steps[i])} between {times[i]} and "
        f"{times[i + 1]}, but {length} elsewhere.",
        where=f"time {times[i]}",
        fix="Resample the records to one regular step",
    )
