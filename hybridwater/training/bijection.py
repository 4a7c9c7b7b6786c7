"""Bounded parameters by bijection: the optimiser moves freely, the value stays inside."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hybridwater.ude.terms import Parameter

#: Values at a bound are moved inside by this fraction of the range before they are inverted.
_EDGE = 1e-4


class Bounded:
    """Maps free numbers to parameters within their bounds and back.

    ``value = low + (high - low) * sigmoid(free)``, on a logarithmic scale for parameters that are
    declared so.

    Parameters
    ----------
    parameters : sequence of Parameter
        In the order of the last axis.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.names = tuple(p.name for p in parameters)
        self._log = torch.tensor([p.log for p in parameters], dtype=torch.bool)
        bounds = torch.tensor([p.bounds for p in parameters], dtype=torch.float64).reshape(-1, 2)
        self._least, self._most = bounds[:, 0], bounds[:, 1]
        bounds = torch.where(self._log[:, None], torch.log(bounds.clamp(min=1e-300)), bounds)
        self._low, self._width = bounds[:, 0], bounds[:, 1] - bounds[:, 0]

    def constrain(self, free: Tensor) -> Tensor:
        """Map free numbers (..., n) to values within the bounds (..., n)."""
        inside = self._low + self._width * torch.sigmoid(free)
        values = torch.where(self._log, torch.exp(torch.where(self._log, inside, 0.0)), inside)
        return values.clamp(self._least, self._most)  # rounding may leave the bounds

    def free(self, values: Tensor) -> Tensor:
        """Invert :meth:`constrain`; values at a bound are moved slightly inside."""
        inside = torch.where(
            self._log, torch.log(torch.where(self._log, values, 1.0).clamp(min=1e-300)), values
        )
        fraction = ((inside - self._low) / self._width).clamp(_EDGE, 1 - _EDGE)
        return torch.logit(fraction)
