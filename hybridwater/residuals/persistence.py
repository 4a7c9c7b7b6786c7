"""Autocorrelation of errors that leaves the distribution of each single error as it is.

The normal numbers n behind the errors (see ``margins``) form a Markov chain, a mixture of two
autoregressions of order one,

    n_t = r_k n_(t-1) + sqrt(1 - r_k^2) e_t,    k = 1 with probability p_t, else 2,

each of which keeps a standard normal distribution. The slow one (recession) remembers, the fast one
(a storm arrives at another time than simulated) mostly forgets; ``p_t`` depends on terms of the
simulation. A plain AR(1) is the case of equal r.

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
from torch.nn.functional import logsigmoid

from hybridwater.residuals.hierarchy import Population, Prior

COEFFICIENTS = "coefficients"


@dataclass(frozen=True)
class Persistence:
    """The chain.

    Parameters
    ----------
    terms : int
        Terms of the logit of the slow regime, with the constant.
    """

    terms: int

    def prior(self) -> Prior:
        """Return the prior of a site's coefficients: regime, then the two memories."""
        first = np.arange(self.terms) == 0
        return Prior.joined(
            Prior(np.where(first, 1.0, 0.0), np.full(self.terms, 1.0), np.full(self.terms, 0.3)),
            Prior(np.array([4.0, 1.0]), np.array([1.0, 1.0]), np.array([0.3, 0.3])),
        )

    def model(self, n: Tensor, valid: Tensor, terms: Tensor, attributes: Tensor) -> None:
        """Pyro model of normal numbers (site, time), where ``valid``."""
        coefficients = Population(self.prior(), attributes).sample()
        pyro.deterministic(COEFFICIENTS, coefficients, event_dim=2)
        both = valid[:, 1:] & valid[:, :-1]
        density = self.log_step(n[:, :-1], n[:, 1:], terms[..., 1:], coefficients)
        pyro.factor("steps", (density * both).sum())

    def log_step(self, before: Tensor, now: Tensor, terms: Tensor, coefficients: Tensor) -> Tensor:
        """Return the log density of a step, shape (..., site, time)."""
        logit, slow, fast = self._parts(terms, coefficients)

        def log_normal(r: Tensor) -> Tensor:
            variance = 1 - r * r
            return -0.5 * ((now - r * before) ** 2 / variance + torch.log(2 * math.pi * variance))

        return torch.logaddexp(
            logsigmoid(logit) + log_normal(slow), logsigmoid(-logit) + log_normal(fast)
        )

    def innovations(
        self, before: Tensor, now: Tensor, terms: Tensor, coefficients: Tensor
    ) -> Tensor:
        """Return the place of a step among those that were to be expected, as a normal number.

        Standard normal and independent in time if the chain is right; shape (..., site, time).
        """
        logit, slow, fast = self._parts(terms, coefficients)
        share = torch.sigmoid(logit)
        below = torch.zeros_like(now)
        for part, r in ((share, slow), (1 - share, fast)):
            below = below + part * torch.special.ndtr((now - r * before) / torch.sqrt(1 - r * r))
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
        logit, slow, fast = self._parts(terms, coefficients)
        uniform = torch.rand(logit.shape, generator=generator, dtype=logit.dtype)
        memory = torch.where(uniform < torch.sigmoid(logit), slow, fast)
        noise = together @ torch.randn(logit.shape, generator=generator, dtype=logit.dtype)
        return memory, torch.sqrt(1 - memory**2) * noise

    def _parts(self, terms: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logit = torch.einsum("...sk,kst->...st", coefficients[..., : self.terms], terms)
        # never exactly one, so that every step has some randomness
        memories = 0.9999 * torch.sigmoid(coefficients[..., self.terms :])
        return logit, memories[..., :1], memories[..., 1:]
