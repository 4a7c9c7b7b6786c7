import numpy as np
import pandas as pd
import pytest

from hybridwater.data import (
    check_observations,
    check_records,
    check_time,
    read_fulda,
    read_hymod_catchment,
    read_schwingbach,
)
from hybridwater.data.schwingbach import _check_exchanged
from hybridwater.errors import DataError

pytest.importorskip("spotpy", reason="the data come with spotpy")


def test_schwingbach_is_hourly_without_gaps():
    site = read_schwingbach()
    assert dict(site.sizes) == {"basin": 1, "time": 26304}
    assert check_time(site) == pd.Timedelta("1h")
    assert pd.Timestamp(site["time"].values[0]) == pd.Timestamp("2014-01-01 00:00")
    assert pd.Timestamp(site["time"].values[-1]) == pd.Timestamp("2016-12-31 23:00")
    assert float(site["tmean"][0, 0]) == pytest.approx(0.814583333)
    assert float(site["soil_moisture_40cm"][0, -1]) == 0.308
    assert int(site["groundwater_head"].isnull().sum()) == 3012
    needed = {"prcp": "mm d-1", "tmean": "degC", "srad": "W m-2", "pressure": "Pa"}
    check_records(site, needed)
    check_observations(site["soil_moisture_10cm"], "1")


def test_exchanged_day_and_month_are_put_right():
    pressure = read_schwingbach()["pressure"][0]
    # in true order the pressure of the air never jumps; as labelled it jumps by 45 hPa
    assert float(abs(pressure.diff("time")).max()) < 8.0
    # winter in January, summer in July
    months = read_schwingbach()["tmean"][0].groupby("time.month").mean()
    assert float(months.sel(month=1)) < 4.0
    assert float(months.sel(month=7)) > 18.0


def test_other_dates_are_refused():
    times = pd.Series(pd.date_range("2014-01-01", periods=24, freq="h"))
    labels = times + pd.Timedelta("1h")
    with pytest.raises(DataError, match=r"do not match.*row 0"):
        _check_exchanged(labels, times)


def test_hymod_catchment():
    catchment = read_hymod_catchment()
    assert dict(catchment.sizes) == {"basin": 1, "time": 1827}
    assert float(catchment["prcp"][0, 0]) == 2.052861283
    assert float(catchment["pet"][0, 1]) == 0.26
    # the last day: 2.959312 l s-1 over 1.783 km2
    assert float(catchment["qobs"][0, -1]) == pytest.approx(2.959312 * 86400 / 1.783e6)
    assert int(catchment["qobs"].isnull().sum()) == 366
    check_records(catchment, {"prcp": "mm d-1", "pet": "mm d-1", "qobs": "mm d-1"})


def test_fulda():
    catchment = read_fulda()
    assert dict(catchment.sizes) == {"basin": 1, "time": 3653}
    assert float(catchment["tmin"][0, 0]) == -20.1
    # the first day: 143 m3 s-1 over 2976.41 km2
    assert float(catchment["qobs"][0, 0]) == pytest.approx(143 * 86.4 / 2976.41)
    assert catchment["time"].values[1] == np.datetime64("1979-01-02")
    needed = {"prcp": "mm d-1", "tmin": "degC", "tmax": "degC", "tmean": "degC", "qobs": "mm d-1"}
    check_records(catchment, needed)


@pytest.mark.parametrize("reader", [read_schwingbach, read_hymod_catchment, read_fulda])
def test_every_variable_has_units(reader):
    assert all(d.attrs["units"] and d.attrs["long_name"] for d in reader().data_vars.values())
