"""Geometry on the unit sphere: areas, first moments and distances, in closed form.

Directions are unit vectors in the last axis. Sums run over the corners of a polygon, which lie in
the last but one axis; a polygon with fewer corners than slots repeats its last corner.
"""

from __future__ import annotations

import numpy as np

EARTH_RADIUS = 6371008.7714
"""Mean radius of the Earth in m (R1 of GRS 80; Moritz 2000, doi:10.1007/s001900050278)."""

_SMALL_TURN = 0.1
"""Below this difference of longitude [radians] four nodes integrate a sliver to rounding."""

_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(4)


def to_vectors(lonlat: np.ndarray) -> np.ndarray:
    """Turn longitude and latitude [degrees], shape (..., 2), into unit vectors, (..., 3)."""
    lon, lat = np.radians(lonlat[..., 0]), np.radians(lonlat[..., 1])
    # A pole is one point, not a circle of 6e-17.
    cos = np.where(np.abs(lonlat[..., 1]) == 90.0, 0.0, np.cos(lat))
    return np.stack([cos * np.cos(lon), cos * np.sin(lon), np.sin(lat)], axis=-1)


def to_lonlat(vectors: np.ndarray) -> np.ndarray:
    """Turn vectors, shape (..., 3), into longitude and latitude [degrees], shape (..., 2)."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.degrees(np.stack([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))], axis=-1))


def normal(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return twice the cross product of two directions, accurate also where they are close.

    (a + b) x (b - a) = 2 a x b, without the cancellation: the difference of close numbers is exact.
    """
    return cross(start + end, end - start)


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cross product of vectors of shape (..., 3) (faster than numpy's)."""
    x = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    y = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    z = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return np.stack([x, y, z], axis=-1)


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the scalar product of vectors of shape (..., 3)."""
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]


def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the great-circle distance [radians] of two directions, exact at any distance."""
    return 2.0 * np.arctan2(length(b - a), length(b + a))


def length(vectors: np.ndarray) -> np.ndarray:
    """Return the length of vectors of shape (..., 3)."""
    return np.sqrt(dot(vectors, vectors))


def triangle_area(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return the area [steradian] of great-circle triangles, positive if counter-clockwise.

    tan(E / 2) = a . (b x c) / (1 + a . b + b . c + c . a)
    (Eriksson 1990, doi:10.2307/2691141), with the triple product from differences of corners.
    """
    triple = dot(a, cross(b - a, c - a))
    return 2.0 * np.arctan2(triple, 1.0 + dot(a, b) + dot(b, c) + dot(c, a))


def polygon_area(corners: np.ndarray) -> np.ndarray:
    """Return the area [steradian] of convex great-circle polygons of shape (..., n, 3)."""
    first = corners[..., :1, :]
    return triangle_area(first, corners[..., 1:-1, :], corners[..., 2:, :]).sum(axis=-1)


def polygon_moment(corners: np.ndarray) -> np.ndarray:
    """Return the first moment, the integral of r dA, of great-circle polygons, shape (..., 3).

    Stokes: half the sum over edges of (angle of the edge) * (unit normal of its plane).
    """
    return arc_moment(corners, np.roll(corners, -1, axis=-2)).sum(axis=-2)


def arc_moment(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the share of great-circle arcs in the first moment, half the integral of r x dr."""
    plane = normal(start, end)
    size = length(plane)
    theta = angle(start, end)
    return plane * (0.5 * theta / np.where(size > 0.0, size, 1.0))[..., None]


def band_integrals(
    corners: np.ndarray, low: np.ndarray, high: np.ndarray, *, moments: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Integrate over the part of great-circle polygons that lies between two parallels, exactly.

    The boundary of that part is the boundary of the polygon with z = sin(latitude) clamped to
    [low, high] along meridians. The integrals over the polygon are therefore corrected by what lies
    between each arc that leaves the band and the piece of the parallel that takes its place.

    Parameters
    ----------
    corners : numpy.ndarray
        Shape (pairs, n, 3), counter-clockwise. No polygon has a pole inside, and one with a
        corner on a pole has the band that ends there.
    low, high : numpy.ndarray
        Shape (pairs,), sines of the two latitudes.
    moments : bool
        Whether the first moments are wanted.

    Returns
    -------
    area : numpy.ndarray
        Shape (pairs,), in steradian.
    moment : numpy.ndarray or None
        Shape (pairs, 3).
    """
    area = polygon_area(corners)
    moment = polygon_moment(corners) if moments else None
    start, end = corners.reshape(-1, 3), np.roll(corners, -1, axis=-2).reshape(-1, 3)
    pair = np.repeat(np.arange(len(corners)), corners.shape[1])
    real = (start != end).any(axis=-1)
    start, end, pair = start[real], end[real], pair[real]
    cuts = [_crossings(start, end, bound[pair]) for bound in (low, high)]
    times = np.sort(np.concatenate(cuts, axis=-1), axis=-1)  # (edges, 4), of 0..1
    whole = times[:, 3] == 0.0
    arcs = [(pair[whole], start[whole], end[whole])]
    pair, start, end, times = pair[~whole], start[~whole], end[~whole], times[~whole]
    chord, before = end - start, start
    for k in range(5):
        after = end if k == 4 else _on_sphere(start + times[:, k, None] * chord)
        arcs.append((pair, before, after))
        before = after
    for index, one, two in arcs:
        middle = _on_sphere(one + two)[:, 2]
        out = (middle > high[index]) | (middle < low[index])
        index, one, two = index[out], one[out], two[out]
        z = np.where(middle[out] > high[index], high[index], low[index])
        area += np.bincount(index, _beside_parallel(one, two, z), len(area))
        if moment is not None:
            change = _parallel_moment(one, two, z) - arc_moment(one, two)
            for axis in range(3):
                moment[:, axis] += np.bincount(index, change[:, axis], len(area))
    return area, moment


def _turn(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Difference of longitude from one direction to another, radians."""
    across = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    return np.arctan2(across, one[:, 0] * two[:, 0] + one[:, 1] * two[:, 1])


def _on_parallel(directions: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Move directions along their meridians to the parallel z."""
    radius = np.hypot(directions[:, 0], directions[:, 1])
    scale = np.sqrt(np.maximum((1.0 - z) * (1.0 + z), 0.0)) / np.where(radius > 0.0, radius, 1.0)
    return np.stack([directions[:, 0] * scale, directions[:, 1] * scale, z], axis=-1)


def _beside_parallel(one: np.ndarray, two: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Signed area between great-circle arcs and the parallel z, the integral of (z_arc - z) d(lon).

    A quadrilateral of great circles, and the sliver between its edge and the parallel.
    """
    west, east = _on_parallel(one, z), _on_parallel(two, z)
    quadrilateral = triangle_area(west, east, two) + triangle_area(west, two, one)
    return quadrilateral + _sliver(_turn(one, two), z)


def _sliver(turn: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Signed area between the parallel z and the great circle through its ends, turn apart.

    2 arctan(z tan(t / 2)) - z t; for small t as the integral of z q / (1 - q) over s from 0 to t,
    where q = (1 - z^2) sin(s / 2)^2, which cancels nothing.
    """
    small = np.abs(turn) < _SMALL_TURN
    t, zs = turn[small], z[small]
    q = ((1.0 - zs) * (1.0 + zs))[:, None] * np.sin(0.25 * t[:, None] * (1.0 + _NODES)) ** 2
    area = np.empty(turn.shape)
    area[small] = 0.5 * zs * t * ((q / (1.0 - q)) @ _NODE_WEIGHTS)
    t, zl = turn[~small], z[~small]
    area[~small] = 2.0 * np.arctan(zl * np.tan(0.5 * t)) - zl * t
    return area


def _on_sphere(vectors: np.ndarray) -> np.ndarray:
    return vectors / length(vectors)[..., None]


def _crossings(start: np.ndarray, end: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Where on the chord from start to end its arc meets a parallel: 0..1, shape (..., 2).

    z_a + t (z_b - z_a) = z |r_a + t (r_b - r_a)|, squared; 0 where there is no crossing.
    """
    chord = end - start
    rise, squared = chord[..., 2], dot(chord, chord)
    a = rise**2 - z**2 * squared
    # |r_a + t chord|^2 = 1 - t (1 - t) |chord|^2
    b = 2.0 * start[..., 2] * rise + z**2 * squared
    c = (start[..., 2] - z) * (start[..., 2] + z)
    root = np.sqrt(np.maximum(b * b - 4.0 * a * c, 0.0))
    half = -0.5 * (b + np.copysign(root, b))
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.stack([half / a, c / half], axis=-1)
        height = start[..., 2, None] + times * rise[..., None]
    valid = (times > 0.0) & (times < 1.0) & (height * z[..., None] >= 0.0)
    return np.where(valid, times, 0.0)


def _parallel_moment(one: np.ndarray, two: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Half the integral of r x dr along the parallel z, from one longitude to another."""
    step = _on_parallel(two, z) - _on_parallel(one, z)
    rho = (1.0 - z) * (1.0 + z)
    return np.stack(
        [-0.5 * z * step[:, 1], 0.5 * z * step[:, 0], 0.5 * rho * _turn(one, two)], axis=-1
    )
