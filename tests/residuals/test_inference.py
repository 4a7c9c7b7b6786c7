"""Fits that meet numbers that are not finite: they go on where they can, and end in words."""

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from synthetic import erring, flows, storms

from hybridwater.errors import DeclarationError
from hybridwater.residuals import ResidualModel
from hybridwater.residuals.hierarchy import SITE
from hybridwater.residuals.inference import Inference, NotConverged, _verdict, infer


def fit(edge):
    """Fit a model whose density is not a number where its one coefficient is beyond the edge."""

    def model():
        own = pyro.sample(SITE, dist.Normal(torch.zeros(1, 1).double(), 1.0).to_event(2))
        pyro.sample("seen", dist.Normal(own, 1.0).to_event(2), obs=torch.ones(1, 1).double())
        broken = torch.where(own > edge, torch.nan, own) * 0.0
        pyro.factor("edge", broken.sum())
        pyro.deterministic("value", own)

    return infer(model, (), ("value",), Inference(steps=300, draws=400))


@pytest.mark.parametrize("edge", [2.4, 1e6])
def test_draws_from_far_out_are_left_out(edge):
    # The posterior is normal with mean and variance 1/2: one draw in a few hundred is beyond 2.4.
    draws, diagnostics = fit(edge)
    assert diagnostics.converged, diagnostics.message
    assert float(draws["value"].mean()) == pytest.approx(0.5, abs=0.12)
    assert float(draws["value"].var()) == pytest.approx(0.5, abs=0.12)


def test_a_density_that_is_never_a_number_is_said_in_words():
    with pytest.warns(NotConverged, match="not finite"):
        fit(edge=-9.0)


@pytest.mark.parametrize(
    ("spread", "settled", "converged", "said"),
    [
        (30.0, True, True, "settled at"),
        (30.0, False, False, "still rising after 1500 steps"),
        (1e5, True, False, "some lie far out"),
        (np.inf, True, False, "not finite"),
    ],
)
def test_a_fit_is_judged_by_the_elbo_of_its_draws(spread, settled, converged, said):
    swings = np.tile([-1.0, 1.0], 50)
    rounds = [-1000.0 + 30.0 * swings, -1000.0 + spread * swings]
    elbo = torch.as_tensor(-1000.0 + 30.0 * swings)
    found, message = _verdict(rounds, settled, 900, 1500, elbo, elbo)
    assert found is converged
    assert said in message


def test_a_fit_that_is_worse_than_its_start_has_not_converged():
    simulated, model = storms(1, 150), ResidualModel(autocorrelated=False)
    wild = Inference(learning_rate=1.0, steps=100, draws=50, seed=1)
    with pytest.warns(NotConverged, match=r"ELBO fell from .* to .* Lower the learning rate"):
        model.fit(flows(simulated), flows(erring(simulated)), inference=wild)


@pytest.mark.parametrize("wrong", [{"draws": 0}, {"chains": 0}, {"seed": -1}, {"steps": 0}])
def test_what_cannot_be_is_refused_at_the_door(wrong):
    with pytest.raises(DeclarationError, match="cannot be: draws"):
        Inference(**wrong)
