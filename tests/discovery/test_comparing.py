"""Comparisons fit what is to be fitted, take what is fitted, and survive what cannot be solved."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.discovery import Front, Proposal, comparing, replacements
from hybridwater.errors import DataError, DeclarationError
from hybridwater.training import Stage, parameter_uncertainty
from hybridwater.training.misfit import Misfit
from hybridwater.ude import Equation
from hybridwater.ude.functions import symbol

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
    assert ((done["uncertainty"] > 0) & (done["uncertainty"] <= 1)).all()
    assert table.loc["network", "weights"] == compared.fits["network"].ude.program.n_weights
    assert np.isnan(table.loc["network", "fit (s)"])
    assert table.loc["linear", "operations"] == table.loc["true", "operations"] + 1
    added = table["length"] - table["BIC"]
    np.testing.assert_allclose(added[:3], 2 * np.log(10) * table["operations"][:3])


def test_squared_errors_judge_what_they_have_fitted(compared, weather):
    """With the loss NSE the criterion is that of errors that are even."""
    errors = {}
    for name in ("true", "linear", "network"):
        seen = weather["qobs"].sel(time=slice(*compared.fits[name].periods["train"]))
        run = compared.simulations[name]["q"].isel(basin=0)
        errors[name] = (run - seen).dropna("time").values
    best = min(errors.values(), key=lambda e: np.mean(e**2))
    memory = np.clip(np.corrcoef(best[1:], best[:-1])[0, 1], 0, 0.98)  # as far as is believed
    worth = len(best) * (1 - memory) / (1 + memory)
    ratio = np.mean(errors["linear"] ** 2) / np.mean(errors["true"] ** 2)
    differences = compared.table.loc["linear"] - compared.table.loc["true"]
    expected = worth * np.log(ratio) + differences["parameters"] * np.log(worth)
    assert differences["BIC"] == pytest.approx(expected, rel=1e-6)


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


def test_a_sequence_has_the_names_of_the_models(hybrid_fit, weather):
    table = hw.compare([hybrid_fit], weather).table
    assert list(table.index) == [hybrid_fit.ude.name]
    assert np.isfinite(table["NSE test"]).all()
    with pytest.raises(DataError, match=f"More than one model is called '{hybrid_fit.ude.name}'"):
        hw.compare([hybrid_fit, hybrid_fit.ude], weather)


def test_a_fit_is_kept_though_its_run_fails(fragile, weather):
    data = weather.copy(deep=True)
    data["prcp"][-60] = 1000.0  # in the test period
    found = hw.compare(
        {"fragile": fragile},
        data,
        observed={"q": "qobs"},
        schedule=[Stage("joint", 2, 0.1)],
        substeps=1,
        show_progress=False,
        **PERIODS,
    )
    assert list(found.failures) == ["fragile"]
    assert set(found.fits) == {"fragile"}
    assert not found.simulations
    with pytest.raises(DataError, match="every one failed"):
        found.preferred  # noqa: B018
    assert "fragile failed." in found._repr_html_()


@pytest.fixture(scope="module")
def two_networks(bucket, weather):
    model = bucket.learn("et", {"soil": (0, 200), "pet": (0, 4)}, hidden=(2,))
    return hw.fit(
        model.learn("q", {"soil": (0, 200)}, hidden=(2,)),
        weather,
        observed={"q": "qobs"},
        schedule=[Stage("joint", 1, 0.01, 0.01)],
        substeps=1,
        show_progress=False,
        **PERIODS,
    )


def front(term: str, *texts: str, rivals: int = 0, explained: float = 0.9) -> Front:
    """Return a front with equations in ``soil`` and ``pet`` and the parameters of the bucket."""
    names = {n: symbol(n) for n in ("soil", "pet", "k", "c")}
    proposals = [
        Proposal(Equation(eval(t, {}, names)), 3 + k, 2, explained, t, np.zeros(3))
        for k, t in enumerate(texts)
    ]
    begin = len(texts) - rivals
    every = tuple(proposals[:begin]), tuple(proposals[begin:])
    return Front(term, "mm d-1", every[0], None, "Because.", 0.0, xr.Dataset(), (), every[1])


def test_every_combination_of_equations_replaces_the_networks(two_networks):
    fronts = {
        "et": front("et", "pet * soil / c", "pet", rivals=1),
        "q": front("q", "k * soil", "k * soil * soil / c"),
    }
    models = replacements(two_networks, fronts, each=2)
    assert list(models) == ["et 0, q 0", "et 0, q 1", "et 1, q 0", "et 1, q 1"]
    for name, model in models.items():
        assert not model.networks
        written = {f.name: str(f.expression) for f in model.fluxes}
        for term, number in (part.split() for part in name.split(", ")):
            expected = fronts[term].proposal(int(number)).equation.expression
            assert written[term] == str(expected)
        k = float(two_networks.parameters["k"][0])
        assert model.parameter("k").default == pytest.approx(k)
    assert list(replacements(two_networks, fronts, each=1)) == ["et 0, q 0"]


def test_a_front_without_a_good_equation_is_named(two_networks):
    poor = dataclasses.replace(front("et", "pet", explained=0.2), why="Nothing explains half.")
    with pytest.raises(DataError, match=r"place of 'et'\. Nothing explains half"):
        replacements(two_networks, {"q": front("q", "k * soil"), "et": poor})


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


def test_uncertainty_counts_every_series_by_its_own_errors():
    """The logarithm of an emptying store is a line: the deviation of its slope is in textbooks."""

    @hw.model
    def stores(m):
        for name in "ab":
            k = m.parameter(f"k{name}", "d-1", (0.01, 0.1), 0.03)
            s = m.state(name, "mm", initial=100.0)
            out = m.flux(f"q{name}", k * s, "mm d-1")
            m.derivative(s, -out)

    days, noise = 60, 0.05
    time = xr.Dataset(coords={"time": np.datetime64("2000-01-01") + np.arange(days)})
    truth = hw.simulate(stores, time, substeps=1)
    rng = np.random.default_rng(1)
    for name in ("qa", "b"):  # of the second store its state is observed
        seen = truth[name].isel(basin=0, drop=True) * (1 + noise * rng.standard_normal(days))
        time[f"{name}_seen"] = seen.assign_attrs(units=truth[name].attrs["units"])
    fitted = hw.fit(
        stores,
        time,
        observed={n: f"{n}_seen" for n in ("qa", "b")},
        train=slice(None),
        warmup=0,
        loss="log_nse",
        schedule=[Stage("joint", 10, optimiser="lm")],
        substeps=1,
        show_progress=False,
    )
    sd = parameter_uncertainty(fitted, time)["sd"]
    t = np.arange(1, days + 1)  # of the states; fluxes are those of half a day before
    assert sd["ka"] == pytest.approx(noise / np.sqrt(((1 / 0.03 - t + 0.5) ** 2).sum()), rel=0.3)
    assert sd["kb"] == pytest.approx(noise / np.sqrt((t**2.0).sum()), rel=0.3)
    silent = time.assign(b_seen=time["b_seen"] * np.nan)
    table = parameter_uncertainty(fitted, silent)
    assert table.loc["kb", "remaining"] == pytest.approx(1)
    assert table.loc["ka", "sd"] == pytest.approx(sd["ka"])


def test_the_unit_of_the_observations_does_not_choose_the_model():
    """n ln(error) of two models can be compared only with the same n."""
    rng = np.random.default_rng(0)
    white, slow = rng.normal(0, 1, 400), np.cumsum(rng.normal(0, 0.1, 400))
    differences = []
    for unit in (1e-3, 1.0, 1e3):
        rows = {n: {"parameters": 3.0, "weights": 0, "operations": 5} for n in ("white", "slow")}
        flow = np.full(400, 100 * unit)
        errors = {"white": unit * white, "slow": unit * slow}
        misfits = {n: {("q", "a"): Misfit.of(flow, e)} for n, e in errors.items()}
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
    law, other = (Misfit.of(flow, e) for e in (noise, wrong))
    assert law.level < other.level
    assert law.scale / flow == pytest.approx(0.05, rel=0.2)
    even = Misfit.of(flow, rng.standard_normal(2000))
    assert np.ptp(even.scale) == 0
    told = Misfit.of(flow, noise, even=True)
    np.testing.assert_allclose(told.scale, np.sqrt(np.mean(noise**2)))


def test_the_most_skilful_is_that_of_the_validation_period(compared):
    """Whatever the training period, its length and the test period say."""
    table = pd.DataFrame(
        {
            "NSE train": [0.9, 0.8, np.nan],
            "NSE validation": [0.6, 0.7, np.nan],
            "NSE test": [0.9, 0.1, np.nan],
            "length": [10.0, 99.0, np.nan],
            "parameters": [2, 9, np.nan],
            "weights": [0, 0, np.nan],
        },
        ["short", "long", "failed"],
    )
    found = dataclasses.replace(compared, table=table, failures={"failed": "Because."})
    assert (found.preferred, found.most_skilful) == ("short", "long")
    with pytest.raises(DataError, match="no validation period"):
        compared.most_skilful  # noqa: B018
    with pytest.raises(DataError, match="every one failed"):
        dataclasses.replace(found, failures=dict.fromkeys(table.index, "")).most_skilful  # noqa: B018
