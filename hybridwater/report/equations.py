"""The front of equations that a search has found, and the chosen one over the samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import DataError
from hybridwater.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hybridwater.discovery import Front

_INPUTS = 2
_BEST = 1e-5  # unexplained share that is still told apart


@style.styled
def equation_front(front: Front) -> style.ReportFigure:
    """Draw error against complexity, and term and chosen equation against the first inputs.

    Parameters
    ----------
    front : Front
        What :func:`hybridwater.discover` returns. If it recommends nothing, no equation is drawn
        over the samples.

    Returns
    -------
    ReportFigure
        A matplotlib figure with caption and alternative text.

    Raises
    ------
    DataError
        If the front is empty.
    """
    if not len(front):
        raise DataError("The front has no equation to draw.", f"term '{front.term}'", front.why)
    term = front.samples
    inputs = [c for c in term.coords if term[c].dims == ("sample",) and term[c].dtype.kind == "f"]
    shown = inputs[:_INPUTS]
    figure = style.new_figure(3.6)
    panels = figure.subplots(1, 1 + len(shown))
    _front(panels[0], front)
    learned = term["learned"].values
    for axes, name in zip(panels[1:], shown, strict=True):
        x = term[name].values
        blue, orange = style.MODELS[1], style.MODELS[0]
        dots = {"linestyle": "none", "markeredgewidth": 0, "alpha": 0.5}
        axes.plot(x, learned, marker=".", markersize=5, color=blue, label="network", **dots)
        if front.chosen is not None:
            values = front.proposals[front.chosen].values
            label = "recommended equation"
            axes.plot(x, values, marker=".", markersize=2.5, color=orange, label=label, **dots)
        axes.set_xlabel(style.labelled(str(name), str(term[name].attrs["units"])))
        style.horizontal_grid(axes)
    panels[1].set_ylabel(style.labelled(front.term, front.unit))
    handles, labels = panels[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=2, markerscale=3)
    figure.caption = f"Equations for {front.term}: unexplained share of its variance on held-out "
    figure.caption += "time against complexity"
    if front.chosen is None:
        figure.caption += "; none is recommended."
    else:
        figure.caption += f"; recommended (ring): {front[front.chosen]}."
    figure.alt = f"Front of {len(front)} equations. {front.why}"
    return figure


def _front(axes: Axes, front: Front) -> None:
    complexity = np.array([p.complexity for p in front.proposals])
    error = np.array([max(1 - p.explained, _BEST) for p in front.proposals])
    axes.plot(complexity, error, marker="o", markersize=5, color=style.OBSERVED, linewidth=1)
    if front.chosen is not None:
        k = front.chosen
        axes.plot(
            complexity[k],
            error[k],
            marker="o",
            markersize=12,
            markerfacecolor="none",
            markeredgewidth=2,
            color=style.MODELS[0],
        )
    if front.noise > 0:
        axes.axhspan(0, front.noise, color=style.SHADES[1], zorder=0)
        axes.annotate(
            "below the spread of the fits",
            (0, 0),  # a front falls from the left: this corner is free
            xycoords="axes fraction",
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=8.5,
            color=style.MUTED,
        )
    style.logarithmic(axes)
    axes.set_xlabel("complexity")
    axes.set_ylabel("unexplained (–)")  # noqa: RUF001
    style.horizontal_grid(axes)
