"""Maps of meshes, of values on them, and of what a remap covers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import DataError
from hybridwater.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import Collection

    from hybridwater.meshes import Mesh, Remap

_MOST_LINES = 2_000
"""Meshes with more cells are drawn without the lines between them, which would hide the cells."""


@style.styled
def mesh_map(
    mesh: Mesh,
    values: np.ndarray | None = None,
    *,
    quantity: str = "value",
    unit: str = "1",
) -> style.ReportFigure:
    """Draw the cells of a mesh, coloured by values or by their areas.

    Parameters
    ----------
    mesh : Mesh
        Any; columns are drawn as points. Of a spherical mesh, cells with their centroids within
        180 degrees of Greenwich are drawn whole; one that holds a pole cannot be drawn, and the
        caption says so.
    values : array_like, optional
        Shape (n_cells,); areas in km2 by default. Missing values stay blank.
    quantity, unit : str
        Name and unit of the values, for the colour bar.

    Returns
    -------
    ReportFigure
        A matplotlib figure with caption and alternative text.

    Raises
    ------
    DataError
        If there is not one value per cell.
    UnitError
        If the unit is not known.
    """
    if values is None:
        values, quantity, unit = mesh.areas / 1e6, "area", "km2"
    values = np.asarray(values, dtype=float)
    if values.shape != (mesh.size,):
        raise DataError(
            f"The values have the shape {values.shape}, but the mesh has {mesh.size} cells.",
            where=f"mesh '{mesh.name}'",
            fix="Give one value per cell; select one time and one member first",
        )
    figure = style.new_figure(4.8)
    axes = figure.subplots()
    drawn, missing = _draw(axes, mesh, values)
    figure.colorbar(drawn, ax=axes, label=style.labelled(quantity, unit), shrink=0.8)
    _frame(axes, mesh)
    left_out = f" Cells that hold a pole are left out: {missing}." if missing else ""
    figure.caption = f"{mesh.size} cells of the mesh '{mesh.name}'.{left_out}"
    low, high = (style.scientific(float(f(values))) for f in (np.nanmin, np.nanmax))
    figure.alt = (
        f"Map of the mesh '{mesh.name}' with {mesh.size} cells, coloured by {quantity} from {low} "
        f"to {high} {style.unit_text(unit)}."
    )
    return figure


@style.styled
def remap_map(remap: Remap, source: Mesh, target: Mesh) -> style.ReportFigure:
    """Draw which share of each source cell is given and which part of each target cell is covered.

    Parameters
    ----------
    remap : Remap
        From ``source`` to ``target``.
    source, target : Mesh
        Its meshes.

    Returns
    -------
    ReportFigure
        A matplotlib figure with caption and alternative text.

    Raises
    ------
    DataError
        If the meshes are not those of the remap.
    """
    if (target.size, source.size) != remap.shares.shape:
        raise DataError(
            f"The remap is from {remap.shares.shape[1]} to {remap.shares.shape[0]} cells, the "
            f"meshes have {source.size} and {target.size}.",
            where=f"remap '{remap.source}' to '{remap.target}'",
            fix="Give the meshes that it was made from, the source first",
        )
    figure = style.new_figure(3.4)
    sides = (
        (source, remap.source_fraction, "share of the source that is given"),
        (target, remap.target_fraction, "part of the target that is covered"),
    )
    for axes, (mesh, fraction, title) in zip(figure.subplots(1, 2), sides, strict=True):
        drawn, _ = _draw(axes, mesh, fraction)
        drawn.set_clim(0.0, 1.0)
        figure.colorbar(drawn, ax=axes, orientation="horizontal", label=title, shrink=0.8)
        axes.set_title(mesh.name)
        _frame(axes, mesh)
    given = float((remap.source_fraction * source.areas).sum() / source.areas.sum())
    covered = float((remap.target_fraction * target.areas).sum() / target.areas.sum())
    figure.caption = (
        f"{remap.method.capitalize()}, from '{source.name}' ({source.size} cells) to "
        f"'{target.name}' ({target.size} cells), {remap.shares.nnz} overlaps. "
        f"{style.number(100 * given, 1)} % of the source is given, "
        f"{style.number(100 * covered, 1)} % of the target covered."
    )
    figure.alt = f"Two maps. {figure.caption}"
    return figure


def _draw(axes: Axes, mesh: Mesh, values: np.ndarray) -> tuple[Collection, int]:
    """Draw cells; return what was drawn and the number of cells that cannot be."""
    from matplotlib.collections import PathCollection

    if mesh.geometry == "columns":
        size = float(np.clip(4000.0 / mesh.size, 3.0, 60.0))
        return axes.scatter(*mesh.centroids.T, c=values, s=size, linewidths=0), 0
    whole = np.ones(mesh.size, dtype=bool)
    paths = []
    for cell in range(mesh.size):
        path = _path(mesh, cell)
        if path is None:
            whole[cell] = False
        else:
            paths.append(path)
    line = 0.3 if mesh.size <= _MOST_LINES else 0.0
    drawn = PathCollection(paths, array=values[whole], edgecolors="#ffffff", linewidths=line)
    axes.add_collection(drawn)
    axes.autoscale_view()
    return drawn, int((~whole).sum())


def _path(mesh: Mesh, cell: int):
    """Outline of a cell with its holes, or None where it holds a pole."""
    from matplotlib.path import Path

    vertices, codes = [], []
    for ring in range(mesh.parts[cell], mesh.parts[cell + 1]):
        points = mesh.nodes[mesh.corners[mesh.rings[ring] : mesh.rings[ring + 1]]]
        if mesh.geometry == "spherical":
            step = np.diff(points[:, 0], append=points[0, 0])
            turns = (step + 180.0) % 360.0 - 180.0
            if abs(turns.sum()) > 1.0:
                return None
            lon = points[0, 0] + np.cumsum(turns) - turns
            middle = (mesh.centroids[cell, 0] + 180.0) % 360.0 - 180.0
            lon = lon + 360.0 * np.round((middle - lon.mean()) / 360.0)
            points = np.stack([lon, points[:, 1]], axis=1)
        vertices += [points, points[:1]]
        codes += [Path.MOVETO, *[Path.LINETO] * (len(points) - 1), Path.CLOSEPOLY]
    return Path(np.concatenate(vertices), codes)


def _frame(axes: Axes, mesh: Mesh) -> None:
    degrees = mesh.geometry == "spherical" or mesh.crs == "OGC:CRS84"
    axes.set_aspect("equal")
    axes.set_xlabel("longitude (°E)" if degrees else "x (m)")
    axes.set_ylabel("latitude (°N)" if degrees else "y (m)")
