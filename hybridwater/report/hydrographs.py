"""Hydrograph: precipitation, observed and simulated discharge, residuals, skill of each period."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hybridwater import scores, units
from hybridwater.errors import DataError
from hybridwater.report import style
from hybridwater.report.periods import Period, Split, read_split, shade, write_names
from hybridwater.report.series import drawing_times, models, one_basin, record_length

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_DENSE = 1500
"""Number of records from which lines are drawn thin."""


@style.styled
def hydrograph(
    simulated: xr.DataArray | Mapping[str, xr.DataArray],
    observed: xr.DataArray | None,
    precipitation: xr.DataArray | None = None,
    *,
    basin: str | None = None,
    split: Split | None = None,
    window: slice | tuple[object, object] | None = None,
    quantity: str = "discharge",
) -> style.ReportFigure:
    """Draw simulations and observations of one basin over time, with their residuals.

    Parameters
    ----------
    simulated : xarray.DataArray or mapping of str to xarray.DataArray
        Shape (time,) or (basin, time): one simulation, or several by name.
    observed : xarray.DataArray or None
        Shape (time,) or (basin, time), in a compatible unit; NaN marks a missing value. Without
        it there are neither residuals nor skill.
    precipitation : xarray.DataArray, optional
        Shape (time,) or (basin, time); hangs from the top.
    basin : str, optional
        The basin to draw; may be left out where there is only one.
    split : mapping of str to slice or (start, end), optional
        Periods to shade and to score, both ends included, for example
        ``{"train": ("1980-10-01", "2000-09-30"), "test": ("2000-10-01", None)}``.
    window : slice or (start, end), optional
        The part of the record to draw, for example one wet season. Skill is always that of the
        whole periods.
    quantity : str
        Name of what is drawn, for the axis.

    Returns
    -------
    ReportFigure
        A matplotlib figure with caption and alternative text.

    Raises
    ------
    DataError
        If a series is empty or all NaN, the basin is unknown, a period is malformed, or there is
        nothing within the window.
    UnitError
        If units are missing or incompatible.
    """
    runs = models(simulated, basin)
    first = next(iter(runs.values()))
    unit = units.require(first)
    step = record_length(first.indexes["time"])
    if observed is not None:
        observed = one_basin(observed, "observed", basin, unit)
    if precipitation is not None:
        precipitation = one_basin(precipitation, "precipitation", basin)
    periods = read_split(split, first.indexes["time"], step)
    low, high = _limits(runs, window, step)

    heights = {"flow": 2.9}
    if precipitation is not None:
        heights = {"rain": 1.1, **heights}
    if observed is not None:
        heights = {**heights, "residual": 1.3}
    figure = style.new_figure(0.8 + sum(heights.values()))
    stack = figure.subplots(
        len(heights), sharex=True, squeeze=False, height_ratios=list(heights.values())
    )[:, 0]
    panels = dict(zip(heights, stack, strict=True))
    for axes in stack:
        shade(axes, periods, low, high)
        style.horizontal_grid(axes)
    write_names(stack[0], periods, low, high)
    stack[0].set_xlim(low, high)

    if precipitation is not None:
        _draw_rain(panels["rain"], precipitation, low, high)
    _draw_flow(panels["flow"], runs, observed, periods, low, high)
    panels["flow"].set_ylabel(style.labelled(quantity, unit))
    if observed is not None:
        _draw_residuals(panels["residual"], runs, observed, low, high)
        panels["residual"].set_ylabel(style.labelled("residual", unit, break_line=True))
        panels["residual"].locator_params(axis="y", nbins=4)
    figure.align_ylabels(list(stack))
    style.legend_below(figure)
    _describe(figure, runs, observed, periods, basin, quantity)
    return figure


def _limits(
    runs: Mapping[str, xr.DataArray],
    window: slice | tuple[object, object] | None,
    step: np.timedelta64,
) -> tuple[np.datetime64, np.datetime64]:
    times = pd.DatetimeIndex(np.concatenate([run["time"].values for run in runs.values()]))
    low, high = times.min().to_datetime64(), (times.max() + step).to_datetime64()
    if window is None:
        return low, high
    (shown,) = read_split({"window": window}, times.sort_values(), step)
    if shown.start >= high or shown.end <= low:
        raise DataError(
            "No simulated record lies within the window.",
            where=f"window {window}",
            fix=f"Choose it between {times.min():%Y-%m-%d} and {times.max():%Y-%m-%d}",
        )
    return max(low, shown.start), min(high, shown.end)


def _line(
    data: xr.DataArray, low: np.datetime64, high: np.datetime64
) -> tuple[np.ndarray, np.ndarray]:
    """Return drawing times and values of the records that start between two times."""
    inside = (data["time"].values >= low) & (data["time"].values < high)
    return drawing_times(data)[inside], data.values[inside]


def _draw_rain(
    axes: Axes, precipitation: xr.DataArray, low: np.datetime64, high: np.datetime64
) -> None:
    unit = units.require(precipitation)
    rain = Period("window", low, high).of(precipitation)
    if rain.sizes["time"]:
        step = record_length(precipitation.indexes["time"])
        edges = np.append(rain["time"].values, rain["time"].values[-1] + step)
        values = rain.fillna(0).values
        if values.size > _DENSE:  # bars narrower than a pixel would fade
            axes.vlines(edges[:-1], 0, values, color=style.RAIN, linewidth=0.7)
        else:
            axes.stairs(values, edges, fill=True, color=style.RAIN, zorder=2)
    axes.set_ylim(axes.get_ylim()[1], 0)
    axes.set_ylabel(style.labelled("precipitation", unit, break_line=True))
    axes.spines.bottom.set_visible(False)
    axes.spines.top.set_visible(True)
    axes.tick_params(axis="x", length=0)


def _draw_flow(
    axes: Axes,
    runs: Mapping[str, xr.DataArray],
    observed: xr.DataArray | None,
    periods: list[Period],
    low: np.datetime64,
    high: np.datetime64,
) -> None:
    dense = max(np.sum((run["time"] >= low) & (run["time"] < high)) for run in runs.values())
    width = 1.2 if dense <= _DENSE else 0.7
    if observed is not None:
        times, values = _line(observed, low, high)
        isolated = _isolated(values)
        axes.plot(
            times,
            values,
            color=style.OBSERVED,
            linewidth=1.5 * width,
            marker="." if isolated else "",
            markersize=3,
            markevery=isolated or None,
            label="observed",
        )
    for colour, (label, run) in zip(_colours(len(runs)), runs.items(), strict=True):
        axes.plot(
            *_line(run, low, high),
            color=colour,
            linewidth=width,
            alpha=0.85,
            label=_with_skill(label, run, observed, periods),
        )
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]) if axes.dataLim.ymin < 0 else 0.0)


def _isolated(values: np.ndarray) -> list[int]:
    """Find values with no neighbour to draw a line to."""
    valid = np.concatenate([[False], ~np.isnan(values), [False]])
    return np.flatnonzero(valid[1:-1] & ~valid[:-2] & ~valid[2:]).tolist()


def _colours(count: int) -> list[str]:
    return [style.MODELS[i % len(style.MODELS)] for i in range(count)]


def _draw_residuals(
    axes: Axes,
    runs: Mapping[str, xr.DataArray],
    observed: xr.DataArray,
    low: np.datetime64,
    high: np.datetime64,
) -> None:
    for colour, run in zip(_colours(len(runs)), runs.values(), strict=True):
        residual = run.copy(data=run.values - observed.reindex(time=run["time"]).values)
        times, values = _line(residual, low, high)
        width = 1.0 if values.size <= _DENSE else 0.6
        axes.plot(times, values, color=colour, linewidth=width, alpha=0.85)
    axes.axhline(0, color=style.OBSERVED, linewidth=0.8)


def _skill(
    run: xr.DataArray, observed: xr.DataArray, periods: list[Period]
) -> dict[str, tuple[float, float]]:
    """NSE and KGE of each period that has records, or of everything where there are no periods."""
    parts = {p.name: (p.of(run), p.of(observed)) for p in periods} or {"": (run, observed)}
    return {
        name: (float(scores.nse(s, o)), float(scores.kge(s, o)))
        for name, (s, o) in parts.items()
        if np.isin(s["time"], o["time"]).any()
    }


def _with_skill(
    label: str, run: xr.DataArray, observed: xr.DataArray | None, periods: list[Period]
) -> str:
    if observed is None:
        return label
    parts = [
        f"{name} NSE {style.number(nse)}, KGE {style.number(kge)}".strip()
        for name, (nse, kge) in _skill(run, observed, periods).items()
    ]
    return f"{label}:  {';  '.join(parts)}" if parts else label


def _describe(
    figure: style.ReportFigure,
    runs: Mapping[str, xr.DataArray],
    observed: xr.DataArray | None,
    periods: list[Period],
    basin: str | None,
    quantity: str,
) -> None:
    place = f" of basin {basin}" if basin else ""
    if observed is None:
        figure.caption = f"Simulated {quantity}{place}."
    else:
        figure.caption = (
            f"Observed and simulated {quantity}{place}. Residuals are simulated minus observed; "
            "NSE and KGE are those of the whole periods."
        )
    skill = ". ".join(_with_skill(label, run, observed, periods) for label, run in runs.items())
    figure.alt = f"Time series of {quantity}{place}. {' '.join(skill.split())}."
