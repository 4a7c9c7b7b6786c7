import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridwater.data import hamon, oudin
from hybridwater.errors import UnitError


def series(value, unit, date="2001-09-03"):
    return xr.DataArray(
        [[value]],
        {"basin": ["a"], "time": pd.DatetimeIndex([date])},
        ("basin", "time"),
        attrs={"units": unit},
    )


def test_hamon_by_hand():
    pet = hamon(series(20.0, "degC"), series(12.0, "h"))
    by_hand = 29.8 * 12.0 * 0.611 * math.exp(17.3 * 20.0 / 257.3) / 293.2
    np.testing.assert_allclose(pet, by_hand)
    assert by_hand == pytest.approx(2.86, abs=0.01)
    assert pet.name == "pet"
    assert pet.attrs["units"] == "mm d-1"


def test_hamon_converts_units():
    warm = hamon(series(68.0, "degF"), series(0.5, "d"))
    np.testing.assert_allclose(warm, hamon(series(20.0, "degC"), series(12.0, "h")))


def test_oudin_with_the_radiation_of_fao56_example_8():
    # FAO-56, example 8: 3 September at 20 degrees south, Ra = 32.2 MJ m-2 d-1
    latitude = xr.DataArray([-20.0], dims="basin", attrs={"units": "degrees_north"})
    pet = oudin(series(20.0, "degC"), latitude)
    np.testing.assert_allclose(pet, 32.2 / 2.45 * 25.0 / 100.0, rtol=2e-3)
    assert pet.dims == ("basin", "time")
    assert pet.attrs["units"] == "mm d-1"


def test_oudin_is_zero_below_minus_five():
    latitude = xr.DataArray([50.0], dims="basin", attrs={"units": "degrees_north"})
    assert float(oudin(series(-5.1, "degC"), latitude).squeeze()) == 0.0
    # polar night and midnight sun
    north = xr.DataArray([80.0], dims="basin", attrs={"units": "degrees_north"})
    assert float(oudin(series(10.0, "degC", "2001-12-21"), north).squeeze()) == 0.0
    assert float(oudin(series(10.0, "degC", "2001-06-21"), north).squeeze()) > 2.0


def test_units_are_needed():
    with pytest.raises(UnitError, match="no units"):
        hamon(series(20.0, "degC").drop_attrs(), series(12.0, "h"))
    with pytest.raises(UnitError, match="cannot be converted"):
        hamon(series(20.0, "mm"), series(12.0, "h"))
