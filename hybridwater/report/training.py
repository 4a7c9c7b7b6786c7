"""Training curve: loss and skill against epoch, with the stages of the schedule shaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import DataError, nearest
from hybridwater.report import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLUMNS = ("stage", "epoch", "loss", "train_nse", "validation_nse")
_LOWEST_NSE = -1.0


@style.styled
def training_curve(metrics: pd.DataFrame) -> style.ReportFigure:
    """Draw the loss and the skill of every epoch.

    Parameters
    ----------
    metrics : pandas.DataFrame
        One row per epoch, with the columns ``stage``, ``epoch``, ``loss``, ``train_nse`` and
        ``validation_nse``. Where epochs start anew with every stage they are numbered through.

    Returns
    -------
    ReportFigure
        A matplotlib figure with caption and alternative text.

    Raises
    ------
    DataError
        If a column is missing, there is no row, or no loss is finite.
    """
    known = [str(column) for column in metrics.columns]
    for column in _COLUMNS:
        if column not in known:
            raise DataError(
                f"The metrics have no column '{column}'.",
                where=f"columns {known}",
                fix=f"Give the metrics table of a fit; {nearest(column, known)}",
            )
    loss = metrics["loss"].to_numpy(float)
    if not np.isfinite(loss).any():
        raise DataError(
            "The metrics hold no finite loss.",
            where=f"{len(metrics)} rows",
            fix="Train for at least one epoch; if every loss is NaN, look at the data first",
        )
    within = metrics["epoch"].to_numpy(float)
    epoch = within.copy()
    for row in np.flatnonzero(np.diff(within) <= 0) + 1:
        epoch[row:] = epoch[row - 1] + within[row:]
    stage = metrics["stage"].astype(str).to_numpy()
    starts = np.flatnonzero(np.r_[True, stage[1:] != stage[:-1]])
    parts = np.split(np.arange(len(stage)), starts[1:])

    figure = style.new_figure(4.8)
    upper, lower = figure.subplots(2, sharex=True)
    _shade(upper, lower, epoch, [(stage[part[0]], part) for part in parts])
    for part in parts:
        upper.plot(epoch[part], loss[part], color=style.OBSERVED, **_points(part))
    finite = loss[np.isfinite(loss)]
    if finite.min() > 0 and finite.max() > 10 * finite.min():
        style.logarithmic(upper)
    skill = {n: metrics[f"{n}_nse"].to_numpy(float) for n in ("train", "validation")}
    for colour, (name, values) in zip(style.MODELS[1::-1], skill.items(), strict=True):
        if np.isnan(values).all():
            continue
        for part in parts:
            label = name if part is parts[0] else "_" + name
            lower.plot(epoch[part], values[part], color=colour, label=label, **_points(part))
    best = _mark_best(lower, epoch, skill["validation"])
    lowest = np.nanmin([*skill["train"], *skill["validation"], 0.0])
    lower.set_ylim(max(lowest - 0.05, _LOWEST_NSE), 1.0)
    upper.set_ylabel("loss (–)")  # noqa: RUF001
    lower.set_ylabel("NSE (–)")  # noqa: RUF001
    lower.set_xlabel("epoch")
    for axes in (upper, lower):
        style.horizontal_grid(axes)
    figure.align_ylabels([upper, lower])
    if lower.get_legend_handles_labels()[0]:
        style.legend_below(figure, columns=2)

    figure.caption = f"Loss and skill of {epoch[-1]:.0f} epochs{best}."
    if lowest < _LOWEST_NSE:
        figure.caption += f" NSE below {style.number(_LOWEST_NSE, 0)} is not shown."
    last = finite[-1]
    figure.alt = f"Training curve of {epoch[-1]:.0f} epochs; last loss {last:.3g}{best}."
    return figure


def _points(part: np.ndarray) -> dict[str, object]:
    """Line style of one stage; a stage of a single epoch is a dot."""
    return {"linewidth": 1.5, "marker": "." if len(part) == 1 else ""}


def _shade(
    upper: Axes, lower: Axes, epoch: np.ndarray, parts: list[tuple[str, np.ndarray]]
) -> None:
    """Shade and name the stages, given as names and row numbers, in both panels."""
    spans = [(n, float(epoch[p[0]]) - 0.5, float(epoch[p[-1]]) + 0.5) for n, p in parts]
    for index, (_, left, right) in enumerate(spans):
        for axes in (upper, lower):
            axes.axvspan(left, right, color=style.SHADES[index % 2], linewidth=0, zorder=0)
    style.name_spans(upper, spans, epoch[0] - 0.5, epoch[-1] + 0.5)
    upper.set_xlim(epoch[0] - 0.5, epoch[-1] + 0.5)


def _mark_best(axes: Axes, epoch: np.ndarray, validation: np.ndarray) -> str:
    """Mark the best validation NSE and return the words for it."""
    if not np.isfinite(validation).any():
        return ""
    best = int(np.nanargmax(validation))
    text = f"best validation NSE {style.number(validation[best], 3)} at epoch {epoch[best]:.0f}"
    axes.plot(
        epoch[best],
        validation[best],
        marker="o",
        markersize=6,
        markerfacecolor="none",
        color=style.OBSERVED,
        linestyle="none",
        label=text,
        clip_on=False,
    )
    return f"; {text}"
