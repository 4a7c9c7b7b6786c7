"""Train, validation and test periods: which records are in them, and how they are shaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.dates import date2num

from hybridwater.errors import DataError
from hybridwater.report import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

Split = Mapping[str, "slice | tuple[object, object]"]
"""Period names with their first and last record, both included, as in ``data.sel(time=...)``."""


@dataclass(frozen=True)
class Period:
    """A named period of records; `start` and `end` are times, `end` being exclusive."""

    name: str
    start: np.datetime64
    end: np.datetime64

    def of(self, data: xr.DataArray) -> xr.DataArray:
        """Return the records of a series, shape (time,), that start in this period."""
        times = data["time"].values
        return data[(times >= self.start) & (times < self.end)]


def read_split(split: Split | None, times: pd.DatetimeIndex, step: np.timedelta64) -> list[Period]:
    """Turn a split as people write it into periods.

    Parameters
    ----------
    split : mapping of str to slice or (start, end), optional
        Labels of the first and last record, both included. ``"2000-09"`` as an end means all of
        September; None means open.
    times : pandas.DatetimeIndex
        Record times of the series.
    step : numpy.timedelta64
        Length of a record.

    Returns
    -------
    list of Period
        In order of time.

    Raises
    ------
    DataError
        If a period is not a pair of times, ends before it starts, or overlaps another one.
    """
    periods = [_read(name, bounds, times, step) for name, bounds in (split or {}).items()]
    periods.sort(key=lambda p: p.start)
    for earlier, later in pairwise(periods):
        if later.start < earlier.end:
            raise DataError(
                f"The periods '{earlier.name}' and '{later.name}' overlap.",
                where="split",
                fix="End one before the other starts; both ends are included",
            )
    return periods


def _read(name: str, bounds: object, times: pd.DatetimeIndex, step: np.timedelta64) -> Period:
    try:
        pair = (bounds.start, bounds.stop) if isinstance(bounds, slice) else bounds
        first, last = pair  # type: ignore[misc]
        start = _start(times[0] if first is None else first)
        end = _end(times[-1] if last is None else last, step)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The period '{name}' is {bounds!r}, not a start and an end.",
            where="split",
            fix="Give two dates, for example ('1980-10-01', '2000-09-30')",
        ) from error
    if end <= start:
        raise DataError(
            f"The period '{name}' ends before it starts.",
            where="split",
            fix="Give the earlier date first",
        )
    return Period(name, start.to_datetime64(), end.to_datetime64())


def _start(label: object) -> pd.Timestamp:
    return pd.Period(label).start_time if isinstance(label, str) else pd.Timestamp(label)


def _end(label: object, step: np.timedelta64) -> pd.Timestamp:
    if isinstance(label, str):
        return pd.Period(label).end_time.ceil("s")
    return pd.Timestamp(label) + step


def shade(axes: Axes, periods: list[Period], low: np.datetime64, high: np.datetime64) -> None:
    """Shade the part of each period that lies between two times."""
    for index, period in enumerate(periods):
        left, right = max(period.start, low), min(period.end, high)
        if left < right:
            colour = style.SHADES[index % len(style.SHADES)]
            axes.axvspan(*date2num([left, right]), color=colour, linewidth=0, zorder=0)


def write_names(axes: Axes, periods: list[Period], low: np.datetime64, high: np.datetime64) -> None:
    """Write the name of each period above the axes, where it lies between two times."""
    spans = [(p.name, max(p.start, low), min(p.end, high)) for p in periods]
    numbers = [(name, *date2num([left, right])) for name, left, right in spans if left < right]
    style.name_spans(axes, numbers, *date2num([low, high]))
