import numpy as np
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.errors import DataError
from hybridwater.training import Stage

pytestmark = pytest.mark.filterwarnings("ignore::hybridwater.training.OutsideTrainingRange")


@pytest.fixture(scope="module")
def data(make_weather, reservoir, observe) -> xr.Dataset:
    """Basins whose k follows from their slope; the middle one is left out of the fit."""
    data = make_weather(3)
    return observe(reservoir, data, k=0.02 * 10 ** data["slope"].values)


@pytest.fixture(scope="module")
def regional(fit, reservoir, data) -> hw.Surrogate:
    return fit(
        reservoir,
        data.isel(basin=[0, 2]),
        train=("2000-01", "2000-10"),
        schedule=[Stage("joint", 80, 0.02)],
        attributes=["slope"],
        attribute_hidden=(4,),
        dropout=0.1,
    )


def test_basin_that_was_not_in_the_fit_is_predicted(regional, data):
    np.testing.assert_allclose(regional.parameters["k"], [0.02, 0.2], rtol=0.3)
    simulation = regional.simulate(data)
    assert list(simulation["basin"].values) == ["b0", "b1", "b2"]
    skill = hw.scores.nse(simulation["q"], data["qobs"]).sel(basin="b1")
    assert float(skill) > 0.8
    assert regional.skeleton_of(data) is None


def test_prediction_of_fitted_basins_is_that_of_the_fit(regional, data, tmp_path):
    again = hw.Surrogate.load(regional.save(tmp_path))
    assert again.network is not None
    values = again.network.predict(again.ude, data.isel(basin=[0, 2]))
    np.testing.assert_allclose(values["k"], regional.parameters["k"], rtol=1e-12)
    xr.testing.assert_identical(again.simulate(data), regional.simulate(data))


def test_offsets_tell_basins_with_the_same_attributes_apart(fit, reservoir, data):
    alike = data.assign(slope=data["slope"] * 0 + data["slope"][0])
    period = {"train": ("2000-01", "2000-10"), "attributes": ["slope"], "dropout": 0.0}
    schedule = [Stage("joint", 80, 0.05)]
    together = fit(reservoir, alike, schedule=schedule, **period)
    apart = fit(reservoir, alike, schedule=schedule, basin_offsets=True, **period)
    assert np.ptp(together.parameters["k"]) == 0
    np.testing.assert_allclose(apart.parameters["k"], [0.02, 0.0632, 0.2], rtol=0.3)
    assert apart.network is not None
    assert np.ptp(apart.network.predict(apart.ude, alike)["k"]) == 0
    assert "offsets" not in apart.network.state


def test_attributes_are_needed(regional, data):
    with pytest.raises(DataError, match="'slope' is missing"):
        regional.simulate(data.drop_vars("slope"))


def test_attributes_do_not_give_a_conceptual_model(regional, data):
    with pytest.raises(DataError, match="'b1' is not among"):
        regional.simulate(data, conceptual=True)
