import pytest

from hybridwater.components.base import Variable
from hybridwater.coupling.quantities import is_water, linear_conversion, measure
from hybridwater.errors import UnitError


def variable(units, name="x", standard_name=None):
    return Variable(name, units, "in", "rate", "", standard_name=standard_name)


@pytest.mark.parametrize(
    ("unit", "form", "factor"),
    [
        ("kg m-2 s-1", "flux density", 1.0),
        ("kg m-2 d-1", "flux density", 1 / 86400),
        ("mm d-1", "flux density", 1 / 86400),
        ("m3 s-1", "transport", 1000.0),
        ("kg d-1", "transport", 1 / 86400),
        ("m3", "amount", 1000.0),
        ("kg m-2", "amount per area", 1.0),
        ("degC", "other", 1.0),
        ("1", "other", 1.0),
        ("mol m-2 s-1", "other", 1.0),
    ],
)
def test_measure(unit, form, factor):
    found = measure(unit)
    assert found.form == form
    assert found.factor == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(
    ("source", "target", "at_one"),
    [
        ("kg m-2 d-1", "mm d-1", 1.0),
        ("mm h-1", "kg m-2 d-1", 24.0),
        ("inch d-1", "mm d-1", 25.4),
        ("m3 s-1", "kg d-1", 86400e3),
        ("degC", "degF", 33.8),
        ("m3", "kg", 1000.0),
        # Per area and per cell: the route multiplies by the area.
        ("kg m-2 d-1", "m3 d-1", 1e-3),
    ],
)
def test_conversion(source, target, at_one):
    slope, offset = linear_conversion(variable(source), variable(target), "here")
    assert slope + offset == pytest.approx(at_one, rel=1e-12)


@pytest.mark.parametrize(
    ("source", "target"),
    [("kg m-2 d-1", "degC"), ("kg", "kg s-1"), ("m", "kg m-2"), ("W m-2", "mm")],
)
def test_what_does_not_fit_is_refused_by_name(source, target):
    with pytest.raises(UnitError, match="here") as caught:
        linear_conversion(variable(source, "a"), variable(target, "b"), "here")
    assert "'a'" in str(caught.value)
    assert "'b'" in str(caught.value)


def test_a_length_per_time_is_water_if_someone_says_so():
    wind = variable("m s-1", "wind_speed")
    assert not is_water(wind, wind, None)
    assert is_water(wind, wind, True)
    assert is_water(variable("mm d-1", "lwe_precipitation_rate"), variable("mm d-1"), None)
    assert is_water(variable("mm d-1"), variable("kg m-2 d-1"), None)
    assert not is_water(variable("kg m-2 d-1"), variable("kg m-2 d-1"), False)
    assert not is_water(variable("kg m-2"), variable("kg m-2"), None)


def test_a_potential_flux_is_no_water():
    pet = variable("kg m-2 d-1", "pet", "water_potential_evaporation_flux")
    assert not is_water(pet, variable("kg m-2 d-1"), None)
