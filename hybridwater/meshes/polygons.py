"""Meshes of shapely polygons, such as catchments and hydrologic response units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hybridwater.errors import MeshError
from hybridwater.meshes.columns import LONLAT
from hybridwater.meshes.mesh import Geometry, Mesh


def polygon_mesh(
    polygons: Any,
    *,
    name: str = "polygons",
    names: Sequence[str] | str = (),
    areas: np.ndarray | None = None,
    geometry: Geometry | None = None,
    crs: str = "",
) -> Mesh:
    """Make a mesh of shapely polygons, multipolygons included, with holes.

    Neighbours are cells whose outlines have nodes in common, so the outlines must fit together
    exactly. Overlaps with other meshes do not need that. Sides of polygons in longitude and
    latitude are great circles.

    Parameters
    ----------
    polygons : sequence of shapely geometries, GeoSeries or GeoDataFrame
        What has a ``geometry`` (GeoPandas) brings its coordinate system along.
    name : str
        Name of the mesh.
    names : sequence of str, or str
        Names of the cells, or the column of a GeoDataFrame that has them.
    areas : array_like, optional
        Shape (n_cells,) in m2; those of the polygons by default.
    geometry : str, optional
        ``"spherical"`` for longitude and latitude, ``"planar"`` for projected coordinates in m; by
        default what the coordinate system of a GeoDataFrame says, or else planar.
    crs : str, optional
        Coordinate system, where the polygons do not bring one.

    Returns
    -------
    Mesh

    Raises
    ------
    MeshError
        If something is no polygon, is empty or crosses itself, or coordinates are in other units.

    Examples
    --------
    >>> import shapely
    >>> polygon_mesh([shapely.box(0, 0, 1000, 1000), shapely.box(1000, 0, 2000, 1000)])
    <Mesh 'polygons': 2 cells, planar, 2 km2>
    """
    import shapely

    table, series = polygons, getattr(polygons, "geometry", polygons)
    system = getattr(series, "crs", None)
    if system is not None:
        crs = str(system)
        found = "spherical" if system.is_geographic else "planar"
        _check_metres(system, name)
        geometry = geometry or found
    if isinstance(names, str):
        names = [str(value) for value in table[names]]
    shapes = np.asarray(series, dtype=object).reshape(-1)
    _check_shapes(shapes, names, name)
    geometry = geometry or "planar"
    rings, parts = _oriented(shapes)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    last = np.append(ring[1:] != ring[:-1], True)  # a ring of shapely ends where it begins
    points, ring = points[~last], ring[~last]
    following = np.roll(points, -1, axis=0)
    ends = np.append(ring[1:] != ring[:-1], True)
    begins = np.flatnonzero(np.append(True, ends[:-1]))
    following[ends] = points[begins]
    keep = (points != following).any(axis=1)
    nodes, corners = np.unique(points[keep], axis=0, return_inverse=True)
    counts = np.bincount(ring[keep], minlength=len(rings))
    return Mesh.from_rings(
        nodes,
        corners.reshape(-1),
        np.concatenate([[0], np.cumsum(counts)]),
        parts,
        name=name,
        geometry=geometry,
        areas=areas,
        names=names,
        crs=LONLAT if geometry == "spherical" else crs,
    )


def _oriented(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rings, outer ones counter-clockwise, holes clockwise, and the first of each cell."""
    import shapely

    turned = shapely.orient_polygons(shapes)
    single, cell = shapely.get_parts(turned, return_index=True)
    rings, part = shapely.get_rings(single, return_index=True)
    counts = np.bincount(cell[part], minlength=len(shapes))
    return rings, np.concatenate([[0], np.cumsum(counts)])


def _check_shapes(shapes: np.ndarray, names: Sequence[str], name: str) -> None:
    import shapely

    if not len(shapes):
        raise MeshError(
            "There are no polygons.", where=f"mesh '{name}'", fix="Give at least one polygon"
        )
    kinds = shapely.get_type_id(shapes)
    bad = ~np.isin(kinds, (3, 6)) | shapely.is_empty(shapes)
    why = "is empty or no polygon"
    if not bad.any():
        bad = ~shapely.is_valid(shapes)
        first = int(np.argmax(bad))
        why = f"is no proper polygon ({shapely.is_valid_reason(shapes[first])})"
    if bad.any():
        first = int(np.argmax(bad))
        label = names[first] if len(names) == len(shapes) else first
        raise MeshError(
            f"A cell {why}; {int(bad.sum())} such cells in all.",
            where=f"mesh '{name}', cell '{label}'",
            fix="Leave it out, or repair it with shapely.make_valid",
        )


def _check_metres(system: Any, name: str) -> None:
    units = {axis.unit_name for axis in system.axis_info}
    if not units <= {"metre", "meter", "degree"}:
        raise MeshError(
            f"The coordinates are in {', '.join(sorted(units))}, not in metres.",
            where=f"mesh '{name}', {system.name}",
            fix="Project them first: data.to_crs(...) to a system in metres, or EPSG:4326",
        )
