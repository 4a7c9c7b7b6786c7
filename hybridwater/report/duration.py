"""Flow-duration curve on a logarithmic axis, with the biases of its two ends."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from hybridwater import scores, units
from hybridwater.errors import DataError
from hybridwater.report import style
from hybridwater.report.series import models, one_basin

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_TICKS = (0.01, 0.1, 1, 5, 20, 50, 80, 95, 99, 99.9, 99.99)


@style.styled
def flow_duration(
    simulated: xr.DataArray | Mapping[str, xr.DataArray],
    observed: xr.DataArray | None,
    *,
    basin: str | None = None,
    quantity: str = "discharge",
) -> style.ReportFigure:
    """Draw how often a flow is exceeded, of records that every series has.

    The flow axis is logarithmic; the axis of probability is that of a normal distribution, so
    that floods and droughts can be told apart. Plotting positions are ``m / (n + 1)``
    (Weibull 1939). Records without flow have no logarithm: curves end there, and the legend
    tells their share.

    Parameters
    ----------
    simulated : xarray.DataArray or mapping of str to xarray.DataArray
        Shape (time,) or (basin, time): one simulation, or several by name.
    observed : xarray.DataArray or None
        Shape (time,) or (basin, time), in a compatible unit; NaN marks a missing value.
    basin : str, optional
        The basin to draw; may be left out where there is only one.
    quantity : str
        Name of what is drawn, for the axis.

    Returns
    -------
    ReportFigure
        A matplotlib figure with caption and alternative text.

    Raises
    ------
    DataError
        If a series is empty or all NaN, or the series have no record in common.
    UnitError
        If units are missing or incompatible.
    """
    runs = models(simulated, basin)
    unit = units.require(next(iter(runs.values())))
    curves = dict(runs)
    if observed is not None:
        curves = {"observed": one_basin(observed, "observed", basin, unit), **runs}
    flows = _common(curves)
    if not any((values > 0).any() for values in flows.values()):
        raise DataError(
            "No flow is above zero, so there is no curve on a logarithmic axis.",
            where="flow_duration",
            fix="Check the series and their units",
        )

    figure = style.new_figure(4.6)
    axes = figure.subplots()
    colours = iter(style.MODELS * (len(flows) // len(style.MODELS) + 1))
    for name, values in flows.items():
        is_observed = observed is not None and name == "observed"
        ranked = np.sort(values)[::-1]
        exceeded = 100 * np.arange(1, ranked.size + 1) / (ranked.size + 1)
        axes.plot(
            exceeded,
            np.where(ranked > 0, ranked, np.nan),
            color=style.OBSERVED if is_observed else next(colours),
            linewidth=2.2 if is_observed else 1.6,
            label=_label(name, curves[name], None if is_observed else curves.get("observed")),
        )
    _probability_axis(axes, next(iter(flows.values())).size)
    style.logarithmic(axes)
    axes.set_ylabel(style.labelled(quantity, unit))
    axes.set_xlabel(style.labelled("time flow is exceeded", "%"))
    axes.grid()
    style.legend_below(figure)

    place = f" of basin {basin}" if basin else ""
    figure.caption = (
        f"Flow-duration curve{place}, of the {next(iter(flows.values())).size} records that all "
        "series have."
    )
    if observed is not None:
        figure.caption += (
            " FHV and FLV are the relative biases of the highest 2 % and, in logarithms, the "
            "lowest 30 % of flows (Yilmaz et al. 2008)."
        )
    labels = [str(line.get_label()) for line in axes.get_lines()]
    figure.alt = f"Flow-duration curve{place}: {' '.join('; '.join(labels).split())}."
    return figure


def _common(curves: Mapping[str, xr.DataArray]) -> dict[str, np.ndarray]:
    """Return the values of each series at the records that all have, each of shape (record,)."""
    import xarray as xr

    aligned = xr.align(*curves.values(), join="inner")
    valid = np.logical_and.reduce([series.notnull().values for series in aligned])
    if not valid.any():
        raise DataError(
            "The series have no record in common.",
            where=", ".join(curves),
            fix="Compare series that overlap in time, with the same time labels",
        )
    return {name: series.values[valid] for name, series in zip(curves, aligned, strict=True)}


def _label(name: str, run: xr.DataArray, observed: xr.DataArray | None) -> str:
    share = float((run <= 0).sum() / run.notnull().sum())
    parts = [f"no flow {style.number(100 * share, 1)} % of the time"] if share else []
    if observed is not None:
        high = float(scores.high_flow_bias(run, observed))
        low = float(scores.low_flow_bias(run, observed))
        parts.append(f"FHV {style.number(100 * high, 0)} %, FLV {style.number(100 * low, 0)} %")
    return f"{name}:  {';  '.join(parts)}" if parts else name


def _probability_axis(axes: Axes, count: int) -> None:
    """Scale the x axis, in percent, like a normal distribution; show what the data can resolve."""
    normal = NormalDist()
    nodes = np.linspace(-5, 5, 2001)
    percent = np.array([100 * normal.cdf(z) for z in nodes])
    axes.set_xscale(
        "function",
        functions=(
            lambda p: np.interp(p, percent, nodes),
            lambda z: np.interp(z, nodes, percent),
        ),
    )
    edge = max(100 / (count + 1), 0.001)
    shown = [tick for tick in _TICKS if edge <= tick <= 100 - edge]
    axes.set_xlim(edge, 100 - edge)
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.set_xticks([], minor=True)
