"""The guide against a hierarchy of normal distributions, whose posterior is known."""

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy import differentiate, optimize, stats

from hybridwater.residuals.guide import HierarchicalNormal, nodes
from hybridwater.residuals.hierarchy import SITE, Population, Prior

PRIOR = Prior(np.array([0.5, -1.0]), np.array([0.5, 0.3]), np.array([0.4, 0.1]))
ATTRIBUTES = torch.zeros(3, 0, dtype=torch.float64)
MEANS = torch.tensor([[1.0, -1.2], [0.2, -0.9], [0.7, -0.8]], dtype=torch.float64)
# Two coefficients of a site lie along a ridge: they are known together, and badly each alone.
RIDGE = torch.tensor([[0.04, 0.038], [0.038, 0.04]], dtype=torch.float64)


def model():
    coefficients = Population(PRIOR, ATTRIBUTES).sample()
    seen = dist.MultivariateNormal(coefficients, RIDGE).to_event(1)
    pyro.sample("seen", seen, obs=MEANS)


def test_what_a_site_is_given_the_others_is_exact_for_normal_observations():
    population = Population(PRIOR, ATTRIBUTES)
    with pyro.get_param_store().scope():
        guide = HierarchicalNormal(model, (), population)
        for seed in range(3):  # whatever is shared, far from the mode as well
            pyro.set_rng_seed(seed)
            found = nodes(guide, ())
            shared = {name: found[name]["value"] for name in population.shared}
            centre, spread = population.given(shared)
            own = found[SITE]["fn"]
            before = torch.diag_embed(spread**2)
            gain = before @ torch.linalg.inv(before + RIDGE)
            mean = centre + (gain @ (MEANS - centre).unsqueeze(-1)).squeeze(-1)
            covariance = before - gain @ before
            normal = own.base_dist
            ours = centre + spread * normal.mean
            scale = torch.diag_embed(spread)
            np.testing.assert_allclose(ours.detach(), mean.detach(), rtol=1e-5)
            np.testing.assert_allclose(
                (scale @ normal.covariance_matrix @ scale).detach(), covariance.detach(), rtol=1e-5
            )


def test_without_a_population_it_is_the_posterior_itself():
    def alone():
        own = pyro.sample(SITE, dist.Normal(torch.zeros_like(MEANS), 1.0).to_event(2))
        pyro.sample("seen", dist.MultivariateNormal(own, RIDGE).to_event(1), obs=MEANS)

    with pyro.get_param_store().scope():
        normal = nodes(HierarchicalNormal(alone, ()), ())[SITE]["fn"].base_dist
    precision = torch.eye(2, dtype=torch.float64) + torch.linalg.inv(RIDGE)
    covariance = torch.linalg.inv(precision)
    mean = (covariance @ torch.linalg.inv(RIDGE) @ MEANS.unsqueeze(-1)).squeeze(-1)
    np.testing.assert_allclose(normal.mean.detach(), mean, rtol=1e-5)
    for found in normal.covariance_matrix.detach():
        np.testing.assert_allclose(found, covariance, rtol=1e-5)


def test_it_begins_at_the_marginal_mode_of_what_is_shared():
    # One variable of the sites' own: its centre, spread and one that is no population's are shared.
    prior = Prior(np.array([0.5]), np.array([0.5]), np.array([0.4]))
    seen = torch.tensor([[1.0], [0.2], [0.7], [1.4]], dtype=torch.float64)
    population = Population(prior, torch.zeros(4, 0, dtype=torch.float64))
    error = 0.3

    def shifted():
        coefficients = population.sample()
        shift = pyro.sample("shift", dist.Normal(torch.zeros(1).double(), 1.0).to_event(1))
        pyro.sample("seen", dist.Normal(coefficients + 0.2 * shift, error).to_event(2), obs=seen)

    def density(at):
        centre, spread = 0.5 + 0.5 * at[0], 0.4 * np.exp(at[1])
        away = seen.numpy() - centre - 0.2 * at[2]
        width = np.hypot(spread, error)
        prior = stats.norm(0, [1.0, 0.5, 1.0]).logpdf(at).sum()
        return prior + stats.norm(0, width).logpdf(away).sum()

    with pyro.get_param_store().scope():
        guide = HierarchicalNormal(shifted, (), population)
        found = nodes(guide, ())["_shared"]["fn"]
    best = optimize.minimize(lambda at: -density(at), np.zeros(3), tol=1e-9)
    np.testing.assert_allclose(found.mean.detach(), best.x, atol=1e-4)
    covariance = found.covariance_matrix.detach()
    curvature = -differentiate.hessian(lambda at: np.apply_along_axis(density, 0, at), best.x).ddf
    np.testing.assert_allclose(covariance, np.linalg.inv(curvature), rtol=1e-4, atol=1e-5)


def test_where_the_density_of_what_is_shared_curves_upwards_it_does_not_run_off():
    prior = Prior(np.array([0.0]), np.array([0.5]), np.array([0.4]))
    seen = torch.tensor([[4.0], [4.4], [3.9], [4.2]], dtype=torch.float64)
    population = Population(prior, torch.zeros(4, 0, dtype=torch.float64))

    def valley():  # one that is far from zero on either side, and least likely between
        coefficients = population.sample()
        shift = pyro.sample("shift", dist.Normal(torch.zeros(1).double(), 1.0).to_event(1))
        place = coefficients + (shift + 0.1) ** 2
        pyro.sample("seen", dist.Normal(place, 0.3).to_event(2), obs=seen)

    with pyro.get_param_store().scope():
        guide = HierarchicalNormal(valley, (), population)
        found = nodes(guide, ())["_shared"]["fn"]
    centre, _, shift = found.mean.detach().numpy()
    # the mode is where the sites' mean is told by both together
    assert (shift + 0.1) ** 2 + 0.5 * centre == pytest.approx(float(seen.mean()), abs=0.3)
    assert abs(shift) < 3
