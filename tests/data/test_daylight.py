import numpy as np
import pytest
import xarray as xr

from hybridwater.data import day_length
from hybridwater.errors import UnitError


def latitudes(*degrees):
    return xr.DataArray(list(degrees), dims="basin", attrs={"units": "degrees_north"})


def test_known_days():
    time = xr.DataArray(
        np.array(["2001-06-21", "2001-12-21", "2001-03-21"], dtype="datetime64[ns]"), dims="time"
    )
    dayl = day_length(latitudes(0.0, 40.0, -40.0, 80.0), time)
    assert dayl.dims == ("basin", "time")
    assert dayl.attrs["units"] == "h"
    np.testing.assert_allclose(dayl[0], 12.0, atol=1e-12)
    # almanac at 40 degrees north, without refraction: 14 h 51 min and 9 h 9 min
    np.testing.assert_allclose(dayl[1, :2], [14.85, 9.15], atol=0.02)
    np.testing.assert_allclose(dayl[1] + dayl[2], 24.0, atol=1e-9)
    np.testing.assert_allclose(dayl[3, :2], [24.0, 0.0])
    assert abs(float(dayl[1, 2]) - 12.0) < 0.1


def test_refraction_makes_days_longer():
    time = xr.DataArray(np.array(["2001-06-21"], dtype="datetime64[ns]"), dims="time")
    # US Naval Observatory, 40 degrees north on 21 June: 15 h 1 min
    dayl = day_length(latitudes(40.0), time, horizon=0.8333)
    assert dayl.item() == pytest.approx(15.02, abs=0.02)


def test_agrees_with_daymet(shared_data):
    camels = xr.load_dataset(shared_data / "camels_us" / "camels_core_daily.nc")
    dayl = day_length(camels["gauge_lat"], camels["time"][92:457])
    assert abs(dayl - camels["dayl"][:, :365].values).max() < 0.3
    assert abs(dayl - camels["dayl"][:, :365].values).mean() < 0.07


def test_latitude_needs_units():
    time = xr.DataArray(np.array(["2001-06-21"], dtype="datetime64[ns]"), dims="time")
    with pytest.raises(UnitError, match="no units"):
        day_length(latitudes(40.0).drop_attrs(), time)
