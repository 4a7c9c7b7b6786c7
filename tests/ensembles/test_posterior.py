"""Posteriors of parameters against analytic ones and against brute force."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from scipy import stats

import hybridwater as hw
from hybridwater.ensembles import Design, Ensemble, ModelSimulator, lognormal, normal, uniform
from hybridwater.ensembles.posterior import parameter_posterior
from hybridwater.ensembles.priors import log_prior
from hybridwater.errors import EnsembleError
from hybridwater.residuals import Inference, NotConverged
from hybridwater.ude.terms import Parameter

DAYS, SD, K = 200, 0.5, 0.05


@pytest.fixture(scope="module")
def store():
    @hw.model
    def linear(m):
        P = m.forcing("prcp", "mm d-1")
        k = m.parameter("k", "d-1", bounds=(0.01, 0.3), default=0.1)
        s0 = m.parameter("s0", "mm", bounds=(0, 200), default=100)
        S = m.state("storage", "mm", initial=s0)
        q = m.flux("q", k * S, "mm d-1")
        m.derivative(S, P - q)

    return linear


@pytest.fixture(scope="module")
def data(store):
    rng = np.random.default_rng(11)
    time = pd.date_range("2001-01-01", periods=DAYS)
    rain = xr.DataArray(rng.gamma(0.3, 8.0, DAYS), {"time": time}, attrs={"units": "mm d-1"})
    forcing = xr.Dataset({"prcp": rain})
    truth = hw.simulate(store, forcing, {"k": K, "s0": 60.0})["q"].isel(basin=0, drop=True)
    observed = (truth + SD * rng.standard_normal(DAYS)).assign_attrs(units="mm d-1")
    observed[17:20] = np.nan
    return forcing.assign(obs=observed)


def infer(store, data, **more):
    plain = {"transform": "none", "sd": SD, "autocorrelated": False, "warmup": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConverged)
        return parameter_posterior(
            store, data, {"q": "obs"}, train=("2001-01-01", "2001-07-19"), **{**plain, **more}
        )


def run(store, data, k, s0):
    return hw.simulate(store, data, {"k": k, "s0": s0})["q"].values[0]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["svi", "nuts", "sgld"])
def test_a_linear_parameter_has_its_normal_posterior(store, data, method):
    """Flow is linear in the initial storage, so with known errors its posterior is normal."""
    known = store.with_defaults({"k": K})
    none, one = run(store, data, K, 0.0), run(store, data, K, 1.0)
    slope, valid = one - none, np.isfinite(data["obs"].values)
    h, y = slope[valid], (data["obs"].values - none)[valid]
    mean, sd = h @ y / (h @ h), SD / np.sqrt(h @ h)
    draws = 120 if method == "nuts" else 300
    how = Inference(method=method, draws=draws, warmup=60, steps=1500, chains=1, seed=1)
    found = infer(known, data, names=["s0"], inference=how)
    drawn = found.draws["s0"].values
    assert drawn.mean() == pytest.approx(mean, abs=0.35 * sd)
    assert drawn.std() == pytest.approx(sd, rel=0.3)
    assert found.draws["s0"].attrs["units"] == "mm"


@pytest.mark.slow
def test_a_normal_prior_counts_as_one_more_observation(store, data):
    known = store.with_defaults({"k": K})
    none, one = run(store, data, K, 0.0), run(store, data, K, 1.0)
    valid = np.isfinite(data["obs"].values)
    h, y = (one - none)[valid], (data["obs"].values - none)[valid]
    mean, sd = h @ y / (h @ h), SD / np.sqrt(h @ h)
    prior = normal(mean + 4 * sd, sd)
    found = infer(known, data, names=["s0"], priors={"s0": prior},
                  inference=Inference(draws=300, steps=1500, seed=1))  # fmt: skip
    drawn = found.draws["s0"].values
    assert drawn.mean() == pytest.approx(mean + 2 * sd, abs=0.25 * sd)
    assert drawn.std() == pytest.approx(sd / np.sqrt(2), rel=0.3)
    assert found.draws["s0"].attrs["prior"] == str(prior)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("kind", ["normal", "lognormal"])
def test_priors_are_densities_within_the_bounds(kind, log):
    """Against SciPy's, weighted by how values lie by the bounds alone."""
    bounds = (0.01, 0.3)
    parameter = Parameter("k", "d-1", bounds, 0.05, log=log)
    prior, peer = {
        "normal": (normal(0.04, 0.02), stats.norm(0.04, 0.02)),
        "lognormal": (lognormal(0.5), stats.lognorm(0.5, scale=0.05 * np.exp(-0.125))),
    }[kind]
    density = log_prior([parameter], {"k": prior})
    grid = np.geomspace(*bounds, 4001) if log else np.linspace(*bounds, 4001)
    weight = np.array([float(density(torch.tensor([v], dtype=torch.float64)).exp()) for v in grid])
    shares = np.cumsum(weight) / weight.sum()
    ends = peer.cdf(bounds)
    expected = (peer.cdf(grid) - ends[0]) / (ends[1] - ends[0])
    assert np.abs(shares - expected).max() < 2e-3


@pytest.mark.slow
def test_two_parameters_as_by_brute_force(store, data):
    ks, s0s = np.linspace(0.02, 0.09, 61), np.linspace(10, 150, 61)
    grid = {"k": np.repeat(ks, 61), "s0": np.tile(s0s, 61)}
    runs = hw.simulate(
        store,
        data.expand_dims(member=61 * 61),
        {name: xr.DataArray(values, dims="member") for name, values in grid.items()},
    )["q"].values[:, 0]  # fmt: skip
    misfit = np.nansum((runs - data["obs"].values) ** 2, axis=1) / SD**2
    weight = np.exp(-0.5 * (misfit - misfit.min())).reshape(61, 61)
    weight /= weight.sum()
    k_mean = (weight.sum(1) * ks).sum()
    k_sd = np.sqrt((weight.sum(1) * (ks - k_mean) ** 2).sum())
    found = infer(store, data, inference=Inference(draws=400, steps=2500, seed=2))
    k = found.draws["k"].values
    assert k.mean() == pytest.approx(k_mean, abs=0.4 * k_sd)
    assert k.std() == pytest.approx(k_sd, rel=0.35)
    correlation = np.corrcoef(k, found.draws["s0"].values)[0, 1]
    s0_mean = (weight.sum(0) * s0s).sum()
    s0_sd = np.sqrt((weight.sum(0) * (s0s - s0_mean) ** 2).sum())
    together = (weight * np.outer(ks - k_mean, s0s - s0_mean)).sum() / (k_sd * s0_sd)
    assert correlation == pytest.approx(together, abs=0.2)


@pytest.mark.slow
def test_errors_that_are_not_known_are_found_and_members_follow(store, data, tmp_path):
    found = infer(store, data, sd=None, autocorrelated=True, inference=Inference(steps=1500))
    assert float(found.draws["error_sd"].mean()) == pytest.approx(SD, rel=0.2)
    assert float(found.draws["error_memory"].mean()) < 0.25
    low, high = found.draws["k"].quantile([0.01, 0.99]).values
    assert low < K < high
    runs = ModelSimulator(store, data, outputs=["q"])
    ensemble = Ensemble(runs, {"posterior": found}, Design(8))
    with ensemble.run(tmp_path / "e.nc") as members:
        for number in (0, 7):
            values = found.drawn(ensemble.member(number).draws["posterior"])
            alone = run(store, data, *(values[n][0] for n in ("k", "s0")))
            np.testing.assert_allclose(members["q"].values[number, 0], alone, rtol=1e-9)


@pytest.mark.slow
def test_gradients_of_parts_of_the_record_lead_to_the_same_posterior(store, data):
    known = store.with_defaults({"s0": 60.0})
    more = {"names": ["k"], "warmup": 60, "autocorrelated": True}
    one = infer(known, data, **more, inference=Inference("nuts", draws=150, warmup=60, chains=1))
    how = Inference("sgld", steps=1500, warmup=60, learning_rate=0.2)
    other = infer(known, data, **more, batch=35, inference=how)
    k, sd = one.draws["k"].mean(), one.draws["k"].std()
    assert float(abs(other.draws["k"].mean() - k)) < 0.5 * float(sd)
    assert float(other.draws["k"].std()) == pytest.approx(float(sd), rel=0.35)


def test_bad_requests(store, data):
    with pytest.raises(EnsembleError, match="no parameter 'kk'"):
        infer(store, data, names=["kk"])
    with pytest.raises(EnsembleError, match="prior of 'kk', which is not inferred"):
        infer(store, data, priors={"kk": normal(0.1, 0.1)})
    with pytest.raises(EnsembleError, match=r"prior of 'k' is uniform.*declare bounds"):
        infer(store, data, priors={"k": uniform(0.1, 0.2)})
    with pytest.raises(EnsembleError, match="did you mean 'sqrt'"):
        infer(store, data, transform="sqr")
    with pytest.raises(EnsembleError, match="2 fluxes are observed"):
        parameter_posterior(store, data, {"q": "obs", "p": "obs"}, train=("2001", "2001"))
    with pytest.raises(EnsembleError, match="for SGLD, and the method is 'svi'"):
        infer(store, data, batch=50)
    with pytest.raises(EnsembleError, match="warmup of 0 cannot be"):
        infer(store, data, batch=50, inference=Inference("sgld"))
