"""Meshes of MPAS: spherical or planar Voronoi cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import MeshError, nearest
from hybridwater.files import open_netcdf
from hybridwater.meshes.mesh import Mesh

if TYPE_CHECKING:
    import xarray as xr


def read_mpas(data: xr.Dataset | str | Path, *, name: str = "mpas") -> Mesh:
    """Read the cells of an MPAS mesh (MPAS Mesh Specification 1.0).

    Parameters
    ----------
    data : xarray.Dataset or path-like
        With ``verticesOnCell``, ``nEdgesOnCell`` and ``lonVertex``, ``latVertex`` [radians], or
        ``xVertex``, ``yVertex`` [m] if the attribute ``on_a_sphere`` is ``NO``.
    name : str
        Name of the mesh.

    Returns
    -------
    Mesh
        Areas are those of the polygons on the mean sphere of the Earth, whatever ``sphere_radius``
        the file has, so that all spherical meshes have one sphere.

    Raises
    ------
    MeshError
        If a variable is missing, or the mesh is planar and periodic.
    """
    data = open_netcdf(data, MeshError)
    on_sphere = str(data.attrs.get("on_a_sphere", "YES")).strip().upper() != "NO"
    if not on_sphere and str(data.attrs.get("is_periodic", "NO")).strip().upper() == "YES":
        raise MeshError(
            "A planar periodic mesh has cells that lie on both of its sides.",
            where=f"mesh '{name}'",
            fix="Cut it open first, or use a spherical mesh",
        )
    x, y = ("lonVertex", "latVertex") if on_sphere else ("xVertex", "yVertex")
    for needed in (x, y, "verticesOnCell", "nEdgesOnCell"):
        if needed not in data.variables:
            raise MeshError(
                f"The variable '{needed}' is missing: {nearest(needed, map(str, data.variables))}",
                where=f"mesh '{name}'",
                fix="Give the grid or init file of MPAS, not one with fields only",
            )
    nodes = np.stack([data[x].values, data[y].values], axis=1)
    vertices = data["verticesOnCell"].values.astype(int) - 1
    used = np.arange(vertices.shape[1]) < data["nEdgesOnCell"].values[:, None]
    return Mesh.from_faces(
        np.degrees(nodes) if on_sphere else nodes,
        np.where(used, vertices, -1),
        name=name,
        geometry="spherical" if on_sphere else "planar",
    )
