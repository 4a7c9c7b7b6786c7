"""Fitting a model whose states live on a column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.engines import Options
from hybridwater.errors import DeclarationError
from hybridwater.training.terms import sample_term
from hybridwater.ude.program import initial_weights
from hybridwater.ude.staggered import above, below, ends, lowermost

DAYS = 60
TRAIN = ("2000-01-01", "2000-02-29")


def cascade(cells=3):
    """A chain of linear stores, each above the next."""

    @hw.model
    def chain(m):
        rain = m.forcing("rain", "mm d-1")
        stores = m.column("stores", 1.0, "m", count=cells)
        S = m.state("S", "mm", initial=2.0, on=stores)
        k = m.parameter("k", "d-1", bounds=(0.05, 2), default=1.0)
        release = m.flux("release", k * S, "mm d-1")
        passed = m.flux("passed", ends(above(release), rain, lowermost(release)), "mm d-1")
        m.flux("q", lowermost(passed), "mm d-1")
        m.derivative(S, above(passed) - below(passed))

    return chain


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    time = pd.date_range("2000-01-01", periods=DAYS)
    rain = ("time", rng.gamma(0.5, 8.0, DAYS), {"units": "mm d-1"})
    forcing = xr.Dataset({"rain": rain}, {"time": time})
    truth = hw.simulate(cascade(), forcing, {"k": 0.4}, engine="embedded")
    qobs = ("time", truth["q"].values[0], {"units": "mm d-1"})
    return forcing.assign(qobs=qobs)


def test_a_parameter_of_a_column_is_found(data):
    fitted = hw.fit(
        cascade(), data, observed={"q": "qobs"}, train=TRAIN, warmup=10, engine="embedded"
    )
    assert np.asarray(fitted.parameters["k"]).item() == pytest.approx(0.4, rel=1e-3)


def test_profiles_are_not_observations(data):
    with pytest.raises(DeclarationError, match="has values on the cells of 'stores'"):
        hw.fit(cascade(), data, observed={"release": "qobs"}, train=TRAIN)


def test_a_learned_term_is_sampled_in_all_cells(data):
    model = cascade().learn("release", {"S": (0, 20)}, hidden=(3,), positive=True)
    weights = initial_weights(model.program, 0)
    sampled = sample_term(model, "release", data, {"k": np.ones(1)}, weights, Options(), 10, None)
    assert sampled.sizes["sample"] == 30
    assert np.ptp(sampled["S"].values) > 0
    np.testing.assert_allclose(sampled["conceptual"], sampled["S"])
