import numpy as np
import pytest
import xarray as xr

from hybridwater.training.ranges import Ranges


@pytest.fixture
def ranges() -> Ranges:
    seen = {"prcp": np.array([[0.0, 10.0], [5.0, np.nan]]), "tmean": np.array([[-10.0, 20.0]])}
    return Ranges.of(seen, {"prcp": "mm d-1", "tmean": "degC", "other": "1"})


def data(prcp: list[float], tmean: list[float], unit: str = "degC") -> xr.Dataset:
    return xr.Dataset(
        {
            "prcp": ("time", prcp, {"units": "mm d-1"}),
            "tmean": ("time", tmean, {"units": unit}),
        }
    )


def test_ranges_are_over_all_basins(ranges):
    assert ranges.limits == {"prcp": (0.0, 10.0), "tmean": (-10.0, 20.0)}
    assert ranges.units == {"prcp": "mm d-1", "tmean": "degC"}


def test_a_tenth_beyond_is_inside(ranges):
    assert ranges.outside(data([0.0, 11.0], [-13.0, 23.0])) == {}


def test_share_of_records_outside(ranges):
    outside = ranges.outside(data([0.0, 12.0, 3.0, 4.0], [-14.0, 24.0, 0.0, 30.0]))
    assert outside == {"prcp": 0.25, "tmean": 0.75}


def test_units_are_converted(ranges):
    assert ranges.outside(data([1.0], [280.0], "K")) == {}
