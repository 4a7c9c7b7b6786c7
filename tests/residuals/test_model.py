import warnings

import numpy as np
import pytest
import xarray as xr
from scipy.special import expit, softmax
from synthetic import erring, flows, storms

from hybridwater import scores
from hybridwater.residuals import Inference, NotConverged, ResidualModel
from hybridwater.residuals.persistence import REGIMES

QUICK = Inference(draws=40, steps=800)


@pytest.mark.parametrize(
    "options",
    [
        {"transform": "log-sinh"},
        {"transform": "learned", "tails": "normal"},
        {"transform": "box-cox", "tails": "student-t"},
    ],
)
def test_every_transform_and_tail_is_calibrated_on_other_years(options):
    simulated = storms(2, 500)
    simulated, observed = flows(simulated), flows(erring(simulated, memory=0.3))
    first, later = slice(0, 250), slice(250, 500)
    model = ResidualModel(bias=["level"], scale=["level"], **options)
    fitted = model.fit(simulated.isel(time=first), observed.isel(time=first), inference=QUICK)
    ensemble = fitted.sample(simulated.isel(time=later), 100)
    found = float(scores.coverage(ensemble, observed.isel(time=later)).mean())
    assert found == pytest.approx(0.9, abs=0.06)


def test_the_posterior_is_that_of_the_normal_distribution():
    # constant bias and scale, normal errors: mean and standard deviation are known by textbook
    simulated = storms(1, 300)
    observed = erring(simulated, memory=0.0, bias=0.25, scale=0.3)
    model = ResidualModel("box-cox", bias=[], scale=[], tails="normal", autocorrelated=False)
    table = model.fit(flows(simulated), flows(observed), inference=QUICK).parameters()
    before, after = (((q / observed.mean() + 0.01) ** 0.2 - 1) / 0.2 for q in (simulated, observed))
    error = after - before
    assert float(table["bias"].mean()) == pytest.approx(error.mean(), abs=0.01)
    assert float(table["bias"].std()) == pytest.approx(error.std() / 300**0.5, rel=0.3)
    assert float(table["log_scale"].mean()) == pytest.approx(np.log(error.std()), abs=0.03)
    assert float(table["log_scale"].std()) == pytest.approx(600**-0.5, rel=0.3)


def test_errors_that_grow_with_the_flow_are_covered_at_every_flow():
    # relative errors of 5 % at the lowest flows and of 60 % at the highest
    simulated = storms(3, 1000)
    level = np.argsort(np.argsort(simulated, axis=1), axis=1) / 1000
    noise = np.random.default_rng(2).standard_normal(simulated.shape)
    observed = flows(simulated * np.exp((0.05 + 0.55 * level) * noise))
    model, past, later = ResidualModel(autocorrelated=False), slice(0, 500), slice(500, 1000)
    fitted = model.fit(flows(simulated)[:, past], observed[:, past], inference=QUICK)
    ensemble = fitted.sample(flows(simulated), 200)[..., later]
    third = flows(np.floor(3 * level))[:, later].rename("third")
    covered = scores.coverage(ensemble, observed[:, later], by=third)
    np.testing.assert_allclose(covered, 0.9, atol=0.05)


def test_memory_is_found():
    simulated = storms(3, 400)
    observed = erring(simulated, memory=0.9)
    model = ResidualModel(bias=[], scale=[], persistence=[], tails="normal")
    table = model.fit(flows(simulated), flows(observed), inference=QUICK).parameters()
    chain = table["persistence"].mean("draw")
    memories, logits = (
        np.array([chain.sel(persistence_term=f"{regime}_{term}").values for regime in regimes])
        for term, regimes in (("memory", REGIMES), ("constant", REGIMES[:-1]))
    )
    shares = softmax(np.vstack([logits, np.zeros(3)]), axis=0)
    np.testing.assert_allclose((shares * expit(memories)).sum(0), 0.9, atol=0.08)


def test_dry_days_are_censored_not_fitted():
    # half of the days of a river that dries up would pull a plain fit far below its wet days
    simulated = storms(1, 400)
    observed = erring(simulated, memory=0.0, bias=-1.0, scale=1.5)
    dry = float((observed == 0).mean())
    assert dry > 0.05
    model = ResidualModel("box-cox", bias=[], scale=[], tails="normal", autocorrelated=False)
    fitted = model.fit(flows(simulated), flows(observed), inference=QUICK)
    ensemble = fitted.sample(flows(simulated), 200)
    assert float((ensemble == 0).mean()) == pytest.approx(dry, abs=0.03)
    assert not np.isnan(ensemble).any()


def test_sites_with_little_data_learn_from_the_others():
    simulated = storms(8, 400)
    observed = erring(simulated, memory=0.0, bias=0.5, scale=0.3)
    observed[0, 61:] = np.nan
    model = ResidualModel(bias=[], scale=[], tails="normal", autocorrelated=False, weight=0.05)
    pooled = model.fit(flows(simulated), flows(observed), inference=QUICK).parameters()
    alone = model.fit(flows(simulated[:1]), flows(observed[:1]), inference=QUICK).parameters()
    assert float(pooled["bias"].sel(gage="g0").std()) < 0.8 * float(alone["bias"].std())


def test_attributes_explain_sites():
    rng = np.random.default_rng(5)
    simulated = storms(8, 200)
    size = np.linspace(-1, 1, 8)
    observed = np.concatenate(
        [erring(simulated[[i]], 0.0, 0.3 * size[i], 0.2, seed=i) for i in range(8)]
    )
    table = xr.Dataset({"size": ("gage", size), "noise": ("gage", rng.normal(size=8))})
    table = table.assign_coords(gage=[f"g{i}" for i in range(8)])
    model = ResidualModel(bias=[], scale=[], tails="normal", autocorrelated=False)
    fitted = model.fit(flows(simulated), flows(observed), attributes=table, inference=QUICK)
    found = fitted.parameters()["bias"].mean("draw").values[:, 0]
    assert np.corrcoef(found, size)[0, 1] > 0.9


def test_a_covariate_can_be_a_term():
    simulated = storms(1, 300)
    observed = erring(simulated, memory=0.0, bias=0.0, scale=0.2)
    ice = xr.DataArray((np.arange(300) % 50 < 25) * 1.0, dims="time", name="ice")
    frozen = flows(observed) * (1 - 0.5 * ice)
    ice = ice.assign_coords(time=frozen["time"]).to_dataset()
    model = ResidualModel(bias=["ice"], scale=[], tails="normal", autocorrelated=False)
    fitted = model.fit(
        flows(simulated), frozen.assign_attrs(units="m3 s-1"), covariates=ice, inference=QUICK
    )
    assert float(fitted.parameters()["bias"].sel(bias_term="ice").mean()) < -0.1
    ensemble = fitted.sample(flows(simulated), 50, covariates=ice)
    ratio = (ensemble.median("member") / flows(simulated)).groupby(ice["ice"]).median(...)
    assert float(ratio[1] / ratio[0]) == pytest.approx(0.5, abs=0.1)


def test_a_fit_that_has_not_settled_says_so():
    simulated = storms(2, 200)
    model = ResidualModel(autocorrelated=False)
    with pytest.warns(NotConverged, match="still rising after 100 steps"):
        fitted = model.fit(
            flows(simulated), flows(erring(simulated)), inference=Inference(steps=100, draws=5)
        )
    assert not fitted.converged
    assert "has not converged" in repr(fitted)


def test_nuts_agrees_with_svi_and_reports_its_chains():
    simulated = storms(1, 150)
    observed = flows(erring(simulated, memory=0.0))
    model = ResidualModel(bias=[], scale=[], tails="normal", autocorrelated=False)
    nuts = Inference("nuts", draws=100, warmup=60)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotConverged)
        sampled = model.fit(flows(simulated), observed, inference=nuts)
    found = sampled.diagnostics["margins"]
    assert found.r_hat < 1.05
    assert found.effective >= 100
    varied = model.fit(flows(simulated), observed, inference=Inference(draws=300))
    for name in ("bias", "log_scale"):
        one, other = sampled.parameters()[name], varied.parameters()[name]
        assert float(abs(one.mean() - other.mean())) < 0.5 * float(one.std())
        assert float(other.std()) == pytest.approx(float(one.std()), rel=0.4)


def test_chains_that_disagree_are_told_in_words():
    simulated = storms(1, 100)
    model = ResidualModel(bias=[], scale=[], tails="normal", autocorrelated=False)
    short = Inference("nuts", draws=4, warmup=1)
    with pytest.warns(NotConverged, match="chains do not agree"):
        model.fit(flows(simulated), flows(erring(simulated)), inference=short)


def test_random_numbers_and_parameters_of_the_caller_are_left_alone():
    import pyro
    import torch

    pyro.clear_param_store()
    pyro.param("mine", torch.ones(2))
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    simulated = storms(1, 100)
    model = ResidualModel(bias=[], scale=[], tails="normal", autocorrelated=False)
    model.fit(flows(simulated), flows(erring(simulated)), inference=Inference(draws=5))
    assert torch.equal(torch.rand(1), expected)
    assert list(pyro.get_param_store()) == ["mine"]
    pyro.clear_param_store()
