"""Maps from basins (HRUs, catchments) to the reaches that they drain to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import MeshError
from hybridwater.meshes.remap import Remap

if TYPE_CHECKING:
    from hybridwater.meshes.mesh import Mesh
    from hybridwater.meshes.rivers import RiverNetwork


def basin_map(
    mesh: Mesh,
    network: RiverNetwork,
    reaches: np.ndarray,
    *,
    cells: np.ndarray | None = None,
    fractions: np.ndarray | None = None,
) -> Remap:
    """Make the remap from basins to the reaches that they drain to.

    Parameters
    ----------
    mesh : Mesh
        Basins of any geometry, columns included.
    network : RiverNetwork
        Their rivers.
    reaches : array_like of int
        Index of the reach of each basin, -1 for basins that drain nowhere; or, with ``cells``,
        of each link.
    cells : array_like of int, optional
        Basin of each link, where a basin can drain to several reaches.
    fractions : array_like, optional
        Share of the water of the basin that takes each link; 1 by default.

    Returns
    -------
    Remap
        For amounts and their rates (:meth:`Remap.amounts`). ``source_fraction`` says what of each
        basin arrives.

    Raises
    ------
    MeshError
        If an index is unknown, a fraction is not between 0 and 1, or a basin gives more than it
        has.

    Examples
    --------
    >>> river = RiverNetwork([1, -1], [1000.0, 1000.0])
    >>> basins = column_mesh([1e6, 2e6, 3e6], [[0, 50], [1, 50], [2, 50]])
    >>> basin_map(basins, river, [0, 0, 1]).amounts([1.0, 2.0, 3.0])
    array([3., 3.])
    """
    from scipy.sparse import csr_array

    reaches = np.asarray(reaches, dtype=np.int64)
    cells = np.arange(mesh.size) if cells is None else np.asarray(cells, dtype=np.int64)
    share = np.ones(len(reaches)) if fractions is None else np.asarray(fractions, dtype=float)
    where = f"basins '{mesh.name}' to rivers '{network.name}'"
    if not reaches.shape == cells.shape == share.shape:
        raise MeshError(
            f"There are {reaches.size} reaches, {share.size} fractions and {cells.size} basins.",
            where=where,
            fix="Give one of each per link; without cells=..., one reach per basin",
        )
    for what, index, low, size in (
        ("reach", reaches, -1, network.size),
        ("basin", cells, 0, mesh.size),
    ):
        bad = (index < low) | (index >= size)
        if bad.any():
            link = int(np.argmax(bad))
            raise MeshError(
                f"There is no {what} {index[link]}: they are counted from 0 to {size - 1}.",
                where=f"{where}, link {link}",
                fix="Count from zero (PRMS counts from one), -1 for basins that drain nowhere",
            )
    total = np.bincount(cells, share, mesh.size)
    bad = ~((share >= 0.0) & (share <= 1.0)) | (total > 1.0 + 1e-12)[cells]
    if bad.any():
        cell = int(cells[np.argmax(bad)])
        raise MeshError(
            f"The fractions of a basin are not between 0 and 1 or add up to more "
            f"({total[cell]:.6g}).",
            where=f"{where}, basin '{mesh.cell_name(cell)}'",
            fix="A basin cannot give more water than it has: correct its fractions",
        )
    flows = (reaches >= 0) & (share > 0.0)
    entries = (share[flows], (reaches[flows], cells[flows]))
    lines = np.full(network.size, np.nan)
    return Remap(
        csr_array(entries, shape=(network.size, mesh.size)),
        mesh.areas,
        lines,
        np.ones(network.size),
        source=mesh.name,
        target=network.name,
        method="basin to reach",
        source_centroids=mesh.centroids,
        target_centroids=network.points,
    )
