import numpy as np
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.training.ranges import Ranges, seen_by_networks

BOTH = ("prcp", "tmean")


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
    assert ranges.outside(data([0.0, 11.0], [-13.0, 23.0]), BOTH) == {}


def test_share_of_records_outside(ranges):
    outside = ranges.outside(data([0.0, 12.0, 3.0, 4.0], [-14.0, 24.0, 0.0, 30.0]), BOTH)
    assert outside == {"prcp": 0.25, "tmean": 0.75}


def test_only_named_variables_are_looked_at(ranges):
    assert ranges.outside(data([12.0], [24.0]), {"tmean", "other"}) == {"tmean": 1.0}
    assert ranges.outside(data([12.0], [24.0]), ()) == {}


def test_units_are_converted(ranges):
    assert ranges.outside(data([1.0], [280.0], "K"), BOTH) == {}


def test_forcing_reaches_a_network_through_fluxes():
    base = hw.models.exp_hydro()
    assert seen_by_networks(base.learn("et", {"soil": (0, 1500), "pet": (0, 8)})) == {
        *("soil", "tmean", "dayl")  # Hamon's formula is of the last two
    }
    melting = base.learn("et", {"rainfall + melt": (0, 40)})
    assert seen_by_networks(melting) == {"prcp", "tmean", "snow"}


def test_conceptual_counterparts_and_gates_are_not_inputs():
    ude = hw.models.exp_hydro().learn(
        "et", {"tmean": (-15, 30)}, positive=True, zero_when_empty="soil", empty_scale=5
    )
    assert seen_by_networks(ude) == {"tmean"}


def test_network_behind_a_network_passes_on_all_that_it_depends_on(bucket):
    first = bucket.learn("et", {"pet": (0, 4)}, zero_when_empty="soil", empty_scale=5)
    both = first.learn("q", {"et": (0, 4)})
    assert seen_by_networks(both) == {"pet", "soil"}


def test_model_without_networks_and_network_of_parameters_see_nothing(bucket):
    assert seen_by_networks(bucket) == frozenset()
    assert seen_by_networks(bucket.learn("et", {"c": (20, 300)})) == frozenset()
