"""Cells cut into convex pieces, which can be clipped against one another quickly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import MeshError
from hybridwater.meshes import measures, sphere

if TYPE_CHECKING:
    from hybridwater.meshes.mesh import Mesh

_MOST_CORNERS = 8
"""Convex cells with more corners are cut into triangles: clipping costs corners squared."""

_ROUNDING = 1e-12
"""How far, relative to its size, a corner may turn the wrong way in a convex polygon."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """Convex pieces of cells.

    Attributes
    ----------
    corners : numpy.ndarray
        Shape (n_pieces, n, 3), counter-clockwise: directions, or (x, y, 0) in m. Pieces with fewer
        corners repeat the last one.
    counts : numpy.ndarray
        Shape (n_pieces,), number of corners.
    cells : numpy.ndarray
        Shape (n_pieces,), the cell of each piece.
    bands : numpy.ndarray or None
        Shape (n_pieces, 2), sines of the two latitudes between which the piece really lies, where
        its northern and southern edges are parallels; its corners then enclose it.
    boxes : numpy.ndarray
        Shape (n_pieces, 4): west, south, east, north [degrees], or x and y limits [m].
    """

    corners: np.ndarray
    counts: np.ndarray
    cells: np.ndarray
    bands: np.ndarray | None
    boxes: np.ndarray


def convex_pieces(mesh: Mesh) -> Pieces:
    """Cut the cells of a mesh into convex pieces.

    Parameters
    ----------
    mesh : Mesh
        Planar or spherical.

    Returns
    -------
    Pieces
        One piece for each cell that is convex and has few corners, triangles for the others.

    Raises
    ------
    MeshError
        If a polygon crosses itself.
    """
    if mesh.parallels:
        return _bands(mesh)
    points = mesh.nodes[mesh.corners]
    if mesh.geometry == "spherical":
        points = sphere.to_vectors(points)
    else:
        points = np.concatenate([points, np.zeros((len(points), 1))], axis=1)
    counts = np.diff(mesh.rings)
    convex = _convex_rings(mesh, points) & (counts <= _MOST_CORNERS)
    simple = (np.diff(mesh.parts) == 1) & convex[mesh.parts[:-1]]
    cells = np.flatnonzero(simple)
    rings = mesh.parts[:-1][cells]
    slots = int(counts[rings].max(initial=3))
    slot = np.minimum(np.arange(slots), counts[rings][:, None] - 1)
    corners = points[mesh.rings[rings][:, None] + slot]
    counts = counts[rings]
    others = np.flatnonzero(~simple)
    if len(others):
        triangles, owners = _triangles(mesh, points, others)
        padded = triangles[:, np.minimum(np.arange(slots), 2)]
        corners = np.concatenate([corners, padded])
        counts = np.concatenate([counts, np.full(len(padded), 3)])
        cells = np.concatenate([cells, owners])
    box = _lonlat_boxes(corners) if mesh.geometry == "spherical" else _plane_boxes(corners)
    return Pieces(corners, counts, cells, None, box)


def _convex_rings(mesh: Mesh, points: np.ndarray) -> np.ndarray:
    """Say of each ring whether it turns left at every corner."""
    following = measures.next_corner(mesh)
    after = following[following]
    a, b, c = points, points[following], points[after]
    if mesh.geometry == "spherical":
        turn, scale = sphere.dot(sphere.normal(a, b), c), sphere.length(b - a)
    else:
        turn, scale = sphere.cross(b - a, c - b)[:, 2], sphere.length(b - a)
    scale = scale * sphere.length(c - b)
    left = turn >= -_ROUNDING * scale
    convex = np.logical_and.reduceat(left, mesh.rings[:-1])
    # A pentagram turns left at every corner too, but goes round twice.
    cos = sphere.dot(b - a, c - b)
    angle = np.arctan2(turn / (2.0 if mesh.geometry == "spherical" else 1.0), cos)
    once = np.add.reduceat(angle, mesh.rings[:-1]) < 3.0 * np.pi
    return convex & once


def _triangles(mesh: Mesh, points: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut cells into triangles without new corners (constrained Delaunay, by GEOS)."""
    import shapely

    outlines, frames = _flat_polygons(mesh, points, cells)
    valid = shapely.is_valid(outlines)
    if not valid.all():
        first = int(np.argmin(valid))
        raise MeshError(
            f"A cell is no proper polygon: {shapely.is_valid_reason(outlines[first])} "
            f"({int((~valid).sum())} such cells).",
            where=f"mesh '{mesh.name}', cell '{mesh.cell_name(int(cells[first]))}'",
            fix="Repair it before the mesh is made, for example with shapely.make_valid",
        )
    found, owner = shapely.get_parts(
        shapely.constrained_delaunay_triangles(outlines), return_index=True
    )
    flat = shapely.get_coordinates(found).reshape(-1, 4, 2)[:, :3]
    origin, across, up = (frame[owner][:, None] for frame in frames)
    corners = origin + flat[..., :1] * across + flat[..., 1:] * up
    if mesh.geometry == "spherical":
        corners = corners / sphere.length(corners)[..., None]
        area = sphere.triangle_area(corners[:, 0], corners[:, 1], corners[:, 2])
    else:
        one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        area = sphere.cross(one, two)[:, 2]
    corners = np.where((area < 0.0)[:, None, None], corners[:, ::-1], corners)
    return corners, cells[owner]


def _flat_polygons(
    mesh: Mesh, points: np.ndarray, cells: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Draw cells in a plane of their own, in which great circles are straight (gnomonic).

    Parameters
    ----------
    mesh : Mesh
        Planar or spherical.
    points : numpy.ndarray
        Shape (n_corners, 3), corners as in :class:`Pieces`.
    cells : numpy.ndarray
        Which cells.

    Returns
    -------
    polygons : numpy.ndarray of shapely geometries
    frames : tuple of numpy.ndarray
        Origin and two axes of each plane, each of shape (n, 3): a point of the plane (u, v) is
        origin + u * across + v * up.

    Raises
    ------
    MeshError
        If a spherical cell spans a hemisphere.
    """
    first = points[mesh.rings[mesh.parts[:-1][cells]]]
    if mesh.geometry == "spherical":
        origin = sphere.to_vectors(mesh.centroids[cells])
        helper = np.where(np.abs(origin[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
        across = sphere.cross(helper, origin)
        across /= sphere.length(across)[:, None]
        up = sphere.cross(origin, across)
    else:
        origin = first
        across = np.broadcast_to([1.0, 0.0, 0.0], first.shape)
        up = np.broadcast_to([0.0, 1.0, 0.0], first.shape)
    polygons = []
    for k, cell in enumerate(cells):
        rings = []
        for ring in range(mesh.parts[cell], mesh.parts[cell + 1]):
            corner = points[mesh.rings[ring] : mesh.rings[ring + 1]]
            if mesh.geometry == "spherical":
                height = corner @ origin[k]
                if height.min() < 0.1:
                    raise MeshError(
                        "A cell that is not convex spans nearly a hemisphere.",
                        where=f"mesh '{mesh.name}', cell '{mesh.cell_name(int(cell))}'",
                        fix="Divide it",
                    )
                corner = corner / height[:, None]
            offset = corner - origin[k]
            rings.append(np.stack([offset @ across[k], offset @ up[k]], axis=1))
        polygons.append(_polygon(rings))
    return np.array(polygons, dtype=object), (origin, np.asarray(across), np.asarray(up))


def _polygon(rings: list[np.ndarray]):
    """Join outer rings (counter-clockwise) and holes (clockwise, after their outer ring)."""
    import shapely

    shells: list[tuple[np.ndarray, list[np.ndarray]]] = []
    for ring in rings:
        x, y = (ring - ring[0]).T
        hole = np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y) < 0.0
        if hole and shells:
            shells[-1][1].append(ring)
        else:
            shells.append((ring, []))
    parts = [shapely.Polygon(shell, holes) for shell, holes in shells]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _bands(mesh: Mesh) -> Pieces:
    """Enclose cells between parallels with great circles, narrowly."""
    west, south, east, north = measures.bounds(mesh)
    # A great circle over a width w bulges to tan(latitude) / cos(w / 2) in its middle.
    shrink = np.cos(np.radians(east - west) / 2.0)
    margin = 1e-3 * (north - south)
    low = np.degrees(np.arctan(np.tan(np.radians(south)) * np.where(south > 0.0, shrink, 1.0)))
    high = np.degrees(np.arctan(np.tan(np.radians(north)) * np.where(north < 0.0, shrink, 1.0)))
    low = np.where(south <= -90.0, -90.0, np.maximum(low - margin, (south - 90.0) / 2.0))
    high = np.where(north >= 90.0, 90.0, np.minimum(high + margin, (north + 90.0) / 2.0))
    corners = [(west, low), (east, low), (east, high), (west, high)]
    points = np.stack([sphere.to_vectors(np.stack(p, axis=-1)) for p in corners], axis=1)
    bands = np.sin(np.radians(np.stack([south, north], axis=1)))
    counts = np.full(mesh.size, 4)
    west, east = _wrapped(west, east)
    boxes = np.stack([west, south, east, north], axis=1)
    return Pieces(points, counts, np.arange(mesh.size), bands, boxes)


def _plane_boxes(corners: np.ndarray) -> np.ndarray:
    return np.concatenate([corners[..., :2].min(axis=1), corners[..., :2].max(axis=1)], axis=1)


def _lonlat_boxes(corners: np.ndarray) -> np.ndarray:
    """Enclose pieces in longitude and latitude, arcs that bulge and poles included."""
    following = np.roll(corners, -1, axis=1)
    lonlat = sphere.to_lonlat(corners)
    plane = sphere.normal(corners, following)
    size = sphere.length(plane)
    plane = plane / np.where(size > 0.0, size, 1.0)[..., None]
    slope = sphere.cross(plane, corners)[..., 2], sphere.cross(plane, following)[..., 2]
    top = np.degrees(np.arccos(np.clip(np.abs(plane[..., 2]), 0.0, 1.0)))
    top = np.where(size > 0.0, top, 0.0)
    highest = np.where((slope[0] > 0.0) & (slope[1] < 0.0), top, lonlat[..., 1]).max(axis=1)
    lowest = np.where((slope[0] < 0.0) & (slope[1] > 0.0), -top, lonlat[..., 1]).min(axis=1)
    step = (np.roll(lonlat[..., 0], -1, axis=1) - lonlat[..., 0] + 180.0) % 360.0 - 180.0
    run = lonlat[:, :1, 0] + np.cumsum(step, axis=1) - step
    west, east = _wrapped(run.min(axis=1), run.max(axis=1))
    # With a pole inside, or nearly on an edge, every longitude may be met.
    pole = sphere.dot(plane, np.array([0.0, 0.0, 1.0]))
    north = ((pole > -1e-9) | (size == 0.0)).all(axis=1) & (highest > 0.0)
    south = ((pole < 1e-9) | (size == 0.0)).all(axis=1) & (lowest < 0.0)
    either = north | south
    west, east = np.where(either, -180.0, west), np.where(either, 180.0, east)
    return np.stack(
        [west, np.where(south, -90.0, lowest), east, np.where(north, 90.0, highest)], axis=1
    )


def _wrapped(west: np.ndarray, east: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move longitudes so that west lies in [-180, 180)."""
    shift = np.floor((west + 180.0) / 360.0) * 360.0
    return west - shift, east - shift
