"""Comparisons fit what is to be fitted, take what is fitted, and survive what cannot be solved."""

from __future__ import annotations

import numpy as np
import pytest

import hybridwater as hw
from hybridwater.discovery import comparing
from hybridwater.errors import DataError, DeclarationError
from hybridwater.training import Stage, parameter_uncertainty

PERIODS = {"train": ("2000-01", "2000-10"), "test": ("2000-11", "2001-01"), "warmup": 30}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("compared")


@pytest.fixture(scope="module")
def compared(bucket, hybrid_fit, weather, folder):
    linear = bucket.replace("et", "pet * min(max(soil, 0) / c, 1)")
    explosive = bucket.replace("et", "pet * exp(1000 * soil / c) * 1e200")
    return hw.compare(
        {"true": bucket, "linear": linear, "network": hybrid_fit, "explosive": explosive},
        weather,
        observed={"q": "qobs"},
        schedule={"true": [Stage("joint", 60, 0.1)], "linear": [Stage("joint", 30, 0.1)]},
        substeps=1,
        show_progress=False,
        directory=folder,
        **PERIODS,
    )


def test_table(compared):
    table = compared.table
    assert list(table.index) == ["true", "linear", "network", "explosive"]
    assert table.loc["true", "NSE test"] > 0.98
    assert table.loc["true", "NSE test"] > table.loc["linear", "NSE test"] - 1e-9
    done = table.drop(index="explosive")
    assert (done["imbalance"] < 1e-12).all()
    assert (done["run (s)"] > 0).all()
    assert table.loc["network", "weights"] == compared.fits["network"].ude.program.n_weights
    assert np.isnan(table.loc["network", "fit (s)"])
    assert table.loc["linear", "operations"] == table.loc["true", "operations"] + 1
    added = table["length"] - table["BIC"]
    np.testing.assert_allclose(added[:3], 2 * np.log(10) * table["operations"][:3])


def test_a_model_that_breaks_the_solver_is_told_and_stops_nothing(compared):
    assert list(compared.failures) == ["explosive"]
    assert "could be solved" in compared.failures["explosive"]
    assert compared.table.loc["explosive"].isna().all()
    assert "explosive failed: No entry could be solved" in repr(compared)
    assert set(compared.fits) == set(compared.simulations) == {"true", "linear", "network"}


def test_what_was_fitted_before_a_model_broke_the_solver_is_kept(compared, folder):
    for name in ("true", "linear"):
        kept = hw.Surrogate.load(folder / name)
        np.testing.assert_array_equal(kept.parameters["k"], compared.fits[name].parameters["k"])


def test_a_comparison_shows_itself(compared):
    page = compared._repr_html_()
    assert page.count("<img") == 2
    assert "explosive failed." in page


def test_bad_input_is_refused(bucket, weather):
    with pytest.raises(DataError, match="no model"):
        hw.compare({}, weather)
    with pytest.raises(DeclarationError, match="no flux or state 'qq'"):
        hw.compare({"a": bucket}, weather, observed={"qq": "qobs"}, **PERIODS)


def test_uncertainty_of_parameters(compared, weather):
    """The recession constant is what discharge tells most about."""
    fit = compared.fits["true"]
    table = parameter_uncertainty(fit, weather)
    assert set(table.index) == {"k", "c", "s0"}
    assert table.loc["k", "remaining"] < 0.2
    assert (table["remaining"] <= 1).all()
    assert table.loc["k", "units"] == "d-1"
    with pytest.raises(DataError, match="did you mean 'basin'"):
        parameter_uncertainty(fit, weather, basin="basi")


def test_uncertainty_is_that_of_least_squares(reservoir, weather):
    """With white noise the standard deviation is what repeated fits scatter by."""
    truth = hw.simulate(reservoir, weather, {"k": 0.1}, substeps=1)["q"].isel(basin=0, drop=True)
    rng = np.random.default_rng(0)
    found, sd = [], []
    for _ in range(12):
        noisy = truth + rng.normal(0, 0.05, truth.shape)
        data = weather.assign(qobs=noisy.assign_attrs(units="mm d-1"))
        fit = hw.fit(
            reservoir,
            data,
            observed={"q": "qobs"},
            schedule=[Stage("joint", 25, optimiser="lbfgs")],
            substeps=1,
            show_progress=False,
            **PERIODS,
        )
        found.append(float(fit.parameters["k"][0]))
        sd.append(parameter_uncertainty(fit, data).loc["k", "sd"])
    assert np.mean(sd) == pytest.approx(np.std(found, ddof=1), rel=0.5)
    assert np.mean(found) == pytest.approx(0.1, rel=0.05)


def test_the_unit_of_the_observations_does_not_choose_the_model():
    """n ln(error) of two models can be compared only with the same n."""
    rng = np.random.default_rng(0)
    white, slow = rng.normal(0, 1, 400), np.cumsum(rng.normal(0, 0.1, 400))
    differences = []
    for unit in (1e-3, 1.0, 1e3):
        rows = {n: {"parameters": 3.0, "weights": 0, "operations": 5} for n in ("white", "slow")}
        flow = np.full(400, 100 * unit)
        errors = {"white": unit * white, "slow": unit * slow}
        misfits = {n: {("q", "a"): comparing._Misfit.of(flow, e)} for n, e in errors.items()}
        comparing._inform(rows, misfits)
        differences.append(rows["white"]["BIC"] - rows["slow"]["BIC"])
    assert differences == pytest.approx([differences[0]] * 3)


def test_errors_that_grow_with_the_flow_are_judged_by_their_own_scale():
    """An equation that is nearer in the few large flows only is not the better one."""
    rng = np.random.default_rng(0)
    flow = rng.gamma(0.5, 2.0, 2000) + 0.2
    noise = 0.05 * flow * rng.standard_normal(2000)
    large = flow > np.quantile(flow, 0.98)
    wrong = np.where(large, 0.3 * noise, noise + 0.03)
    assert np.mean(wrong**2) < np.mean(noise**2)
    law, other = (comparing._Misfit.of(flow, e) for e in (noise, wrong))
    assert law.level < other.level
    assert law.scale / flow == pytest.approx(0.05, rel=0.2)
    even = comparing._Misfit.of(flow, rng.standard_normal(2000))
    assert np.ptp(even.scale) == 0
