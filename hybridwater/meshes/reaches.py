"""Maps from river reaches to the cells that they cross."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater.errors import MeshError
from hybridwater.meshes.remap import Remap

if TYPE_CHECKING:
    from hybridwater.meshes.mesh import Mesh
    from hybridwater.meshes.rivers import RiverNetwork

_LINES = (1, 5)  # numbers of shapely for lines of one and of several parts
_WHOLE = 1e-9
"""A reach that is covered but for this fraction is covered: the rest is rounding."""


def reach_map(network: RiverNetwork, mesh: Mesh, lines: Sequence[Any] | np.ndarray) -> Remap:
    """Make the remap from reaches to the cells that they cross, in proportion to length.

    What runs along an edge is half in either cell. What lies outside the mesh goes to no cell.

    Parameters
    ----------
    network : RiverNetwork
        The rivers.
    mesh : Mesh
        Cells with outlines, planar or spherical. On the sphere edges and lines are straight in
        longitude and latitude, and a reach is measured with the width of a degree at its middle.
    lines : sequence of shapely geometries or array_like, or GeoSeries
        Course of each reach: a line, or its points, shape (n_points, 2), in the coordinates of the
        mesh.

    Returns
    -------
    Remap
        For amounts and their rates (:meth:`Remap.amounts`). ``source_fraction`` says what of each
        reach lies in the mesh.

    Raises
    ------
    MeshError
        If there is not one line of some length per reach, the mesh has no outlines, or no line
        crosses it.

    Examples
    --------
    >>> import shapely
    >>> river = RiverNetwork([-1], [1000.0])
    >>> cells = polygon_mesh([shapely.box(0, 0, 300, 100), shapely.box(300, 0, 1000, 100)])
    >>> reach_map(river, cells, [[[0, 50], [1000, 50]]]).amounts([10.0])
    array([3., 7.])
    """
    import shapely
    from scipy.sparse import csr_array

    where = f"rivers '{network.name}' to cells '{mesh.name}'"
    shapes = _lines(lines, network, where)
    polygons = _polygons(mesh, shapes, where)
    width = np.ones(network.size)  # of a unit of x, in units of y
    if mesh.geometry == "spherical":
        width = np.cos(np.radians(shapely.bounds(shapes)[:, [1, 3]].mean(axis=1)))
    pieces, owner = _segments(shapes)  # apart, so that a line may meet itself
    whole = _lengths(pieces, width[owner])
    total = np.bincount(owner, whole, network.size)
    if (bad := ~(total > 0.0)).any():
        raise MeshError(
            "The line of a reach has no length.",
            where=f"{where}, reach {int(np.argmax(bad))}",
            fix="Give it at least two different points, all of them finite",
        )
    piece, cell = shapely.STRtree(polygons).query(pieces, predicate="intersects")
    inside, edge = (
        _lengths(shapely.intersection(pieces[piece], there[cell]), width[owner[piece]])
        for there in (polygons, shapely.boundary(polygons))
    )
    inside -= edge / 2
    covered = np.bincount(piece, inside, len(pieces))
    for i in np.unique(piece[edge > 0.0]):  # an edge at the rim has no other side
        around = shapely.union_all(polygons[cell[piece == i]])
        length = _lengths(shapely.intersection(pieces[[i]], around), width[owner[[i]]])[0]
        inside[piece == i] *= length / covered[i]
        covered[i] = length
    found = np.bincount(owner, covered, network.size)
    if not found.any():
        raise MeshError(
            "No reach crosses a cell.", where=where, fix="Give lines in the coordinates of the mesh"
        )
    total = np.where(np.abs(found - total) < _WHOLE * total, found, total)
    crosses, reach = inside > 0.0, owner[piece]
    entries = ((inside / total[reach])[crosses], (cell[crosses], reach[crosses]))
    return Remap(
        csr_array(entries, shape=(mesh.size, network.size)),
        np.full(network.size, np.nan),
        mesh.areas,
        np.ones(mesh.size),
        source=network.name,
        target=mesh.name,
        method="reach to cells, by length",
        source_centroids=network.points,
        target_centroids=mesh.centroids,
    )


def _lines(lines: Sequence[Any] | np.ndarray, network: RiverNetwork, where: str) -> np.ndarray:
    import shapely

    given = list(getattr(lines, "geometry", lines))
    try:
        shapes = np.array(
            [x if isinstance(x, shapely.Geometry) else shapely.linestrings(x) for x in given],
            dtype=object,
        )
    except (TypeError, ValueError, shapely.GEOSException) as error:
        raise MeshError(
            f"A line cannot be made of what was given ({error}).",
            where=where,
            fix="Give the points of each reach, shape (n_points, 2), or lines of shapely",
        ) from error
    right = shapes.shape == (network.size,) and np.isin(shapely.get_type_id(shapes), _LINES).all()
    if not right:
        raise MeshError(
            f"There are {len(given)} lines for {network.size} reaches, or some are no lines.",
            where=where,
            fix="Give one line per reach, in the order of the network",
        )
    return shapes


def _polygons(mesh: Mesh, shapes: np.ndarray, where: str) -> np.ndarray:
    """Return the outlines of the cells, their longitudes on the side of the lines."""
    import shapely

    if mesh.geometry == "columns":
        raise MeshError(
            "The cells have no outlines.",
            where=where,
            fix="Give a mesh of polygons, or an index: exchange with remap = [...]",
        )
    points = mesh.nodes[mesh.corners].copy()
    ring = np.repeat(np.arange(len(mesh.rings) - 1), np.diff(mesh.rings))
    if mesh.geometry == "spherical":
        west, _, east, _ = shapely.total_bounds(shapes)
        middle = (west + east) / 2
        points[:, 0] = (points[:, 0] - middle + 180.0) % 360.0 - 180.0 + middle
        first = points[mesh.rings[:-1], 0][ring]
        # a cell over the far meridian is whole on one of its sides
        points[:, 0] -= 360.0 * np.round((points[:, 0] - first) / 360.0)
    rings = np.asarray(shapely.polygons(shapely.linearrings(points, indices=ring)))
    many = np.flatnonzero(np.diff(mesh.parts) > 1)
    polygons = rings[mesh.parts[:-1]]
    hole = ~np.asarray(shapely.is_ccw(shapely.get_exterior_ring(rings)))
    for cell in many:
        own = np.arange(mesh.parts[cell], mesh.parts[cell + 1])
        outer = shapely.union_all(rings[own[~hole[own]]])
        polygons[cell] = shapely.difference(outer, shapely.union_all(rings[own[hole[own]]]))
    return polygons


def _segments(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the straight pieces of lines, and which line each is of."""
    import shapely

    parts, shape = shapely.get_parts(shapes, return_index=True)
    points, part = shapely.get_coordinates(parts, return_index=True)
    along = part[1:] == part[:-1]
    ends = np.stack([points[:-1], points[1:]], axis=1)[along]
    return np.asarray(shapely.linestrings(ends)), shape[part[1:][along]]


def _lengths(shapes: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return the length of the lines in each geometry, points counting nothing."""
    import shapely

    parts, of_shape = shapely.get_parts(shapes, return_index=True)
    parts, of_part = shapely.get_parts(parts, return_index=True)
    lines = np.isin(shapely.get_type_id(parts), (1, 2))
    of_shape, parts = of_shape[of_part][lines], parts[lines]
    points, line = shapely.get_coordinates(parts, return_index=True)
    along = line[1:] == line[:-1]
    shape = of_shape[line[1:][along]]
    step = (points[1:] - points[:-1])[along]
    return np.bincount(shape, np.hypot(step[:, 0] * width[shape], step[:, 1]), len(shapes)).astype(
        float
    )
