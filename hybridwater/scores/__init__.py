"""How good a simulation or an ensemble is, against observations: xarray in, xarray out.

Single simulations: :func:`nse`, :func:`kge`, :func:`log_nse`, :func:`bias`,
:func:`high_flow_bias`, :func:`low_flow_bias`. Ensembles: :func:`crps`, :func:`interval_score`,
:func:`energy_score`; what they are compared with: :func:`climatology`, :func:`persistence` (by its
:func:`absolute_error`), :func:`skill`. Whether an ensemble is as uncertain as it should be:
:func:`pit`, :func:`rank_histogram`, :func:`flatness`, :func:`coverage`, :func:`spread_skill`,
:func:`reliability`. How rare a flow is: :func:`return_period`.

All take :class:`xarray.DataArray` with ``units`` and a ``time`` dimension, ensembles also with
``member``, and compare where there are values of both. Other dimensions (basins, gages) are kept.
A score that is not defined (no pairs, constant observations) is NaN.
"""

from hybridwater.scores.calibration import (
    coverage,
    flatness,
    pit,
    rank_histogram,
    reliability,
    spread_skill,
)  # fmt: skip
from hybridwater.scores.deterministic import (
    bias,
    high_flow_bias,
    kge,
    log_nse,
    low_flow_bias,
    nse,
)  # fmt: skip
from hybridwater.scores.probabilistic import absolute_error, crps, energy_score, interval_score
from hybridwater.scores.references import climatology, persistence, return_period, skill

__all__ = [
    "absolute_error",
    "bias",
    "climatology",
    "coverage",
    "crps",
    "energy_score",
    "flatness",
    "high_flow_bias",
    "interval_score",
    "kge",
    "log_nse",
    "low_flow_bias",
    "nse",
    "persistence",
    "pit",
    "rank_histogram",
    "reliability",
    "return_period",
    "skill",
    "spread_skill",
]
