"""Figures of ensembles: fan chart, histogram of the probability integral transform, coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.dates import date2num

from hybridwater import scores, units
from hybridwater.errors import DataError
from hybridwater.report import style
from hybridwater.report.series import drawing_times
from hybridwater.scores.pairs import there
from hybridwater.scores.probabilistic import central_interval, reach

if TYPE_CHECKING:
    import xarray as xr

_BANDS = (0.9, 0.5)
_FAN = style.MODELS[1]


@style.styled
def fan_chart(
    ensemble: xr.DataArray,
    observed: xr.DataArray | None = None,
    *,
    issued: str | np.datetime64 | None = None,
    quantity: str = "discharge",
) -> style.ReportFigure:
    """Draw the central 50 and 90 % of an ensemble over time, its median, and what was observed.

    Parameters
    ----------
    ensemble : xarray.DataArray
        Shape (member, time), with units.
    observed : xarray.DataArray, optional
        Shape (time,), in a compatible unit; NaN marks a missing value. Drawn over the time of the
        ensemble.
    issued : datetime-like, optional
        When the forecast was made; marked by a line.
    quantity : str
        Name of what is drawn, for the axis.

    Returns
    -------
    ReportFigure
        A matplotlib figure with caption and alternative text.

    Raises
    ------
    DataError
        If there are other dimensions left, or fewer than two members (that have values) or times.
    UnitError
        If units are missing or incompatible.
    """
    unit = units.require(ensemble)
    if set(ensemble.dims) != {"member", "time"} or min(ensemble.shape) < 2:
        raise DataError(
            f"The ensemble has the dimensions {dict(ensemble.sizes)}, not member and time.",
            where=str(ensemble.name or "ensemble"),
            fix="Select one site, for example ensemble.sel(gage='01420500')",
        )
    ensemble = there(ensemble)
    members = ensemble.sizes["member"]
    if members < 2:
        raise DataError("Fewer than two members have any value.", str(ensemble.name or "ensemble"))
    figure = style.new_figure(3.6)
    axes = figure.subplots()
    style.horizontal_grid(axes)
    times = drawing_times(ensemble)
    for band, alpha in zip(_BANDS, (0.22, 0.45), strict=True):
        low, high = central_interval(ensemble, band)
        axes.fill_between(
            times, low, high, color=_FAN, alpha=alpha, linewidth=0, label=f"central {band:.0%}"
        )
    axes.plot(times, ensemble.median("member").values, color=_FAN, linewidth=1.2, label="median")
    caption = f"Forecast of {quantity} by {members} members."
    if reach(members) < _BANDS[0]:
        caption += f" So few reach no further than the central {reach(members):.0%}."
    if observed is not None:
        observed = units.to_units(observed.astype(float), unit)
        own, shown = observed["time"].values, ensemble["time"].values
        observed = observed.isel(time=(own >= shown[0]) & (own <= shown[-1]))
        axes.plot(
            drawing_times(observed), observed.values, color=style.OBSERVED, linewidth=0.9,
            label="observed",
        )  # fmt: skip
        inside = float(scores.coverage(ensemble, observed))
        caption += f" {inside:.0%} of the observations lie within the central 90 %."
    if issued is not None:
        when = float(date2num(np.datetime64(issued)))
        axes.axvline(
            when, color=style.MUTED, linestyle="--", linewidth=1.0, label="forecast issued"
        )
    axes.set_xlim(times[0], times[-1])
    axes.set_ylim(bottom=0 if float(ensemble.min()) >= 0 else None)
    axes.set_ylabel(style.labelled(quantity, unit))
    style.legend_below(figure, columns=5)
    figure.caption = figure.alt = caption
    return figure


@style.styled
def pit_histogram(
    pits: xr.DataArray | Mapping[str, xr.DataArray], *, bins: int = 10
) -> style.ReportFigure:
    """Draw histograms of probability integral transforms beside the flat one.

    Parameters
    ----------
    pits : xarray.DataArray or mapping of str to xarray.DataArray
        From :func:`hybridwater.scores.pit`, any dimensions with time: one, or several by name.
    bins : int
        Number of bins.

    Returns
    -------
    ReportFigure
        A matplotlib figure; the caption tells the test of :func:`hybridwater.scores.flatness`.

    Raises
    ------
    DataError
        If there are too few records for the test.
    """
    named = pits if isinstance(pits, Mapping) else {"forecast": pits}
    figure = style.new_figure(3.2)
    panels = figure.subplots(1, len(named), sharey=True, squeeze=False)[0]
    told = []
    for index, (axes, (name, places)) in enumerate(zip(panels, named.items(), strict=True)):
        style.horizontal_grid(axes)
        values = places.values[np.isfinite(places.values)]
        counts, edges = np.histogram(values, bins, (0, 1))
        axes.bar(
            edges[:-1], counts * bins / len(values), 1 / bins, align="edge", edgecolor="white",
            color=style.MODELS[index % len(style.MODELS)],
        )  # fmt: skip
        axes.axhline(1.0, color=style.OBSERVED, linewidth=1.0)
        axes.set_xlim(0, 1)
        axes.set_title(name)
        axes.set_xlabel("place of the observation (–)")  # noqa: RUF001
        test = scores.flatness(places, bins=bins)
        told.append(
            f"{name}: largest deviation {float(test['largest_deviation']):.0%},"
            f" p = {float(test['p_value']):.3f}"
        )
    panels[0].set_ylabel("relative frequency (–)")  # noqa: RUF001
    figure.caption = (
        "Where observations fall in their forecast distributions; flat (the line) if calibrated,"
        " U-shaped if too sure, higher at the left if too wet."
        f" {'; '.join(told)} (block bootstrap)."
    )
    figure.alt = figure.caption
    return figure


@style.styled
def coverage_chart(
    ensemble: xr.DataArray | Mapping[str, xr.DataArray],
    observed: xr.DataArray,
    *,
    levels: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95),
) -> style.ReportFigure:
    """Draw how often central intervals hold the observation, against how often they should.

    Parameters
    ----------
    ensemble : xarray.DataArray or mapping of str to xarray.DataArray
        Shape (member, ..., time): one, or several by name.
    observed : xarray.DataArray
        Shape (..., time).
    levels : sequence of float
        Probabilities of the intervals.

    Returns
    -------
    ReportFigure
        A matplotlib figure; bars reach over the central 80 % of the sites.

    Raises
    ------
    DataError, UnitError
        As :func:`hybridwater.scores.coverage`.
    """
    named = ensemble if isinstance(ensemble, Mapping) else {"forecast": ensemble}
    figure = style.new_figure(4.4)
    axes = figure.subplots()
    axes.grid()
    axes.plot([0, 1], [0, 1], color=style.OBSERVED, linewidth=1.0)
    told = []
    for index, (name, members) in enumerate(named.items()):
        found = [scores.coverage(members, observed, level=level).values.ravel() for level in levels]
        middle = np.array([np.nanmean(f) for f in found])
        ends = np.array([np.nanquantile(f, [0.1, 0.9]) for f in found])
        axes.errorbar(
            np.array(levels) + 0.006 * index, middle,
            np.abs(ends - middle[:, np.newaxis]).T, fmt="o-", capsize=3, markersize=4,
            color=style.MODELS[index % len(style.MODELS)], label=name,
        )  # fmt: skip
        told.append(f"{name}: {middle[-2]:.0%} within the central {levels[-2]:.0%}")
        furthest = reach(there(members).sizes["member"])
        if furthest < levels[-2]:
            told[-1] += f", of which so few members reach no more than {furthest:.0%}"
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("probability of the central interval (–)")  # noqa: RUF001
    axes.set_ylabel("observations within (–)")  # noqa: RUF001
    style.legend_below(figure, columns=3)
    figure.caption = (
        "Coverage of central intervals, mean over sites with bars over the central 80 % of them;"
        f" on the line if calibrated, below if too sure. {'; '.join(told)}."
    )
    figure.alt = figure.caption
    return figure


@style.styled
def variance_chart(
    shares: xr.Dataset | Mapping[str, xr.Dataset], *, quantity: str = "the result"
) -> style.ReportFigure:
    """Draw how much of a variance each source of uncertainty has, alone and with others.

    Parameters
    ----------
    shares : xarray.Dataset or mapping of str to xarray.Dataset
        From :func:`hybridwater.ensembles.variance_shares`, dimension ``source`` alone: of one
        result, or of several by name.
    quantity : str
        What varies, for the caption.

    Returns
    -------
    ReportFigure
        A matplotlib figure; thin lines are the intervals of the shares.

    Raises
    ------
    DataError
        If there are other dimensions left.
    """
    named: dict[str, xr.Dataset] = (
        {str(k): v for k, v in shares.items()} if "alone" not in shares else {"": shares}  # type: ignore
    )
    figure = style.new_figure(1.2 + 0.55 * next(iter(named.values())).sizes["source"])
    panels = figure.subplots(1, len(named), sharey=True, squeeze=False)[0]
    told = []
    for index, (axes, (name, data)) in enumerate(zip(panels, named.items(), strict=True)):
        if data["alone"].dims != ("source",):
            raise DataError(
                f"The shares have the dimensions {data['alone'].dims}, not source alone.",
                fix="Select one site and time",
            )
        sources = [str(s) for s in data["source"].values]
        rows = np.arange(len(sources), dtype=float)
        for part, label, shift, alpha in (
            ("alone", "alone", -0.17, 1.0),
            ("total", "with others", 0.17, 0.45),
        ):
            names = (part, f"{part}_low", f"{part}_high")
            width, *ends = (np.clip(100 * data[n].values, 0, 100) for n in names)
            label = label if index == 0 else "_"  # the legend has it once
            axes.barh(rows + shift, width, 0.3, color=_FAN, alpha=alpha, label=label)
            axes.hlines(rows + shift, *ends, color=style.OBSERVED, linewidth=1.0)
        axes.set_yticks(rows, sources)
        axes.set_ylim(len(sources) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.set_title(name)
        axes.set_xlabel(style.labelled("share of the variance", "percent"))
        first = int(np.argmax(np.nan_to_num(data["total"].values)))
        share = f"{100 * float(data['total'][first]):.0f} %"
        told.append(f"{name + ': ' if name else ''}{sources[first]} has the most, {share}")
    style.legend_below(figure, columns=2)
    figure.caption = (
        f"Whose variance it is: {quantity}. What would go if the source were certain (alone), and "
        "what would stay if all others were (with others); lines are their 90 % intervals. "
        f"{'; '.join(told)}."
    )
    figure.alt = figure.caption
    return figure
