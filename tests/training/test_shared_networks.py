"""Basins with parameters of their own that share the networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

import hybridwater as hw
from hybridwater.errors import SettingsError
from hybridwater.training import Stage, Surrogate
from hybridwater.training.sharing import Shared

DAYS = 240
STAGES = (Stage("skeleton", 6, 0.1), Stage("pretrain", 6, network_rate=0.02), Stage("joint", 6))


@pytest.fixture(scope="module")
def data() -> xr.Dataset:
    """Return three catchments made by linear reservoirs of different speed."""
    rng = np.random.default_rng(5)
    time = np.datetime64("2001-01-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D")
    unit = {"units": "mm d-1"}
    forcing = xr.Dataset(
        {
            "prcp": (("basin", "time"), rng.gamma(0.3, 12.0, (3, DAYS)), unit),
            "pet": (("basin", "time"), np.full((3, DAYS), 1.5), unit),
        },
        {"basin": ["a", "b", "c"], "time": time},
    )
    k = xr.DataArray([0.02, 0.05, 0.15], {"basin": ["a", "b", "c"]})
    truth = hw.simulate(hw.models.linear_reservoir(), forcing, {"k": k})
    forcing["qobs"] = (("basin", "time"), truth["q"].values, unit)
    return forcing


@pytest.fixture(scope="module")
def hybrid() -> hw.UDE:
    inputs = {"storage": (0, 200), "pet": (0, 3)}
    options = {"hidden": (4,), "positive": True, "zero_when_empty": "storage"}
    return hw.models.linear_reservoir().learn("et", inputs, **options)


def fit(ude, data, **options):
    return hw.fit(
        ude,
        data,
        observed={"q": "qobs"},
        train=("2001-01-01", "2001-06-30"),
        warmup=30,
        show_progress=False,
        assess_every=2,
        **({"share": "networks", "schedule": STAGES} | options),
    )


@pytest.fixture(scope="module")
def shared(hybrid, data):
    return fit(hybrid, data)


def test_parameters_differ_and_weights_are_one_vector(shared, hybrid):
    assert shared.weights.shape == (hybrid.program.n_weights,)
    k = shared.parameters["k"]
    assert k.shape == (3,)
    assert k[0] < k[1] < k[2]


def test_the_skeleton_is_calibrated_basin_by_basin(shared, hybrid, data):
    alone = fit(hybrid, data.sel(basin=["b"]))
    np.testing.assert_allclose(shared.skeleton["k"][1], alone.skeleton["k"][0], rtol=1e-9)


def test_one_basin_of_the_fit_is_simulated_alone(shared, data):
    every = shared.simulate(data)["q"].sel(basin=["c"])
    np.testing.assert_allclose(shared.simulate(data.sel(basin=["c"]))["q"], every, rtol=1e-12)


def test_it_is_saved_and_loaded(shared, data, tmp_path):
    loaded = Surrogate.load(shared.save(tmp_path))
    np.testing.assert_array_equal(loaded.simulate(data)["q"], shared.simulate(data)["q"])


def test_an_interrupted_fit_goes_on_to_the_same_numbers(
    shared, hybrid, data, tmp_path, monkeypatch
):
    from hybridwater.training.trainer import Trainer

    step, calls = Trainer._step, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == 16:
            raise KeyboardInterrupt
        return step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", interrupted)
        fit(hybrid, data, directory=tmp_path / "run")
    resumed = fit(hybrid, data, directory=tmp_path / "run", resume=True)
    np.testing.assert_array_equal(resumed.weights, shared.weights)
    np.testing.assert_array_equal(resumed.parameters["k"], shared.parameters["k"])


def test_the_module_gives_rows_and_shared_weights(hybrid):
    module = Shared(hybrid, 3, seed=0)
    values, weights = module(torch.tensor([2, 0]))
    assert values.shape == (2, len(hybrid.parameters))
    assert weights.shape == (hybrid.program.n_weights,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": "network"}, "did you mean 'networks'"),
        ({"restarts": 2}, "restarts=2 is not possible"),
    ],
)
def test_bad_sharing_is_refused(hybrid, data, options, message):
    with pytest.raises(SettingsError, match=message):
        fit(hybrid, data, **options)
