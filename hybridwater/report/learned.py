"""The learned term against each of its inputs, with the conceptual term beside it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hybridwater import units
from hybridwater.errors import DataError
from hybridwater.report import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_BINS = 12
_DOTS = 4000
_FEWEST = 0.01  # samples in a bin, as a fraction of all
_THINNEST = 0.008  # box whose samples are all at one place, as a fraction of the range of x


@style.styled
def learned_flux(term: xr.Dataset) -> style.ReportFigure:
    """Draw what a network has learned against each of its inputs, at the samples it visited.

    Dots are samples (at most 4000, drawn at random with a fixed seed); the line is the median and
    the boxes the 5th to 95th percentile within bins, where there are samples; the dashed line is
    the median of the conceptual term at the same samples, where the dataset has one.

    Parameters
    ----------
    term : xarray.Dataset
        Dimension ``sample``; one numeric coordinate per network input and the variables
        ``learned`` and, optionally, ``conceptual``, all with units; ``attrs["term"]`` its name. The
        attribute ``comment`` of ``conceptual`` says whose parameters it has, for the caption.

    Returns
    -------
    ReportFigure
        A matplotlib figure with one panel per input, caption and alternative text.

    Raises
    ------
    DataError
        If there is no ``learned`` variable, no input, or no sample with finite values.
    UnitError
        If units are missing or incompatible.
    """
    if "learned" not in term:
        raise DataError(
            "The dataset has no variable 'learned'.",
            where=f"variables {list(term.data_vars)}",
            fix="Give the dataset that surrogate.term(...) returns",
        )
    unit = units.require(term["learned"])
    inputs = [
        term[c]
        for c in term.coords
        if term[c].dims == ("sample",) and c != "sample" and term[c].dtype.kind in "fiu"
    ]
    if not inputs:
        raise DataError(
            "The learned term has no input to draw it against.",
            where=str(term.attrs.get("term", "learned")),
            fix="Give every network input as a numeric coordinate on the dimension 'sample'",
        )
    learned = term["learned"].values.astype(float)
    if not np.isfinite(learned).any():
        raise DataError(
            "The learned term has no finite value.",
            where=str(term.attrs.get("term", "learned")),
            fix="Check the fit; a term that is NaN everywhere has nothing to draw",
        )
    conceptual = None
    if "conceptual" in term:
        conceptual = units.to_units(term["conceptual"], unit).values.astype(float)

    columns = 2 if len(inputs) == 4 else min(len(inputs), 3)
    rows = -(-len(inputs) // columns)
    figure = style.new_figure(0.5 + 3.4 * rows)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    name = str(term.attrs.get("term", "learned term")).replace("_", " ")
    for axes, coordinate in zip(grid.flat, inputs, strict=False):
        _draw(axes, coordinate.values.astype(float), learned, conceptual)
        title = str(coordinate.attrs.get("long_name", coordinate.name))
        axes.set_xlabel(style.labelled(title, units.require(coordinate)))
        style.horizontal_grid(axes)
    for axes in grid.flat[len(inputs) :]:
        axes.remove()
    for axes in grid[:, 0]:
        axes.set_ylabel(style.labelled(name, unit))
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=len(labels), markerscale=3)

    count = int(np.isfinite(learned).sum())
    against = ", ".join(str(coordinate.name) for coordinate in inputs)
    figure.caption = (
        f"Learned term '{name}' against its inputs at {count} visited samples: median and 5 to "
        "95 % range within bins."
    )
    if conceptual is not None:
        figure.caption += " The conceptual term is its median at the same samples"
        whose = term["conceptual"].attrs.get("comment")
        figure.caption += f", {whose}." if whose else "."
    low, high = np.nanmin(learned), np.nanmax(learned)
    figure.alt = (
        f"Scatter of the learned term {name} against {against}; it ranges from {low:.3g} to "
        f"{high:.3g} {unit}."
    )
    return figure


def _draw(
    axes: Axes, values: np.ndarray, learned: np.ndarray, conceptual: np.ndarray | None
) -> None:
    chosen = np.arange(values.size)
    if values.size > _DOTS:
        chosen = np.random.default_rng(0).choice(values.size, _DOTS, replace=False)
    axes.plot(
        values[chosen],
        learned[chosen],
        linestyle="none",
        marker=".",
        markersize=2,
        markeredgewidth=0,
        color=style.MODELS[1],
        alpha=0.35,
        label="samples",
    )
    bins = _binned(values, learned)
    blue, orange = style.MODELS[1], style.MODELS[0]
    axes.fill_between(*_boxes(bins), color=blue, alpha=0.18, linewidth=0, label="5 to 95 %")
    axes.plot(bins.centre, bins.median, color=blue, linewidth=2, label="learned, median")
    if conceptual is not None:
        plain = _binned(values, conceptual)
        label = "conceptual, median"
        axes.plot(
            plain.centre, plain.median, color=orange, linewidth=2, linestyle="--", label=label
        )


class _Bins(NamedTuple):
    """Bins of x: first, median and last x; 5th, 50th and 95th percentile of y; shape (bin,)."""

    first: np.ndarray
    centre: np.ndarray
    last: np.ndarray
    low: np.ndarray
    median: np.ndarray
    high: np.ndarray


def _boxes(bins: _Bins) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, low and high of one box per bin, with NaN between boxes.

    A box reaches from the first to the last sample of its bin; hairline gaps are closed. A band
    drawn from one bin's centre to the next would cover, as a wedge, values without samples.
    """
    thinnest = _THINNEST * np.subtract(bins.last[-1:], bins.first[:1]).sum()
    wider = np.maximum(thinnest - (bins.last - bins.first), 0) / 2
    left, right = bins.first - wider, bins.last + wider
    close = left[1:] - right[:-1] < thinnest
    left[1:] = np.where(close, right[:-1], left[1:])
    gap = np.full(left.size, np.nan)
    x = np.stack([left, right, gap], axis=1).ravel()
    low, high = (np.stack([y, y, gap], axis=1).ravel() for y in (bins.low, bins.high))
    return x, low, high


def _binned(x: np.ndarray, y: np.ndarray) -> _Bins:
    """Take the median of x and the 5th, 50th and 95th percentile of y within bins of x.

    Bins end in gaps of x, then at equal steps and at quantiles of x, so that both rare and frequent
    values show; each bin holds at least 1 % of the samples, or five, if there are so many.

    Parameters
    ----------
    x, y : numpy.ndarray
        Shape (sample,).
    """
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if not x.size:
        return _Bins(*np.empty((6, 0)))
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    share = np.linspace(0, 1, _BINS + 1)[1:-1]
    edges = np.union1d(np.quantile(x, share), x[0] + share * (x[-1] - x[0]))
    fewest = max(5, round(_FEWEST * x.size))
    gaps = np.flatnonzero(np.diff(x) > share[0] * (x[-1] - x[0])) + 1
    cuts = np.array([0, x.size])
    for cut in [*gaps, *np.searchsorted(x, edges, side="right")]:
        if np.abs(cuts - cut).min() >= fewest:
            cuts = np.sort([*cuts, cut])
    parts = [slice(*pair) for pair in pairwise(cuts)]
    centres = np.array([np.median(x[part]) for part in parts])
    low, median, high = np.array([np.quantile(y[p], [0.05, 0.5, 0.95]) for p in parts]).T
    return _Bins(x[cuts[:-1]], centres, x[cuts[1:] - 1], low, median, high)
