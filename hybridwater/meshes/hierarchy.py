"""Chains of ever coarser levels, on any mesh and any river network.

Cells are joined to aggregates; there is no coarse geometry. What moves between levels is conserved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import MeshError
from hybridwater.meshes import sphere
from hybridwater.meshes.columns import LONLAT
from hybridwater.meshes.pairing import heavy_pairs, relabelled
from hybridwater.meshes.rivers import RiverNetwork

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from hybridwater.meshes.mesh import Mesh

_CLOSE = 1.4
"""A level may have this many times more cells than wanted; another pairing would be further off."""

_NEAREST = 6
"""Neighbours of a column, which has no edges: those whose centroids are nearest."""


@dataclass(frozen=True, eq=False)
class Level:
    """One level of a hierarchy.

    Attributes
    ----------
    measure : numpy.ndarray
        Shape (n,): areas in m2, of reaches lengths in m.
    points : numpy.ndarray
        Shape (n, axes), in m: positions in the plane, or on the sphere of the Earth (3 axes).
    adjacency : scipy.sparse.csr_array
        Shape (n, n): length of shared edges in m (meshes), 1 / distance (columns); or, for rivers,
        one at (i, j) where j flows into i.
    network : RiverNetwork or None
        The network of this level, for rivers.
    """

    measure: np.ndarray
    points: np.ndarray
    adjacency: csr_array
    network: RiverNetwork | None = None


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Levels from fine to coarse and the way between them.

    Attributes
    ----------
    levels : tuple of Level
        The first is the mesh itself.
    parents : tuple of numpy.ndarray
        One fewer: for each cell of level k its aggregate in level k + 1.
    """

    levels: tuple[Level, ...]
    parents: tuple[np.ndarray, ...]

    def __repr__(self) -> str:
        sizes = " -> ".join(str(len(level.measure)) for level in self.levels)
        return f"<Hierarchy of {len(self.levels)} levels: {sizes} cells>"

    def sums(self, level: int) -> csr_array:
        """Return the matrix that adds up amounts of ``level`` to those of ``level + 1``."""
        from scipy.sparse import csr_array

        parents = self.parents[level]
        shape = (len(self.levels[level + 1].measure), len(parents))
        return csr_array((np.ones(len(parents)), (parents, np.arange(len(parents)))), shape=shape)

    def restriction(self, level: int) -> csr_array:
        """Return the matrix from means of ``level`` to means of ``level + 1``.

        Shape (n_coarse, n_fine): averages weighted by measure, so that measure times mean adds up
        to the same.
        """
        from scipy.sparse import diags_array

        coarse = 1.0 / self.levels[level + 1].measure
        weighted = diags_array(coarse) @ self.sums(level) @ diags_array(self.levels[level].measure)
        return weighted.tocsr()

    def prolongation(self, level: int) -> csr_array:
        """Return the matrix from means of ``level + 1`` to means of ``level``.

        Shape (n_fine, n_coarse): each cell gets the mean of its aggregate. Measure times mean adds
        up to the same, and restriction after prolongation changes nothing.
        """
        return self.sums(level).T.tocsr()


def coarsen(
    mesh: Mesh,
    *,
    ratio: float = 4.0,
    least: int = 16,
    adjacency: csr_array | None = None,
) -> Hierarchy:
    """Make a hierarchy on any mesh.

    Cells are joined in pairs, repeatedly, over long common edges and small cells first, so that a
    mesh that is finer in places stays so. The result is the same on every machine.

    Parameters
    ----------
    mesh : Mesh
        Any geometry. Columns, which have no edges, are joined to columns nearby.
    ratio : float
        How many times fewer cells each level has, roughly; more than 1.
    least : int
        The coarsest level has about this number of cells, or more where parts of the mesh are not
        connected.
    adjacency : scipy.sparse.csr_array, optional
        Symmetric, shape (n_cells, n_cells), positive where cells are neighbours; that of the mesh
        by default.

    Returns
    -------
    Hierarchy
        Every aggregate is connected.

    Raises
    ------
    MeshError
        If an argument is not one of those above, or the adjacency is not symmetric, not positive
        or of another size.
    """
    _check_choices(ratio, least, mesh.name)
    points = _positions(mesh)
    if adjacency is not None:
        graph = _checked(adjacency, mesh)
    else:
        graph = _nearest_graph(points) if mesh.geometry == "columns" else mesh.adjacency
    levels = [Level(mesh.areas, points, graph)]
    parents = []
    while len(levels[-1].measure) > least:
        fine = levels[-1]
        wanted = max(least, int(np.ceil(len(fine.measure) / ratio)))
        labels = _pairs(fine, wanted)
        coarse = _joined(fine, labels)
        if len(coarse.measure) > 0.9 * len(fine.measure):
            break
        levels.append(coarse)
        parents.append(labels)
    return Hierarchy(tuple(levels), tuple(parents))


def coarsen_rivers(network: RiverNetwork, *, ratio: float = 4.0, least: int = 16) -> Hierarchy:
    """Make a hierarchy of a river network, each level of which is a river network again.

    A reach is joined with the one that it flows into, short ones first; then tributaries of the
    same reach are joined with one another. Neither can make a circle.

    Parameters
    ----------
    network : RiverNetwork
        Any.
    ratio, least
        As in :func:`coarsen`.

    Returns
    -------
    Hierarchy
        The measure is the length of reaches [m] (at least one metre), which adds up. The length
        of a joined reach in ``network`` is the way of the water through it: the mean over all the
        water that leaves it, if every metre of river above gives the same.

    Raises
    ------
    MeshError
        If ratio or least cannot be.
    """
    _check_choices(ratio, least, network.name)
    measure = np.maximum(network.lengths, 1.0)
    points = network.points
    if network.crs == LONLAT:
        points = sphere.to_vectors(points) * sphere.EARTH_RADIUS
    levels = [Level(measure, points, network.connectivity, network)]
    parents = []
    while levels[-1].measure.size > least:
        fine = levels[-1]
        wanted = max(least, int(np.ceil(fine.measure.size / ratio)))
        labels, rivers = np.arange(fine.measure.size), fine.network
        total = fine.measure
        while rivers is not None and rivers.size > _CLOSE * wanted:
            step = _river_pairs(rivers)
            if step.max() + 1 == rivers.size:
                break
            rivers = _joined_rivers(rivers, step, total)
            total = np.bincount(step, total)
            labels = step[labels]
        if rivers is None or rivers.size > 0.9 * fine.measure.size:
            break
        place = _means(labels, fine.measure, fine.points)
        levels.append(Level(total, place, rivers.connectivity, rivers))
        parents.append(labels)
    return Hierarchy(tuple(levels), tuple(parents))


def _check_choices(ratio: float, least: int, name: str) -> None:
    if not ratio > 1.0 or least < 1:
        raise MeshError(
            f"There is no hierarchy with ratio {ratio:g} and least {least}.",
            where=f"'{name}'",
            fix="ratio is more than 1, least is 1 or more",
        )


def _checked(adjacency: csr_array, mesh: Mesh) -> csr_array:
    from scipy.sparse import csr_array

    graph = csr_array(adjacency)
    square = graph.shape == (mesh.size, mesh.size)
    if not square or (graph.data < 0.0).any() or abs(graph - graph.T).max() > 0.0:
        raise MeshError(
            f"The adjacency of shape {graph.shape} is not symmetric, positive and of the size of "
            "the mesh.",
            where=f"mesh '{mesh.name}', {mesh.size} cells",
            fix="Give a symmetric sparse matrix with one row per cell, such as Mesh.adjacency",
        )
    return graph


def _positions(mesh: Mesh) -> np.ndarray:
    if mesh.geometry == "spherical" or mesh.crs == LONLAT:
        return sphere.to_vectors(mesh.centroids) * sphere.EARTH_RADIUS
    return mesh.centroids


def _nearest_graph(points: np.ndarray) -> csr_array:
    from scipy.sparse import csr_array
    from scipy.spatial import KDTree

    count = min(_NEAREST + 1, len(points))
    distance, near = KDTree(points).query(points, k=count)
    distance, near = distance.reshape(len(points), -1), near.reshape(len(points), -1)
    here = np.repeat(np.arange(len(points)), count)
    there, weight = near.ravel(), 1.0 / np.maximum(distance.ravel(), 1.0)
    real = here != there
    entries = (weight[real], (here[real], there[real]))
    graph = csr_array(entries, shape=(len(points),) * 2)
    return csr_array(graph.maximum(graph.T))


def _pairs(level: Level, wanted: int) -> np.ndarray:
    """Join cells in pairs until there are few enough."""
    labels, current = np.arange(len(level.measure)), level
    while len(current.measure) > _CLOSE * wanted:
        edges = current.adjacency.tocoo()
        once = edges.row < edges.col
        first, second, length = edges.row[once], edges.col[once], edges.data[once]
        # Long common edges make round aggregates, small cells first make equal ones.
        size = np.sqrt(current.measure[first] * current.measure[second])
        step = heavy_pairs(first, second, length / size, len(current.measure))
        if step.max(initial=0) + 1 == len(current.measure):
            break
        current = _joined(current, step)
        labels = step[labels]
    return labels


def _joined(level: Level, labels: np.ndarray) -> Level:
    from scipy.sparse import csr_array

    count = int(labels.max()) + 1
    edges = level.adjacency.tocoo()
    row, column = labels[edges.row], labels[edges.col]
    outer = row != column
    graph = csr_array((edges.data[outer], (row[outer], column[outer])), shape=(count, count))
    return Level(
        np.bincount(labels, level.measure, count),
        _means(labels, level.measure, level.points),
        graph,
    )


def _means(labels: np.ndarray, weights: np.ndarray, points: np.ndarray) -> np.ndarray:
    total = np.bincount(labels, weights)
    return np.stack([np.bincount(labels, weights * p) / total for p in points.T], axis=1)


def _river_pairs(rivers: RiverNetwork) -> np.ndarray:
    """Join reaches along the river, then those that are left with the tributary beside them."""
    upper = np.flatnonzero(rivers.to >= 0)
    lower = rivers.to[upper]
    length = rivers.lengths[upper] + rivers.lengths[lower]
    labels = heavy_pairs(upper, lower, 1.0 / np.maximum(length, 1.0), rivers.size)
    alone = np.flatnonzero((np.bincount(labels)[labels] == 1) & (rivers.to >= 0))
    alone = alone[np.argsort(rivers.to[alone], kind="stable")]
    target = rivers.to[alone]
    # Places within each group of siblings: 0 and 1 are a pair, 2 and 3, ...
    begin = np.append(True, target[1:] != target[:-1])[: len(target)]
    place = np.arange(len(target)) - np.maximum.accumulate(
        np.where(begin, np.arange(len(target)), 0)
    )
    second = np.flatnonzero(place % 2 == 1)
    labels = labels.copy()
    labels[alone[second]] = labels[alone[second - 1]]
    return relabelled(labels)


def _joined_rivers(rivers: RiverNetwork, labels: np.ndarray, measure: np.ndarray) -> RiverNetwork:
    """Make the network of aggregates of one or two reaches."""
    count = int(labels.max()) + 1
    target = np.where(rivers.to >= 0, labels[rivers.to], -1)
    leaves = target != labels  # the member by which the water leaves its aggregate
    to = np.full(count, -1)
    to[labels[leaves]] = target[leaves]
    flow = rivers.accumulate(measure)
    leaving = np.bincount(labels[leaves], flow[leaves], count)
    return RiverNetwork(
        to,
        np.bincount(labels, rivers.lengths * flow, count) / leaving,
        areas=np.bincount(labels, rivers.areas, count),
        points=_means(labels, measure, rivers.points),
        name=rivers.name,
        crs=rivers.crs,
    )
