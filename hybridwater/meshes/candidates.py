"""Which pieces of two meshes may overlap: those whose boxes do."""

from __future__ import annotations

import numpy as np

from hybridwater.meshes.pieces import Pieces


def candidate_pairs(
    source: Pieces, target: Pieces, *, round_earth: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Find pairs of pieces whose boxes overlap (sort-tile-recursive tree of shapely).

    Parameters
    ----------
    source, target : Pieces
        Pieces of two meshes.
    round_earth : bool
        Whether boxes are degrees, in which 360 is 0.

    Returns
    -------
    source_pieces, target_pieces : numpy.ndarray
        Shape (pairs,), sorted by target, then source.
    """
    import shapely

    source_boxes, source_index = _copies(source.boxes, round_earth)
    target_boxes, target_index = _copies(target.boxes, round_earth)
    tree = shapely.STRtree(shapely.box(*source_boxes.T))
    into, found = tree.query(shapely.box(*target_boxes.T))
    key = target_index[into] * len(source.boxes) + source_index[found]
    key = np.sort(key)
    key = key[np.append(True, key[1:] != key[:-1])[: len(key)]]
    return key % len(source.boxes), key // len(source.boxes)


def _copies(boxes: np.ndarray, round_earth: bool) -> tuple[np.ndarray, np.ndarray]:
    """Repeat boxes that cross 180 degrees on the other side of the map."""
    index = np.arange(len(boxes))
    if not round_earth:
        return boxes, index
    over = boxes[:, 2] > 180.0 - 1e-9
    shifted = boxes[over] - np.array([360.0, 0.0, 360.0, 0.0])
    grown = np.concatenate([boxes, shifted]) + np.array([-1e-9, -1e-9, 1e-9, 1e-9])
    return grown, np.concatenate([index, index[over]])
