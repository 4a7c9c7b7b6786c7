"""Skill over many basins: its distribution for several models, and where it is high and low."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybridwater import units
from hybridwater.errors import DataError
from hybridwater.report import style

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_LOWEST = -0.5


@style.styled
def skill_summary(table: pd.DataFrame, *, score: str = "NSE") -> style.ReportFigure:
    """Draw the cumulative distribution of a score over basins, one curve per model.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per basin, one column per model; NaN where a basin has no result, which counts as
        a score below all others, so that a model cannot gain by failing.
    score : str
        Name of the score, for the axis; dimensionless, best 1.

    Returns
    -------
    ReportFigure
        A matplotlib figure with caption and alternative text.

    Raises
    ------
    DataError
        If the table is empty, not numeric, or a model has no value at all.
    """
    if not len(table) or not len(table.columns):
        raise DataError(
            "The skill table is empty.",
            where=f"{len(table)} basins, {len(table.columns)} models",
            fix="Give one row per basin and one column per model",
        )
    figure = style.new_figure(4.4)
    axes = figure.subplots()
    lowest = 0.0
    for index, model in enumerate(table.columns):
        try:
            values = table[model].to_numpy(float)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"The skill of '{model}' is not numeric.",
                where=str(model),
                fix="Keep basin names in the index and only scores in the columns",
            ) from error
        missing = int(np.isnan(values).sum())
        if missing == len(values):
            raise DataError(
                f"The model '{model}' has no value in any basin.",
                where=str(model),
                fix="Leave it out of the table, or see why it failed",
            )
        ranked = np.sort(np.where(np.isnan(values), -np.inf, values))
        label = f"{model}:  median {style.number(float(np.median(ranked)))}"
        axes.ecdf(
            np.maximum(ranked, -1e9),
            color=style.MODELS[index % len(style.MODELS)],
            linestyle=("-", "--", "-.", ":")[index % 4],
            linewidth=1.8,
            label=label + (f"  (no value in {missing})" if missing else ""),
        )
        lowest = min(lowest, ranked[0])
    axes.axhline(0.5, color=style.MUTED, linewidth=0.8)
    axes.set_xlim(max(lowest, _LOWEST), 1.0)
    axes.set_ylim(0, 1)
    axes.set_xlabel(f"{score} (–)")  # noqa: RUF001
    axes.set_ylabel("fraction of basins at or below (–)")  # noqa: RUF001
    axes.grid()
    style.legend_below(figure)

    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    figure.caption = (
        f"Cumulative distribution of {score} over {len(table)} basins; further right is better."
    )
    if lowest < _LOWEST:
        figure.caption += f" Scores below {style.number(_LOWEST, 1)} lie outside the axis."
    figure.alt = f"{figure.caption} {' '.join('; '.join(labels).split())}."
    return figure


@style.styled
def skill_map(
    lat: xr.DataArray,
    lon: xr.DataArray,
    value: xr.DataArray,
    *,
    vmin: float | None = None,
    vmax: float | None = None,
) -> style.ReportFigure:
    """Draw a value per basin where its gauge is.

    Parameters
    ----------
    lat, lon : xarray.DataArray
        Shape (basin,), degrees.
    value : xarray.DataArray
        Shape (basin,), with units; NaN is drawn as an empty circle.
    vmin, vmax : float, optional
        Ends of the colours; by default the 2nd and 98th percentile. Values beyond them take the
        colour of the end, which the colour bar shows by an arrow.

    Returns
    -------
    ReportFigure
        A matplotlib figure with caption and alternative text.

    Raises
    ------
    DataError
        If shapes differ, coordinates are missing or off the globe, or every value is NaN.
    UnitError
        If the value has no units.
    """
    unit = units.require(value)
    x, y, z = (np.asarray(data.values, dtype=float) for data in (lon, lat, value))
    if x.ndim != 1 or not x.shape == y.shape == z.shape:
        raise DataError(
            f"Latitude, longitude and value have the shapes {y.shape}, {x.shape} and {z.shape}.",
            where="skill_map",
            fix="Give one number per basin in each, in the same order",
        )
    if not (np.abs(y) <= 90).all() or not (np.abs(x) <= 360).all():
        raise DataError(
            "A coordinate is missing or not on the globe.",
            where=f"basin number {int(np.argmax(~((np.abs(y) <= 90) & (np.abs(x) <= 360))))}",
            fix="Give latitude and longitude in degrees north and east",
        )
    valid = np.isfinite(z)
    if not valid.any():
        raise DataError(
            "Every value of the map is NaN.",
            where=str(value.name or "value"),
            fix="See why no basin has a result",
        )
    low = float(np.percentile(z[valid], 2)) if vmin is None else vmin
    high = float(np.percentile(z[valid], 98)) if vmax is None else vmax
    name = str(value.attrs.get("long_name", value.name or "value"))

    shrink = float(np.cos(np.deg2rad(y.mean())))
    width, height = (1.15 * max(float(np.ptp(along)), 0.5) for along in (x * shrink, y))
    width, height = max(width, 0.7 * height), max(height, 0.35 * width)  # neither strip nor line
    figure = style.new_figure(float(np.clip(6.2 * height / width, 2.4, 5.5)) + 0.9)
    figure.set_layout_engine("compressed")  # the map and its colour bar stay together
    axes = figure.subplots()
    if not valid.all():
        axes.scatter(
            x[~valid], y[~valid], s=26, facecolors="none", edgecolors=style.MUTED, label="no value"
        )
        style.legend_below(figure)
    dots = axes.scatter(
        x[valid], y[valid], c=z[valid], s=30, cmap="cividis", vmin=low, vmax=high,
        edgecolors="#333333", linewidths=0.3,
    )  # fmt: skip
    below, above = z[valid].min() < low, z[valid].max() > high
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}
    bar = figure.colorbar(
        dots, ax=axes, shrink=0.9, pad=0.02, extend=extend[int(below), int(above)]
    )
    bar.set_label(style.labelled(name, unit))
    bar.outline.set_visible(False)
    axes.set_aspect(1 / shrink)
    axes.set_xlim(np.array([-0.5, 0.5]) * width / shrink + (x.min() + x.max()) / 2)
    axes.set_ylim(np.array([-0.5, 0.5]) * height + (y.min() + y.max()) / 2)
    axes.set_xlabel(style.labelled("longitude", "degrees_east"))
    axes.set_ylabel(style.labelled("latitude", "degrees_north"))
    axes.grid()

    figure.caption = f"{name[:1].upper()}{name[1:]} at the gauges of {z.size} basins."
    figure.alt = (
        f"Map of {name} of {z.size} basins; median {np.median(z[valid]):.3g}, from "
        f"{z[valid].min():.3g} to {z[valid].max():.3g} ({style.unit_text(unit)})."
    )
    return figure
