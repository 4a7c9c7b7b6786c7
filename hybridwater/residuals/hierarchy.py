"""Coefficients of sites that learn from one another: partial pooling, explained by attributes."""

from __future__ import annotations

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


def site_coefficients(prior: Prior, attributes: Tensor, sites: int) -> Tensor:
    """Sample coefficients of every site.

    ``centre + attributes x effects + spread x site``, each with a normal prior; ``spread`` is
    log-normal. The latent variables are standardised ("non-centred"), so that weakly and strongly
    informed sites are equally easy. A single site has no population: its prior is wide at once.

    Parameters
    ----------
    prior : Prior
        Of the terms.
    attributes : torch.Tensor
        Shape (site, attribute), standardised.
    sites : int
        Number of sites.

    Returns
    -------
    torch.Tensor
        Shape (site, term).
    """
    centre, scale, spread = (
        torch.as_tensor(getattr(prior, f)) for f in ("centre", "scale", "spread")
    )
    zero, terms = torch.zeros_like(centre), len(prior.centre)
    if sites == 1:
        own = pyro.sample(SITE, dist.Normal(zero.expand(1, terms), 1.0).to_event(2))
        return centre + torch.sqrt(scale**2 + spread**2) * own
    shared = pyro.sample("centre", dist.Normal(zero, 1.0).to_event(1))
    wide = pyro.sample("log_spread", dist.Normal(zero, 0.5).to_event(1))
    own = pyro.sample(SITE, dist.Normal(zero.expand(sites, terms), 1.0).to_event(2))
    result = centre + scale * shared + spread * torch.exp(wide) * own
    if attributes.shape[1]:
        effects = pyro.sample(
            "effects",
            dist.Normal(zero.expand(attributes.shape[1], terms), 1.0).to_event(2),
        )
        result = result + attributes @ effects * _EXPLAINED
    return result
