"""A guide for coefficients of sites that share others: normal, but for what is known exactly.

What the observations of a site say of its coefficients is close to normal, and what the population
says of them is normal given what the sites share. The guide is made of these parts: what is shared
is normal with full covariance; given that, the coefficients of a site have the normal distribution
that follows from the observations of the site and the population by Bayes' rule. Strongly and
weakly informed sites, and spreads that are hardly known, are then equally easy.

It begins with a nested Laplace approximation: the observations of a site count by the normal
distribution with their mode and curvature, so that the coefficients of all sites can be integrated
out, and what is shared by the mode and curvature of what is left. The guide's parameters are
counted in standard deviations of that: every direction, also along a ridge, has the same scale.

Rue, H., Martino, S. and Chopin, N. (2009), J. R. Stat. Soc. B 71, 319-392, sec. 3.1.
doi:10.1111/j.1467-9868.2008.00700.x
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor

from hybridwater.residuals.hierarchy import SITE, Population

Model = Callable[..., None]
_ROUNDS = 6  # of what is shared, each with its mode of the sites
_LEAST_GAIN = 1.0  # of the log density in a round, for another one
_DIFFERENCE = 1e-4  # of standardised variables, for the curvature
_FLATTEST = 0.02  # least precision that observations add in any direction; the prior has about 1
_WIDEST = 1.0  # least precision of what is shared, prior included, where the guide begins
_FARTHEST = 5.0  # standard deviations of its prior that what is shared moves in a round


def nodes(model: Callable[..., Any], arguments: tuple[object, ...]) -> dict[str, Any]:
    """Run a model or guide once and return what it did, by name."""
    return poutine.trace(model).get_trace(*arguments).nodes


@dataclass(frozen=True, eq=False)
class _Layout:
    """What the observations say of the sites, around their mode given what is shared.

    Attributes
    ----------
    shared, own : torch.Tensor
        What is shared, and the standardised coefficients at the mode, shape (site, term).
    place, precision : torch.Tensor
        What the observations of a site say of its coefficients, shape (site, term), and the
        Cholesky factor of its precision, shape (site, term, term).
    bends : torch.Tensor
        How places move with what is shared and says nothing of the population, shape
        (site, term, shared).
    slope, bend : torch.Tensor
        Of the log density along that, with the sites following; zero along all else.
    density : float
        Log density of what is shared by Laplace's approximation, up to a constant.
    """

    shared: Tensor
    own: Tensor
    place: Tensor
    precision: Tensor
    bends: Tensor
    slope: Tensor
    bend: Tensor
    density: float


class HierarchicalNormal:
    """The guide of a model with the site coefficients of ``hierarchy``.

    Parameters
    ----------
    model : callable
        Pyro model; besides `SITE` of shape (site, term) it may have shared variables. All of them
        are unbounded, and standard normal or nearly so before the observations.
    arguments : tuple
        Its arguments.
    population : Population, optional
        What the shared variables say of the sites; nothing if left out.
    steps : int
        Most evaluations on the way to a mode.
    """

    def __init__(
        self,
        model: Model,
        arguments: tuple[object, ...],
        population: Population | None = None,
        steps: int = 200,
    ) -> None:
        self._model, self._arguments, self._population = model, arguments, population
        latent = {
            name: node
            for name, node in nodes(model, arguments).items()
            if node["type"] == "sample" and not node["is_observed"]
        }
        own = torch.zeros_like(latent.pop(SITE)["value"])
        self._shapes = {name: node["value"].shape for name, node in latent.items()}
        self._priors = {name: node["fn"] for name, node in latent.items()}
        shared = own.new_zeros(sum(shape.numel() for shape in self._shapes.values()))
        found, part = self._laid_out(shared, own, steps), 1.0
        for _ in range(_ROUNDS if shared.numel() else 0):
            centre, spread = self._prior(found.shared, found.own)
            coefficients = centre + spread * found.own
            mode = _climb(functools.partial(self._marginal, found), found.shared, steps)
            moved = mode - found.shared
            reach = part * min(1.0, _FARTHEST / max(float(moved.abs().max()), 1e-300))
            goal = found.shared + reach * moved
            centre, spread = self._prior(goal, found.own)
            after = self._laid_out(goal, (coefficients - centre) / spread, steps)
            gain = after.density - found.density
            if not gain > 0:  # beyond where the approximation holds: less far
                part /= 2
                continue
            found = after
            if gain < _LEAST_GAIN:
                break
        self._layout = found
        self._shared_scale = own.new_zeros(0, 0)
        if shared.numel():
            marginal = functools.partial(self._marginal, found)
            bend = -torch.as_tensor(torch.autograd.functional.hessian(marginal, found.shared))
            self._shared_scale = torch.linalg.cholesky(torch.linalg.inv(_sound(bend, _WIDEST)))

    def _log_joint(self, shared: Tensor, own: Tensor) -> Tensor:
        values = {**self._unpacked(shared), SITE: own}
        model = poutine.condition(self._model, values)
        return torch.as_tensor(poutine.trace(model).get_trace(*self._arguments).log_prob_sum())

    def _unpacked(self, shared: Tensor) -> dict[str, Tensor]:
        parts = torch.split(shared, [shape.numel() for shape in self._shapes.values()])
        return {
            name: part.reshape(shape)
            for part, (name, shape) in zip(parts, self._shapes.items(), strict=True)
        }

    def _prior(self, shared: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """Return centre and spread of the sites' coefficients, given what is shared."""
        if self._population is None:
            zero = torch.zeros_like(own)
            return zero, torch.ones_like(zero)
        return self._population.given(self._unpacked(shared))

    # ---- modes, and the curvature there

    def _slope(self, shared: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of the log density."""
        at = shared.detach().requires_grad_(), own.detach().requires_grad_()
        of_shared, of_own = torch.autograd.grad(self._log_joint(*at), at, allow_unused=True)
        return torch.zeros_like(shared) if of_shared is None else of_shared, of_own

    def _curve(
        self, at: tuple[Tensor, Tensor], direction: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return minus the change of the gradient in a direction, by central differences."""
        moves = [(m, _DIFFERENCE * d) for m, d in zip(at, direction, strict=True)]
        ahead, behind = (self._slope(*(m + s * d for m, d in moves)) for s in (1, -1))
        return (behind[0] - ahead[0]) / (2 * _DIFFERENCE), (behind[1] - ahead[1]) / (
            2 * _DIFFERENCE
        )

    def _laid_out(self, shared: Tensor, own: Tensor, steps: int) -> _Layout:
        """Lay out what the observations say about the mode of the sites given what is shared."""
        own = _climb(lambda at: self._log_joint(shared, at), own, steps)
        mode, n, terms = (shared, own), shared.numel(), own.shape[1]
        columns = []
        for k in range(terms):
            direction = torch.zeros_like(own)
            direction[:, k] = 1.0  # of all sites at once: they do not act on one another
            columns.append(self._curve(mode, (torch.zeros_like(shared), direction))[1])
        unit = torch.eye(terms, dtype=own.dtype)
        # What the observations of a site say: precision and centre, in units of its coefficients.
        said = _sound(torch.stack(columns, dim=-1) - unit, _FLATTEST)
        of_shared, of_own = self._slope(shared, own)
        centre, spread = self._prior(shared, own)
        away = torch.linalg.solve(said, of_own + own)
        precision = said / (spread.unsqueeze(-1) * spread.unsqueeze(-2))
        bends = own.new_zeros(*own.shape, n)
        slope, bend = torch.zeros_like(shared), shared.new_zeros(n, n)
        others = self._others()
        if len(others):
            units = torch.eye(n, dtype=own.dtype)[others]
            rows = [self._curve(mode, (one, torch.zeros_like(own))) for one in units]
            across = torch.stack([row[1] for row in rows], dim=-1)  # (site, term, other)
            moved = torch.linalg.solve(said, across)
            bends[..., others] = -spread.unsqueeze(-1) * moved
            rest = torch.stack([row[0][others] for row in rows])
            rest = rest - torch.einsum("stj,stk->jk", across, moved)
            # where it curves upwards, no mode would be found at all
            bend[others.unsqueeze(-1), others] = _sound(rest, _WIDEST)
            slope[others] = of_shared[others] - torch.einsum("stj,st->j", moved, of_own + own)
        with torch.no_grad():
            density = self._log_joint(shared, own) - 0.5 * torch.logdet(said + unit).sum()
        return _Layout(
            shared,
            own,
            place=centre + spread * (own + away),
            precision=torch.linalg.cholesky(precision),
            bends=bends,
            slope=slope,
            bend=bend,
            density=float(density),
        )

    def _marginal(self, layout: _Layout, shared: Tensor) -> Tensor:
        """Return the log density of what is shared, with the coefficients of sites left out.

        Up to a constant, with the observations of each site as they were laid out.
        """
        centre, spread = self._prior(shared, layout.own)
        moved = shared - layout.shared
        covariance = torch.cholesky_inverse(layout.precision) + torch.diag_embed(spread**2)
        place = layout.place + layout.bends @ moved
        seen = dist.MultivariateNormal(centre, covariance).log_prob(place).sum()
        values = self._unpacked(shared)
        prior = sum(
            torch.as_tensor(self._priors[name].log_prob(values[name])).sum()
            for name in values
            if self._of_population(name)
        )
        return seen + prior + moved @ (layout.slope - 0.5 * layout.bend @ moved)

    def _others(self) -> Tensor:
        """Return where in what is shared that is which says nothing of the population."""
        parts = [
            torch.full((shape.numel(),), not self._of_population(name))
            for name, shape in self._shapes.items()
        ]
        return torch.cat(parts).nonzero().squeeze(-1) if parts else torch.zeros(0).long()

    def _of_population(self, name: str) -> bool:
        return self._population is not None and name in self._population.shared

    # ---- the guide

    def __call__(self, *arguments: object) -> dict[str, Tensor]:
        """Sample all variables, as a guide of Pyro."""
        layout = self._layout
        mode, own = layout.shared, layout.own
        values: dict[str, Tensor] = {}
        shared = mode
        if mode.numel():
            moved = self._shared_scale @ pyro.param("shared_location", torch.zeros_like(mode))
            factor = self._shared_scale @ _factor("shared_factor", torch.eye(len(mode)).to(own))
            whole = dist.MultivariateNormal(mode + moved, scale_tril=factor)
            shared = pyro.sample("_shared", whole, infer={"is_auxiliary": True})
            for name, value in self._unpacked(shared).items():
                values[name] = pyro.sample(name, dist.Delta(value, event_dim=value.dim()))
        unit = torch.eye(own.shape[1]).to(own)
        moved = pyro.param("site_location", torch.zeros_like(own)).unsqueeze(-1)
        place = layout.place + torch.linalg.solve_triangular(
            layout.precision.mT, moved, upper=True
        ).squeeze(-1)
        place = place + layout.bends @ (shared - mode)
        factor = layout.precision @ _factor("site_factor", unit.repeat(len(own), 1, 1))
        centre, spread = self._prior(shared, own)
        # Bayes' rule for own ~ Normal(0, 1) and centre + spread own ~ Normal(place, precision^-1)
        root = spread.unsqueeze(-1) * factor
        posterior = unit + root @ root.mT
        weighted = root @ (factor.mT @ (place - centre).unsqueeze(-1))
        lower = torch.linalg.cholesky(posterior)
        mean = torch.cholesky_solve(weighted, lower).squeeze(-1)
        each = dist.MultivariateNormal(mean, precision_matrix=posterior).to_event(1)
        values[SITE] = pyro.sample(SITE, each)
        return values


def _climb(density: Callable[[Tensor], Tensor], start: Tensor, steps: int) -> Tensor:
    """Return the mode of a log density, or where the climb ended."""
    at = start.detach().clone().requires_grad_()
    search = torch.optim.LBFGS([at], max_iter=steps, history_size=20, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        value = -density(at)
        value.backward()
        return value

    search.step(loss)  # pyright: ignore[reportArgumentType] - a tensor is as good as a float
    return at.detach() if bool(torch.isfinite(at).all()) else start


def _factor(name: str, start: Tensor) -> Tensor:
    return pyro.param(name, start, constraint=dist.constraints.lower_cholesky)


def _sound(precision: Tensor, least: float) -> Tensor:
    """Return a precision (..., n, n) as a symmetric one of at least so much in all directions."""
    values, vectors = torch.linalg.eigh((precision + precision.mT) / 2)
    return (vectors * values.clamp(min=least).unsqueeze(-2)) @ vectors.mT
