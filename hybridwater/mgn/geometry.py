"""What edges of a graph know of the ground: relative numbers only, so that no weight knows a grid.

Every feature is a ratio: positions and distances are divided by the local length, areas by areas.
A mesh of the same shape at another scale has the same features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybridwater.meshes import sphere

BESIDE = ("dx", "dy", "distance", "width", "log_length_ratio", "slope")
"""Features of an edge between neighbours of one mesh."""

RIVER = ("dx", "dy", "distance", "log_length_ratio", "log_upstream_ratio", "slope")
"""Features of an edge between two reaches."""

OVERLAPS = (
    "dx",
    "dy",
    "distance",
    "share_of_source",
    "share_of_target",
    "log_length_ratio",
    "slope",
)
"""Features of an edge between overlapping cells of two components."""

PARTS = ("dx", "dy", "distance", "log_share")
"""Features of an edge between a cell and its aggregate."""


@dataclass(frozen=True, eq=False)
class Nodes:
    """Where the nodes at one level of a component lie.

    Attributes
    ----------
    measure : numpy.ndarray
        Shape (n,): areas in m2, of reaches lengths in m.
    length : numpy.ndarray
        Shape (n,), in m: the local length, square root of the area or length of the reach.
    points : numpy.ndarray
        Shape (n, axes), in m: in the plane, or on the sphere of the Earth; NaN if unknown.
    elevation : numpy.ndarray
        Shape (n,), in m; zero if unknown.
    upstream : numpy.ndarray or None
        Shape (n,): what lies above a reach, itself included, in any one measure.
    """

    measure: np.ndarray
    length: np.ndarray
    points: np.ndarray
    elevation: np.ndarray
    upstream: np.ndarray | None = None


def displacement(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the way from points to points in m, to the east and to the north.

    Parameters
    ----------
    start, end : numpy.ndarray
        Shape (n, 2) in the plane, or (n, 3) on the sphere.

    Returns
    -------
    numpy.ndarray
        Shape (n, 2); zero where a place is not known.
    """
    way = end - start
    if way.shape[1] == 3:
        middle = start + end
        east = np.stack([-middle[:, 1], middle[:, 0], np.zeros(len(way))], axis=1)
        size = sphere.length(east)
        east[size == 0.0] = [0.0, 1.0, 0.0]  # at a pole every direction will do
        east /= np.where(size > 0.0, size, 1.0)[:, None]
        north = sphere.cross(middle, east)
        north /= np.maximum(sphere.length(north), np.finfo(float).tiny)[:, None]
        way = np.stack([sphere.dot(way, east), sphere.dot(way, north)], axis=1)
    return np.nan_to_num(way, nan=0.0)


def edge_features(
    source: Nodes,
    target: Nodes,
    index: np.ndarray,
    *,
    kind: str,
    width: np.ndarray | None = None,
    shares: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the features of edges.

    Parameters
    ----------
    source, target : Nodes
        Where edges begin and end.
    index : numpy.ndarray
        Shape (2, n_edges).
    kind : {"beside", "downstream", "upstream", "overlaps", "parts"}
        Which features.
    width : numpy.ndarray, optional
        Shape (n_edges,), in m, for ``beside``.
    shares : tuple of numpy.ndarray, optional
        Shares of the source cell and of the target cell, for ``overlaps``; of the measure of the
        aggregate, twice the same, for ``parts``.

    Returns
    -------
    features : numpy.ndarray
        Shape (n_edges, n_features), without unit: `BESIDE`, `RIVER`, `OVERLAPS` or `PARTS`.
    distance : numpy.ndarray
        Shape (n_edges,), in m; along the river between reaches.
    """
    i, j = index
    scale = np.sqrt(source.length[i] * target.length[j])
    way = displacement(source.points[i], target.points[j])
    along = kind in ("downstream", "upstream")
    if along:
        distance = 0.5 * (source.length[i] + target.length[j])
    else:
        distance = np.hypot(way[:, 0], way[:, 1])
    ratio = np.log(target.length[j] / source.length[i])
    drop = source.elevation[i] - target.elevation[j]
    slope = np.divide(drop, distance, out=np.zeros(len(i)), where=distance > 0.0)
    columns = [way[:, 0] / scale, way[:, 1] / scale, distance / scale]
    if kind == "beside":
        assert width is not None
        columns += [width / scale, ratio, slope]
    elif along:
        assert source.upstream is not None
        assert target.upstream is not None
        columns += [ratio, np.log(target.upstream[j] / source.upstream[i]), slope]
    elif kind == "overlaps":
        assert shares is not None
        columns += [*shares, ratio, slope]
    else:
        assert shares is not None
        columns += [np.log(shares[0])]
    return np.stack(columns, axis=1), distance
