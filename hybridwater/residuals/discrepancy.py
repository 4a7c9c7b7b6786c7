"""The systematic part of errors that is no straight line: a function of state and season.

    T(q_obs) = T(q_sim) + bias + discrepancy(level, season) + scale x tails(n)

This is the separation of Kennedy, M. C. and O'Hagan, A. (2001), J. R. Stat. Soc. B 63, 425-464,
eq. 4: the simulator at its parameters, its inadequacy, and what is left at random. The parameters
are those that the simulation was made with; the discrepancy is learned given these. If both were
learned at once, observations alone could not tell one from the other (Brynjarsdottir, J. and
O'Hagan, A. (2014), Inverse Problems 30, 114007. doi:10.1088/0266-5611/30/11/114007).

A discrepancy is made of coefficients of a site, as bias and scale are, and so is shared by sites.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from pyro.contrib.gp.kernels import RBF
from torch import Tensor

from hybridwater.errors import DeclarationError, nearest
from hybridwater.residuals.hierarchy import Prior

PLACE = ("level", "season")
"""Terms that it is a function of: standardised level, sine and cosine of the day of the year."""


@dataclass(frozen=True)
class Discrepancy:
    """A function of state and season; this one, zero.

    Parameters
    ----------
    name : str
        ``"none"``, ``"gaussian process"`` or ``"neural network"``.
    """

    name: str

    def prior(self) -> Prior:
        """Return the prior of a site's coefficients."""
        return Prior(np.zeros(0), np.zeros(0), np.zeros(0))

    def features(self, place: Tensor) -> Tensor:
        """Return what coefficients act on, (feature, site, time), at places (3, site, time)."""
        return place[:0]

    def effect(self, coefficients: Tensor, features: Tensor) -> Tensor:
        """Return the function, (..., site, time), of coefficients (..., site, n)."""
        return torch.zeros((), dtype=features.dtype)


class GaussianProcess(Discrepancy):
    """A Gaussian process with the squared exponential kernel, on the circle for the season.

    It is a sum of functions with independent normal coefficients: the eigenvectors of the kernel at
    inducing points, continued by the kernel, and scaled so that the prior variance is the same
    everywhere. Points lie beyond what is fitted, too: away from observations it is the prior again.

    Quinonero-Candela, J. and Rasmussen, C. E. (2005), J. Mach. Learn. Res. 6, 1939-1959, sec. 4.
    """

    _levels = (-4.0, 5.0)  # of the points; beyond, a function stays as it is there
    _seasons = 8  # points around the year
    _least = 0.3  # eigenvalue, that is variance of a coefficient, which is still kept

    @functools.cached_property
    def _kernel(self) -> RBF:
        # lengths: one standard deviation of the level, and one radius of the circle of seasons
        one = torch.ones((), dtype=torch.float64)
        return RBF(3, variance=one, lengthscale=one).requires_grad_(False)

    @functools.cached_property
    def _functions(self) -> tuple[Tensor, Tensor]:
        """Inducing points, shape (point, 3), and what makes functions of them, (point, n)."""
        levels = torch.arange(self._levels[0], self._levels[1] + 0.5, dtype=torch.float64)
        angles = torch.arange(self._seasons, dtype=torch.float64) * 2 * math.pi / self._seasons
        level, angle = (x.flatten() for x in torch.meshgrid(levels, angles, indexing="ij"))
        points = torch.stack([level, torch.sin(angle), torch.cos(angle)], dim=1)
        values, vectors = torch.linalg.eigh(self._kernel(points))
        kept = values > self._least
        return points, vectors[:, kept] / torch.sqrt(values[kept])

    def prior(self) -> Prior:
        """Return the prior of coefficients: standard deviations of the function, transformed."""
        count = self._functions[1].shape[1]
        return Prior(np.zeros(count), np.full(count, 0.3), np.full(count, 0.15))

    def features(self, place: Tensor) -> Tensor:
        """Return the functions; see the class."""
        points, combined = self._functions
        at = torch.cat([place[:1].clamp(*self._levels), place[1:]]).flatten(1).T
        values = self._kernel(at, points) @ combined
        values = values / torch.linalg.vector_norm(values, dim=1, keepdim=True)
        return values.T.reshape(-1, *place.shape[1:])

    def effect(self, coefficients: Tensor, features: Tensor) -> Tensor:
        """Return the sum of functions; see the class."""
        return torch.einsum("...sk,kst->...st", coefficients, features)


class NeuralNetwork(Discrepancy):
    """A Bayesian neural network: one layer of hyperbolic tangents, all of its weights uncertain.

    The prior of the weights of a unit is centred on numbers of its own, drawn once. Units could be
    exchanged otherwise, and a posterior would have as many modes as there are orders of them. The
    function itself has the prior mean zero. Far from observations it stays as it is at the last
    ones, where its units saturate: it does not return to the prior, as a Gaussian process does.

    Neal, R. M. (1996), Bayesian Learning for Neural Networks, sec. 1.2 and 2.1.
    doi:10.1007/978-1-4612-0745-0
    """

    _units = 8
    _inputs = 4  # level, sine, cosine, and one for the constant

    def prior(self) -> Prior:
        """Return the prior of coefficients: weights into each unit, then those out of them."""
        inward, units = self._inputs * self._units, self._units
        own = np.random.default_rng(0).standard_normal(inward)
        outward = np.full(units, 0.3 / math.sqrt(0.58 * units))  # 0.58: mean square of a unit
        return Prior(
            np.concatenate([own, np.zeros(units)]),
            np.concatenate([np.full(inward, 0.5), outward]),
            np.concatenate([np.full(inward, 0.1), outward / 2]),
        )

    def features(self, place: Tensor) -> Tensor:
        """Return the inputs of the network."""
        return torch.cat([place, torch.ones_like(place[:1])])

    def effect(self, coefficients: Tensor, features: Tensor) -> Tensor:
        """Return what the network says."""
        inward = self._inputs * self._units
        total = torch.zeros((), dtype=features.dtype)
        for unit in range(self._units):  # one by one, so that memory does not grow with units
            first = unit * self._inputs
            weights = coefficients[..., first : first + self._inputs]
            outward = coefficients[..., inward + unit].unsqueeze(-1)
            total = total + outward * torch.tanh(
                torch.einsum("...sk,kst->...st", weights, features)
            )
        return total


DISCREPANCIES: dict[str, Discrepancy] = {
    "none": Discrepancy("none"),
    "gaussian process": GaussianProcess("gaussian process"),
    "neural network": NeuralNetwork("neural network"),
}


def get_discrepancy(name: str) -> Discrepancy:
    """Return a discrepancy by name.

    Raises
    ------
    DeclarationError
        For an unknown name.
    """
    if name not in DISCREPANCIES:
        raise DeclarationError(
            f"There is no discrepancy '{name}': {nearest(name, DISCREPANCIES)}",
            where="discrepancy",
            fix=f"Choose one of {', '.join(DISCREPANCIES)}",
        )
    return DISCREPANCIES[name]
