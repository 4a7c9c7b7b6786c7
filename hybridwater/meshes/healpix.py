"""HEALPix meshes, by astropy-healpix."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hybridwater.errors import MeshError, MissingDependency
from hybridwater.meshes.mesh import Mesh


def healpix_mesh(
    nside: int,
    *,
    ordering: Literal["nested", "ring"] = "nested",
    steps: int = 1,
    name: str = "healpix",
) -> Mesh:
    """Make the HEALPix mesh of 12 nside^2 cells (Gorski et al. 2005, doi:10.1086/427976).

    The sides of HEALPix cells are no great circles. They are drawn with ``steps`` great circles
    each, and areas are those of the polygons so drawn: with one step they differ from the
    equal areas of HEALPix by up to a few percent, with more steps less.

    Parameters
    ----------
    nside : int
        Resolution, a power of two.
    ordering : str
        ``"nested"`` or ``"ring"``.
    steps : int
        Great circles per side.
    name : str
        Name of the mesh.

    Returns
    -------
    Mesh

    Raises
    ------
    MissingDependency
        If astropy-healpix is not installed.
    MeshError
        If nside, ordering or steps cannot be.
    """
    if ordering not in ("nested", "ring") or nside < 1 or nside & (nside - 1) or steps < 1:
        raise MeshError(
            f"There is no HEALPix mesh with nside {nside}, ordering '{ordering}', {steps} steps.",
            where=f"mesh '{name}'",
            fix="nside is 1, 2, 4, 8, ...; steps is 1 or more; ordering is 'nested' or 'ring'",
        )
    try:
        from astropy_healpix.healpy import boundaries
    except ImportError as error:
        raise MissingDependency(
            "HEALPix meshes need the package 'astropy-healpix'.",
            fix='pip install "hybridwater[components]"',
        ) from error
    cells = np.arange(12 * nside**2)
    vectors = boundaries(nside, cells, step=steps, nest=ordering == "nested")
    points = np.moveaxis(np.asarray(vectors), 1, 2).reshape(-1, 3)
    # Corners that cells have in common come out equal but for rounding.
    _, first, corners = np.unique(
        np.round(points, 12) + 0.0, axis=0, return_index=True, return_inverse=True
    )
    from hybridwater.meshes.sphere import to_lonlat

    faces = corners.reshape(len(cells), 4 * steps)
    return Mesh.from_faces(to_lonlat(points[first]), faces, name=name, geometry="spherical")
