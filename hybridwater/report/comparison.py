"""Models side by side: skill, water balance, uncertainty of parameters, cost."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import DataError
from hybridwater.report import style
from hybridwater.report.files import as_image
from hybridwater.report.hydrographs import hydrograph

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hybridwater.discovery import Comparison

_LOWEST = -0.2  # NSE that is still shown
_ROUNDING = 1e-17  # imbalance that is shown for none
_SHOWN = 4  # hydrographs that can be told apart


@style.styled
def model_comparison(compared: Comparison) -> style.ReportFigure:
    """Draw skill, imbalance, uncertainty of parameters and seconds of a run, one row per model.

    Parameters
    ----------
    compared : Comparison
        What :func:`hybridwater.compare` returns.

    Returns
    -------
    ReportFigure
        A matplotlib figure with caption and alternative text.

    Raises
    ------
    DataError
        If no model could be fitted.
    """
    table = compared.table.drop(index=list(compared.failures))
    if not len(table):
        raise DataError(
            "There is nothing to draw: every model failed.",
            fix="Read the attribute 'failures' of the comparison",
        )
    rows = np.arange(len(table))[::-1]
    figure = style.new_figure(1.5 + 0.42 * len(table))
    panels = figure.subplots(1, 4, sharey=True, width_ratios=(3, 1.6, 1.6, 1.6))
    skill, balance, spread, cost = panels
    periods = [c for c in table if c.startswith("NSE ")]
    for colour, column in zip(style.MODELS[::-1][-len(periods) :], periods, strict=True):
        values = table[column].to_numpy(float)
        filled = column == periods[-1]
        _dots(skill, np.maximum(values, _LOWEST), rows, colour, column.split()[1], filled)
    skill.set_xlabel("NSE (–)")  # noqa: RUF001
    imbalance = np.maximum(table["imbalance"].to_numpy(float), _ROUNDING)
    _dots(balance, imbalance, rows, style.OBSERVED, "", True)
    balance.set_xscale("log")
    balance.set_xlim(_ROUNDING / 3, max(1.0, 3 * np.nanmax(imbalance, initial=0.0)))
    balance.set_xlabel("imbalance (–)")  # noqa: RUF001
    _dots(spread, table["uncertainty"].to_numpy(float), rows, style.OBSERVED, "", True)
    spread.set_xlim(0, 1.05)
    spread.set_xlabel("uncertainty left (–)")  # noqa: RUF001
    _dots(cost, table["run (s)"].to_numpy(float), rows, style.OBSERVED, "", True)
    cost.set_xlim(0, 1.1 * table["run (s)"].max())
    cost.set_xlabel("run (s)")
    skill.set_yticks(rows, [str(n) for n in table.index])
    skill.set_ylim(-0.6, len(table) - 0.4)
    for axes in panels:
        axes.grid(axis="both")
        axes.tick_params(length=3)
    style.legend_below(figure, columns=len(periods))
    last = periods[-1]
    best = table[last].idxmax()
    figure.caption = (
        "Skill by period, residual of the water balance over the water that moved, what the fit "
        "leaves of the uncertainty of parameters (1: nothing learned; networks held fixed), and "
        "time of one run."
    )
    figure.alt = (
        f"Dots of {len(table)} models; the highest {last} is {table[last].max():.3f}, of {best}."
    )
    return figure


def _dots(
    axes: Axes, values: np.ndarray, rows: np.ndarray, colour: str, label: str, filled: bool
) -> None:
    axes.plot(
        values,
        rows,
        linestyle="none",
        marker="o",
        markersize=7,
        color=colour,
        markerfacecolor=colour if filled else "none",
        label=label or None,
    )


def as_html(compared: Comparison) -> str:
    """Show a comparison in a notebook: table, skill, hydrographs of the first basin."""
    parts = [compared.table.to_html(float_format=lambda v: f"{v:.3g}", na_rep="–")]  # noqa: RUF001
    parts += [
        f"<p>{html.escape(name)} failed. {html.escape(why)}</p>"
        for name, why in compared.failures.items()
    ]
    if compared.simulations:
        first = compared.fits[next(iter(compared.simulations))]
        flux, variable = next(iter(first.observed.items()))
        runs = {n: s[flux].isel(basin=0) for n, s in compared.simulations.items()}
        figures = [model_comparison(compared)]
        if variable in compared.data:
            seen = first.with_basins(compared.data).isel(basin=0)
            rain = seen["prcp"] if "prcp" in seen else None
            shown = dict(list(runs.items())[:_SHOWN])
            figures.append(hydrograph(shown, seen[variable], rain, split=first.periods))
        parts += [as_image(figure) for figure in figures]
    return "\n".join(parts)
