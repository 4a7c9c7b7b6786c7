"""Which equation to recommend, and when to recommend none.

The rule. Time is cut into blocks, two thirds of which, drawn at random, are searched and the rest
held out. An equation is *acceptable* if its error on the held-out blocks is within one standard
error of the smallest one (of the differences between blocks; the rule of Breiman et al. 1984), or
below what can be known: the spread of the fits, or the tolerance. From the simplest acceptable
equation the rule goes on to a more complex one as long as the error is above the tolerance and
each further operation or constant at least halves it: a law shows as a steep step, the habits of a
network as a slow decline. What it arrives at is recommended if, on held-out time, it explains at
least half of the variance of the term and is better than a constant in three of four blocks. Noise
has nothing that another block would confirm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BLOCKS = 24
LEAST_EXPLAINED = 0.5
LEAST_BLOCKS = 0.75
STEEP = 2.0
_HELD_OUT = 1 / 3


def held_out(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut samples in order of time into blocks, and hold some out.

    Parameters
    ----------
    count : int
        Number of samples.
    seed : int
        Seed of the draw.

    Returns
    -------
    searched : numpy.ndarray
        Bool, shape (count,): whether a sample is searched.
    block : numpy.ndarray
        Int, shape (count,): its block.
    """
    blocks = min(BLOCKS, count // 4)
    block = np.arange(count) * blocks // count
    out = np.random.default_rng(seed).permutation(blocks)[: max(2, round(_HELD_OUT * blocks))]
    return ~np.isin(block, out), block


@dataclass(frozen=True)
class Judgement:
    """What the rule says of candidates in order of complexity.

    Parameters
    ----------
    chosen : int or None
        The recommended one.
    why : str
        The reasons, in sentences.
    """

    chosen: int | None
    why: str


def judge(
    errors: np.ndarray,
    complexity: np.ndarray,
    constant: np.ndarray,
    block: np.ndarray,
    noise: float,
    tolerance: float,
) -> Judgement:
    """Apply the rule.

    Parameters
    ----------
    errors : numpy.ndarray
        Squared errors over the variance of the term, times weights, on held-out samples; shape
        (candidate, sample); candidates in order of complexity.
    complexity : numpy.ndarray
        Of each candidate, increasing.
    constant : numpy.ndarray
        Errors of the best constant, shape (sample,).
    block : numpy.ndarray
        Block of each sample.
    noise : float
        Spread of the fits, as a share of the variance.
    tolerance : float
        Error below which equations are equally good.
    """
    if not len(errors):
        return Judgement(None, "No equation respects the physics of the term and is short enough.")
    names = np.unique(block)
    per_block = np.stack([errors[:, block == b].mean(1) for b in names], axis=1)
    plain = np.array([constant[block == b].mean() for b in names])
    mean = per_block.mean(1)
    best = int(np.argmin(mean))
    standard = np.std(per_block - per_block[best], axis=1, ddof=1) / np.sqrt(len(names))
    floor = max(noise, tolerance)
    acceptable = mean <= np.maximum(mean[best] + standard, floor)
    simplest = int(np.flatnonzero(acceptable)[0])
    chosen = _further(mean, complexity, simplest, tolerance)
    better = float(np.mean(per_block[chosen] < plain))
    explained = 1 - mean[chosen] / plain.mean()
    if explained < LEAST_EXPLAINED or better < LEAST_BLOCKS:
        return Judgement(
            None,
            f"No equation is recommended: on held-out time the simplest acceptable one explains "
            f"{explained:.0%} of the variance and is better than a constant in {better:.0%} of the "
            f"blocks, where {LEAST_EXPLAINED:.0%} and {LEAST_BLOCKS:.0%} are asked for. The term "
            "looks like noise, or depends on something that is not among its inputs.",
        )
    within = "the spread of the fits or the tolerance"
    if mean[simplest] > floor:
        within = "one standard error of the smallest error"
    why = f"The simplest equation whose error on held-out time is within {within}"
    if chosen != simplest:
        why += ", and from there on as long as each operation or constant halves the error"
    return Judgement(chosen, f"{why}: it explains {explained:.1%} of the variance there.")


def _further(mean: np.ndarray, complexity: np.ndarray, chosen: int, tolerance: float) -> int:
    """Go on to more complex candidates as long as the error counts and falls steeply."""
    for k in range(chosen + 1, len(mean)):
        if mean[chosen] <= tolerance:
            break
        step = complexity[k] - complexity[chosen]
        if mean[k] * STEEP**step <= mean[chosen]:
            chosen = k
    return chosen
