"""Autocorrelation of errors that leaves the distribution of each single error as it is.

The normal numbers n behind the errors (see ``margins``) form a Markov chain, a mixture of three
autoregressions of order one,

    n_t = r_k n_(t-1) + sqrt(1 - r_k^2) e_t,    k with the probability p_k,t,

each of which keeps a standard normal distribution. The slowest (deep recession) hardly moves, the
fastest (a storm arrives at another time than simulated) mostly forgets; the logarithm of each
probability over that of the fastest is linear in terms of the simulation. A plain AR(1) is the case
of equal r. With two, steps in recessions are more peaked than any mixture of them.

The marginal distribution is fitted first and n then held fixed, as in inference functions for
margins (Joe, H. (1997), Multivariate Models and Dependence Concepts, sec. 10.1): errors of the
autoregression then cannot spoil the distribution at long lead times, as they do when both are
fitted at once (Evin, G. et al. (2014), Water Resour. Res. 50, 2350-2375, doi:10.1002/2013WR014185).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyro
import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from hybridwater.residuals.hierarchy import Population, Prior

COEFFICIENTS = "coefficients"
REGIMES = ("slowest", "slow", "fast")
"""Of the chain; the last is the one that the probabilities of the others are compared with."""

_USUAL = (0.5, 1.0)  # prior centre of the logarithm of their probabilities, but of the last
_MEMORIES = (6.5, 4.0, 1.0)  # prior centre of the logits of r


@dataclass(frozen=True)
class Persistence:
    """The chain.

    Parameters
    ----------
    terms : int
        Terms of the logarithms of probabilities, with the constant.
    """

    terms: int

    def prior(self) -> Prior:
        """Return the prior of a site's coefficients: of each regime but the last, then memories."""
        first, many = np.arange(self.terms) == 0, len(_MEMORIES)
        regimes = (
            Prior(np.where(first, usual, 0.0), np.full(self.terms, 1.0), np.full(self.terms, 0.3))
            for usual in _USUAL
        )
        memories = Prior(np.array(_MEMORIES), np.full(many, 1.0), np.full(many, 0.3))
        return Prior.joined(*regimes, memories)

    def model(self, n: Tensor, valid: Tensor, terms: Tensor, attributes: Tensor) -> None:
        """Pyro model of normal numbers (site, time), where ``valid``."""
        coefficients = Population(self.prior(), attributes).sample()
        pyro.deterministic(COEFFICIENTS, coefficients, event_dim=2)
        both = valid[:, 1:] & valid[:, :-1]
        density = self.log_step(n[:, :-1], n[:, 1:], terms[..., 1:], coefficients)
        pyro.factor("steps", (density * both).sum())

    def log_step(self, before: Tensor, now: Tensor, terms: Tensor, coefficients: Tensor) -> Tensor:
        """Return the log density of a step, shape (..., site, time)."""
        shares, memories = self._parts(terms, coefficients)
        steps = []
        for share, r in zip(shares, memories, strict=True):
            variance = 1 - r * r
            away = (now - r * before) ** 2 / variance
            steps.append(share - 0.5 * (away + torch.log(2 * math.pi * variance)))
        return torch.logsumexp(torch.stack(steps), 0)

    def innovations(
        self, before: Tensor, now: Tensor, terms: Tensor, coefficients: Tensor
    ) -> Tensor:
        """Return the place of a step among those that were to be expected, as a normal number.

        Standard normal and independent in time if the chain is right; shape (..., site, time).
        """
        shares, memories = self._parts(terms, coefficients)
        below = torch.zeros_like(now)
        for share, r in zip(shares.exp(), memories, strict=True):
            below = below + share * torch.special.ndtr((now - r * before) / torch.sqrt(1 - r * r))
        return torch.special.ndtri(torch.clamp(below, 1e-12, 1 - 1e-12))

    def draw_steps(
        self, terms: Tensor, coefficients: Tensor, together: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draw what every step of the chain does.

        Parameters
        ----------
        terms : torch.Tensor
            Shape (term, site, time).
        coefficients : torch.Tensor
            Shape (member, site, coefficient).
        together : torch.Tensor
            Factor of the correlation of sites (site, site), lower triangular.
        generator : torch.Generator
            Source of randomness.

        Returns
        -------
        memory, innovation : torch.Tensor
            Each (member, site, time): ``n_t = memory n_(t-1) + innovation``.
        """
        shares, memories = self._parts(terms, coefficients)
        uniform = torch.rand(shares.shape[1:], generator=generator, dtype=shares.dtype)
        memory = memories[-1].expand_as(uniform)
        reached = torch.cumsum(shares.exp(), 0)
        for k in range(len(REGIMES) - 2, -1, -1):
            memory = torch.where(uniform < reached[k], memories[k], memory)
        noise = together @ torch.randn(uniform.shape, generator=generator, dtype=shares.dtype)
        return memory, torch.sqrt(1 - memory**2) * noise

    def _parts(self, terms: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Return log probabilities (regime, ..., site, time) and r (regime, ..., site, 1)."""
        others = len(REGIMES) - 1
        weights = coefficients[..., : others * self.terms].unflatten(-1, (others, self.terms))
        logits = torch.einsum("...skj,jst->k...st", weights, terms)
        shares = log_softmax(torch.cat([logits, torch.zeros_like(logits[:1])]), 0)
        # never exactly one, so that every step has some randomness
        memories = 0.99999 * torch.sigmoid(coefficients[..., others * self.terms :])
        return shares, memories.movedim(-1, 0).unsqueeze(-1)
