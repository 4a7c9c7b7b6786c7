"""Student's t distribution as a map of standard normal numbers, with derivatives for torch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from scipy import special
from torch import Tensor

_STEP = 1e-4  # relative step in the degrees of freedom for their derivative
_FAR = 1e12  # errors of so many scales have no exact normal number any more


class _ToNormal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, freedom: Tensor) -> Tensor:  # type: ignore[override]
        n = _normal_number(x, freedom)
        ctx.save_for_backward(x, freedom, n)
        return n

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        x, freedom, n = ctx.saved_tensors
        log_t = (
            torch.lgamma((freedom + 1) / 2)
            - torch.lgamma(freedom / 2)
            - 0.5 * torch.log(freedom * math.pi)
            - (freedom + 1) / 2 * torch.log1p(x * x / freedom)
        )
        slope = torch.exp(log_t + 0.5 * n * n + 0.5 * math.log(2 * math.pi))
        step = _STEP * freedom
        by_freedom = (_normal_number(x, freedom + step) - _normal_number(x, freedom - step)) / (
            2 * step
        )
        return gradient * slope, gradient * by_freedom


def _normal_number(x: Tensor, freedom: Tensor) -> Tensor:
    """Return n with the same probability below; the lower tail is used for accuracy."""
    values = x.detach().numpy()
    below = special.stdtr(freedom.detach().numpy(), -np.abs(values))
    return torch.as_tensor(-special.ndtri(np.maximum(below, 1e-300)) * np.sign(values))


def student_to_normal(x: Tensor, freedom: Tensor) -> Tensor:
    """Map Student-t numbers to normal ones of the same probability; differentiable in both.

    Parameters
    ----------
    x : torch.Tensor
        Any shape, on the CPU.
    freedom : torch.Tensor
        Degrees of freedom, same shape.

    Returns
    -------
    torch.Tensor
        Same shape.
    """
    return _ToNormal.apply(torch.clamp(x, -_FAR, _FAR), freedom)  # type: ignore[return-value]


def student_from_normal(n: Tensor, freedom: Tensor) -> Tensor:
    """Map normal numbers to Student-t numbers of the same probability; not differentiable.

    Parameters
    ----------
    n : torch.Tensor
        Any shape, on the CPU.
    freedom : torch.Tensor
        Degrees of freedom, same shape.

    Returns
    -------
    torch.Tensor
        Same shape.
    """
    values = n.detach().numpy()
    below = special.stdtrit(freedom.detach().numpy(), special.ndtr(-np.abs(values)))
    return torch.as_tensor(-below * np.sign(values))
