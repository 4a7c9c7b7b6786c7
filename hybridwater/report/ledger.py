"""The ledger of a coupled run over time: what comes in, goes out and stays, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import DataError
from hybridwater.report import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_POINTS = 200
"""Coupling steps are drawn in at most that many groups of equal length."""

_HM3 = 1e9  # kg in a cubic hectometre, a million m3


@style.styled
def water_ledger(ledger: xr.Dataset) -> style.ReportFigure:
    """Draw inflow, outflow and storage of each component, and how well all of it closes.

    Parameters
    ----------
    ledger : xarray.Dataset
        As of :meth:`hybridwater.coupling.CoupledModel.ledger`.

    Returns
    -------
    ReportFigure
        A matplotlib figure with caption and alternative text.

    Raises
    ------
    DataError
        If the ledger has no row.
    """
    rows = ledger.sizes["time"]
    if not rows:
        raise DataError("The ledger has no row.", fix="Run the coupled model first")
    components = [str(name) for name in ledger["component"].values]
    times, ends, days = _axis(ledger)
    size = -(-rows // _POINTS)
    figure = style.new_figure(1.5 * len(components) + 2.0)
    grid = figure.add_gridspec(len(components) + 1, 2)
    for i, name in enumerate(components):
        fluxes, store = figure.add_subplot(grid[i, 0]), figure.add_subplot(grid[i, 1])
        inflow, outflow, change = (
            ledger[what].sel(component=name).values / _HM3
            for what in ("inflow", "outflow", "storage_change")
        )
        at = times[::size]
        per_day = [_grouped(values, size) / _grouped(days, size) for values in (inflow, outflow)]
        fluxes.fill_between(at, per_day[0], step="post", color=style.MODELS[1], label="in")
        fluxes.fill_between(at, -per_day[1], step="post", color=style.MODELS[0], label="out")
        store.plot(ends, np.cumsum(change), color=style.MODELS[2], label="storage since the start")
        for axes in (fluxes, store):
            axes.axhline(0, color=style.MUTED, linewidth=0.6)
            style.horizontal_grid(axes)
            axes.margins(x=0)
            axes.tick_params(labelbottom=i == len(components) - 1)
        fluxes.set_title(name, loc="left", fontsize=10)
        fluxes.set_ylabel(style.unit_text("hm3 d-1"))
        store.set_ylabel(style.unit_text("hm3"))
    closure = figure.add_subplot(grid[-1, :])
    worst = _draw_closure(closure, ledger, times)
    handles = [h for axes in figure.axes[:2] for h in axes.get_legend_handles_labels()[0]]
    labels = [n for axes in figure.axes[:2] for n in axes.get_legend_handles_labels()[1]]
    if components:
        figure.legend(handles, labels, loc="outside lower left", ncols=3)
    figure.caption = (
        f"Water of {len(components)} components: what crosses their boundaries (left), what they "
        "hold (right), and what is missing in a coupling step, relative to the water that moved "
        "and is in store (below)."
    )
    figure.alt = f"{figure.caption} Largest: {style.scientific(worst)}."
    return figure


def relative_residual(ledger: xr.Dataset) -> np.ndarray:
    """Return what is missing in each coupling step, relative to what moved and is in store.

    Parameters
    ----------
    ledger : xarray.Dataset
        As of :meth:`hybridwater.coupling.CoupledModel.ledger`.

    Returns
    -------
    numpy.ndarray
        Shape (time,); of a batch (copy, time).
    """
    scale = (
        abs(ledger["storage"]).sum("component")
        + abs(ledger["boundary_flux"]).sum("flux")
        + (ledger["given"] + ledger["delivered"]).sum("exchange")
    )
    return (abs(ledger["residual"]) / scale.where(scale > 0, 1.0)).values


def _draw_closure(axes: Axes, ledger: xr.Dataset, times: np.ndarray) -> float:
    relative = relative_residual(ledger)
    axes.plot(times, np.maximum(relative, 1e-18), color=style.OBSERVED, linewidth=0.8)
    axes.axhline(1e-12, color=style.MODELS[0], linewidth=0.9, linestyle="--")
    axes.set_yscale("log")
    axes.set_ylim(1e-18, max(1e-10, 3 * float(relative.max())))
    axes.yaxis.set_major_formatter(_power)
    axes.set_ylabel(style.labelled("missing", "1"))
    axes.margins(x=0)
    style.horizontal_grid(axes)
    return float(relative.max())


def _power(value: float, _: float) -> str:
    return style.scientific(value).removeprefix("1.0 × ")  # noqa: RUF001


def _axis(ledger: xr.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return start, end and length [d] of each coupling step, each of shape (time,)."""
    times = ledger["time"].values
    dated = times.dtype.kind == "M"
    days = times.astype("datetime64[ns]").astype(float) / 8.64e13 if dated else times / 86400.0
    lengths = np.diff(days, append=np.nan)
    lengths[-1] = lengths[-2] if len(days) > 1 else 1.0
    if not dated:
        return days, days + lengths, lengths
    return times, times + np.round(lengths * 8.64e13).astype("timedelta64[ns]"), lengths


def _grouped(values: np.ndarray, size: int) -> np.ndarray:
    """Return the sums of groups of neighbours."""
    return np.add.reduceat(values, np.arange(0, len(values), size))
