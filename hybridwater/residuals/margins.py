"""The distribution of one observation given its simulation, before autocorrelation.

With relative flow q, transform T, and for every site its own coefficients,

    T(q_obs) = T(q_sim) + bias + discrepancy + scale x tails(n),    n ~ Normal(0, 1),

where bias and log scale are linear in terms of state and season, and the discrepancy is any smooth
function of them (see ``discrepancy``). An observation of no flow says only that n is below the
value that gives zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from hybridwater.residuals.discrepancy import Discrepancy
from hybridwater.residuals.hierarchy import Population, Prior
from hybridwater.residuals.tails import Tails
from hybridwater.residuals.transforms import Transform

COEFFICIENTS, TRANSFORM = "coefficients", "transform"
Changed = tuple[Tensor, Tensor]
"""Observation less simulation, both transformed, and the log slope of the transform."""

DRY = 1e-9  # relative flow that counts as none


@dataclass(frozen=True)
class Pairs:
    """What the numerics see of simulation and observation, float64.

    Parameters
    ----------
    simulated, observed : torch.Tensor
        Relative flow, shape (site, time); where nothing is observed, the simulation.
    valid : torch.Tensor
        Whether there is an observation that is used, shape (site, time).
    bias, scale, persistence : torch.Tensor
        Terms, shape (term, site, time).
    features : torch.Tensor
        Of the discrepancy, shape (feature, site, time).
    attributes : torch.Tensor
        Shape (site, attribute), standardised.
    """

    simulated: Tensor
    observed: Tensor
    valid: Tensor
    bias: Tensor
    scale: Tensor
    persistence: Tensor
    features: Tensor
    attributes: Tensor

    @property
    def dry(self) -> Tensor:
        """Whether no flow was observed, shape (site, time)."""
        return self.valid & (self.observed <= DRY)


@dataclass(frozen=True)
class Margins:
    """Marginal distribution of errors.

    Parameters
    ----------
    transform : Transform
        Of relative flow.
    tails : Tails
        Of standardised errors.
    discrepancy : Discrepancy
        Further systematic part.
    biases, scales : int
        Number of terms of bias and of log scale, with the constant.
    """

    transform: Transform
    tails: Tails
    discrepancy: Discrepancy
    biases: int
    scales: int

    def prior(self) -> Prior:
        """Return the prior of a site's coefficients: bias, log scale, tails, discrepancy."""
        tails = self.tails
        first = np.arange(self.biases) == 0
        first_scale = np.arange(self.scales) == 0
        return Prior.joined(
            Prior(np.zeros(self.biases), np.full(self.biases, 0.5), np.where(first, 0.4, 0.2)),
            Prior(
                np.where(first_scale, -0.7, 0.0),
                np.where(first_scale, 0.7, 0.3),
                np.where(first_scale, 0.3, 0.1),
            ),
            Prior(np.array(tails.centre), np.array(tails.scale), np.array(tails.spread)),
            self.discrepancy.prior(),
        )

    def fixed(self, pairs: Pairs) -> Changed | None:
        """Return the transformed flows where the transform is not learned, else nothing."""
        if self.transform.spread:
            return None
        return self.changed(pairs, torch.tensor(self.transform.start, dtype=torch.float64))

    def changed(self, pairs: Pairs, transform: Tensor) -> Changed:
        """Transform simulation and observation; parameters have the shape (..., parameter)."""
        simulated, observed = (
            self.transform.forward(flow, transform) for flow in (pairs.simulated, pairs.observed)
        )
        return observed - simulated, self.transform.log_slope(pairs.observed, transform)

    def model(self, pairs: Pairs, weight: float, changed: Changed | None) -> None:
        """Pyro model; an observation counts as ``weight`` independent ones.

        ``changed`` is what :meth:`fixed` returns, so that it is not made at every step.
        """
        coefficients = Population(self.prior(), pairs.attributes).sample()
        pyro.deterministic(COEFFICIENTS, coefficients, event_dim=2)
        start = torch.tensor(self.transform.start, dtype=torch.float64)
        if self.transform.spread:
            apart = pyro.sample("transform_z", dist.Normal(torch.zeros_like(start), 1).to_event(1))
            start = start + torch.tensor(self.transform.spread, dtype=torch.float64) * apart
        pyro.deterministic(TRANSFORM, start, event_dim=1)
        n, slope = self.normal_numbers(pairs, coefficients, changed or self.changed(pairs, start))
        density = -0.5 * n * n - 0.918938533204673 + slope
        dry = pairs.dry
        if bool(dry.any()):  # the tail of the normal distribution costs much, so only there
            density = density.index_put((dry,), torch.special.log_ndtr(n[dry]))
        pyro.factor("observations", weight * (density * pairs.valid).sum())

    def parts(self, pairs: Pairs, coefficients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return systematic error, log scale (..., site, time) and tails (..., site, n)."""
        b, s = self.biases, self.biases + self.scales
        d = s + len(self.tails.terms)
        bias = torch.einsum("...sk,kst->...st", coefficients[..., :b], pairs.bias)
        log_scale = torch.einsum("...sk,kst->...st", coefficients[..., b:s], pairs.scale)
        bias = bias + self.discrepancy.effect(coefficients[..., d:], pairs.features)
        return bias, log_scale, coefficients[..., s:d]

    def normal_numbers(
        self, pairs: Pairs, coefficients: Tensor, changed: Changed
    ) -> tuple[Tensor, Tensor]:
        """Turn observations into standard normal numbers, with the logarithm of the slope.

        Parameters
        ----------
        pairs : Pairs
            With observations.
        coefficients : torch.Tensor
            Shape (..., site, coefficient).
        changed : tuple of torch.Tensor
            Of :meth:`changed`.

        Returns
        -------
        tuple of torch.Tensor
            Each (..., site, time).
        """
        bias, log_scale, shape = self.parts(pairs, coefficients)
        difference, log_slope = changed
        n, slope = self.tails.to_normal((difference - bias) * torch.exp(-log_scale), shape)
        return n, slope - log_scale + log_slope

    def predictive_numbers(self, pairs: Pairs, draws: Mapping[str, Tensor]) -> Tensor:
        """Return normal numbers of the observations under the mean over draws, (site, time)."""
        below = torch.zeros_like(pairs.observed)
        both = draws[COEFFICIENTS], draws[TRANSFORM]
        for coefficients, transform in zip(*both, strict=True):
            changed = self.changed(pairs, transform)
            n, _ = self.normal_numbers(pairs, coefficients, changed)
            below += torch.special.ndtr(n)
        return torch.special.ndtri(torch.clamp(below / len(both[0]), 1e-12, 1 - 1e-12))

    def flow(self, n: Tensor, pairs: Pairs, coefficients: Tensor, transform: Tensor) -> Tensor:
        """Turn standard normal numbers (..., site, time) into relative flow."""
        bias, log_scale, shape = self.parts(pairs, coefficients)
        centre = self.transform.forward(pairs.simulated, transform) + bias
        error = torch.exp(log_scale) * self.tails.from_normal(n, shape)
        return self.transform.inverse(centre + error, transform)
