"""Members of a model, against the same model run alone."""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater import units
from hybridwater.ensembles import (
    Design,
    Draw,
    Ensemble,
    Fits,
    Forcing,
    InitialState,
    Member,
    ModelSimulator,
    ParameterPosterior,
    Parameters,
    Residual,
    lognormal,
    uniform,
)
from hybridwater.errors import DeclarationError, EnsembleError
from hybridwater.residuals import Diagnostics
from hybridwater.training import Stage


@pytest.fixture(scope="module")
def ude():
    @hw.model
    def store(m):
        P = m.forcing("prcp", "mm d-1")
        k = m.parameter("k", "d-1", bounds=(0.01, 1), default=0.1)
        m.parameter("unused", "1", bounds=(0, 1), default=0.5)
        S = m.state("storage", "mm", initial=20.0)
        q = m.flux("q", k * S, "mm d-1")
        m.derivative(S, P - q)

    return store


@pytest.fixture(scope="module")
def forcing():
    rain = np.random.default_rng(3).gamma(0.4, 10.0, (2, 60))
    return xr.Dataset(
        {"prcp": (("basin", "time"), rain, {"units": "mm d-1"})},
        {"basin": ["a", "b"], "time": pd.date_range("2001-01-01", periods=60)},
    )


SOURCES = {
    "rain": Forcing("prcp", factor=lognormal(0.3), time="2 d"),
    "rate": Parameters({"k": uniform(0.05, 0.3)}),
    "start": InitialState(factors={"storage": uniform(0.5, 1.5)}),
}


def test_members_are_those_of_the_model_alone(ude, forcing, tmp_path):
    runs = ModelSimulator(ude, forcing, outputs=["q", "storage"], batch=4)
    ensemble = Ensemble(runs, SOURCES, Design(9, seed=5))
    with ensemble.run(tmp_path / "e.nc") as found:
        assert found["q"].dims == ("member", "basin", "time")
        assert found["q"].attrs["units"] == "mm d-1"
        assert "prcp" not in found
        for number in (0, 5, 8):
            draws = ensemble.member(number).draws
            rain = SOURCES["rain"].apply(forcing, draws["rain"])
            k = float(SOURCES["rate"].values["k"].quantile(draws["rate"].uniforms[0]))
            s = 20 * SOURCES["start"].drawn(draws["start"])["storage"][0]
            alone = hw.simulate(
                ude, forcing.assign(prcp=rain), {"k": k}, initial_state=np.full((2, 1), s)
            )
            np.testing.assert_allclose(found["q"].sel(member=number), alone["q"], rtol=1e-9)


def test_interrupted_and_resumed_is_the_same(ude, forcing, tmp_path, monkeypatch):
    runs = ModelSimulator(ude, forcing, outputs=["q"], batch=3)
    ensemble = Ensemble(runs, SOURCES, Design(10))
    ensemble.run(tmp_path / "whole.nc").close()
    simulate = ModelSimulator.simulate

    def interrupted(self, members):
        if members[0].number == 6:
            raise KeyboardInterrupt
        return simulate(self, members)

    monkeypatch.setattr(ModelSimulator, "simulate", interrupted)
    with pytest.raises(KeyboardInterrupt, match="6 of 10 members"):
        ensemble.run(tmp_path / "e.nc")
    monkeypatch.undo()
    ensemble.run(tmp_path / "e.nc", resume=True).close()
    assert (tmp_path / "e.nc").read_bytes() == (tmp_path / "whole.nc").read_bytes()


def test_what_is_switched_off_stays_as_it_is(ude, forcing, tmp_path):
    runs = ModelSimulator(ude, forcing, outputs=["q"])
    ensemble = Ensemble(runs, SOURCES, Design(4), off=["rain", "rate"])
    with ensemble.run(tmp_path / "e.nc") as found:
        late = found["q"].isel(time=-1)
        assert float(late.std("member").max()) < 0.05 * float(late.mean())
        assert float(found["q"].isel(time=0).std("member").min()) > 0.1


def test_a_member_that_cannot_be_does_not_spoil_its_batch(ude, forcing, tmp_path):
    runs = ModelSimulator(ude, forcing, outputs=["q"], batch=8)
    wide = {"rate": Parameters({"k": uniform(-0.1, 0.3)})}
    ensemble = Ensemble(runs, wide, Design(8))
    with pytest.raises(EnsembleError, match=r"outside \(0.01, 1\)"):
        ensemble.run(tmp_path / "e.nc")
    with ensemble.run(tmp_path / "e.nc", resume=True, failed="leave_out") as found:
        there = np.isfinite(found["q"]).all(["basin", "time"])
        assert 2 <= int((~there).sum()) <= 3
        assert (found["failure"].values[there.values] == "").all()


def test_a_solver_that_fails_loses_its_member_only(forcing):
    @hw.model
    def explosive(m):
        P = m.forcing("prcp", "mm d-1")
        k = m.parameter("k", "mm-1 d-1", bounds=(0, 100), default=0.1)
        S = m.state("storage", "mm", initial=20.0)
        m.derivative(S, P + k * S * S)

    runs = ModelSimulator(explosive, forcing, outputs=["storage"], batch=8)
    ensemble = Ensemble(runs, {"rate": Parameters({"k": uniform(0, 2)})}, Design(8))
    still = Member(0, {"rate": Draw(0, np.array([1e-9]), (0, 0, 0))})
    batch = ensemble.simulator.simulate([still, *(ensemble.member(i) for i in range(1, 8))])
    assert batch.data is not None
    assert sorted(batch.failures) == list(range(1, 8))
    assert "basin 'a', record 2001" in batch.failures[3]
    gone = np.isnan(batch.data["storage"]).all(["basin", "time"]).values
    assert gone.tolist() == [False, *7 * [True]]


def test_within_bounds(ude):
    every = Parameters.within_bounds(ude)
    assert every.names == ("k",)  # the other is not used
    assert every.values["k"].numbers == (0.01, 1.0)
    assert Parameters.within_bounds(hw.models.linear_reservoir()).values["k"].kind == "loguniform"
    with pytest.raises(EnsembleError, match="no parameter 'kk'"):
        Parameters.within_bounds(ude, ["kk"])


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (Parameters({"kk": uniform(0, 1)}), "no parameter 'kk'"),
        (Parameters({"unused": uniform(0, 1)}), "no parameter 'unused'"),
        (InitialState({"stroage": uniform(0, 1)}), "did you mean 'storage'"),
        (Forcing("rain", factor=lognormal(1)), "no forcing 'rain'"),
    ],
)
def test_sources_that_the_model_does_not_have(ude, forcing, source, told):
    runs = ModelSimulator(ude, forcing, outputs=["q"])
    with pytest.raises(EnsembleError, match=f"{told}.*source 'wrong'"):
        Ensemble(runs, {"wrong": source})


def test_bad_simulators(ude, forcing):
    with pytest.raises(EnsembleError, match="no output 'qq'"):
        ModelSimulator(ude, forcing, outputs=["qq"])
    with pytest.raises(EnsembleError, match="No output is kept"):
        ModelSimulator(ude, forcing, outputs=[])
    with pytest.raises(DeclarationError, match="no solver option"):
        ModelSimulator(ude, forcing, outputs=["q"], methud="rk4")


def test_fits(ude, forcing, tmp_path):
    truth = hw.simulate(ude, forcing, {"k": 0.2})
    data = forcing.assign(qobs=truth["q"])
    fits = [
        hw.fit(
            ude, data, observed={"q": "qobs"}, train=("2001-01-01", "2001-02-20"), warmup=5,
            seed=seed, schedule=[hw.Stage("joint", epochs=1 + 2 * seed, learning_rate=0.1)],
        )
        for seed in range(2)
    ]  # fmt: skip
    runs = ModelSimulator(fits[0], forcing, outputs=["q"])
    ensemble = Ensemble(runs, {"fit": Fits(fits)}, Design(4, "sobol"))
    with ensemble.run(tmp_path / "e.nc") as found:
        for number in range(4):
            chosen = Fits(fits).drawn(ensemble.member(number).draws["fit"])
            alone = chosen.simulate(forcing)
            np.testing.assert_allclose(found["q"].sel(member=number), alone["q"], rtol=1e-9)
        assert len(np.unique(found["q"].isel(basin=0, time=9).values)) == 2


class Doubling:
    """A residual model of twice the flow, fitted to flow in metres."""

    draws: ClassVar = {}

    def sample(self, simulated, members, seed):
        drawn = units.to_units((2 * simulated).assign_attrs(units="mm d-1"), "m d-1")
        return drawn.expand_dims(member=members)


def test_what_may_be_observed_has_the_unit_of_what_is_simulated(ude, forcing, tmp_path):
    runs = ModelSimulator(ude, forcing, outputs=["q"])
    ensemble = Ensemble(runs, {"error": Residual("q", Doubling())}, Design(2))
    with ensemble.run(tmp_path / "e.nc") as found:
        assert found["q_observable"].attrs["units"] == "mm d-1"
        np.testing.assert_allclose(found["q_observable"], 2 * found["q"], rtol=1e-12)


def test_fits_that_run_otherwise_are_refused(ude, forcing):
    data = forcing.assign(q=forcing["prcp"])
    how = {"observed": {"q": "q"}, "train": slice(None), "warmup": 0, "show_progress": False}
    how["schedule"] = (Stage("joint", 1, 0.01),)
    plain, finer, steady = (
        hw.fit(ude, data, **how, **more) for more in ({}, {"substeps": 8}, {"begin": "steady"})
    )
    for other in (finer, steady):
        with pytest.raises(EnsembleError, match="begin, or are solved, in different ways"):
            Fits([plain, other])
    with pytest.raises(EnsembleError, match="begin otherwise than what is run"):
        Ensemble(ModelSimulator(plain, forcing, outputs=["q"]), {"fit": Fits([steady])})


def test_a_posterior_of_one_basin_is_not_one_of_others(ude, forcing):
    draws = xr.Dataset({"k": ("draw", np.linspace(0.1, 0.2, 30), {"units": "d-1"})})
    own = ParameterPosterior(draws, ("k",), Diagnostics("svi", True, ""), "a")
    with pytest.raises(EnsembleError, match="that of basin 'a', and what runs is a, b"):
        Ensemble(ModelSimulator(ude, forcing, outputs=["q"]), {"posterior": own})
    Ensemble(ModelSimulator(ude, forcing.isel(basin=[0]), outputs=["q"]), {"posterior": own})
    close = ParameterPosterior(draws + 1e-9, ("k",), own.diagnostics, "a")
    assert str(close) != str(own)  # or an ensemble of the one would be resumed with the other


def test_a_posterior_is_saved_and_loaded(tmp_path):
    draws = xr.Dataset({"k": ("draw", np.linspace(0.1, 0.2, 30), {"units": "d-1"})})
    told = Diagnostics("svi", True, "settled", (1.0, 2.5), pareto_shape=0.4)
    own = ParameterPosterior(draws, ("k",), told, "a")
    again = ParameterPosterior.load(own.save(tmp_path / "posterior.nc"))
    assert (str(again), again.diagnostics, again.basin) == (str(own), told, "a")
    xr.testing.assert_identical(again.draws, draws)
    draws.to_netcdf(tmp_path / "other.nc")
    with pytest.raises(EnsembleError, match="no posterior of parameters"):
        ParameterPosterior.load(tmp_path / "other.nc")
    with pytest.raises(EnsembleError):
        ParameterPosterior.load(tmp_path / "none.nc")


def test_members_of_a_fit_begin_where_it_does(ude, forcing, tmp_path):
    wet = forcing.assign(q=forcing["prcp"] * 0.8)
    wet["q"].attrs["units"] = "mm d-1"
    fit = hw.fit(
        ude,
        wet.sel(basin="a"),
        observed={"q": "q"},
        train=slice(None),
        warmup=0,
        schedule=(Stage("joint", 3, 0.05),),
        begin="steady",
        show_progress=False,
    )
    runs = ModelSimulator(fit, forcing.isel(basin=[0]), outputs=["q"])
    rate = {"rate": Parameters({"k": uniform(0.05, 0.3)})}
    ensemble = Ensemble(runs, rate, Design(2, seed=5))
    with ensemble.run(tmp_path / "e.nc") as found:
        k = float(rate["rate"].values["k"].quantile(ensemble.member(1).draws["rate"].uniforms[0]))
        alone = hw.simulate(ude, forcing.isel(basin=[0]), {"k": k}, initial_state="steady")
        np.testing.assert_allclose(found["q"].sel(member=1), alone["q"], rtol=1e-9)
    with pytest.raises(EnsembleError, match="begins in equilibrium"):
        Ensemble(runs, {"start": SOURCES["start"]}, Design(2))
