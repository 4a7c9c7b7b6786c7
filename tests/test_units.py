import numpy as np
import pytest
import xarray as xr

from hybridwater import units
from hybridwater.errors import UnitError


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mm d-1", "mm/d"),
        ("mm d-1", "mm/day"),
        ("m3 s-1", "m^3/s"),
        ("degC", "celsius"),
        ("1", "dimensionless"),
        ("W m-2", "watt / meter ** 2"),
        ("d", "day"),
    ],
)
def test_two_spellings_are_one_unit(one, other):
    assert units.parse(one) == units.parse(other)


@pytest.mark.parametrize("missing", ["", "   ", None])
def test_a_missing_unit_is_refused(missing):
    with pytest.raises(UnitError) as caught:
        units.parse(missing)
    assert str(caught.value) == (
        "A unit is missing. To mend it: Set it explicitly, for example 'mm d-1'; '1' if "
        "dimensionless."
    )


@pytest.mark.parametrize("text", ["furlongs per fortnite", "mm d-1 )", "mm/d/", "__import__('os')"])
def test_an_unknown_unit_is_refused(text):
    with pytest.raises(UnitError, match="is not known") as caught:
        units.parse(text)
    assert "UDUNITS" in str(caught.value)


@pytest.mark.parametrize("text", ["2 mm", "24 h", "1e3", "mm + mm", "3"])
def test_a_number_is_not_a_unit(text):
    with pytest.raises(UnitError, match=r"is not known"):
        units.parse(text)


@pytest.mark.parametrize("unit", ["mm d-1", "m3 s-1", "degC", "1", "mm d-1 K-1", "percent"])
def test_spelling_is_read_back(unit):
    assert units.parse(units.spell(unit)) == units.parse(unit)


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (24.0, "mm d-1", "mm h-1", 1.0),
        (1.0, "m d-1", "mm d-1", 1000.0),
        (20.0, "degC", "K", 293.15),
        (32.0, "degF", "degC", 0.0),
        (1.0, "kPa", "hPa", 10.0),
        (50.0, "percent", "1", 0.5),
        (3.0, "mm", "mm", 3.0),
    ],
)
def test_convert(value, source, target, expected):
    assert units.convert(value, source, target) == pytest.approx(expected)


def test_convert_keeps_shape_and_makes_float64():
    result = units.convert(np.array([[1, 2], [3, 4]]), "m", "mm")
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, [[1000, 2000], [3000, 4000]])


@pytest.mark.parametrize("target", ["mm", "m"])
def test_convert_makes_arrays_of_lists(target):
    result = units.convert([1, 2], "mm", target)
    assert isinstance(result, np.ndarray)
    assert result.dtype == np.float64


def test_convert_refuses_another_dimension():
    with pytest.raises(UnitError) as caught:
        units.convert(1.0, "mm d-1", "degC", what="prcp")
    assert str(caught.value) == (
        "'prcp' has the unit 'mm d-1', which cannot be converted to 'degC'. Where: prcp. "
        "To mend it: Give 'prcp' in a unit compatible with 'degC'."
    )


def data(unit):
    attrs = {} if unit is None else {"units": unit}
    return xr.DataArray([1.0, 2.0], dims="time", name="prcp", attrs=attrs | {"long_name": "rain"})


def test_require_returns_the_unit():
    assert units.require(data("mm d-1")) == "mm d-1"


@pytest.mark.parametrize("unit", [None, "", " "])
def test_require_refuses_data_without_units(unit):
    with pytest.raises(UnitError, match="'prcp' has no units") as caught:
        units.require(data(unit))
    assert "data['prcp'].attrs['units'] = " in str(caught.value)


@pytest.mark.parametrize("plain", [250.0, [250.0], np.ones(2)])
def test_plain_numbers_have_no_units(plain):
    with pytest.raises(UnitError, match=r"no units.*xarray.DataArray"):
        units.to_units(plain, "km2")


def test_require_refuses_an_unknown_unit():
    with pytest.raises(UnitError, match="'buckets' is not known"):
        units.require(data("buckets"))


def test_to_units_converts_and_keeps_the_other_attributes():
    before = data("m d-1")
    after = units.to_units(before, "mm d-1")
    np.testing.assert_allclose(after, [1000, 2000])
    assert after.attrs == {"units": "mm d-1", "long_name": "rain"}
    assert before.attrs["units"] == "m d-1"


def test_to_units_names_the_variable():
    with pytest.raises(UnitError, match="'prcp' has the unit 'K'"):
        units.to_units(data("K"), "mm d-1")


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("degC", "K", (1.0, 273.15, 0)),
        ("inch d-1", "kg m-2 d-1", (25.4, 0.0, 0)),
        ("kg m-2 d-1", "mm d-1", (1.0, 0.0, 0)),
        ("mm d-1", "m3 s-1", (1e-3 / 86400.0, 0.0, 1)),
        ("m3 s-1", "kg m-2 d-1", (86400e3, 0.0, -1)),
        ("kg", "kg m-2", (1.0, 0.0, -1)),
        ("mm d-1", "mm d-1", (1.0, 0.0, 0)),
    ],
)
def test_what_turns_one_unit_into_another(source, target, expected):
    slope, offset, power = units.linear(source, target)
    assert (slope, offset, power) == pytest.approx(expected, rel=1e-14)


def test_what_does_not_measure_the_same_thing_is_refused():
    with pytest.raises(UnitError, match="not even as water of 1000 kg m-3"):
        units.linear("mm d-1", "K")
