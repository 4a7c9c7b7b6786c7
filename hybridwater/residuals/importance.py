"""How far a guide is from the posterior, by the tail of importance weights."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from pyro.ops.stats import fit_generalized_pareto
from torch import Tensor

UNRELIABLE = 0.7
"""Shape from which on weights, and what a guide says of the tails, cannot be relied on."""


def pareto_shape(log_weights: Iterable[Tensor]) -> float:
    """Return the shape k of a generalised Pareto distribution of the largest weights.

    Vehtari, A., Simpson, D., Gelman, A., Yao, Y. and Gabry, J. (2024), J. Mach. Learn. Res. 25(72),
    1-58, sec. 3. As a test of variational inference: Yao, Y. et al. (2018), Yes, but did it work?,
    35th International Conference on Machine Learning, 5581-5590.

    Parameters
    ----------
    log_weights : iterable of torch.Tensor
        Logarithm of posterior over guide, up to a constant, at draws of the guide; shape () each.

    Returns
    -------
    float
        Infinite where a weight is not a number, or fewer than five in the tail are not zero.
    """
    weights = torch.stack([torch.as_tensor(w, dtype=torch.float64) for w in log_weights])
    if bool(torch.isnan(weights).any()) or bool(torch.isposinf(weights).any()):
        return math.inf
    ordered = torch.sort(torch.exp(weights - weights.max())).values
    tail = math.ceil(min(0.2 * len(ordered), 3 * math.sqrt(len(ordered))))
    beyond = ordered[-tail:] - ordered[-tail - 1]
    beyond = beyond[beyond > 0]
    return float(fit_generalized_pareto(beyond)[0]) if len(beyond) >= 5 else math.inf
