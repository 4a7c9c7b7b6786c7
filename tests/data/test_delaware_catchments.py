import numpy as np
import pytest

from hybridwater.data import (
    check_attributes,
    check_observations,
    check_records,
    day_length,
    delaware,
    delaware_catchment,
    delaware_gages,
    read_delaware,
    upstream_segments,
)
from hybridwater.errors import DataError

pytest.importorskip("pywatershed", reason="the Delaware data come with pywatershed")

NEEDED = {"prcp": "mm d-1", "tmean": "degC", "dayl": "h", "pet": "mm d-1", "qobs": "mm d-1"}


@pytest.fixture(scope="module")
def gages():
    return delaware_gages()


def test_upstream_of_a_small_river():
    # 0 -> 2, 1 -> 2, 2 -> 3, 3 outlet; 4 alone
    upstream = upstream_segments(np.array([2, 2, 3, -1, -1]))
    assert [np.flatnonzero(row).tolist() for row in upstream] == [
        [0],
        [1],
        [0, 1, 2],
        [0, 1, 2, 3],
        [4],
    ]


def test_a_circle_is_refused():
    with pytest.raises(DataError, match=r"form a circle.*segment [012]"):
        upstream_segments(np.array([1, 2, 0, -1]))


def test_usable_gages(gages):
    assert len(gages) == 101
    assert gages["valid_days"].min() >= 700
    assert gages.attrs["units"]["area"] == "km2"
    trenton = gages.loc["01463500"]
    assert trenton["name"] == "Delaware River at Trenton NJ"
    assert trenton["hrus"] == 363
    assert trenton["segments"] == 216
    assert trenton["area_ratio"] == pytest.approx(1.0, abs=1e-3)
    # half of the areas agree with those of the USGS within 2 %; four are far off
    assert (abs(gages["area_ratio"] - 1) < 0.02).sum() > 50
    assert (abs(gages["area_ratio"] - 1) > 0.25).sum() == 4
    assert len(delaware_gages(732)) == 0


def test_no_gage_loses_more_than_the_rain(gages):
    assert gages["runoff_ratio"].between(0.05, 0.75).all()


def test_one_catchment_by_hand(gages):
    catchment = delaware_catchment("01420500")
    assert dict(catchment.sizes) == {"time": 731, "basin": 1}
    case = read_delaware()
    downstream, target = case.structure["downstream"].values, case.structure["hru_segment"].values
    outlet = int(case.observed["gage_segment"].sel(gage="01420500"))

    def drains(segment):
        while segment >= 0 and segment != outlet:
            segment = downstream[segment]
        return segment == outlet

    inside = [i for i, segment in enumerate(target) if drains(segment)]
    assert len(inside) == gages.loc["01420500", "hrus"] == 13
    hrus = case.forcing.isel(basin=inside)
    area = float(hrus["area"].sum())
    assert float(catchment["area"][0]) == pytest.approx(area)
    for name in ("prcp", "tmin", "elevation"):
        mean = (hrus[name] * hrus["area"]).sum("basin") / area
        np.testing.assert_allclose(catchment[name][0], mean)
    flow = case.observed["discharge"].sel(gage="01420500")
    np.testing.assert_allclose(catchment["qobs"][0], flow * 86400 / (area * 1e6) * 1000)
    np.testing.assert_allclose(
        catchment["dayl"], day_length(catchment["latitude"], catchment["time"])
    )


def test_catchment_is_ready_for_a_fit():
    catchment = delaware_catchment("01420500")
    xr_checked = check_records(catchment, NEEDED)
    assert all(d.attrs["units"] and d.attrs["long_name"] for d in xr_checked.data_vars.values())
    check_observations(catchment["qobs"], "mm d-1")
    check_attributes(catchment, {"area": "km2", "elevation": "m", "slope": "1"})
    assert 500 < float(catchment["pet"].mean()) * 365 < 700
    assert 8.9 < float(catchment["dayl"].min()) < float(catchment["dayl"].max()) < 15.2


def test_all_catchments(gages):
    catchments = delaware()
    assert list(catchments["basin"].values) == list(gages.index)
    np.testing.assert_allclose(catchments["area"], gages["area"])
    check_records(catchments, NEEDED)
    check_observations(catchments["qobs"], "mm d-1")
    one = delaware_catchment("01420500")
    np.testing.assert_allclose(catchments.sel(basin=["01420500"])["prcp"], one["prcp"])


def test_chosen_catchments():
    assert list(delaware(["01423000", "01413500"])["basin"].values) == ["01423000", "01413500"]


def test_unknown_gage():
    with pytest.raises(DataError, match=r"no gage '01420501': did you mean '01420\d+'\?"):
        delaware_catchment("01420501")
