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
    following = np.arange(1, width + 1) % counts[:, None]
    following = np.where(used, following, 0)
    side_next = np.take_along_axis(side, following, axis=1)
    inside_next = np.take_along_axis(inside, following, axis=1)
    crossing = used & (inside != inside_next)
    row, column = np.nonzero(crossing)
    here, there = side[row, column], side_next[row, column]
    weight = (here / (here - there))[:, None]
    start = corners[row, column]
    points = start + weight * (corners[row, following[row, column]] - start)
    # Each corner emits itself if it is inside, then the crossing of the edge that it begins.
    emitted = np.stack([used & inside, crossing], axis=2).reshape(pairs, 2 * width)
    place = np.cumsum(emitted, axis=1) - 1
    number = place[:, -1] + 1
    kept = np.zeros((pairs, int(number.max(initial=1)), 3))
    rows, columns = np.nonzero(used & inside)
    kept[rows, place[rows, 2 * columns]] = corners[rows, columns]
    kept[row, place[row, 2 * column + 1]] = points
    return kept, np.where(number >= 3, number, 0)
