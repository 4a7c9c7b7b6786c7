"""Fits that begin in equilibrium with the mean of their forcing."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.errors import SettingsError
from hybridwater.training import Stage, Surrogate


@pytest.fixture(scope="module")
def slow(reservoir, make_weather):
    """Thirty days of a store that would take a year to forget where it began."""
    data = make_weather(days=30).isel(basin=0)
    truth = hw.simulate(reservoir, data, {"k": 0.004}, initial_state="steady", engine="embedded")
    mean = float(data["prcp"].mean())
    assert truth["storage"].values[0, 0] == pytest.approx(mean / 0.004, rel=0.05)
    return data.assign(qobs=truth["q"].isel(basin=0).drop_vars("basin"))


def fitted(reservoir, data, **changes):
    return hw.fit(
        reservoir,
        data,
        observed={"q": "qobs"},
        train=slice(None),
        warmup=0,
        loss="mse",
        schedule=(Stage("joint", 150, 0.05), Stage("joint", 40, optimiser="lbfgs")),
        patience=500,
        show_progress=False,
        engine="embedded",
        **changes,
    )


def test_a_memory_longer_than_the_record_is_found_from_equilibrium(reservoir, slow, tmp_path):
    fit = fitted(reservoir, slow, begin="steady")
    assert fit.parameters["k"].item() == pytest.approx(0.004, rel=1e-3)
    run = fit.simulate(slow, engine="embedded")
    np.testing.assert_allclose(run["q"].values[0], slow["qobs"], rtol=1e-3)
    again = Surrogate.load(fit.save(tmp_path / "run")).simulate(slow, engine="embedded")
    xr.testing.assert_identical(again["q"], run["q"])
    empty = fitted(reservoir, slow)  # begins at 50 mm, whatever the rain
    assert abs(empty.parameters["k"].item() / 0.004 - 1) > 0.5


def test_an_unknown_beginning_is_refused(reservoir, slow):
    with pytest.raises(SettingsError, match=r"begin='stedy' is not known \(did you mean 'steady'"):
        fitted(reservoir, slow, begin="stedy")
