"""The levels of one component: its mesh or river network, and ever coarser aggregates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybridwater.errors import MeshError
from hybridwater.meshes import Mesh, RiverNetwork, coarsen, coarsen_rivers
from hybridwater.meshes.hierarchy import Hierarchy, Level
from hybridwater.mgn.geometry import Nodes


@dataclass(frozen=True, eq=False)
class Levels:
    """One component at all its levels.

    Attributes
    ----------
    nodes : tuple of Nodes
        From fine to coarse.
    edges : tuple of numpy.ndarray
        Per level, shape (2, n_edges): both directions between neighbours; for rivers downstream
        only. Sorted by the target.
    widths : tuple of numpy.ndarray
        Per level, in m; of rivers ones.
    parents : tuple of numpy.ndarray
        One fewer: the aggregate of each cell.
    rivers : bool
        Whether this is a river network.
    """

    nodes: tuple[Nodes, ...]
    edges: tuple[np.ndarray, ...]
    widths: tuple[np.ndarray, ...]
    parents: tuple[np.ndarray, ...]
    rivers: bool


def make_levels(
    part: Mesh | RiverNetwork,
    *,
    count: int | None,
    ratio: float,
    least: int,
    elevation: np.ndarray | None,
    where: str,
) -> Levels:
    """Make the levels of a component.

    Parameters
    ----------
    part : Mesh or RiverNetwork
        Its cells.
    count : int, optional
        How many levels at most.
    ratio, least
        As in :func:`hybridwater.meshes.coarsen`.
    elevation : array_like, optional
        Shape (n_cells,), in m.
    where : str
        The component, for errors.

    Raises
    ------
    MeshError
        If the part is neither, the count less than one, or elevations are not one finite number
        per cell.
    """
    if isinstance(part, Mesh):
        chain = coarsen(part, ratio=ratio, least=least)
    elif isinstance(part, RiverNetwork):
        chain = coarsen_rivers(part, ratio=ratio, least=least)
    else:
        raise MeshError(
            f"A {type(part).__name__} has neither areas nor lengths of reaches.",
            where,
            "Give a Mesh (column_mesh if only areas and places are known) or a RiverNetwork",
        )
    if count is not None and count < 1:
        raise MeshError(f"There is no graph of {count} levels.", where, "Give levels=1 or more")
    height = _elevations(elevation, part.size, where)
    last = len(chain.levels) if count is None else min(count, len(chain.levels))
    rivers = isinstance(part, RiverNetwork)
    columns = isinstance(part, Mesh) and part.geometry == "columns"
    nodes, edges, widths = [], [], []
    for k, level in enumerate(chain.levels[:last]):
        if k:
            height = chain.restriction(k - 1) @ height
        nodes.append(_nodes(level, height, chain))
        index, width = _edges(level, columns)
        edges.append(index)
        widths.append(width)
    return Levels(tuple(nodes), tuple(edges), tuple(widths), chain.parents[: last - 1], rivers)


def _elevations(elevation: np.ndarray | None, size: int, where: str) -> np.ndarray:
    if elevation is None:
        return np.zeros(size)
    height = np.asarray(elevation, dtype=float)
    if height.shape != (size,) or not np.isfinite(height).all():
        raise MeshError(
            f"The elevations have the shape {height.shape} and "
            f"{int((~np.isfinite(height)).sum())} missing values, for {size} cells.",
            where,
            "Give one finite elevation in m per cell, or none",
        )
    return height


def _nodes(level: Level, height: np.ndarray, chain: Hierarchy) -> Nodes:
    if level.network is None:
        return Nodes(level.measure, np.sqrt(level.measure), level.points, height)
    # Length of river above: what every level of a network has, areas or not.
    upstream = level.network.accumulate(level.measure)
    return Nodes(level.measure, level.measure, level.points, height, upstream)


def _edges(level: Level, columns: bool) -> tuple[np.ndarray, np.ndarray]:
    graph = level.adjacency.tocsr()
    graph.sort_indices()
    target = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    source = graph.indices.astype(np.int64)
    width = np.asarray(graph.data, dtype=float)
    if columns:  # they have no outline; the common edge of squares of their size
        width = np.sqrt(np.sqrt(level.measure[source] * level.measure[target]))
    return np.stack([source, target]), width
