import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridwater.data import check_records, read_csv, read_netcdf
from hybridwater.errors import DataError, UnitError

UNITS = {"prcp": "mm d-1", "tmean": "degC"}


@pytest.fixture
def write(tmp_path):
    def write(text, name="creek.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


GOOD = "date,prcp,tmean,note\n2000-01-01,1.5,-3,dry\n2000-01-02,,2.5,\n2000-01-03,-999,1e1,x\n"


def test_table_of_one_basin(write):
    data = read_csv(write(GOOD), UNITS, missing=(-999,))
    assert list(data["basin"].values) == ["creek"]
    assert data["prcp"].dims == ("basin", "time")
    np.testing.assert_allclose(data["prcp"], [[1.5, np.nan, np.nan]])
    np.testing.assert_allclose(data["tmean"], [[-3.0, 2.5, 10.0]])
    assert data["prcp"].attrs["units"] == "mm d-1"
    assert "note" not in data
    check_records(data, {"tmean": "K"})


def test_table_of_many_basins(write):
    text = (
        "when;station;prcp\n01.02.2000 06:00;007;1\n01.02.2000 07:00;007;2\n"
        "01.02.2000 06:00;b;3\n01.02.2000 07:00;b;4\n01.02.2000 08:00;b;5\n"
    )
    data = read_csv(
        write(text), {"prcp": "mm h-1"}, "when", "station", time_format="%d.%m.%Y %H:%M"
    )
    assert list(data["basin"].values) == ["007", "b"]
    np.testing.assert_allclose(data["prcp"], [[1, 2, np.nan], [3, 4, 5]])
    assert pd.Timestamp(data["time"].values[0]) == pd.Timestamp("2000-02-01 06:00")


def test_gaps_are_left_to_the_door(write):
    text = "date,prcp\n2000-01-01,1\n2000-01-02,1\n2000-01-04,1\n"
    data = read_csv(write(text), {"prcp": "mm d-1"})
    with pytest.raises(DataError, match="gap in time: after 2000-01-02"):
        check_records(data, {"prcp": "mm d-1"})


def test_times_with_a_zone_become_utc(write):
    text = "date,prcp\n2000-01-01T01:00+01:00,1\n2000-01-01T02:00+01:00,1\n"
    data = read_csv(write(text), {"prcp": "mm d-1"})
    assert pd.Timestamp(data["time"].values[0]) == pd.Timestamp("2000-01-01 00:00")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("tmean", "t_mean"), r"no column 'tmean': did you mean 't_mean'\?"),
        (GOOD.replace("date", "day"), "no column 'date'"),
        (GOOD.replace("2000-01-02", "02.01.2000"), r"'02.01.2000' does not have.*line 3 of"),
        (GOOD.replace("2000-01-02", ""), r"The time 'nan' does not have the format.*line 3 of"),
        (GOOD.replace("2.5", "2.5C"), r"'2.5C' in the column 'tmean' is not a number.*line 3 of"),
        (GOOD.replace("01-03", "01-01"), "comes after a later one.*line 4 of"),
        (GOOD.replace("01-03", "01-02"), "basin 'creek' is there more than once.*line 4 of"),
    ],
)
def test_bad_tables(write, text, message):
    with pytest.raises(DataError, match=message):
        read_csv(write(text), UNITS)


@pytest.mark.parametrize("separator", [",", ";", "\t", "  "])
def test_separators_are_recognised(write, separator):
    text = "\ufeffdate,prcp,tmean\n2000-01-01,1.5,-3\n2000-01-02,2,4\n".replace(",", separator)
    np.testing.assert_allclose(read_csv(write(text), UNITS)["tmean"], [[-3.0, 4.0]])


@pytest.mark.parametrize(
    "content",
    [b"", b"date,prcp\n2000-01-01,1,2,3,4\n2000-01-02,1\n2000,1,2,3,4,5\n", b"\xff\xfe\xfa"],
)
def test_files_that_are_no_tables(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as a table"):
        read_csv(path, {"prcp": "mm d-1"})


def test_header_without_records_is_refused_at_the_door(write):
    with pytest.raises(DataError, match="There are 0 records"):
        check_records(read_csv(write("date,prcp,tmean\n"), UNITS), UNITS)


def test_record_without_a_basin(write):
    text = "date,site,prcp\n2000-01-01,a,1\n2000-01-02,,1\n"
    with pytest.raises(DataError, match=r"A record has no basin.*line 3 of"):
        read_csv(write(text), {"prcp": "mm d-1"}, basin="site")


@pytest.mark.parametrize(("unit", "message"), [("", "unit is missing"), ("wet", "'wet' is not")])
def test_bad_units_name_the_column(write, unit, message):
    with pytest.raises(UnitError, match=rf"{message}.*column 'prcp' of"):
        read_csv(write(GOOD), {"prcp": unit})


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_csv(tmp_path / "a.csv", UNITS)
    with pytest.raises(DataError, match="does not exist"):
        read_netcdf(tmp_path / "a.nc")


def test_netcdf_round_trip(records, tmp_path):
    path = tmp_path / "records.nc"
    records.to_netcdf(path)
    back = read_netcdf(path)
    xr.testing.assert_allclose(back, records)
    check_records(back, UNITS)


def test_netcdf_of_one_basin_takes_the_name_of_the_file(records, tmp_path):
    path = tmp_path / "creek.nc"
    records.isel(basin=0, drop=True).astype("float32").to_netcdf(path)
    back = read_netcdf(path)
    assert list(back["basin"].values) == ["creek"]
    assert back["prcp"].dims == ("basin", "time")
    assert back["prcp"].dtype == np.float64


def test_netcdf_is_renamed(records, tmp_path):
    path = tmp_path / "records.nc"
    records.rename(basin="station", prcp="P").transpose("time", "station").to_netcdf(path)
    back = read_netcdf(path, {"station": "basin", "P": "prcp"})
    xr.testing.assert_allclose(back, records)
    with pytest.raises(DataError, match=r"'station', .*rename={'station': 'basin'}"):
        read_netcdf(path)
    with pytest.raises(DataError, match=r"no variable 'statoin' to rename: did you mean 'station'"):
        read_netcdf(path, {"statoin": "basin"})


def test_cf_roles_and_axes_are_recognised(records, tmp_path):
    path = tmp_path / "records.nc"
    discrete = records.rename(basin="n", time="t").reset_index("n").rename(n="id")
    discrete["id"].attrs["cf_role"] = "timeseries_id"
    discrete["t"].attrs["standard_name"] = "time"
    discrete.to_netcdf(path)
    back = read_netcdf(path)
    assert list(back["basin"].values) == ["a", "b"]
    np.testing.assert_allclose(back["prcp"], records["prcp"])


def test_netcdf_without_units(records, tmp_path):
    path = tmp_path / "records.nc"
    del records["tmean"].attrs["units"]
    records.to_netcdf(path)
    with pytest.raises(UnitError, match="'tmean' has no units"):
        read_netcdf(path)


def test_file_that_is_no_netcdf(tmp_path):
    path = tmp_path / "records.nc"
    path.write_text("nothing of the kind")
    with pytest.raises(DataError, match=r"cannot be read \(NetCDF"):
        read_netcdf(path)
