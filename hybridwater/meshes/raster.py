"""Rectangles in the plane: rasters, structured groundwater grids."""

from __future__ import annotations

import numpy as np

from hybridwater.meshes.latlon import strictly_monotonic
from hybridwater.meshes.mesh import Mesh


def raster_mesh(
    x_bounds: np.ndarray, y_bounds: np.ndarray, *, name: str = "raster", crs: str = ""
) -> Mesh:
    """Make a mesh of rectangles, regular or rectilinear.

    Parameters
    ----------
    x_bounds : array_like
        Shape (n_columns + 1,), in m, strictly increasing.
    y_bounds : array_like
        Shape (n_rows + 1,), in m, strictly increasing or decreasing (images run from north to
        south).
    name, crs : str
        Name and coordinate reference system of the mesh.

    Returns
    -------
    Mesh
        Planar, n_rows * n_columns cells, x running fastest, in the given order of y.

    Raises
    ------
    MeshError
        If bounds are not monotonic.

    Examples
    --------
    >>> raster_mesh([0, 500, 1500], [0, 1000]).areas.tolist()
    [500000.0, 1000000.0]
    """
    x = strictly_monotonic(x_bounds, "x bound", name, increasing=True)
    y = strictly_monotonic(y_bounds, "y bound", name, increasing=False)
    nodes = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    row, column = np.divmod(np.arange((len(y) - 1) * (len(x) - 1)), len(x) - 1)
    first = row * len(x) + column
    faces = np.stack([first, first + 1, first + len(x) + 1, first + len(x)], axis=1)
    return Mesh.from_faces(nodes, faces, name=name, crs=crs, shape=(len(y) - 1, len(x) - 1))
