"""Transforms of flow under which errors are nearly alike at low and at high flow.

Flows come here divided by the mean observed flow of their site, so that one set of transform
parameters serves large and small rivers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from hybridwater.errors import DeclarationError, nearest


@dataclass(frozen=True)
class Transform:
    """A monotone map of relative flow [1] to a real number, with parameters that may be learned.

    Parameters
    ----------
    name : str
        ``"box-cox"``, ``"log-sinh"`` or ``"learned"``.
    start : tuple of float
        Values of the parameters, or the centre of their prior where they are learned.
    spread : tuple of float
        Standard deviations of the priors; empty where the parameters are fixed.
    """

    name: str
    start: tuple[float, ...]
    spread: tuple[float, ...] = ()

    def forward(self, flow: Tensor, parameters: Tensor) -> Tensor:
        """Transform relative flow, shape (..., site, time); parameters (..., n)."""
        raise NotImplementedError

    def inverse(self, z: Tensor, parameters: Tensor) -> Tensor:
        """Return relative flow, not below zero: what lies below the image of zero is dry."""
        raise NotImplementedError

    def log_slope(self, flow: Tensor, parameters: Tensor) -> Tensor:
        """Return the logarithm of the derivative of :meth:`forward`."""
        raise NotImplementedError


class BoxCox(Transform):
    """``((q + c)^p - 1) / p``, the logarithm at ``p = 0``; parameters ``(p, c)``.

    Box, G. E. P. and Cox, D. R. (1964), J. R. Stat. Soc. B 26, 211-252, eq. 2.
    """

    def forward(self, flow: Tensor, parameters: Tensor) -> Tensor:
        """Transform; see the class."""
        power, offset = _apart(parameters)
        logarithm = torch.log(flow + offset)
        small = power.abs() < 1e-6
        safe = torch.where(small, torch.ones_like(power), power)
        return torch.where(small, logarithm, torch.expm1(safe * logarithm) / safe)

    def inverse(self, z: Tensor, parameters: Tensor) -> Tensor:
        """Invert; see the class."""
        power, offset = _apart(parameters)
        small = power.abs() < 1e-6
        safe = torch.where(small, torch.ones_like(power), power)
        inner = torch.log1p(torch.clamp(safe * z, min=-1 + 1e-12)) / safe
        return torch.clamp(torch.exp(torch.where(small, z, inner)) - offset, min=0.0)

    def log_slope(self, flow: Tensor, parameters: Tensor) -> Tensor:
        """Return the logarithm of the derivative; see the class."""
        power, offset = _apart(parameters)
        return (power - 1) * torch.log(flow + offset)


class LogSinh(Transform):
    """``log(sinh(a + b q)) / b``; parameters ``(log a, log b)``.

    Like a logarithm at low flow, linear at high flow: errors stop growing with the flow.

    Wang, Q. J., Shrestha, D. L., Robertson, D. E. and Pokhrel, P. (2012), Water Resour. Res. 48,
    W05514, eq. 1. doi:10.1029/2011WR010973
    """

    def forward(self, flow: Tensor, parameters: Tensor) -> Tensor:
        """Transform; see the class."""
        a, b = (p.exp() for p in _apart(parameters))
        x = a + b * flow
        return (x + torch.log(-torch.expm1(-2 * x)) - math.log(2)) / b

    def inverse(self, z: Tensor, parameters: Tensor) -> Tensor:
        """Invert; see the class."""
        a, b = (p.exp() for p in _apart(parameters))
        y = b * z
        # asinh(exp y), without overflow: y + log(1 + sqrt(1 + exp(-2 y))) for large y
        large = torch.clamp(y, min=0.0)
        upper = large + torch.log1p(torch.sqrt(1 + torch.exp(-2 * large)))
        x = torch.where(y > 0, upper, torch.asinh(torch.exp(torch.clamp(y, max=0.0))))
        return torch.clamp((x - a) / b, min=0.0)

    def log_slope(self, flow: Tensor, parameters: Tensor) -> Tensor:
        """Return the logarithm of the derivative, ``-log tanh(a + b q)``; see the class."""
        a, b = (p.exp() for p in _apart(parameters))
        return -torch.log(torch.tanh(a + b * flow))


class Learned(BoxCox):
    """Box-Cox whose power and offset are learned; parameters ``(p, softplus^-1 c)``."""

    def forward(self, flow: Tensor, parameters: Tensor) -> Tensor:
        """Transform; see the class."""
        return super().forward(flow, _positive_offset(parameters))

    def inverse(self, z: Tensor, parameters: Tensor) -> Tensor:
        """Invert; see the class."""
        return super().inverse(z, _positive_offset(parameters))

    def log_slope(self, flow: Tensor, parameters: Tensor) -> Tensor:
        """Return the logarithm of the derivative; see the class."""
        return super().log_slope(flow, _positive_offset(parameters))


def _apart(parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Split parameters (..., 2) so that they go with flows (..., site, time)."""
    return parameters[..., 0, None, None], parameters[..., 1, None, None]


def _positive_offset(parameters: Tensor) -> Tensor:
    return torch.stack([parameters[..., 0], softplus(parameters[..., 1])], -1)


TRANSFORMS: dict[str, Transform] = {
    "box-cox": BoxCox("box-cox", (0.2, 0.01)),
    "log-sinh": LogSinh("log-sinh", (math.log(0.05), math.log(0.5))),
    "learned": Learned("learned", (0.2, math.log(math.expm1(0.02))), (0.15, 0.5)),
}


def get_transform(name: str) -> Transform:
    """Return a transform by name.

    Raises
    ------
    DeclarationError
        For an unknown name.
    """
    if name not in TRANSFORMS:
        raise DeclarationError(
            f"There is no transform '{name}': {nearest(name, TRANSFORMS)}",
            where="transform",
            fix=f"Choose one of {', '.join(TRANSFORMS)}",
        )
    return TRANSFORMS[name]
