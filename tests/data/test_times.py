import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridwater.data import check_time
from hybridwater.errors import DataError


def test_regular_times_give_their_step(records):
    assert check_time(records) == pd.Timedelta("1D")
    assert check_time(records["prcp"]) == pd.Timedelta("1D")


def test_missing_time_is_refused(records):
    with pytest.raises(DataError, match="coordinate 'time' is missing"):
        check_time(records.drop_vars("time"))


def test_numbers_are_no_dates(records):
    with pytest.raises(DataError, match=r"holds int64.*not dates"):
        check_time(records.assign_coords(time=np.arange(10)))


def test_other_calendars_are_refused(records):
    cftime = records.convert_calendar("noleap", use_cftime=True)
    with pytest.raises(DataError, match="convert_calendar"):
        check_time(cftime)


def test_unsorted_times_are_refused(records):
    with pytest.raises(DataError, match=r"not sorted: 2000-01-03.* comes after 2000-01-04"):
        check_time(records.isel(time=[0, 1, 3, 2, 4]))


def test_duplicate_times_are_refused(records):
    with pytest.raises(DataError, match=r"2000-01-03.* is there more than once.*drop_duplicates"):
        check_time(records.isel(time=[0, 1, 2, 2, 3]))


def test_first_gap_is_named(records):
    with pytest.raises(
        DataError,
        match=r"gap in time: after 2000-01-03.*next record is 2000-01-06.*so 2 of the records"
        r".*time 2000-01-04.*resample\(time='(24h|D)'\)",
    ):
        check_time(records.drop_isel(time=[3, 4, 7]))


def test_hourly_gap_has_an_hourly_remedy():
    time = pd.date_range("2000-01-01", periods=9, freq="h").delete(4)
    with pytest.raises(DataError, match=r"so 1 of the records.*is missing.*resample\(time='h'\)"):
        check_time(xr.Dataset(coords={"time": time}))


def test_irregular_steps_are_refused():
    time = pd.date_range("2000-01-31", periods=12, freq="ME")
    with pytest.raises(DataError, match="time step is irregular: 29 days"):
        check_time(xr.Dataset(coords={"time": time}))


def test_a_missing_time_is_refused(records):
    times = records["time"].values.copy()
    times[3] = np.datetime64("NaT")
    with pytest.raises(DataError, match=r"time is missing \(NaT\).*record 3"):
        check_time(records.assign_coords(time=times))


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_records_are_refused(records, count):
    with pytest.raises(DataError, match=f"There are {count} records, too few"):
        check_time(records.isel(time=slice(count)))
