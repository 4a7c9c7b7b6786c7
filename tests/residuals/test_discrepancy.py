"""Systematic errors of a known shape, of which a model is told only that they are smooth."""

import numpy as np
import pytest
import torch
from synthetic import erring, flows, storms

from hybridwater.errors import DataError, DeclarationError
from hybridwater.residuals import Inference, NotConverged, ResidualModel, ResidualPosterior
from hybridwater.residuals.discrepancy import get_discrepancy

FUNCTIONS = ["gaussian process", "neural network"]
QUICK = Inference(draws=60)


SIMPLE = {
    "transform": "box-cox",
    "bias": [],
    "scale": [],
    "tails": "normal",
    "autocorrelated": False,
}


def transformed(flow):
    return ((flow + 0.01) ** 0.2 - 1) / 0.2


@pytest.fixture(scope="module")
def truth():
    """Flow with a bias that no line in state and no harmonic of the season describes."""
    simulated = storms(1, 730)
    simulated /= simulated.mean()
    z = transformed(simulated)
    angle = 2 * np.pi * np.arange(730) / 365.2425
    bias = 0.8 * np.tanh((z - z.mean()) / z.std()) * np.sin(angle)
    noise = 0.2 * np.random.default_rng(1).standard_normal(730)
    observed, right = ((1 + 0.2 * (z + bias + e)) ** 5 - 0.01 for e in (noise, 0.0))
    return simulated, observed, right


LEFT_OUT = np.arange(730) // 30 % 2 == 1


@pytest.fixture(scope="module", params=FUNCTIONS)
def fitted(request, truth):
    simulated, observed, _ = truth
    model = ResidualModel(discrepancy=request.param, **SIMPLE)
    known = flows(np.where(LEFT_OUT, np.nan, observed))
    return model.fit(flows(simulated), known, inference=QUICK)


def test_a_smooth_bias_is_found_in_months_left_out(truth, fitted):
    simulated, _, right = truth
    found = fitted.systematic(flows(simulated))
    assert found.dims == ("draw", "gage", "time")
    after, before = (transformed(flow / fitted.layout.flow)[0] for flow in (right, simulated))
    # the largest floods come in seasons in which none was seen: there, nothing can be known
    judged = LEFT_OUT & (before < np.quantile(before, 0.95))
    bias, drawn = (after - before)[judged], found.values[:, 0, judged]
    assert (drawn.mean(0) - bias).std() < 0.25 * bias.std()
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    assert 0.75 < ((low <= bias) & (bias <= high)).mean() < 0.995
    columns = np.ones((730, 4))  # so that it could not be had without a discrepancy
    angle = 2 * np.pi * np.arange(730) / 365.2425
    columns[:, 1:] = np.stack([before, np.sin(angle), np.cos(angle)], axis=1)
    line = np.linalg.lstsq(columns, after - before, rcond=None)[0]
    assert ((columns @ line)[judged] - bias).std() > 0.5 * bias.std()


@pytest.mark.parametrize("fitted", FUNCTIONS[:1], indirect=True)
def test_far_from_observations_a_gaussian_process_is_its_prior_again(truth, fitted):
    constant = fitted.parameters()["bias"].values[..., 0]
    near, far = (fitted.systematic(flows(k * truth[0])).values[:, 0] - constant for k in (1, 1e4))
    prior = np.hypot(0.3, 0.15)  # of the population's centre, and of a site about it
    assert far.std(0).mean() == pytest.approx(prior, rel=0.15)
    assert abs(far.mean()) < 0.3 * prior
    assert near.std(0).mean() < 0.6 * prior


def test_saved_and_loaded_it_is_the_same(truth, fitted, tmp_path):
    simulated = flows(truth[0][:, :30])
    fitted.save(tmp_path)
    loaded = ResidualPosterior.load(tmp_path)
    assert loaded.model == fitted.model
    np.testing.assert_array_equal(loaded.sample(simulated, 3), fitted.sample(simulated, 3))


def test_the_prior_of_a_gaussian_process_is_that_of_its_kernel():
    # covariance of functions against the squared exponential kernel, in closed form
    rng = np.random.default_rng(3)
    level, angle = rng.uniform(-3, 4, 200), rng.uniform(0, 2 * np.pi, 200)
    place = torch.as_tensor(np.stack([level, np.sin(angle), np.cos(angle)]))
    features = get_discrepancy("gaussian process").features(place[:, None])[:, 0].numpy()
    found = features.T @ features
    squared = ((place[:, :, None] - place[:, None, :]) ** 2).sum(0).numpy()
    np.testing.assert_allclose(found, np.exp(-squared / 2), atol=0.06)
    np.testing.assert_allclose(np.diag(found), 1, rtol=1e-12)


def test_the_prior_of_a_network_is_as_wide_as_that_of_a_process():
    rng = np.random.default_rng(3)
    network = get_discrepancy("neural network")
    prior = network.prior()
    own = prior.centre + np.hypot(prior.scale, prior.spread) * rng.normal(size=(4000, 1, 40))
    level, angle = rng.uniform(-2, 2, 300), rng.uniform(0, 2 * np.pi, 300)
    place = torch.as_tensor(np.stack([level, np.sin(angle), np.cos(angle)]))[:, None]
    drawn = network.effect(torch.as_tensor(own), network.features(place)).numpy()
    assert drawn.std() == pytest.approx(np.hypot(0.3, 0.15), rel=0.15)
    assert abs(drawn.mean()) < 0.02


def test_unknown_discrepancies_are_refused():
    with pytest.raises(DeclarationError, match="gaussian process"):
        ResidualModel(discrepancy="gausian process")


def test_a_fit_that_failed_is_an_error():
    simulated = storms(3, 100)
    observed = flows(erring(simulated))
    how = Inference(steps=100, draws=5, learning_rate=1.0)
    model = ResidualModel(discrepancy="neural network", weight=0.3)
    with pytest.warns(NotConverged), pytest.raises(DataError, match="smaller Inference"):
        model.fit(flows(simulated), observed, inference=how)
