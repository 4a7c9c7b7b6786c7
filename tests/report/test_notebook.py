"""A fit shows itself in a notebook."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.training import Stage


@pytest.fixture(scope="module")
def fit():
    @hw.model
    def bucket(m):
        P = m.forcing("prcp", "mm d-1")
        k = m.parameter("k", "d-1", bounds=(1e-3, 1), default=0.05, log=True)
        S = m.state("soil", "mm", initial=50)
        q = m.flux("q", k * S, "mm d-1")
        m.derivative(S, P - q)

    time = pd.date_range("2000-01-01", periods=220)
    rain = np.random.default_rng(0).gamma(0.5, 6.0, 220)
    unit = {"units": "mm d-1"}
    data = xr.Dataset({"prcp": ("time", rain, unit)}, {"time": time})
    data["qobs"] = hw.simulate(bucket, data, {"k": 0.1}, substeps=1)["q"].isel(basin=0, drop=True)
    learned = bucket.learn("q", {"soil": (0, 150)}, hidden=(4,), positive=True)
    return hw.fit(
        learned,
        data,
        observed={"q": "qobs"},
        train=("2000-01", "2000-05"),
        test=("2000-06", "2000-07"),
        warmup=30,
        schedule=(Stage("joint", 15, 0.05, 0.03),),
        substeps=1,
        show_progress=False,
    )


def test_skill_hydrograph_and_networks(fit):
    page = fit._repr_html_()
    assert "Surrogate of &#x27;bucket&#x27;" in page
    assert page.count("<img") == 2
    assert "soil" in page.split("<img")[2]  # the curve of the network, in words
    for word in ("NSE", "KGE", "train", "test"):
        assert word in page


def test_a_fit_without_data_shows_its_parameters(fit, tmp_path):
    loaded = hw.Surrogate.load(fit.save(tmp_path))
    assert loaded.data is None
    page = loaded._repr_html_()
    assert "<img" not in page
    assert "report(path, data)" in page


def test_what_cannot_be_shown_is_said(fit):
    page = dataclasses.replace(fit, data=fit.data.drop_vars("qobs"))._repr_html_()
    assert "no observations" in page
    assert "<img" not in page
