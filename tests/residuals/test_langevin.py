"""Langevin dynamics against a posterior that is known by textbook."""

import warnings

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

from hybridwater.errors import DeclarationError
from hybridwater.residuals import Inference, NotConverged
from hybridwater.residuals.hierarchy import SITE
from hybridwater.residuals.inference import infer

RNG = np.random.default_rng(5)
LINE = torch.as_tensor(np.stack([np.ones(200), RNG.normal(1.5, 0.7, 200)], axis=1))
SEEN = LINE @ torch.tensor([0.4, -0.3]).double() + torch.as_tensor(RNG.normal(0, 0.5, 200))


def line(rows=slice(None), counts=1.0):
    """Normal errors of a straight line, whose coefficients are standard normal before."""
    zero = torch.zeros(1, 2, dtype=torch.float64)
    own = pyro.sample(SITE, dist.Normal(zero, 1.0).to_event(2))
    pyro.deterministic("own", own, event_dim=2)
    error = SEEN[rows] - LINE[rows] @ own[0]
    pyro.factor("errors", counts * dist.Normal(0.0, 0.5).log_prob(error).sum())


def part():
    """The same of one in ten observations, as ten times as many."""
    line(torch.randperm(200)[:20], 10.0)


@pytest.mark.parametrize("gradients", ["of all", "of parts"])
def test_the_posterior_is_that_of_linear_regression(gradients):
    precision = torch.eye(2).double() + LINE.T @ LINE / 0.25
    covariance = torch.linalg.inv(precision)
    mean, sd = covariance @ LINE.T @ SEEN / 0.25, covariance.diagonal().sqrt()
    whole = gradients == "of all"
    steps, rate = (1000, 0.3) if whole else (2500, 0.1)
    how = Inference("sgld", steps=steps, warmup=100, learning_rate=rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConverged)
        draws, diagnostics = infer(line, (), ("own",), how, part=None if whole else part)
    own = draws["own"][:, 0]
    assert own.shape == (400, 2)
    assert diagnostics.method == "sgld"
    assert diagnostics.r_hat < 1.1
    np.testing.assert_array_less(abs(own.mean(0) - mean) / sd, 0.4)
    np.testing.assert_allclose(own.std(0) / sd, 1.0, atol=0.25)
    assert float(torch.corrcoef(own.T)[0, 1]) == pytest.approx(
        float(covariance[0, 1] / sd.prod()), abs=0.1
    )


def test_chains_that_have_hardly_moved_are_told():
    how = Inference("sgld", steps=40, warmup=1, learning_rate=0.01)
    with pytest.warns(NotConverged, match="chains do not agree: .* Give more steps"):
        infer(line, (), ("own",), how)


def test_steps_with_which_it_would_diverge_are_refused():
    with pytest.raises(DeclarationError, match="learning rate is 4"):
        Inference("sgld", learning_rate=4.0)


def test_the_same_seed_gives_the_same_draws():
    how = Inference("sgld", steps=20, warmup=2, draws=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConverged)
        one, other = (infer(line, (), ("own",), how)[0]["own"] for _ in range(2))
    torch.testing.assert_close(one, other, rtol=0, atol=0)
