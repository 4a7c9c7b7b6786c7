import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.engines.records import (
    initial_states,
    parameter_values,
    program_values,
    read_records,
)
from hybridwater.errors import DataError, DeclarationError, UnitError
from hybridwater.ude import UDE


@pytest.fixture(scope="module")
def ude() -> UDE:
    @hw.model
    def store(m: hw.Declaration) -> None:
        P = m.forcing("prcp", "mm d-1")
        T = m.forcing("tmean", "degC")
        k = m.parameter("k", "d-1", bounds=(0.01, 1), default=0.1)
        s0 = m.parameter("s0", "mm", bounds=(0, 100), default=50)
        f = m.parameter("f", "mm d-1 K-1", bounds=(0, 5), default=2)
        zero = m.constant("zero", 0.0, "degC")
        S = m.state("storage", "mm", initial=s0)
        W = m.state("deep", "mm", initial=7.0)
        melt = m.flux("melt", f * hw.ude.maximum(T - zero, 0), "mm d-1")
        q = m.flux("q", k * S, "mm d-1")
        m.derivative(S, P + melt - q)
        m.derivative(W, q - k * W)

    return store


@pytest.fixture
def data() -> xr.Dataset:
    return xr.Dataset(
        {
            "prcp": (("basin", "time"), np.arange(12.0).reshape(2, 6), {"units": "mm d-1"}),
            "tmean": (("basin", "time"), np.full((2, 6), 5.0), {"units": "degC"}),
        },
        {"basin": ["a", "b"], "time": pd.date_range("2000-01-01", periods=6)},
    )


def test_layout(ude, data):
    records = read_records(ude, data)
    assert records.values.shape == (2, 6, 2)
    np.testing.assert_array_equal(records.values[..., 0], data["prcp"])
    assert records.values.flags.c_contiguous
    assert records.basins == ("a", "b")
    assert records.step == 1.0
    assert records.describe(1, 2) == "basin 'b', record 2000-01-03 00:00"


def test_units_are_converted(ude, data):
    metres = (data["prcp"] / 86.4e6).assign_attrs(units="m s-1")
    kelvin = (data["tmean"] + 273.15).assign_attrs(units="K")
    other = read_records(ude, data.assign(prcp=metres, tmean=kelvin))
    np.testing.assert_allclose(other.values, read_records(ude, data).values, rtol=1e-12)


def test_order_of_dimensions_and_missing_dimensions_do_not_matter(ude, data):
    expected = read_records(ude, data).values
    np.testing.assert_array_equal(read_records(ude, data.transpose()).values, expected)
    one = data.assign(tmean=data["tmean"].isel(basin=0, drop=True))
    np.testing.assert_array_equal(read_records(ude, one).values, expected)


def test_names_of_a_single_basin(ude, data):
    assert read_records(ude, data.isel(basin=1)).basins == ("b",)
    assert read_records(ude, data.isel(basin=1, drop=True)).basins == ("basin",)


@pytest.mark.parametrize(("freq", "step"), [("h", 1 / 24), ("30min", 1 / 48), ("7D", 7.0)])
def test_length_of_a_record_is_in_the_model_s_unit(ude, data, freq, step):
    data = data.assign_coords(time=pd.date_range("2000-01-01", periods=6, freq=freq))
    assert read_records(ude, data).step == pytest.approx(step, rel=1e-15)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda d: d.drop_vars("tmean"), DataError, "'tmean' is missing"),
        (lambda d: d.expand_dims(member=2), DataError, "member dimension"),
        (lambda d: d.assign(prcp=d["prcp"].drop_attrs()), UnitError, "no units"),
        (lambda d: d.assign(prcp=d["prcp"].assign_attrs(units="mm")), UnitError, "converted"),
        (lambda d: d.assign(prcp=d["prcp"] - 3.0).pipe(_same_units, d), DataError, "negative"),
        (lambda d: d.assign(prcp=d["prcp"].where(d["prcp"] > 1)), DataError, "starts late"),
        (lambda d: d.isel(time=[0, 1, 3, 4]), DataError, "gap"),
        (lambda d: d.isel(time=[0, 1, 1, 2]), DataError, "more than once"),
        (lambda d: d.isel(time=[0]), DataError, "too few"),
        (lambda d: d.drop_vars("basin"), DataError, "no coordinate"),
        (lambda d: d.isel(basin=[0, 0]), DataError, "more than once"),
    ],
)
def test_bad_forcing_is_refused(ude, data, change, error, says):
    with pytest.raises(error, match=says):
        read_records(ude, change(data))


def _same_units(changed: xr.Dataset, data: xr.Dataset) -> xr.Dataset:
    changed["prcp"].attrs = data["prcp"].attrs
    return changed


def test_model_without_forcing(data):
    @hw.model
    def recession(m: hw.Declaration) -> None:
        k = m.parameter("k", "d-1", bounds=(0.01, 1), default=0.1)
        S = m.state("storage", "mm", initial=10)
        q = m.flux("q", k * S, "mm d-1")
        m.derivative(S, -q)

    assert read_records(recession, data).values.shape == (2, 6, 0)


def test_parameters_are_completed_with_defaults(ude):
    values = parameter_values(ude, {"k": 0.2, "s0": [1.0, 2.0]}, ("a", "b"))
    np.testing.assert_array_equal(values["k"], [0.2, 0.2])
    np.testing.assert_array_equal(values["s0"], [1.0, 2.0])
    np.testing.assert_array_equal(values["f"], [2.0, 2.0])
    assert parameter_values(ude, None, ("a",))["k"] == [0.1]
    flat = program_values(ude, values, 2)
    assert flat.shape == (2, len(ude.program.parameters))
    assert "s0" not in ude.program.parameters
    np.testing.assert_array_equal(initial_states(ude, values, 2), [[1.0, 7.0], [2.0, 7.0]])


def test_parameters_of_data_arrays_are_matched_by_basin_and_converted(ude):
    table = xr.Dataset(
        {
            "k": ("basin", [0.1, 0.2, 0.3], {"units": "d-1"}),
            "s0": ("basin", [1.0, 2.0, 3.0], {"units": "cm"}),
            "f": ((), 1.0),
        },
        {"basin": ["c", "b", "a"]},
    )
    values = parameter_values(ude, table, ("a", "b"))
    np.testing.assert_allclose(values["k"], [0.3, 0.2])
    np.testing.assert_allclose(values["s0"], [30.0, 20.0])
    np.testing.assert_allclose(values["f"], [1.0, 1.0])


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"kk": 0.1}, DeclarationError, "did you mean 'k'"),
        ({"k": 2.0}, DeclarationError, r"is 2, outside \(0.01, 1\).*basin 'a'"),
        ({"k": [0.1, 0.0]}, DeclarationError, "basin 'b'"),
        ({"k": np.nan}, DeclarationError, "outside"),
        ({"k": [0.1, 0.1, 0.1]}, DeclarationError, "one number per basin"),
        ({"k": "fast"}, DeclarationError, "one number per basin"),
        ({"k": xr.DataArray([0.1], {"basin": ["a"]})}, DeclarationError, "one number per basin"),
        ({"k": xr.DataArray(0.1, attrs={"units": "mm"})}, UnitError, "converted"),
    ],
)
def test_bad_parameters_are_refused(ude, given, error, says):
    with pytest.raises(error, match=says):
        parameter_values(ude, given, ("a", "b"))
