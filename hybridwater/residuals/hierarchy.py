"""Coefficients of sites that learn from one another: partial pooling, explained by attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

SITE = "site"
_EXPLAINED = 0.1  # prior spread of what one standard deviation of an attribute does to a site


@dataclass(frozen=True)
class Prior:
    """Prior of one coefficient per term.

    Parameters
    ----------
    centre, scale : numpy.ndarray, shape (term,)
        Mean and standard deviation of the population's centre.
    spread : numpy.ndarray, shape (term,)
        Typical standard deviation between sites, itself learned.
    """

    centre: np.ndarray
    scale: np.ndarray
    spread: np.ndarray

    @staticmethod
    def joined(*parts: Prior) -> Prior:
        """Put the terms of several priors in one row."""
        return Prior(
            *(np.concatenate([getattr(p, f) for p in parts]) for f in ("centre", "scale", "spread"))
        )


@dataclass(frozen=True)
class Population:
    """The coefficients of sites, before their own observations.

    ``centre + attributes x effects + spread x site``, each with a normal prior; ``spread`` is
    log-normal. The latent variables are standardised ("non-centred"), so that weakly and strongly
    informed sites are equally easy. A single site has no population: its prior is wide at once.

    Parameters
    ----------
    prior : Prior
        Of the terms.
    attributes : torch.Tensor
        Shape (site, attribute), standardised.
    """

    prior: Prior
    attributes: Tensor

    @property
    def shared(self) -> dict[str, tuple[Tensor, float]]:
        """Names of what the sites share, with mean and spread of its normal prior."""
        sites, attributes = self.attributes.shape
        zero = torch.zeros(len(self.prior.centre), dtype=torch.float64)
        if sites == 1:
            return {}
        found = {"centre": (zero, 1.0), "log_spread": (zero, 0.5)}
        if attributes:
            found["effects"] = (zero.expand(attributes, -1), 1.0)
        return found

    def sample(self) -> Tensor:
        """Sample coefficients of every site in a model of Pyro, shape (site, term)."""
        shared = {
            name: pyro.sample(name, dist.Normal(mean, spread).to_event(mean.dim()))
            for name, (mean, spread) in self.shared.items()
        }
        centre, spread = self.given(shared)
        zero = torch.zeros_like(centre)
        own = pyro.sample(SITE, dist.Normal(zero, 1.0).to_event(2))
        return centre + spread * own

    def given(self, shared: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return centre and spread of the coefficients given what is shared, (site, term) each."""
        centre, scale, spread = (
            torch.as_tensor(getattr(self.prior, f)) for f in ("centre", "scale", "spread")
        )
        size = len(self.attributes), len(centre)
        if not self.shared:
            return centre.expand(size), torch.sqrt(scale**2 + spread**2).expand(size)
        centre = (centre + scale * shared["centre"]).expand(size)
        if "effects" in shared:
            centre = centre + self.attributes @ shared["effects"] * _EXPLAINED
        return centre, (spread * torch.exp(shared["log_spread"])).expand(size)
