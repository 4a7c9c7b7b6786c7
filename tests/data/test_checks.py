import numpy as np
import pytest
import xarray as xr

from hybridwater.data import (
    check_attributes,
    check_covers,
    check_observations,
    check_records,
)
from hybridwater.errors import DataError, UnitError

NEEDED = {"prcp": "mm d-1", "tmean": "degC"}


def test_valid_records_come_back_unchanged(records):
    xr.testing.assert_identical(check_records(records, NEEDED), records)


def test_compatible_units_are_converted(records):
    checked = check_records(records, {"prcp": "m s-1"}, optional={"tmean": "K", "pet": "mm d-1"})
    np.testing.assert_allclose(checked["prcp"], records["prcp"] / 86400e3)
    np.testing.assert_allclose(checked["tmean"], records["tmean"] + 273.15)
    assert checked["prcp"].attrs["units"] == "m s-1"
    assert records["prcp"].attrs["units"] == "mm d-1"


def test_dimensions_are_ordered_and_numbers_are_float64(records):
    turned = records.transpose("time", "basin").astype("float32")
    checked = check_records(turned, NEEDED)
    assert checked["prcp"].dims == ("basin", "time")
    assert checked["prcp"].dtype == np.float64


def test_missing_variable_names_the_nearest(records):
    with pytest.raises(DataError, match=r"'tmaen' is missing: did you mean 'tmean'\?.*Add 'tmaen'"):
        check_records(records, {"tmaen": "degC"})


def test_missing_units_are_refused(records):
    del records["prcp"].attrs["units"]
    with pytest.raises(UnitError, match=r"'prcp' has no units.*Set them explicitly"):
        check_records(records, NEEDED)


def test_incompatible_units_are_refused(records):
    records["prcp"].attrs["units"] = "mm"
    with pytest.raises(UnitError, match=r"'prcp' has the unit 'mm'.*cannot be converted"):
        check_records(records, NEEDED)


def test_unknown_units_are_refused(records):
    records["prcp"].attrs["units"] = "buckets"
    with pytest.raises(UnitError, match="'buckets' is not known"):
        check_records(records, NEEDED)


def test_missing_forcing_names_basin_time_and_count(records):
    records["prcp"][1, 3:5] = np.nan
    with pytest.raises(
        DataError,
        match=r"'prcp' of basin 'b' is missing \(NaN\) \(2 values in all\)"
        r".*basin 'b', time 2000-01-04.*To mend it: Fill the gap",
    ):
        check_records(records, NEEDED)


def test_forcing_that_starts_late_is_said_so(records):
    records["tmean"][1, :4] = np.nan
    with pytest.raises(DataError, match=r"'tmean' of basin 'b'.*starts late, on 2000-01-05"):
        check_records(records, NEEDED)


def test_forcing_that_is_all_missing_is_refused(records):
    records["tmean"][0] = np.nan
    with pytest.raises(DataError, match=r"basin 'a' is missing \(NaN\) \(10 values"):
        check_records(records, NEEDED)


def test_first_bad_time_is_the_first_over_all_basins(records):
    records["prcp"][0, 7] = np.nan
    records["prcp"][1, 2] = np.nan
    with pytest.raises(DataError, match="basin 'b', time 2000-01-03"):
        check_records(records, NEEDED)


def test_observations_may_be_missing_but_not_infinite(records):
    records["qobs"][0, :3] = np.nan
    needed = NEEDED | {"qobs": "mm d-1"}
    check_records(records, needed)
    with pytest.raises(DataError, match="'qobs' of basin 'a' is missing"):
        check_records(records, needed, allow_missing=())
    records["qobs"][1, 1] = np.inf
    with pytest.raises(DataError, match=r"'qobs' of basin 'b' is infinite \(1 value in all\)"):
        check_records(records, needed)


def test_infinite_forcing_is_refused(records):
    records["tmean"][0, 5] = -np.inf
    with pytest.raises(DataError, match=r"'tmean' of basin 'a' is infinite.*2000-01-06"):
        check_records(records, NEEDED)


def test_negative_precipitation_is_refused(records):
    records["prcp"][1, 0] = -0.1
    with pytest.raises(DataError, match="'prcp' of basin 'b' is negative, which precipitation"):
        check_records(records, NEEDED)


def test_precipitation_is_recognised_by_its_standard_name(records):
    records["rain"] = -records["prcp"] - 1.0
    records["rain"].attrs = {"units": "mm d-1", "standard_name": "rainfall_flux"}
    with pytest.raises(DataError, match="'rain' of basin 'a' is negative"):
        check_records(records, {"rain": "mm d-1"})


def test_negative_temperature_is_welcome(records):
    assert float(check_records(records, NEEDED)["tmean"].min()) < 0.0


def test_extra_dimension_is_refused(records):
    records["prcp"] = records["prcp"].expand_dims(height=[2.0])
    with pytest.raises(DataError, match="'prcp' has the dimension 'height'"):
        check_records(records, NEEDED)


def test_variable_without_time_is_refused(records):
    records["prcp"] = records["prcp"].isel(time=0, drop=True)
    with pytest.raises(DataError, match="'prcp' has no dimension 'time'"):
        check_records(records, NEEDED)


def test_text_is_refused(records):
    records["prcp"] = records["prcp"].astype(str).assign_attrs(units="mm d-1")
    records["prcp"][0, 0] = "wet"
    with pytest.raises(DataError, match="'prcp' does not hold numbers"):
        check_records(records, NEEDED)


def test_basins_need_unique_names_that_are_text(records):
    with pytest.raises(DataError, match="basins have no names"):
        check_records(records.drop_vars("basin"), NEEDED)
    with pytest.raises(DataError, match="must be text"):
        check_records(records.assign_coords(basin=[1, 2]), NEEDED)
    with pytest.raises(DataError, match="basin 'a' is there more than once"):
        check_records(records.assign_coords(basin=["a", "a"]), NEEDED)


def test_ensemble_members_are_named(records):
    members = xr.concat([records, records], "member").assign_coords(member=[0, 1]).copy(deep=True)
    members["tmean"][1, 0, 2] = np.nan
    with pytest.raises(DataError, match="member 1, basin 'a', time 2000-01-03"):
        check_records(members, NEEDED)


def test_observations_of_a_basin_that_has_none_are_refused(records):
    records["qobs"][1] = np.nan
    with pytest.raises(DataError, match="'qobs' has no valid observation of basin 'b'"):
        check_observations(records["qobs"], "mm d-1")
    records["qobs"][0] = np.nan
    with pytest.raises(DataError, match=r"of basin 'a' .nor in 1 more of 2 basins"):
        check_observations(records["qobs"], "mm d-1")


def test_observations_are_converted(records):
    np.testing.assert_allclose(
        check_observations(records["qobs"], "m d-1"), records["qobs"] / 1000.0
    )


def test_infinite_observations_are_refused(records):
    records["qobs"][1, 1] = np.inf
    with pytest.raises(DataError, match="'qobs' of basin 'b' is infinite"):
        check_observations(records["qobs"], "mm d-1")


def test_negative_discharge_is_refused(records):
    records["qobs"][0, 4] = -999.0
    with pytest.raises(DataError, match=r"basin 'a' is negative, which discharge.*such as -999"):
        check_observations(records["qobs"], "mm d-1")
    check_observations(records["qobs"], "mm d-1", signed=True)
    with pytest.raises(DataError, match="negative, which discharge"):
        check_records(records, {"qobs": "mm d-1"})


def test_other_observations_may_be_negative(records):
    check_observations(records["tmean"], "degC")
    with pytest.raises(DataError, match="negative"):
        check_observations(records["tmean"], "degC", signed=False)


def test_period_must_be_covered(records):
    check_covers(records, "2000-01-01", "2000-01-10")
    check_covers(records, end="2000-01-10 23:00")
    with pytest.raises(DataError, match=r"start late: on 2000-01-01.*requested start 1999-12-31"):
        check_covers(records, start="1999-12-31")
    with pytest.raises(DataError, match=r"end early: on 2000-01-10.*requested end 2000-01-11"):
        check_covers(records, end="2000-01-11")
    with pytest.raises(DataError, match=r"ends .* before it starts"):
        check_covers(records, "2000-01-05", "2000-01-04")


def test_attributes_are_converted_and_must_be_complete(records):
    records["area"] = ("basin", [1.0, 2.0], {"units": "km2"})
    checked = check_attributes(records, {"area": "m2"})
    np.testing.assert_allclose(checked["area"], [1e6, 2e6])
    with pytest.raises(DataError, match=r"'prcp' has the dimensions .* not \('basin',\)"):
        check_attributes(records, {"prcp": "mm d-1"})
    records["area"][1] = np.nan
    with pytest.raises(DataError, match=r"'area' of basin 'b' is missing"):
        check_attributes(records, {"area": "m2"})
