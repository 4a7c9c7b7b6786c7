"""Means and spreads that are gathered while training and kept with the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FAR = 10.0
"""A feature this many standard deviations from the mean of the training is out of its range."""

_SAME = 1e-6
"""What a value that never varied may differ by, relative to itself, or to one if that is more."""


class Normaliser(nn.Module):
    """Brings features to mean zero and spread one, by what it has seen.

    Sums are kept in float64 whatever the precision of the network. It gathers only while it is in
    training mode, and at most ``most`` rows, so that inputs do not drift under a trained network.

    Parameters
    ----------
    size : int
        Number of features.
    most : int
        Rows after which it gathers no more.
    noise : float
        Standard deviation up to which a feature is the rounding of a constant.
    """

    total: Tensor
    squares: Tensor
    rows: Tensor

    def __init__(self, size: int, most: int = 1_000_000, noise: float = 0.0) -> None:
        super().__init__()
        self.most, self.noise = most, noise
        self.register_buffer("total", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("rows", torch.zeros((), dtype=torch.float64))

    def _apply(self, fn, recurse: bool = True):  # type: ignore[no-untyped-def]
        """Move to devices but keep sums in float64."""
        super()._apply(fn, recurse)
        for name in ("total", "squares", "rows"):
            setattr(self, name, getattr(self, name).double())
        return self

    @property
    def mean(self) -> Tensor:
        """Mean of what it has seen, shape (features,)."""
        return self.total / self.rows.clamp(min=1.0)

    @property
    def _variance(self) -> tuple[Tensor, Tensor]:
        """Return the variance, and whether it is more than rounding, of its two sums or before."""
        variance = (self.squares / self.rows.clamp(min=1.0) - self.mean**2).clamp(min=0.0)
        least = 1e-14 * torch.maximum(self.mean**2, torch.ones_like(self.mean) * 1e-30)
        return variance, variance > least.clamp(min=self.noise**2)

    @property
    def spread(self) -> Tensor:
        """Standard deviation, shape (features,); one where nothing varies or nothing was seen."""
        variance, varies = self._variance
        return torch.where(varies, variance.sqrt(), 1.0)

    @torch.no_grad()
    def gather(self, x: Tensor) -> None:
        """Take note of values of shape (..., features)."""
        flat = x.reshape(-1, x.shape[-1]).double()
        self.total += flat.sum(dim=0)
        self.squares += (flat**2).sum(dim=0)
        self.rows += flat.shape[0]

    def far(self, x: Tensor) -> Tensor:
        """Say which values of shape (..., features) are out of range; none if it saw nothing.

        Where nothing varied, any other value is out of range.
        """
        same = _SAME * self.mean.abs().clamp(min=1.0)
        reach = torch.where(self._variance[1], FAR * self.spread, same)
        return ((x - self.mean).abs() > reach) & (self.rows > 0.0)

    def within(self, x: Tensor) -> Tensor:
        """Return values of shape (..., features), the mean where they are out of range."""
        return torch.where(self.far(x), self.mean.to(x), x)

    def forward(self, x: Tensor) -> Tensor:
        """Return normalised values of shape (..., features), in the precision of ``x``."""
        if self.training and float(self.rows) < self.most:
            self.gather(x)
        return (x - self.mean.to(x.dtype)) / self.spread.to(x.dtype)

    def restore(self, x: Tensor) -> Tensor:
        """Return values from normalised ones, shape (..., features)."""
        return x * self.spread.to(x.dtype) + self.mean.to(x.dtype)
