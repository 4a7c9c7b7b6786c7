"""Perturbations: their mean, spread and memory are those that were declared."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridwater.ensembles import Forcing, InitialState, Parameters, lognormal, normal, uniform
from hybridwater.ensembles.design import Draw
from hybridwater.ensembles.fields import cholesky
from hybridwater.errors import EnsembleError


@pytest.fixture(scope="module")
def weather():
    days, cells = 4000, 3
    return xr.Dataset(
        {
            "prcp": (("cell", "time"), np.full((cells, days), 5.0), {"units": "mm d-1"}),
            "tmean": (("time",), np.full(days, 10.0), {"units": "degC"}),
            "latitude": ("cell", [40.0, 40.0, 42.0], {"units": "degrees_north"}),
            "longitude": ("cell", [-75.0, -74.0, -75.0], {"units": "degrees_east"}),
        },
        {"cell": ["a", "b", "c"], "time": pd.date_range("2000-01-01", periods=days)},
    )


def draw(row=0, *uniforms):
    return Draw(row, np.array(uniforms), (0, 1, row))


def correlation(a, b):
    return float(np.corrcoef(a, b)[0, 1])


def test_one_factor_for_all(weather):
    rain = Forcing("prcp", factor=uniform(0.5, 1.5))
    assert rain.columns == 1
    changed = rain.apply(weather, draw(0, 0.25))
    np.testing.assert_array_equal(changed, 3.75)
    assert changed.attrs["units"] == "mm d-1"


def test_noise_in_time_has_its_mean_spread_and_memory(weather):
    rain = Forcing("prcp", factor=lognormal(0.3), time="3 d")
    assert rain.columns == 0
    factor = (rain.apply(weather, draw()) / weather["prcp"]).transpose("cell", "time").values
    assert (factor == factor[0]).all()  # the same everywhere
    logs = np.log(factor[0])
    assert factor[0].mean() == pytest.approx(1, abs=0.04)
    assert logs.std() == pytest.approx(0.3, abs=0.02)
    assert correlation(logs[1:], logs[:-1]) == pytest.approx(np.exp(-1 / 3), abs=0.04)
    again = rain.apply(weather, draw())
    xr.testing.assert_identical(again, rain.apply(weather, draw()))
    assert (again != rain.apply(weather, draw(1))).any()


def test_noise_in_space_is_correlated_by_distance(weather):
    rain = Forcing("prcp", factor=lognormal(0.3), time="0 d", length="100 km")
    logs = np.log(rain.apply(weather, draw()).transpose("cell", "time").values / 5)
    east, north = 85.2, 222.4  # km of a degree of longitude at 40 N, and of two of latitude
    assert correlation(logs[0], logs[1]) == pytest.approx(np.exp(-east / 100), abs=0.04)
    assert correlation(logs[0], logs[2]) == pytest.approx(np.exp(-north / 100), abs=0.04)
    assert correlation(logs[0, 1:], logs[0, :-1]) == pytest.approx(0, abs=0.05)
    lower = cholesky(np.array([[40.0, -75.0], [40.0, -74.0]]), 100.0)
    assert (lower @ lower.T)[0, 1] == pytest.approx(np.exp(-east / 100), abs=1e-3)


def test_one_record_has_nothing_to_remember(weather):
    rain = Forcing("prcp", factor=lognormal(0.3), time="3 d")
    one = rain.apply(weather.isel(time=[0]), draw())
    np.testing.assert_array_equal(one, rain.apply(weather, draw()).isel(time=[0]))


def test_space_alone(weather):
    rain = Forcing("prcp", factor=lognormal(0.3), length="100 km")
    changed = rain.apply(weather, draw())
    assert (changed == changed.isel(time=0)).all()
    assert len(np.unique(changed.isel(time=0))) == 3


def test_offsets_are_differences(weather):
    warmer = Forcing("tmean", offset=normal(0, 2), units="K", time="5 d")
    error = warmer.apply(weather, draw()).values - 10
    assert error.std() == pytest.approx(2, abs=0.15)
    fahrenheit = Forcing("tmean", offset=uniform(0, 18), units="degF")
    np.testing.assert_allclose(fahrenheit.apply(weather, draw(0, 0.5)), 15.0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, "a factor or an offset"),
        ({"factor": lognormal(0.1), "offset": normal(0, 1)}, "a factor or an offset"),
        ({"offset": normal(0, 1)}, "needs units"),
        ({"factor": lognormal(0.1), "time": "3"}, "cannot be taken as a time"),
        ({"factor": lognormal(0.1), "length": "3 d"}, "cannot be taken as a length"),
        ({"factor": lognormal(0.1), "time": "-1 d"}, "below zero"),
    ],
)
def test_bad_forcing_errors_are_refused(change, told):
    with pytest.raises(EnsembleError, match=told):
        Forcing("prcp", **change)


def test_records_that_cannot_be_perturbed(weather):
    with pytest.raises(EnsembleError, match="did you mean 'prcp'"):
        Forcing("prpc", factor=lognormal(0.1)).apply(weather, draw(0, 0.5))
    bare = weather.drop_vars(["latitude", "longitude"])
    with pytest.raises(EnsembleError, match="no latitude of 'cell'"):
        Forcing("prcp", factor=lognormal(0.1), length="9 km").apply(bare, draw())


def test_numbers():
    with pytest.raises(EnsembleError, match="Nothing is uncertain"):
        Parameters()
    with pytest.raises(EnsembleError, match="'k' has a value and a factor"):
        InitialState({"k": uniform(0, 1)}, {"k": uniform(0, 1)})
    both = Parameters({"k": {"uniform": [0, 1]}}, {"s": {"uniform": [1, 3]}})  # type: ignore
    assert both.drawn(draw(0, 0.5, 0.5)) == {"k": (0.5, False), "s": (2.0, True)}
