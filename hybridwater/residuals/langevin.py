"""Stochastic gradient Langevin dynamics: draws from gradients of parts of the observations.

A step goes half its size up the gradient of the log density, and adds noise of that variance:

    z' = z + step / 2 x C gradient + sqrt(step) x Normal(0, C)

Welling, M. and Teh, Y. W. (2011), Bayesian learning via stochastic gradient Langevin dynamics,
28th International Conference on Machine Learning, 681-688, eq. 4. C is the covariance of the draws
of a guide, held fixed, so that directions along a ridge take steps as long as it. Steps become
smaller as ``(1 + t / warmup)^(-1/3)`` (Teh, Y. W., Thiery, A. H. and Vollmer, S. J. (2016), J.
Mach. Learn. Res. 17(7), 1-33, sec. 5), and nothing is refused: an error of order ``step`` is left.
With all observations and normal posteriors, variances are too large by ``1 / (1 - step / 4)``; the
noise of gradients adds to this.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from pyro import poutine
from rich.progress import Progress
from torch import Tensor

from hybridwater import settings

Model = Callable[..., None]


def langevin(
    model: Model,
    arguments: tuple[object, ...],
    starts: dict[str, Tensor],
    *,
    step: float,
    warmup: int,
    steps: int,
    draws: int,
    chains: int,
) -> dict[str, Tensor]:
    """Draw from a posterior.

    Parameters
    ----------
    model : callable
        Pyro model, all of whose variables are unbounded. Its density may be that of a part of the
        observations, drawn anew at each call, as long as its mean is right.
    arguments : tuple
        Its arguments.
    starts : dict of str to torch.Tensor
        Variables by name, shape (n, ...): draws of about the right covariance, where chains begin.
    step : float
        Size of the first step, in units of the covariance.
    warmup, steps : int
        Steps of each chain that are left out, and that count.
    draws : int
        How many are kept of each chain, at equal intervals of the sum of steps: Welling and Teh's
        weights, by the size of steps, are then equal.
    chains : int
        Number of chains.

    Returns
    -------
    dict of str to torch.Tensor
        Shape (chain, draw, ...).
    """
    shapes = {name: values.shape[1:] for name, values in starts.items()}
    flat = torch.cat([values.flatten(1) for values in starts.values()], dim=1)
    covariance = torch.cov(flat.T).reshape(flat.shape[1], -1)
    root = torch.linalg.cholesky(covariance + 1e-9 * torch.eye(len(covariance)).to(flat))

    def unpacked(z: Tensor) -> dict[str, Tensor]:
        parts = z.split([shape.numel() for shape in shapes.values()], dim=-1)
        return {
            name: part.reshape(*z.shape[:-1], *shape)
            for part, (name, shape) in zip(parts, shapes.items(), strict=True)
        }

    def gradient(z: Tensor) -> Tensor:
        at = z.clone().requires_grad_()
        there = poutine.condition(model, unpacked(at))
        density = torch.as_tensor(poutine.trace(there).get_trace(*arguments).log_prob_sum())
        (found,) = torch.autograd.grad(density, at)
        return found

    sizes = step * (1 + np.arange(warmup + steps) / max(warmup, 1)) ** (-1 / 3)
    passed = np.cumsum(sizes[warmup:])
    kept = warmup + np.searchsorted(passed, passed[-1] * (np.arange(draws) + 1) / draws - 1e-9)
    found = []
    with Progress(transient=True, disable=not settings.shows_progress()) as progress:
        task = progress.add_task("Langevin dynamics", total=chains * len(sizes))
        for z in flat[:chains]:
            path = torch.empty(len(sizes), flat.shape[1], dtype=flat.dtype)
            for t, size in enumerate(sizes):
                noise = torch.randn(len(z), dtype=z.dtype)
                z = z + root @ (0.5 * size * (root.T @ gradient(z)) + size**0.5 * noise)
                path[t] = z
                progress.advance(task)
            found.append(path[kept])
    return unpacked(torch.stack(found))
