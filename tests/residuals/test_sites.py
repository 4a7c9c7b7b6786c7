"""Errors that sites have in common."""

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from synthetic import erring, flows, storms

from hybridwater import scores
from hybridwater.residuals import Inference, NotConverged, ResidualModel, ResidualPosterior
from hybridwater.residuals.sites import correlation

GAGES = 4


@pytest.fixture(scope="module")
def alike():
    """Gages whose innovations are correlated by 0.9, and a quick fit of 200 days."""
    one = storms(1, 2000) + np.zeros((GAGES, 1))
    simulated, observed = flows(one), flows(erring(one, shared=0.9, seed=3))
    model = ResidualModel(bias=[], scale=[], persistence=[], tails="normal")
    first, later = slice(0, 200), slice(200, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConverged)
        fitted = model.fit(
            simulated.isel(time=first),
            observed.isel(time=first),
            inference=Inference(steps=100, draws=40),
        )
    return fitted, simulated.isel(time=later), observed.isel(time=later)


def total(flow):
    return flow.sum("gage").assign_attrs(units="m3 s-1")


def test_the_sum_of_sites_is_covered_as_each_of_them(alike, tmp_path):
    fitted, simulated, observed = alike
    apart = fitted.correlation[~torch.eye(GAGES, dtype=torch.bool)]
    assert float(apart.mean()) == pytest.approx(0.9, abs=0.05)
    members = fitted.sample(simulated, 200)
    each = float(scores.coverage(members, observed).mean())
    whole = float(scores.coverage(total(members), total(observed)))
    assert each == pytest.approx(0.9, abs=0.06)
    assert whole == pytest.approx(each, abs=0.04)
    independent = dataclasses.replace(fitted, correlation=torch.eye(GAGES, dtype=torch.float64))
    without = independent.sample(simulated, 200)
    assert float(scores.coverage(total(without), total(observed))) < each - 0.2
    # what is said of one site is the same
    np.testing.assert_array_equal(members[:, 0], without[:, 0])
    for level in (0.05, 0.5, 0.95):
        ratio = members[:, 3].quantile(level) / without[:, 3].quantile(level)
        assert float(ratio) == pytest.approx(1.0, abs=0.03)
    again = ResidualPosterior.load(fitted.save(tmp_path / "r"))
    np.testing.assert_array_equal(again.sample(simulated, 3), fitted.sample(simulated, 3))


def test_updated_on_yesterday_the_sum_is_covered(alike):
    fitted, simulated, observed = alike
    members = fitted.sample(simulated, 200, observed=observed, lead=1)
    each = float(scores.coverage(members, observed).mean())
    assert each == pytest.approx(0.9, abs=0.06)
    whole = float(scores.coverage(total(members), total(observed)))
    assert whole == pytest.approx(each, abs=0.04)


def test_sites_of_their_own_are_found_to_be_so(posterior):
    apart = posterior.correlation[~torch.eye(4, dtype=torch.bool)]
    assert float(apart.abs().max()) < 0.1


def test_a_correlation_is_one_although_records_are_few_and_gaps_many():
    rng = np.random.default_rng(0)
    common = rng.standard_normal(60)
    numbers = 0.95 * common + 0.3 * rng.standard_normal((80, 60))
    seen = rng.uniform(size=numbers.shape) < 0.8
    seen[0], seen[1, 20:] = False, False  # never seen, and hardly
    found = correlation(numbers, seen)
    np.testing.assert_allclose(np.diag(found), 1.0)
    assert np.linalg.eigvalsh(found).min() > 1e-5
    np.testing.assert_allclose(found[:2, 2:], 0.0, atol=0.05)
    whole = np.corrcoef(numbers[2:])  # of all records, of which four in five are seen
    apart = ~np.eye(78, dtype=bool)
    # lower, as pairs that have other gaps do not quite fit together
    assert 0.9 < found[2:, 2:][apart].mean() / whole[apart].mean() < 1.01
