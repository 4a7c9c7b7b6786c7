"""Areas that the cells of two meshes have in common, exact to rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import MeshError
from hybridwater.meshes import sphere
from hybridwater.meshes.candidates import candidate_pairs
from hybridwater.meshes.clipping import clip_pairs
from hybridwater.meshes.pieces import Pieces, convex_pieces

if TYPE_CHECKING:
    from hybridwater.meshes.mesh import Mesh

_CHUNK = 8_192
"""Pairs that are clipped at once, for the sake of memory and caches."""

_SLIVER = 1e-12
"""An overlap below this fraction of the smaller cell is rounding, not overlap."""

_ROUNDING = 16.0 * np.finfo(float).eps
"""So is a strip along a side of the smaller cell, of this width times the largest coordinate."""


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Pairs of cells that overlap, sorted by target, then source.

    Attributes
    ----------
    source, target : numpy.ndarray
        Shape (pairs,), the cells.
    areas : numpy.ndarray
        Shape (pairs,), in m2.
    centroids : numpy.ndarray or None
        Mean position in each overlap: shape (pairs, 3), mean direction (shorter than one) times
        the radius of the Earth in m; or shape (pairs, 2), in m from the first corner of the source.
    """

    source: np.ndarray
    target: np.ndarray
    areas: np.ndarray
    centroids: np.ndarray | None


def overlap_areas(source: Mesh, target: Mesh, *, centroids: bool = False) -> Overlaps:
    """Compute the areas that the cells of two meshes have in common.

    Parameters
    ----------
    source, target : Mesh
        Both planar, in one coordinate reference system, or both spherical.
    centroids : bool
        Whether the centroids of the overlaps are wanted.

    Returns
    -------
    Overlaps

    Raises
    ------
    MeshError
        If the meshes are of different kinds or do not overlap anywhere.
    """
    _check_kinds(source, target)
    spherical = source.geometry == "spherical"
    ours, theirs = convex_pieces(source), convex_pieces(target)
    if not spherical:
        ours, theirs = _near(ours, source), _near(theirs, source)
    one, two = candidate_pairs(ours, theirs, round_earth=spherical)
    areas = np.zeros(len(one))
    moments = np.zeros((len(one), 3 if spherical else 2)) if centroids else None
    for start in range(0, len(one), _CHUNK):
        part = slice(start, start + _CHUNK)
        chunk = _intersect(ours, theirs, one[part], two[part], spherical, centroids)
        areas[part] = chunk[0]
        if moments is not None:
            moments[part] = chunk[1]
    return _joined(source, target, (ours.cells[one], theirs.cells[two]), areas, moments)


def _check_kinds(source: Mesh, target: Mesh) -> None:
    for mesh in (source, target):
        if mesh.geometry == "columns":
            raise MeshError(
                "A mesh of columns has no outlines, so no overlaps.",
                where=f"mesh '{mesh.name}'",
                fix="Use basin_map with the cell that each column belongs to, or give polygons",
            )
    where = f"meshes '{source.name}' ({source.geometry}) and '{target.name}' ({target.geometry})"
    if source.geometry != target.geometry:
        raise MeshError(
            "One mesh is planar, the other spherical.",
            where=where,
            fix="Give both in longitude and latitude, or project both into one plane",
        )
    if source.crs and target.crs and source.crs != target.crs:
        raise MeshError(
            f"The meshes are in different coordinates, '{source.crs}' and '{target.crs}'.",
            where=where,
            fix="Project one of them before its mesh is made, for example GeoDataFrame.to_crs",
        )


def _near(pieces: Pieces, source: Mesh) -> Pieces:
    """Take coordinates relative to the middle of the source, where numbers are small."""
    shift = np.zeros(3)
    shift[:2] = source.nodes.mean(axis=0)
    corners = pieces.corners - shift
    boxes = pieces.boxes - np.concatenate([shift[:2], shift[:2]])
    return Pieces(corners, pieces.counts, pieces.cells, None, boxes)


def _intersect(
    ours: Pieces,
    theirs: Pieces,
    one: np.ndarray,
    two: np.ndarray,
    spherical: bool,
    centroids: bool,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Area [steradian or m2] and first moment of pairs of pieces."""
    subject, window = ours.corners[one], theirs.corners[two]
    if spherical:
        origin = None
    else:
        origin = subject[:, :1].copy()
        subject, window = subject - origin, window - origin
        subject[..., 2] = window[..., 2] = 1.0
    corners, counts = clip_pairs(subject, ours.counts[one], window)
    area = np.zeros(len(one))
    moment = np.zeros((len(one), 3 if spherical else 2)) if centroids else None
    met = np.flatnonzero(counts)
    if not len(met):
        return area, moment
    corners = corners[met]
    if origin is not None:
        area[met], shares = _plane_integrals(corners[..., :2])
        # first moments are about the origin of all pieces until pieces are joined
        shares = shares + origin[met, 0, :2] * area[met, None]
    else:
        corners = corners / sphere.length(corners)[..., None]
        area[met], shares = _sphere_integrals(corners, ours, theirs, one[met], two[met], centroids)
    if moment is not None and shares is not None:
        moment[met] = shares
    return area, moment


def _plane_integrals(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area and first moment of polygons of shape (pairs, n, 2) (Green's theorem)."""
    base = corners[:, :1]
    here = corners - base
    there = np.roll(here, -1, axis=1)
    double = here[..., 0] * there[..., 1] - there[..., 0] * here[..., 1]
    area = double.sum(axis=1) / 2.0
    moment = ((here + there) * double[..., None]).sum(axis=1) / 6.0
    return area, moment + base[:, 0] * area[:, None]


def _sphere_integrals(
    corners: np.ndarray,
    ours: Pieces,
    theirs: Pieces,
    one: np.ndarray,
    two: np.ndarray,
    centroids: bool,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Area and first moment of great-circle polygons, within the parallels of either piece."""
    if ours.bands is None and theirs.bands is None:
        moment = sphere.polygon_moment(corners) if centroids else None
        return sphere.polygon_area(corners), moment
    low, high = np.full(len(one), -1.0), np.full(len(one), 1.0)
    for bands, index in ((ours.bands, one), (theirs.bands, two)):
        if bands is not None:
            low, high = np.maximum(low, bands[index, 0]), np.minimum(high, bands[index, 1])
    return sphere.band_integrals(corners, low, np.maximum(low, high), moments=centroids)


def _joined(
    source: Mesh,
    target: Mesh,
    cells: tuple[np.ndarray, np.ndarray],
    areas: np.ndarray,
    moments: np.ndarray | None,
) -> Overlaps:
    """Add up the pieces of cells, leave out what is only rounding, and use metres."""
    key = cells[1] * source.size + cells[0]
    order = np.argsort(key, kind="stable")
    key = key[order]
    begins = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
    key, total = key[begins], np.add.reduceat(areas[order], begins) if len(begins) else areas
    into, out = np.divmod(key, source.size)
    spherical = source.geometry == "spherical"
    unit = sphere.EARTH_RADIUS**2 if spherical else 1.0
    smaller = np.minimum(source.measured_areas[out], target.measured_areas[into])
    reach = sphere.EARTH_RADIUS if spherical else np.abs(source.nodes).max()
    real = total * unit > np.maximum(_SLIVER * smaller, _ROUNDING * reach * np.sqrt(smaller))
    if not real.any():
        raise MeshError(
            f"The meshes '{source.name}' and '{target.name}' do not overlap anywhere.",
            where=f"{_extent(source)}; {_extent(target)}",
            fix="See whether both are in one coordinate system and unit, and longitude comes first",
        )
    mean = None
    if moments is not None:
        sums = np.add.reduceat(moments[order], begins, axis=0)
        mean = sums[real] / total[real, None] * (sphere.EARTH_RADIUS if spherical else 1.0)
        if not spherical:
            first = source.nodes[source.corners[source.rings[source.parts[:-1]]]]
            mean = mean - (first[out[real]] - source.nodes.mean(axis=0))
    return Overlaps(out[real], into[real], total[real] * unit, mean)


def _extent(mesh: Mesh) -> str:
    unit = "degrees" if mesh.geometry == "spherical" else "m"
    (west, south), (east, north) = mesh.nodes.min(axis=0), mesh.nodes.max(axis=0)
    return f"'{mesh.name}' spans {west:g} to {east:g}, {south:g} to {north:g} {unit}"
