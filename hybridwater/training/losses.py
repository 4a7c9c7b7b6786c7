"""What a fit minimises: differentiable measures of misfit, NaN-masked, one value per batch entry.

Each is zero for a perfect simulation. Missing observations do not count. All but ``mse`` do not
depend on the unit of the flux, and a basin that never flows is scored in that unit: its statistics,
by which the others are divided, are taken as one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hybridwater.errors import SettingsError, nearest


@dataclass(frozen=True)
class Reference:
    """Statistics of the observations over the whole training period, shape (batch, 1).

    A window shorter than the period is judged against these, not against its own.

    Parameters
    ----------
    mean, std : torch.Tensor
        Of the flux; ``std`` is never zero.
    level : torch.Tensor
        Size of the mean, never zero.
    log_std : torch.Tensor
        Standard deviation of ``log(flow + level / 100)``, never zero.
    """

    mean: Tensor
    std: Tensor
    level: Tensor
    log_std: Tensor

    @classmethod
    def of(cls, observed: Tensor) -> Reference:
        """Take the statistics of observations (batch, time) with NaN."""
        mean = torch.nanmean(observed, dim=1, keepdim=True)
        level = _or_one(mean.abs())
        return cls(mean, _std(observed), level, _std(torch.log(observed + _OFFSET * level)))

    def select(self, index: Tensor) -> Reference:
        """Return the statistics of some batch entries."""
        return Reference(self.mean[index], self.std[index], self.level[index], self.log_std[index])


def _std(values: Tensor) -> Tensor:
    mean = torch.nanmean(values, dim=1, keepdim=True)
    return _or_one(torch.sqrt(torch.nanmean((values - mean) ** 2, dim=1, keepdim=True)))


def _or_one(values: Tensor) -> Tensor:
    return torch.where(values > 0, values, 1.0)


Loss = Callable[[Tensor, Tensor, Reference], Tensor]

#: What is added to a flow before its logarithm, as a fraction of the mean flow.
_OFFSET = 0.01
#: Least spread and mean of a window, as fractions of those of the whole period.
_LEAST = 1e-3


def _masked(observed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    valid = ~torch.isnan(observed)
    count = valid.sum(1).clamp(min=1)
    return valid, torch.where(valid, observed, 0.0), count


def _mean(values: Tensor, valid: Tensor, count: Tensor) -> Tensor:
    return torch.where(valid, values, 0.0).sum(1) / count


def _error(simulated: Tensor, observed: Tensor, reference: Reference) -> Tensor:
    return simulated - observed


def _scaled_error(simulated: Tensor, observed: Tensor, reference: Reference) -> Tensor:
    return (simulated - observed) / (reference.std + 0.1 * reference.mean.abs())


def _log_ratio(simulated: Tensor, observed: Tensor, reference: Reference) -> Tensor:
    offset = _OFFSET * reference.level
    return torch.log((simulated.clamp(min=0.0) + offset) / (observed + offset)) / reference.log_std


#: Losses that are means of squares, and what is squared: shape (batch, time).
RESIDUALS: dict[str, Loss] = {"mse": _error, "nse": _scaled_error, "log_nse": _log_ratio}
#: Losses in which an error counts the same whatever the flow.
_EVEN = {"mse", "nse"}


def _mean_square(name: str, simulated: Tensor, observed: Tensor, reference: Reference) -> Tensor:
    valid, obs, count = _masked(observed)
    return _mean(RESIDUALS[name](simulated, obs, reference) ** 2, valid, count)


def mse(simulated: Tensor, observed: Tensor, reference: Reference) -> Tensor:
    """Mean squared error, in squared units of the flux."""
    return _mean_square("mse", simulated, observed, reference)


def nse(simulated: Tensor, observed: Tensor, reference: Reference) -> Tensor:
    """One minus the efficiency of Nash and Sutcliffe (1970, doi:10.1016/0022-1694(70)90255-6).

    The variance is that of the whole training period. A tenth of the mean is added to the standard
    deviation, so that a basin that hardly flows does not dominate a regional fit (the idea of
    Kratzert et al. 2019, doi:10.5194/hess-23-5089-2019, eq. 8).
    """
    return _mean_square("nse", simulated, observed, reference)


def log_nse(simulated: Tensor, observed: Tensor, reference: Reference) -> Tensor:
    """One minus NSE of ``log(flow + mean / 100)``, which weighs low flows.

    The offset is that of Pushpalatha et al. (2012, doi:10.1016/j.jhydrol.2011.11.055); mean and
    variance are those of the whole training period. A negative simulated flow counts as zero.
    """
    return _mean_square("log_nse", simulated, observed, reference)


def kge(simulated: Tensor, observed: Tensor, reference: Reference) -> Tensor:
    """One minus the efficiency of Gupta et al. (2009, doi:10.1016/j.jhydrol.2009.08.003, eq. 9).

    A window is judged against its own observations; where these hardly vary or flow, against a
    thousandth of the spread and mean of the whole training period.
    """
    valid, obs, count = _masked(observed)
    sim, obs = simulated / reference.std, obs / reference.std
    mean_s, mean_o = _mean(sim, valid, count), _mean(obs, valid, count)
    dev_s, dev_o = sim - mean_s[:, None], obs - mean_o[:, None]
    # the tiny number keeps the derivative of a constant simulation finite
    std_s = torch.sqrt(_mean(dev_s**2, valid, count) + 1e-12)
    std_o = torch.sqrt(_mean(dev_o**2, valid, count)).clamp(min=_LEAST)
    mean_o = mean_o.clamp(min=_LEAST * (reference.level / reference.std)[:, 0])
    correlation = _mean(dev_s * dev_o, valid, count) / (std_s * std_o)
    parts = (correlation - 1) ** 2 + (std_s / std_o - 1) ** 2 + (mean_s / mean_o - 1) ** 2
    return torch.sqrt(parts + 1e-12)


def flow_duration(simulated: Tensor, observed: Tensor, reference: Reference) -> Tensor:
    """Mean squared difference of the two flow-duration curves over the variance of the flow.

    Flows are sorted, so their timing does not count; combine with another loss.
    """
    valid, obs, count = _masked(observed)
    hidden = torch.where(valid, 0.0, torch.inf)
    sorted_s = torch.sort(torch.where(valid, simulated, 0.0) + hidden, dim=1).values
    sorted_o = torch.sort(obs + hidden, dim=1).values
    finite = torch.isfinite(sorted_o)
    difference = torch.where(finite, sorted_s, 0.0) - torch.where(finite, sorted_o, 0.0)
    return ((difference / reference.std) ** 2).sum(1) / count


LOSSES: dict[str, Loss] = {
    "nse": nse,
    "kge": kge,
    "log_nse": log_nse,
    "mse": mse,
    "flow_duration": flow_duration,
}


def make_loss(spec: str | Mapping[str, float]) -> Loss:
    """Return a loss by name, or a weighted sum of losses.

    Parameters
    ----------
    spec : str or mapping of str to float
        ``"nse"``, or for example ``{"nse": 0.7, "log_nse": 0.3}``.

    Returns
    -------
    callable
        ``loss(simulated, observed, reference) -> (batch,)`` of (batch, time) tensors.

    Raises
    ------
    SettingsError
        If a name is not known or a weight is not positive.
    """
    weights = _weights(spec)

    def total(simulated: Tensor, observed: Tensor, reference: Reference) -> Tensor:
        parts = [w * LOSSES[n](simulated, observed, reference) for n, w in weights.items()]
        return torch.stack(parts).sum(0)

    return total


def make_residuals(spec: str | Mapping[str, float]) -> Loss:
    """Return what is squared in a loss that is a sum of squares.

    Parameters
    ----------
    spec : str or mapping of str to float
        As in :func:`make_loss`; ``mse``, ``nse``, ``log_nse`` and sums of them.

    Returns
    -------
    callable
        ``residuals(simulated, observed, reference)``, from (batch, time) tensors to (batch, n). The
        sum of the squares of a row is the loss; zero where there is no observation.

    Raises
    ------
    SettingsError
        If the loss is not known, or is no sum of squares.
    """
    weights = _weights(spec)
    other = next((n for n in weights if n not in RESIDUALS), None)
    if other is not None:
        raise SettingsError(
            f"The loss '{other}' is no sum of squares, which Levenberg-Marquardt needs.",
            fix=f"Use one of {', '.join(RESIDUALS)}, or another optimiser",
        )

    def residuals(simulated: Tensor, observed: Tensor, reference: Reference) -> Tensor:
        valid, obs, count = _masked(observed)
        parts = [math.sqrt(w) * RESIDUALS[n](simulated, obs, reference) for n, w in weights.items()]
        scale = torch.sqrt(count.double())[:, None]
        return torch.cat([torch.where(valid, p, 0.0) / scale for p in parts], dim=1)

    return residuals


def is_even(spec: str | Mapping[str, float]) -> bool:
    """Say whether an error counts the same in a loss, whatever the flow; as in `make_loss`."""
    return set(_weights(spec)) <= _EVEN


def _weights(spec: str | Mapping[str, float]) -> dict[str, float]:
    weights = {spec: 1.0} if isinstance(spec, str) else dict(spec)
    if not weights:
        raise SettingsError("The loss is empty.", fix=f"Use one of {', '.join(LOSSES)}")
    for name, weight in weights.items():
        if name not in LOSSES:
            raise SettingsError(f"There is no loss '{name}' ({nearest(name, LOSSES)}).")
        if not 0 < weight < float("inf"):
            raise SettingsError(f"The weight of the loss '{name}' is {weight}, not positive.")
    return weights
