"""Gradients of cell means, limited so that no new extrema appear."""

from __future__ import annotations

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
        One of shape (n_source, n_source) per axis: values to gradient in 1/m.
    neighbours : scipy.sparse.csr_array
        Shape (n_source, n_source): cells that share a node, and the cell itself.
    source : numpy.ndarray
        Shape (pairs,), source cell of each overlap, in the order of the entries of the shares.
    offsets : numpy.ndarray
        Shape (pairs, axes), in m, from the centroid of the covered part of the source cell to that
        of the overlap. Their mean over each source cell, weighted by area, is zero, and this
        is what conserves.
    """

    gradient: tuple[csr_array, ...]
    neighbours: csr_array
    source: np.ndarray
    offsets: np.ndarray

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
            Shape (pairs,).
        """
        raw = np.zeros(len(self.source))
        for axis, operator in enumerate(self.gradient):
            raw += (operator @ values)[self.source] * self.offsets[:, axis]
        start, near = self.neighbours.indptr[:-1], values[self.neighbours.indices]
        room_up = np.maximum.reduceat(near, start) - values
        room_down = values - np.minimum.reduceat(near, start)
        room = np.where(raw > 0.0, room_up[self.source], room_down[self.source])
        size = np.abs(raw)
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where(size > room, room / size, 1.0)
        limit = np.ones(len(values))
        np.minimum.at(limit, self.source, factor)
        return limit[self.source] * raw


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
    return Reconstruction(_gradients(mesh, near), near, source, offsets)


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


def _gradients(mesh: Mesh, near: csr_array) -> tuple[csr_array, ...]:
    """Least-squares gradients, weighted by inverse squared distance: exact for linear fields."""
    from scipy.sparse import csr_array

    place = _positions(mesh)
    here = np.repeat(np.arange(mesh.size), np.diff(near.indptr))
    there = near.indices
    real = here != there
    here, there = here[real], there[real]
    step = place[there] - place[here]
    frames = _frames(mesh, place)
    local = np.einsum("pax,px->pa", frames[here], step)
    weight = 1.0 / np.maximum((local**2).sum(axis=1), 1e-300)
    xx, xy, yy = (
        np.bincount(here, weight * local[:, i] * local[:, j], mesh.size)
        for i, j in ((0, 0), (0, 1), (1, 1))
    )
    determinant = xx * yy - xy * xy
    good = determinant > _FLAT * (xx + yy) ** 2
    scale = np.where(good, 1.0 / np.where(good, determinant, 1.0), 0.0)
    along = weight * scale[here] * (yy[here] * local[:, 0] - xy[here] * local[:, 1])
    up = weight * scale[here] * (xx[here] * local[:, 1] - xy[here] * local[:, 0])
    # back from the frame of the cell to the axes of positions
    entries = along[:, None] * frames[here, 0] + up[:, None] * frames[here, 1]
    operators = []
    for axis in range(place.shape[1]):
        out = csr_array((entries[:, axis], (here, there)), shape=near.shape)
        inward = np.bincount(here, entries[:, axis], mesh.size)
        diagonal = csr_array((-inward, (np.arange(mesh.size),) * 2), shape=near.shape)
        operators.append(csr_array(out + diagonal))
    return tuple(operators)


def _frames(mesh: Mesh, place: np.ndarray) -> np.ndarray:
    """Two axes of the plane of each cell, shape (n, 2, axes)."""
    if mesh.geometry == "planar":
        return np.broadcast_to(np.eye(2), (mesh.size, 2, 2))
    up = place / sphere.length(place)[:, None]
    helper = np.where(np.abs(up[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    across = sphere.cross(helper, up)
    across /= sphere.length(across)[:, None]
    return np.stack([across, sphere.cross(up, across)], axis=1)
