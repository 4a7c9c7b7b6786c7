"""How much of the variance of an ensemble is owed to which source."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import EnsembleError

if TYPE_CHECKING:
    import xarray as xr

_REPEATS = 200


def variance_shares(
    values: xr.DataArray, draw: xr.DataArray, *, level: float = 0.9, seed: int = 0
) -> xr.Dataset:
    """Attribute the variance of a result over the members to the sources of uncertainty.

    Parameters
    ----------
    values : xarray.DataArray
        Any result with the dimension ``member`` and whatever others, of an ensemble with
        ``Design(attribution=True)``.
    draw : xarray.DataArray
        Shape (member, source), as the ensemble has it.
    level : float
        Probability of the interval.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    xarray.Dataset
        Dimension ``source`` and those of ``values`` but for ``member``; all dimensionless.
        ``alone``: the share of the variance that goes if the source becomes certain (first-order
        Sobol index, Saltelli et al. 2010, doi:10.1016/j.cpc.2009.09.018, table 2 b); ``total``: the
        share that stays if all others do (total-effect index, Jansen 1999,
        doi:10.1016/S0010-4655(98)00154-4). They differ by what sources do together. ``alone_low``,
        ``alone_high``, ``total_low`` and ``total_high`` are ends of the interval of a bootstrap
        over draws. NaN where nothing varies.

    Raises
    ------
    EnsembleError
        If the ensemble has no members for it.
    """
    import xarray as xr

    sources = draw.sizes["source"]
    block = sources + 2
    count, rest = divmod(values.sizes["member"], block)
    rows = draw.transpose("member", "source").values
    mixed = rest == 0 and count > 1 and (rows[0::block] + count == rows[1::block]).all()
    if not mixed:
        raise EnsembleError(
            "The members of this ensemble are not mixed for an attribution.",
            fix="Run it with Design(attribution=True), and give all of its members",
        )
    data = values.transpose("member", ...)
    blocks = data.values.reshape(count, block, *data.shape[1:]).astype(float)
    there = np.isfinite(blocks).all(axis=1, keepdims=True)
    blocks = np.where(there, blocks, np.nan)  # a draw counts if all of its members are there
    found = np.stack(_indices(blocks))
    rng = np.random.default_rng(seed)
    tried = np.stack(
        [np.stack(_indices(blocks[rng.integers(count, size=count)])) for _ in range(_REPEATS)]
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)  # where nothing varies
        ends = np.nanquantile(tried, [(1 - level) / 2, (1 + level) / 2], axis=0)
    told = {
        "alone": ("share of the variance that goes if the source becomes certain", found[0]),
        "alone_low": ("lower end of its interval", ends[0, 0]),
        "alone_high": ("upper end of its interval", ends[1, 0]),
        "total": ("share of the variance that stays if all other sources become certain", found[1]),
        "total_low": ("lower end of its interval", ends[0, 1]),
        "total_high": ("upper end of its interval", ends[1, 1]),
    }
    dims = ("source", *data.dims[1:])
    kept = {k: c for k, c in data.coords.items() if "member" not in c.dims}
    return xr.Dataset(
        {n: (dims, v, {"units": "1", "long_name": what}) for n, (what, v) in told.items()},
        {"source": draw["source"].values, **kept},
    )


def _indices(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return first-order and total indices, shape (source, ...), of blocks (draw, member, ...)."""
    a, b, mixed = blocks[:, 0], blocks[:, 1], blocks[:, 2:]
    with np.errstate(invalid="ignore", divide="ignore"):
        both = np.concatenate([a, b])
        variance = _mean((both - _mean(both)) ** 2)
        centre = _mean(both)  # the estimate of the products is better without it
        alone = _mean((b - centre)[:, None] * (mixed - a[:, None])) / variance
        total = _mean((a[:, None] - mixed) ** 2) / (2 * variance)
        nothing = variance <= 1e-28 * centre**2
    return np.where(nothing, np.nan, alone), np.where(nothing, np.nan, total)


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over draws that are there."""
    counts = np.isfinite(values).sum(axis=0)
    return np.where(counts > 0, np.nansum(values, axis=0) / np.maximum(counts, 1), np.nan)
