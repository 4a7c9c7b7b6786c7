"""Cells of which only area and place are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hybridwater.meshes.mesh import Mesh

LONLAT = "OGC:CRS84"
"""Name of the coordinate reference system of longitude and latitude in degrees."""


def column_mesh(
    areas: np.ndarray,
    centroids: np.ndarray,
    *,
    name: str = "columns",
    names: Sequence[str] = (),
    lonlat: bool = True,
) -> Mesh:
    """Make a mesh of columns: cells with an area and a centroid but no outline.

    They take part in exchanges by maps of cell to cell (:func:`basin_map`), not by overlap, and
    have no neighbours; a hierarchy joins those that lie close together.

    Parameters
    ----------
    areas : array_like
        Shape (n_cells,), in m2.
    centroids : array_like
        Shape (n_cells, 2).
    name, names
        Name of the mesh and of its cells.
    lonlat : bool
        Whether centroids are longitude and latitude in degrees; otherwise x and y in m.

    Returns
    -------
    Mesh

    Raises
    ------
    MeshError
        If an area is not positive, or a centroid not finite.
    """
    none = np.zeros(0, dtype=int)
    return Mesh(
        name,
        "columns",
        np.zeros((0, 2)),
        none,
        none,
        none,
        areas,
        centroids,
        tuple(names),
        crs=LONLAT if lonlat else "",
    )
