"""Clipping of many pairs of convex polygons at once, on the sphere and in the plane."""

from __future__ import annotations

import numpy as np

from hybridwater.meshes import sphere


def clip_pairs(
    subjects: np.ndarray, counts: np.ndarray, windows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Intersect convex polygons pair by pair.

    Sutherland and Hodgman (1974), doi:10.1145/360767.360802.

    Corners are vectors, and an edge is the plane through the origin and its two corners. With unit
    vectors that is a great circle; with (x, y, 1) it is a straight line.

    Parameters
    ----------
    subjects : numpy.ndarray
        Shape (pairs, n, 3), counter-clockwise.
    counts : numpy.ndarray
        Shape (pairs,), number of corners of each subject.
    windows : numpy.ndarray
        Shape (pairs, m, 3), counter-clockwise; polygons with fewer corners repeat the last one.

    Returns
    -------
    corners : numpy.ndarray
        Shape (pairs, k, 3), not normalised; unused slots repeat the last corner.
    counts : numpy.ndarray
        Shape (pairs,), number of corners, 0 where the two do not meet.
    """
    pairs = len(subjects)
    counts = counts.copy()
    slots = subjects.shape[1] + windows.shape[1]
    corners = np.zeros((pairs, slots, 3))
    corners[:, : subjects.shape[1]] = subjects
    for k in range(windows.shape[1]):
        # The slots that are in use, of the pairs that still have some.
        width = int(counts.max(initial=0))
        alive = np.flatnonzero(counts)
        if not len(alive):
            break
        start, end = windows[alive, k], windows[alive, (k + 1) % windows.shape[1]]
        plane = sphere.normal(start, end)
        side = np.einsum("psx,px->ps", corners[alive, :width], plane)
        used = np.arange(width) < counts[alive, None]
        inside = side >= 0.0
        cut = (used & ~inside).any(axis=1)
        rows = alive[cut]
        if len(rows):
            kept, number = _cut(
                corners[rows, :width], side[cut], inside[cut], used[cut], counts[rows]
            )
            corners[rows, : kept.shape[1]] = kept
            counts[rows] = number
    width = int(counts.max(initial=1))
    last = np.minimum(np.arange(width), np.maximum(counts, 1)[:, None] - 1)
    return np.take_along_axis(corners, last[..., None], axis=1), counts


def _cut(
    corners: np.ndarray,
    side: np.ndarray,
    inside: np.ndarray,
    used: np.ndarray,
    counts: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Keep the part of polygons on the inner side of one plane each."""
    pairs, width = side.shape
    column, row = np.arange(width), np.arange(pairs)[:, None]
    following = (np.where(column + 1 < counts[:, None], column + 1, 0) + row * width).ravel()
    inside = inside & used
    crossing = used & (inside != inside.ravel()[following].reshape(pairs, width))
    # Each corner emits itself if it is inside, then the crossing of the edge that it begins.
    emitted = inside.astype(np.int64) + crossing
    place = np.cumsum(emitted, axis=1)
    number = place[:, -1]
    slots = int(number.max(initial=1))
    place = (place - emitted + row * slots).ravel()
    points = corners.reshape(-1, 3)
    kept = np.zeros((pairs * slots, 3))
    stay, cross = np.flatnonzero(inside), np.flatnonzero(crossing)
    kept[place[stay]] = points[stay]
    side = side.ravel()
    here, there = side[cross], side[following[cross]]
    start = points[cross]
    step = points[following[cross]] - start
    kept[place[cross] + inside.ravel()[cross]] = start + (here / (here - there))[:, None] * step
    return kept.reshape(pairs, slots, 3), np.where(number >= 3, number, 0)
