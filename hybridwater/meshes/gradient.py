"""Gradients of cell means, limited so that no new extrema appear."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.meshes import measures, sphere

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from hybridwater.meshes.mesh import Mesh

_FLAT = 1e-6
"""Neighbours whose spread in one direction is this much smaller lie on a line."""


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What turns cell means into bounded linear functions, evaluated at the overlaps.

    Attributes
    ----------
    gradient : tuple of scipy.sparse.csr_array
        One of shape (n_source, n_source) per axis of the plane of each cell: values to gradient in
        1/m.
    neighbours : scipy.sparse.csr_array
        Shape (n_source, n_source): cells that share a node, and the cell itself.
    source : numpy.ndarray
        Shape (pairs,), source cell of each overlap, in the order of the entries of the shares.
    offsets : numpy.ndarray
        Shape (pairs, axes), in m along these axes, from the centroid of the covered part of the
        source cell to that of the overlap. Their mean over each source cell, weighted by area, is
        zero, and this is what conserves.
    """

    gradient: tuple[csr_array, ...]
    neighbours: csr_array
    source: np.ndarray
    offsets: np.ndarray

    @functools.cached_property
    def order(self) -> np.ndarray:
        """Overlaps, sorted by their source cell, shape (pairs,)."""
        return np.argsort(self.source, kind="stable")

    @functools.cached_property
    def _by_cell(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Overlaps in that order: how many there are of each cell, which cell, and offsets.

        What belongs to one cell is then side by side in memory, which is half of the speed.
        """
        count = np.bincount(self.source, minlength=self.neighbours.shape[0])
        return count, self.source[self.order], np.ascontiguousarray(self.offsets[self.order].T)

    @functools.cached_property
    def _rows(self) -> np.ndarray:
        return np.repeat(np.arange(self.neighbours.shape[0]), np.diff(self.neighbours.indptr))

    def increments(self, values: np.ndarray) -> np.ndarray:
        """Return how much the mean in each overlap differs from that of its source cell.

        The gradient of a cell is multiplied by the largest factor up to one with which no overlap
        leaves the range of the neighbourhood (Barth & Jespersen 1989, doi:10.2514/6.1989-366,
        taken at the centroids of overlaps, where the values are used).

        Parameters
        ----------
        values : numpy.ndarray
            Shape (n_source,).

        Returns
        -------
        numpy.ndarray
            Shape (pairs,), overlaps in the order of `order`.
        """
        count, cell, offsets = self._by_cell
        raw, part = np.zeros(len(cell)), np.empty(len(cell))
        for operator, offset in zip(self.gradient, offsets, strict=True):
            np.multiply(np.repeat(operator @ values, count), offset, out=part)
            raw += part
        with np.errstate(invalid="ignore"):  # nobody looks at what is in masked cells
            near = values.take(self.neighbours.indices)
            highest, lowest = values.copy(), values.copy()
            np.maximum.at(highest, self._rows, near)
            np.minimum.at(lowest, self._rows, near)
            up, down = np.zeros(len(values)), np.zeros(len(values))  # largest change in a cell
            np.maximum.at(up, cell, raw)
            np.minimum.at(down, cell, raw)
            limit = np.minimum(_share(highest - values, up), _share(values - lowest, -down))
        raw *= np.repeat(limit, count)
        return raw


def _share(room: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Return which share of a change there is room for, at most one."""
    return np.divide(room, change, out=np.ones_like(room), where=change > room)


def reconstruction(
    mesh: Mesh,
    source: np.ndarray,
    areas: np.ndarray,
    centroids: np.ndarray,
    active: np.ndarray,
) -> Reconstruction:
    """Prepare the reconstruction of a source mesh for its overlaps with a target.

    Parameters
    ----------
    mesh : Mesh
        The source.
    source, areas, centroids : numpy.ndarray
        Source cell, area and mean position of each overlap, as in :class:`Overlaps`.
    active : numpy.ndarray of bool
        Shape (n_source,), cells whose values exist; the others are no neighbours.

    Returns
    -------
    Reconstruction
    """
    near = node_neighbours(mesh, active)
    weight = np.bincount(source, areas, mesh.size)
    weight = np.where(weight > 0.0, weight, 1.0)
    sums = [np.bincount(source, areas * c, mesh.size) / weight for c in centroids.T]
    offsets = centroids - np.stack(sums, axis=1)[source]
    if mesh.geometry == "spherical":
        offsets = np.einsum("pax,px->pa", plane_axes(mesh)[source], offsets)
    return Reconstruction(gradient_operators(mesh, near), near, source, offsets)


def node_neighbours(mesh: Mesh, active: np.ndarray) -> csr_array:
    """Return which active cells share a node, themselves included, shape (n_cells, n_cells)."""
    from scipy.sparse import csr_array

    cells = measures.cell_of_ring(mesh)[measures.ring_of_corner(mesh)]
    corners = mesh.corners
    if mesh.geometry == "spherical":  # all nodes at a pole are one
        latitude = mesh.nodes[corners, 1]
        for pole in (-90.0, 90.0):
            at = latitude == pole
            corners = np.where(at, corners[np.argmax(at)], corners) if at.any() else corners
    use = active[cells]
    shape = (mesh.size, len(mesh.nodes))
    touches = csr_array((np.ones(use.sum()), (cells[use], corners[use])), shape=shape)
    every = csr_array((np.ones(mesh.size), (np.arange(mesh.size),) * 2), shape=(mesh.size,) * 2)
    near = csr_array(touches @ touches.T + every)
    near.sort_indices()
    return near


def _positions(mesh: Mesh) -> np.ndarray:
    """Mean position in each cell in m: (n, 3) on the sphere, (n, 2) in the plane."""
    area, moment = measures.cell_integrals(mesh)
    mean = moment / area[:, None]
    if mesh.geometry == "spherical":
        return mean * sphere.EARTH_RADIUS
    return mean + mesh.nodes[mesh.corners[mesh.rings[mesh.parts[:-1]]]]


def gradient_operators(mesh: Mesh, near: csr_array) -> tuple[csr_array, ...]:
    """Return least-squares gradients, weighted by inverse squared distance.

    They are exact for linear fields.

    Parameters
    ----------
    mesh : Mesh
        Planar or spherical.
    near : scipy.sparse.csr_array
        As `node_neighbours` returns.

    Returns
    -------
    tuple of scipy.sparse.csr_array
        One of shape (n_cells, n_cells) per axis of the plane of each cell, x and y if the mesh is
        planar: values to gradient in 1/m.
    """
    from scipy.sparse import csr_array

    place = _positions(mesh)
    here = np.repeat(np.arange(mesh.size), np.diff(near.indptr))
    there = near.indices
    real = here != there
    here, there = here[real], there[real]
    step = place[there] - place[here]
    local = np.einsum("pax,px->pa", plane_axes(mesh)[here], step)
    weight = 1.0 / np.maximum((local**2).sum(axis=1), 1e-300)
    xx, xy, yy = (
        np.bincount(here, weight * local[:, i] * local[:, j], mesh.size)
        for i, j in ((0, 0), (0, 1), (1, 1))
    )
    determinant = xx * yy - xy * xy
    good = determinant > _FLAT * (xx + yy) ** 2
    scale = np.where(good, 1.0 / np.where(good, determinant, 1.0), 0.0)
    weight *= scale[here]
    operators = []
    for entries in (
        weight * (yy[here] * local[:, 0] - xy[here] * local[:, 1]),
        weight * (xx[here] * local[:, 1] - xy[here] * local[:, 0]),
    ):
        out = csr_array((entries, (here, there)), shape=near.shape)
        inward = np.bincount(here, entries, mesh.size)
        diagonal = csr_array((-inward, (np.arange(mesh.size),) * 2), shape=near.shape)
        operators.append(csr_array(out + diagonal))
    return tuple(operators)


def plane_axes(mesh: Mesh) -> np.ndarray:
    """Return two axes of the plane of each cell, of length one, shape (n_cells, 2, axes)."""
    if mesh.geometry == "planar":
        return np.broadcast_to(np.eye(2), (mesh.size, 2, 2))
    place = _positions(mesh)
    up = place / sphere.length(place)[:, None]
    helper = np.where(np.abs(up[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    across = sphere.cross(helper, up)
    across /= sphere.length(across)[:, None]
    return np.stack([across, sphere.cross(up, across)], axis=1)
