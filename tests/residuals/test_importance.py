"""The shape of the tail of importance weights, against distributions whose shape is known."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch

from hybridwater.residuals import Inference
from hybridwater.residuals.hierarchy import SITE
from hybridwater.residuals.importance import pareto_shape
from hybridwater.residuals.inference import infer


@pytest.mark.parametrize("shape", [0.2, 0.8])
def test_the_shape_of_pareto_weights_is_found(shape):
    uniform = torch.rand(20000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert pareto_shape(-shape * torch.log(uniform)) == pytest.approx(shape, abs=0.15)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_weights_that_are_none_are_the_worst(bad):
    assert pareto_shape([torch.tensor(x) for x in (0.0, bad, 1.0)]) == math.inf


def posterior(law):
    """A posterior of one coefficient, of any law."""
    own = pyro.sample(SITE, dist.Normal(torch.zeros(1, 1).double(), 1.0).to_event(2))
    pyro.deterministic("own", own, event_dim=2)
    pyro.factor("data", (law.log_prob(own) - dist.Normal(0.0, 1.0).log_prob(own)).sum())


@pytest.mark.parametrize(
    ("law", "low", "high"),
    [(dist.Normal(1.0, 0.5), -10, 0.5), (dist.Cauchy(0.0, 0.3), 0.7, math.inf)],
)
def test_a_guide_that_fits_and_one_that_does_not(law, low, high):
    how = Inference(steps=300, draws=500)
    _, found = infer(posterior, (law,), ("own",), how)
    assert found.pareto_shape is not None
    assert low < found.pareto_shape < high
    assert ("not those of the posterior" in found.message) == (low > 0)
