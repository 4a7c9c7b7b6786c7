"""Tails: how standardised errors of a site differ from a normal distribution.

Every family is a monotone map of a standard normal number: errors are made from it, and turned
back into it. Autocorrelation then lives in one place, among normal numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hybridwater.errors import DeclarationError, nearest
from hybridwater.residuals.student import student_from_normal, student_to_normal


@dataclass(frozen=True)
class Tails:
    """Errors as a map of standard normal numbers; this one, the identity.

    Parameters
    ----------
    name : str
        Name of the family.
    terms : tuple of str
        Names of the shape parameters of a site.
    centre, scale, spread : tuple of float
        Prior of each: mean and standard deviation of the population's centre, and typical standard
        deviation between sites.
    """

    name: str
    terms: tuple[str, ...] = ()
    centre: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()

    def to_normal(self, x: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
        """Turn errors (..., site, time) into normal numbers, with the logarithm of the slope.

        ``shape`` has the dimensions (..., site, n) with one column per term.
        """
        return x, torch.zeros_like(x)

    def from_normal(self, n: Tensor, shape: Tensor) -> Tensor:
        """Turn normal numbers (..., site, time) into errors."""
        return n


class _ToNormal(torch.autograd.Function):
    """Normal numbers of sinh-arcsinh errors and their log slope; derivatives in one pass.

    With ``i = tail arcsinh x - skew``, ``n = sinh i`` and the slope is
    ``tail cosh i / sqrt(1 + x^2)``.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, skew: Tensor, log_tail: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        root = torch.sqrt(1 + x * x)
        size = x.abs()
        # several times as fast as torch.asinh, and as exact near zero
        arc = torch.copysign(torch.log1p(size + size * size / (1 + root)), x)
        tail = log_tail.exp()
        inner = tail * arc - skew
        far = inner.abs()
        log_cosh = far + torch.log1p(torch.exp(-2 * far)) - math.log(2)
        n = torch.sinh(inner)
        ctx.save_for_backward(x, root, arc, inner, n, tail)
        return n, log_tail + log_cosh - torch.log(root)

    @staticmethod
    def backward(ctx: Any, by_n: Tensor, by_slope: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        x, root, arc, inner, n, tail = ctx.saved_tensors
        inward = by_n * torch.sqrt(1 + n * n) + by_slope * torch.tanh(inner)
        by_x = (inward * tail - by_slope * x / root) / root
        by_tail = inward * tail * arc + by_slope
        return by_x, -inward.sum_to_size(tail.shape), by_tail.sum_to_size(tail.shape)


class SinhArcsinh(Tails):
    """``x = sinh((arcsinh n + skew) / tail)``: heavier than normal with ``tail < 1``.

    Jones, M. C. and Pewsey, A. (2009), Biometrika 96, 761-780, eq. 1.
    """

    def to_normal(self, x: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
        """Turn errors into normal numbers; see the class."""
        skew, log_tail = shape[..., :1], shape[..., 1:]
        return _ToNormal.apply(x, skew, log_tail)  # type: ignore[return-value]

    def from_normal(self, n: Tensor, shape: Tensor) -> Tensor:
        """Turn normal numbers into errors; see the class."""
        skew, log_tail = shape[..., :1], shape[..., 1:]
        return torch.sinh((torch.asinh(n) + skew) / log_tail.exp())


class StudentT(Tails):
    """Student's t with ``2 + exp(log_freedom)`` degrees of freedom, so that variance is finite."""

    def to_normal(self, x: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
        """Turn errors into normal numbers; see the class."""
        freedom = 2 + shape.exp()
        n = student_to_normal(x, freedom.expand_as(x))
        log_t = (
            torch.lgamma((freedom + 1) / 2)
            - torch.lgamma(freedom / 2)
            - 0.5 * torch.log(freedom * math.pi)
            - (freedom + 1) / 2 * torch.log1p(x * x / freedom)
        )
        return n, log_t + 0.5 * n * n + 0.5 * math.log(2 * math.pi)

    def from_normal(self, n: Tensor, shape: Tensor) -> Tensor:
        """Turn normal numbers into errors; see the class."""
        return student_from_normal(n, (2 + shape.exp()).expand_as(n))


TAILS: dict[str, Tails] = {
    "normal": Tails("normal"),
    "sinh-arcsinh": SinhArcsinh(
        "sinh-arcsinh", ("skew", "log_tail"), (0.0, -0.1), (0.3, 0.2), (0.1, 0.1)
    ),
    "student-t": StudentT("student-t", ("log_freedom",), (1.5,), (0.7,), (0.2,)),
}


def get_tails(name: str) -> Tails:
    """Return a family of tails by name.

    Raises
    ------
    DeclarationError
        For an unknown name.
    """
    if name not in TAILS:
        raise DeclarationError(
            f"There are no tails '{name}': {nearest(name, TAILS)}",
            where="tails",
            fix=f"Choose one of {', '.join(TAILS)}",
        )
    return TAILS[name]
