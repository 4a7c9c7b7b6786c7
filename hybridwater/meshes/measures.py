"""Areas, centroids and shared edges of the cells of a mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import MeshError
from hybridwater.meshes import sphere

if TYPE_CHECKING:
    from hybridwater.meshes.mesh import Mesh


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges that two cells share.

    Attributes
    ----------
    cells : numpy.ndarray
        Shape (n_edges, 2), the two cells, the smaller index first.
    nodes : numpy.ndarray
        Shape (n_edges, 2), the two ends, in the sense of rotation of the first cell.
    lengths : numpy.ndarray
        Shape (n_edges,), in m, positive.
    """

    cells: np.ndarray
    nodes: np.ndarray
    lengths: np.ndarray


def ring_of_corner(mesh: Mesh) -> np.ndarray:
    """Return the ring of each corner, shape (n_corners,)."""
    return np.repeat(np.arange(len(mesh.rings) - 1), np.diff(mesh.rings))


def cell_of_ring(mesh: Mesh) -> np.ndarray:
    """Return the cell of each ring, shape (n_rings,)."""
    return np.repeat(np.arange(mesh.size), np.diff(mesh.parts))


def next_corner(mesh: Mesh) -> np.ndarray:
    """Return the position of the corner that follows each corner in its ring."""
    following = np.arange(1, len(mesh.corners) + 1)
    following[mesh.rings[1:] - 1] = mesh.rings[:-1]
    return following


def turned(mesh: Mesh) -> np.ndarray:
    """Return the corners with the clockwise rings of cells that have one ring turned round."""
    if mesh.parallels:
        return mesh.corners
    single = np.diff(mesh.parts)[cell_of_ring(mesh)] == 1
    flip = single & (_ring_integrals(mesh)[0] < 0.0)
    position = np.arange(len(mesh.corners))
    ring = ring_of_corner(mesh)
    mirrored = mesh.rings[ring] + mesh.rings[ring + 1] - 1 - position
    return mesh.corners[np.where(flip[ring], mirrored, position)]


def cell_measures(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Return areas [m2], shape (n_cells,), and centroids [m or degrees], shape (n_cells, 2)."""
    if mesh.parallels:
        west, south, east, north = bounds(mesh)
        area, moment = parallel_integrals(west, south, east, north)
        return area * sphere.EARTH_RADIUS**2, sphere.to_lonlat(moment)
    area, moment = cell_integrals(mesh)
    safe = np.where(area != 0.0, area, 1.0)[:, None]
    if mesh.geometry == "spherical":
        return area * sphere.EARTH_RADIUS**2, sphere.to_lonlat(moment)
    return area, _origins(mesh)[mesh.parts[:-1]] + moment / safe


def cell_integrals(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Return areas and first moments of all cells.

    Returns
    -------
    area : numpy.ndarray
        Shape (n_cells,): in steradian, or in m2.
    moment : numpy.ndarray
        Shape (n_cells, 3): integral of the direction over the area; or (n_cells, 2): integral of
        the position relative to the first corner of the cell.
    """
    if mesh.parallels:
        return parallel_integrals(*bounds(mesh))
    area, moment = _ring_integrals(mesh)
    if mesh.geometry == "planar":
        origins = _origins(mesh)
        shift = origins - origins[mesh.parts[:-1]][cell_of_ring(mesh)]
        moment = moment + shift * area[:, None]
    starts = mesh.parts[:-1]
    return np.add.reduceat(area, starts), np.add.reduceat(moment, starts, axis=0)


def bounds(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return west, south, east, north [degrees] of cells between parallels, with west < east."""
    points = mesh.nodes[mesh.corners].reshape(mesh.size, 4, 2)
    west, east = points[:, 0, 0], points[:, 1, 0]
    east = np.where(east <= west, east + 360.0, east)
    return west, points[:, 0, 1], east, points[:, 2, 1]


def parallel_integrals(
    west: np.ndarray, south: np.ndarray, east: np.ndarray, north: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return area [steradian] and first moment of cells between meridians and parallels."""
    middle, half = np.radians((west + east) / 2.0), np.radians((east - west) / 2.0)
    low, high = np.radians(south), np.radians(north)
    # sin(b) - sin(a) and its like from differences of angles, for the sake of small cells
    rise = 2.0 * np.cos((low + high) / 2.0) * np.sin((high - low) / 2.0)
    area = 2.0 * half * rise
    # the integral of cos(lat)^2 d(lat)
    squared = (high - low) / 2.0 + np.cos(high + low) * np.sin(high - low) / 2.0
    across = 2.0 * np.sin(half) * squared
    up = 2.0 * half * rise * (np.sin(high) + np.sin(low)) / 2.0
    return area, np.stack([across * np.cos(middle), across * np.sin(middle), up], axis=-1)


def shared_edges(mesh: Mesh) -> Edges:
    """Find the edges that two cells share, by the nodes that they have in common.

    Raises
    ------
    MeshError
        If an edge belongs to more than two cells.
    """
    if mesh.geometry == "columns":
        return Edges(np.zeros((0, 2), int), np.zeros((0, 2), int), np.zeros(0))
    start, end = mesh.corners, mesh.corners[next_corner(mesh)]
    cell = cell_of_ring(mesh)[ring_of_corner(mesh)]
    key = np.minimum(start, end) * len(mesh.nodes) + np.maximum(start, end)
    order = np.lexsort((cell, key))
    key = key[order]
    same = key[1:] == key[:-1]
    if (same[1:] & same[:-1]).any():
        third = int(cell[order][2:][same[1:] & same[:-1]][0])
        raise MeshError(
            f"An edge of the mesh '{mesh.name}' belongs to more than two cells.",
            where=f"cell '{mesh.cell_name(third)}'",
            fix="Cells may not lie on one another: remove the duplicates",
        )
    one, two = order[:-1][same], order[1:][same]
    different = cell[one] != cell[two]
    one, two = one[different], two[different]
    nodes = np.stack([start[one], end[one]], axis=1)
    lengths = _edge_lengths(mesh, nodes)
    real = lengths > 0.0
    cells = np.stack([cell[one], cell[two]], axis=1)
    return Edges(cells[real], nodes[real], lengths[real])


def _edge_lengths(mesh: Mesh, nodes: np.ndarray) -> np.ndarray:
    a, b = mesh.nodes[nodes[:, 0]], mesh.nodes[nodes[:, 1]]
    if mesh.geometry == "planar":
        return np.hypot(*(b - a).T)
    arc = sphere.angle(sphere.to_vectors(a), sphere.to_vectors(b))
    if mesh.parallels:
        turn = np.radians(np.abs((b[:, 0] - a[:, 0] + 180.0) % 360.0 - 180.0))
        cos = np.where(np.abs(a[:, 1]) == 90.0, 0.0, np.cos(np.radians(a[:, 1])))
        arc = np.where(a[:, 1] == b[:, 1], cos * turn, arc)
    return arc * sphere.EARTH_RADIUS


def _origins(mesh: Mesh) -> np.ndarray:
    """Return the first corner of each ring, shape (n_rings, 2)."""
    return mesh.nodes[mesh.corners[mesh.rings[:-1]]]


def _ring_integrals(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Return area and first moment of each ring: about its first corner in the plane."""
    starts, ring = mesh.rings[:-1], ring_of_corner(mesh)
    following = next_corner(mesh)
    if mesh.geometry == "planar":
        here = mesh.nodes[mesh.corners] - _origins(mesh)[ring]
        there = here[following]
        double = here[:, 0] * there[:, 1] - there[:, 0] * here[:, 1]
        moment = (here + there) * double[:, None] / 6.0
        return np.add.reduceat(double, starts) / 2.0, np.add.reduceat(moment, starts, axis=0)
    here = sphere.to_vectors(mesh.nodes[mesh.corners])
    there = here[following]
    area = sphere.triangle_area(here[starts][ring], here, there)
    moment = sphere.arc_moment(here, there)
    return np.add.reduceat(area, starts), np.add.reduceat(moment, starts, axis=0)
