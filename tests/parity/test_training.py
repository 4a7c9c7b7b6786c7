"""A fit is the same fit in either engine, and moves between them unchanged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.engines import balance_error
from hybridwater.training import Stage, Surrogate

pytestmark = pytest.mark.julia


@pytest.fixture(scope="module")
def catchment(make_weather):
    """Two years of weather, and the discharge of EXP-Hydro."""
    series = make_weather(1, 730)
    units = {"prcp": "mm d-1", "tmean": "degC", "dayl": "h"}
    data = xr.Dataset(
        {n: (("basin", "time"), series[n], {"units": u}) for n, u in units.items()},
        {"basin": ["b"], "time": pd.date_range("2000-01-01", periods=730)},
    )
    truth = hw.simulate(hw.models.exp_hydro(), data, {"smax": 400, "f": 0.03}, engine="embedded")
    return data.assign(qobs=truth["q"].assign_attrs(units="mm d-1"))


@pytest.fixture(scope="module")
def fitted(catchment):
    def fit(engine, directory=None):
        return hw.fit(
            hw.models.exp_hydro_hybrid((6,)),
            catchment,
            observed={"q": "qobs"},
            train=("2000-04", "2001-06"),
            test=("2001-07", "2001-11"),
            warmup=60,
            schedule=[
                Stage("skeleton", 5, 0.05),
                Stage("pretrain", 5),
                Stage("joint", 6, 0.01, 0.005),
                Stage("joint", 2, 0.01, 0.005, optimiser="lbfgs"),
            ],
            assess_every=1,
            substeps=1,
            engine=engine,
            directory=directory,
            show_progress=False,
        )

    return {engine: fit(engine) for engine in ("embedded", "julia")}


def test_both_engines_train_alike(fitted):
    embedded, julia = fitted["embedded"], fitted["julia"]
    np.testing.assert_allclose(julia.metrics["loss"], embedded.metrics["loss"], rtol=1e-6)
    np.testing.assert_allclose(julia.weights, embedded.weights, rtol=1e-5, atol=1e-7)


def test_a_fit_has_the_same_skill_in_the_other_engine(fitted, catchment, tmp_path):
    fitted["julia"].save(tmp_path / "fit")
    moved = Surrogate.load(tmp_path / "fit")
    runs = {e: moved.simulate(catchment, engine=e) for e in ("embedded", "julia")}
    assert {e: run.attrs["engine"] for e, run in runs.items()} == {e: e for e in runs}
    skill = moved.scores(catchment, simulations=runs)["NSE"].unstack("model")
    np.testing.assert_allclose(skill["julia"], skill["embedded"], atol=1e-9)


def test_the_balance_closes(fitted, catchment):
    for method in ("rk4", "tsit5", "rodas5p"):
        run = fitted["julia"].simulate(catchment, engine="julia", method=method)
        balance = fitted["julia"].water_balance(run)
        assert balance_error(balance) < 1e-10, method
