"""Which cells are joined when a graph is made coarser."""

from __future__ import annotations

import numpy as np


def heavy_pairs(
    first: np.ndarray, second: np.ndarray, weights: np.ndarray, size: int
) -> np.ndarray:
    """Join cells in pairs over the heaviest edges.

    In each round every edge that is the heaviest of both its ends becomes a pair, which gives at
    least half the weight of the best pairing (Preis 1999, doi:10.1007/3-540-49116-3_24). Ties
    are broken by a fixed hash of the two ends, so the result is always the same.

    Parameters
    ----------
    first, second : numpy.ndarray of int
        Shape (n_edges,), ends of each edge.
    weights : numpy.ndarray
        Shape (n_edges,), positive.
    size : int
        Number of cells.

    Returns
    -------
    numpy.ndarray of int
        Shape (size,), label of the pair of each cell; cells without a partner have their own.
    """
    partner = np.arange(size)
    weights = weights * (1.0 + 1e-3 * _hash(first, second))
    free = np.ones(size, dtype=bool)
    while len(first):
        best = np.zeros(size)
        np.maximum.at(best, first, weights)
        np.maximum.at(best, second, weights)
        top = np.flatnonzero((weights == best[first]) & (weights == best[second]))
        # Equal weights at one cell, which a hash cannot exclude: the first of them.
        _, once = np.unique(first[top], return_index=True)
        top = top[np.sort(once)]
        _, once = np.unique(second[top], return_index=True)
        top = top[np.sort(once)]
        top = top[~np.isin(first[top], second[top])]
        one, two = first[top], second[top]
        partner[np.maximum(one, two)] = np.minimum(one, two)
        free[one] = free[two] = False
        keep = free[first] & free[second]
        if len(top) == 0:
            break
        first, second, weights = first[keep], second[keep], weights[keep]
    return relabelled(partner)


def relabelled(labels: np.ndarray) -> np.ndarray:
    """Count labels from zero without gaps, in the order of the smallest member."""
    _, index, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(index), dtype=np.int64)
    rank[np.argsort(index, kind="stable")] = np.arange(len(index))
    return rank[inverse.reshape(-1)]


def _hash(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return numbers in 0..1 that look random and depend on the two ends only."""
    low = np.minimum(first, second).astype(np.uint64)
    high = np.maximum(first, second).astype(np.uint64)
    mixed = low * np.uint64(0x9E3779B97F4A7C15) + high * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(11)).astype(float) / 2.0**53
