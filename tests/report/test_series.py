"""Taking one series out of what a caller hands in."""

from __future__ import annotations

import numpy as np
import pytest

from hybridwater.errors import DataError, UnitError
from hybridwater.report.series import drawing_times, models, one_basin, record_length


def test_one_basin_is_taken_and_converted(observed):
    found = one_basin(observed, "observed", "01013500", "m d-1")
    assert found.dims == ("time",)
    assert found.attrs["units"] == "m d-1"
    np.testing.assert_allclose(found, observed.sel(basin="01013500") / 1000)


def test_only_basin_needs_no_name(observed):
    assert one_basin(observed.isel(basin=[1]), "observed").sizes == {"time": 1200}


def test_basin_must_be_named_among_several(observed):
    with pytest.raises(DataError, match=r"2 basins.*basin='03604000'"):
        one_basin(observed, "observed")


def test_unknown_basin_suggests_the_nearest(observed):
    with pytest.raises(DataError, match="did you mean '03604000'"):
        one_basin(observed, "observed", "03604001")


def test_other_dimensions_are_refused(observed):
    members = observed.isel(basin=0).expand_dims(member=3)
    with pytest.raises(DataError, match=r"Select or average.*mean\('member'\)"):
        one_basin(members, "simulated")


def test_all_missing_is_refused(observed):
    with pytest.raises(DataError, match="The observed series has no values"):
        one_basin(observed.isel(basin=0).where(False), "observed")


def test_empty_is_refused(observed):
    with pytest.raises(DataError, match="no values to draw"):
        one_basin(observed.isel(basin=0, time=slice(0)), "observed")


def test_missing_units_are_refused(observed):
    with pytest.raises(UnitError, match="'qobs' has no units"):
        one_basin(observed.drop_attrs(), "observed", "03604000")


@pytest.mark.parametrize("order", [[0, 2, 1], [0, 1, 1]])
def test_unsorted_or_repeated_times_are_refused(observed, order):
    with pytest.raises(DataError, match="not increasing"):
        one_basin(observed.isel(basin=0, time=order), "observed")


def test_no_model_is_refused():
    with pytest.raises(DataError, match="no simulation"):
        models({})


def test_models_share_the_unit_of_the_first(simulated):
    one = simulated.isel(basin=0)
    found = models({"a": one, "b": (one / 1000).assign_attrs(units="m d-1")})
    np.testing.assert_allclose(found["a"], found["b"])


def test_means_are_drawn_amid_and_states_at_the_end_of_records(simulated):
    one = simulated.isel(basin=0)
    day = np.timedelta64(1, "D")
    assert record_length(one.indexes["time"]) == day
    noon = np.timedelta64(12, "h")
    assert (drawing_times(one) == one["time"].values + noon).all()
    state = one.assign_attrs(cell_methods="time: point")
    assert (drawing_times(state) == one["time"].values + day).all()
