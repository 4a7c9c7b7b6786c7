"""Cumulative water balance: inflows, outflows, storage change and what is left over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import DataError
from hybridwater.report import style
from hybridwater.report.series import drawing_times, one_basin

if TYPE_CHECKING:
    import xarray as xr

_DASHES = {"in": "-", "out": "--", "storage": "-"}
_WORDS = {"in": "in", "out": "out", "storage": "stored"}
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


@style.styled
def water_balance(balance: xr.Dataset, *, basin: str | None = None) -> style.ReportFigure:
    """Draw each flux of the water balance of one basin, cumulated, and the residual below.

    Parameters
    ----------
    balance : xarray.Dataset
        Cumulated depths since the start, shape (time,) or (basin, time), units convertible to mm.
        Every variable has ``attrs["role"]``: "in", "out", "storage" or, exactly one, "residual".
    basin : str, optional
        The basin to draw; may be left out where there is only one.

    Returns
    -------
    ReportFigure
        A matplotlib figure whose caption states the largest magnitude of the residual.

    Raises
    ------
    DataError
        If a role is missing or unknown, there is no flux, no storage change or not exactly one
        residual, or a variable is all NaN.
    UnitError
        If units are missing or not a depth of water.
    """
    roles = _roles(balance)
    depths = {str(n): one_basin(balance[n], str(n), basin, "mm") for n in roles}
    fluxes = {n: depths[n] for role in _DASHES for n in roles if roles[n] == role}
    residual = depths[next(n for n in roles if roles[n] == "residual")]

    figure = style.new_figure(6.2)
    upper, middle, lower = figure.subplots(3, sharex=True, height_ratios=[2.6, 1.2, 1.2])
    colours = iter(_COLOURS * (len(fluxes) // len(_COLOURS) + 1))
    for name, depth in fluxes.items():
        (middle if roles[name] == "storage" else upper).plot(
            _ends(depth),
            depth.values,
            color=next(colours),
            linestyle=_DASHES[roles[name]],
            linewidth=1.6 if roles[name] != "storage" else 1.0,
            label=f"{_WORDS[roles[name]]}:  {_title(depth)}  {_total(depth)} mm",
        )
    lower.plot(_ends(residual), residual.values, color=style.OBSERVED, linewidth=1.0)
    upper.set_ylabel(style.labelled("cumulative flux", "mm"))
    middle.set_ylabel(style.labelled("Δ storage", "mm", break_line=True))
    lower.set_ylabel(style.labelled("residual", "mm", break_line=True))
    upper.set_xlim(residual["time"].values[0], _ends(residual)[-1])
    for axes in (upper, middle, lower):
        style.horizontal_grid(axes)
        axes.axhline(0, color=style.MUTED, linewidth=0.8)
    figure.align_ylabels([upper, middle, lower])
    style.legend_below(figure, columns=2)
    _describe(figure, residual, [depths[n] for n in roles if roles[n] == "in"], basin)
    return figure


def _roles(balance: xr.Dataset) -> dict[str, str]:
    roles = {str(name): str(data.attrs.get("role", "")) for name, data in balance.items()}
    for name, role in roles.items():
        if role not in {*_DASHES, "residual"}:
            raise DataError(
                f"'{name}' has the role '{role}' in the water balance, which is not known.",
                where=name,
                fix=f"Set balance['{name}'].attrs['role'] to in, out, storage or residual",
            )
    counts = {role: list(roles.values()).count(role) for role in (*_DASHES, "residual")}
    if counts["residual"] != 1 or not counts["storage"] or not counts["in"] + counts["out"]:
        raise DataError(
            "The water balance is not complete.",
            where=", ".join(f"{count} with role '{role}'" for role, count in counts.items()),
            fix="Give fluxes ('in', 'out'), a storage change ('storage') and one 'residual'",
        )
    return roles


def _ends(depth: xr.DataArray) -> np.ndarray:
    """Return the ends of the records, since a cumulated depth holds there."""
    return drawing_times(depth.assign_attrs(cell_methods="time: point"))


def _title(depth: xr.DataArray) -> str:
    return str(depth.attrs.get("long_name", depth.name)).replace("_", " ")


def _total(depth: xr.DataArray) -> str:
    """Last depth, in whole millimetres once that is precise enough."""
    last = float(depth.dropna("time")[-1])
    return style.number(last, 0 if abs(last) >= 100 else 1)


def _describe(
    figure: style.ReportFigure,
    residual: xr.DataArray,
    inflows: list[xr.DataArray],
    basin: str | None,
) -> None:
    largest = float(np.abs(residual).max())
    caption = (
        f"Cumulative water balance{f' of basin {basin}' if basin else ''}. "
        f"Largest residual {style.scientific(largest)} mm"
    )
    total = sum(float(np.abs(flux).max()) for flux in inflows)
    if total > 0:
        caption += f", {style.scientific(largest / total)} of all inflow"
    figure.caption = f"{caption}. Numbers in the legend are totals at the end."
    labels = figure.legends[0].get_texts()
    figure.alt = (
        f"{caption}. Totals: {' '.join('; '.join(text.get_text() for text in labels).split())}."
    )
