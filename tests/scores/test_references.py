import tracemalloc

import numpy as np
import pytest
import xarray as xr
from made import flow

from hybridwater import scores
from hybridwater.errors import DataError


def test_climatology_holds_all_that_was_observed():
    past = flow([[1.0, 2, np.nan, 4], [5.0, 6, 7, 8]], ("gage", "time"))
    members = scores.climatology(past, past["time"])
    assert members.dims == ("member", "gage", "time")
    assert members.attrs["units"] == "m3 s-1"
    assert set(members.isel(gage=0, time=2).values) == {1.0, 2.0, 4.0}
    assert sorted(members.isel(gage=1, time=0).values) == [5.0, 6.0, 7.0, 8.0]


def test_climatology_of_the_season_crosses_new_year():
    past = flow(np.arange(730.0))
    day = past["time"].isel(time=[364])  # 31 December
    members = scores.climatology(past, day, window=2)
    assert set(members.values[:, 0]) >= {362.0, 363.0, 364.0, 365.0, 366.0, 0.0, 727.0, 728.0}
    assert not set(members.values[:, 0]) & {100.0, 500.0}


def test_climatology_of_many_years_takes_little_more_than_its_members():
    rng = np.random.default_rng(0)
    past = flow(rng.gamma(1.0, 1.0, (2, 2200)), ("gage", "time"))
    tracemalloc.start()
    members = scores.climatology(past, past["time"], window=10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * members.nbytes  # every record against every other would take 30 times that
    mid = past["time"].dt.dayofyear
    for t in (0, 1000, 2199):
        apart = abs(mid - mid[t])
        near = np.minimum(apart, 365 - apart) <= 10
        assert set(members.values[:, 1, t]) == set(past.values[1, near.values])


def test_climatology_without_observations_is_refused():
    with pytest.raises(DataError, match="no observation"):
        scores.climatology(flow([np.nan, np.nan]), flow([1.0])["time"])


def test_persistence_is_yesterday():
    np.testing.assert_array_equal(scores.persistence(flow([1.0, 2, 3]), 1), [np.nan, 1, 2])
    with pytest.raises(DataError, match="lead"):
        scores.persistence(flow([1.0, 2]), 0)


def test_skill_compares_where_both_have_a_value():
    score, reference = flow([1.0, 1, np.nan, 5]), flow([2.0, 2, 100, np.nan])
    assert float(scores.skill(score, reference)) == pytest.approx(0.5)


def test_return_period_by_hand():
    # ten annual maxima 1 ... 10: the largest has (10 + 1) / 1 years, the fifth largest 11 / 5
    days = np.datetime64("2001-06-01", "ns") + np.arange(10) * np.timedelta64(365, "D")
    series = xr.DataArray(np.arange(1.0, 11.0), {"time": days}, "time", attrs={"units": "m3 s-1"})
    floods = xr.DataArray([10.0, 6.0, 11.0], dims="flood", attrs={"units": "m3 s-1"})
    found = scores.return_period(series, floods)
    np.testing.assert_allclose(found, [11.0, 11 / 5, np.inf])
    assert np.isnan(scores.return_period(series[:5], floods)).all()
