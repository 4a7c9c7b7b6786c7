import pytest
import sympy

from hybridwater.errors import UnitError
from hybridwater.ude import functions as fn
from hybridwater.ude.dimensions import require_unit, unit_of
from hybridwater.ude.text import parse_expression

UNITS = {
    "soil": "mm",
    "cap": "mm",
    "prcp": "mm d-1",
    "rain_h": "mm h-1",
    "k": "d-1",
    "t": "degC",
    "t0": "degC",
    "tk": "K",
    "width": "K",
    "df": "mm d-1 K-1",
    "day": "d",
    "ratio": "1",
    "depth": "m",
    "pressure": "kPa",
}


def infer(text):
    return unit_of(parse_expression(text, UNITS), UNITS, "the equation of 'q'")


def refused(text):
    with pytest.raises(UnitError) as caught:
        infer(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("k * soil", "mm d-1"),
        ("soil / day", "mm d-1"),
        ("prcp + k * soil", "mm d-1"),
        ("2 * prcp - 0.5 * prcp", "mm d-1"),
        ("max(soil - cap, 0)", "mm"),
        ("min(soil / day, df * (t - t0))", "mm d-1"),
        ("smooth_step(t - t0, width)", "1"),
        ("exp(-soil / cap)", "1"),
        ("(soil / cap) ** ratio", "1"),
        ("(soil / cap) ** 2.5 * prcp", "mm d-1"),
        ("soil ** 2 / cap", "mm"),
        ("sqrt(soil * cap)", "mm"),
        ("abs(soil - cap)", "mm"),
        ("where(t > t0, prcp, 0)", "mm d-1"),
        ("where(soil > 0, prcp, 0)", "mm d-1"),
        ("1 - tanh(soil / cap)", "1"),
        ("sin(2 * pi * ratio)", "1"),
        ("sigmoid(ratio) + softplus(1 - ratio)", "1"),
        ("df * (t - t0) * smooth_step(soil, cap)", "mm d-1"),
        ("df * (tk - width)", "mm d-1"),
    ],
)
def test_unit_is_inferred(text, unit):
    require_unit(parse_expression(text, UNITS), unit, UNITS, "here")


def test_zero_fits_every_unit():
    assert infer("0") is None
    require_unit(sympy.Integer(0), "mm d-1", UNITS, "here")


def test_a_rate_is_not_a_storage():
    assert refused("soil + prcp") == (
        "'prcp' has the unit 'mm d-1' and 'soil' has 'mm', but they stand side by side in "
        "'prcp + soil'. Where: the equation of 'q'. To mend it: Bring both to one unit; a bare "
        "number needs a constant with a unit."
    )


def test_a_rate_per_hour_is_not_a_rate_per_day():
    message = refused("prcp + rain_h")
    assert "'mm d-1'" in message
    assert "'mm h-1'" in message


def test_metres_are_not_millimetres():
    assert "stand side by side" in refused("min(soil, depth)")


@pytest.mark.parametrize("text", ["soil + 1", "max(soil, 1)", "soil - 10", "where(soil > 3, 1, 0)"])
def test_a_bare_number_beside_a_unit_is_refused(text):
    assert "a bare number needs a constant with a unit" in refused(text)


def test_celsius_and_kelvin_are_not_subtracted():
    assert refused("t - tk") == (
        "'t' is in degree_Celsius and '-tk' in kelvin. Where: the equation of 'q'. "
        "To mend it: Declare both temperatures on one scale."
    )


@pytest.mark.parametrize("function", ["exp", "log", "tanh", "sin", "cos", "sigmoid", "softplus"])
def test_functions_want_dimensionless_arguments(function):
    assert refused(f"{function}(soil)") == (
        f"The argument of '{function}' must be dimensionless, but 'soil' has the unit 'mm'. "
        "Where: the equation of 'q'. "
        "To mend it: Divide by a constant or parameter of the same unit."
    )


def test_exponents_are_dimensionless():
    assert refused("ratio ** soil").startswith("The exponent must be dimensionless")
    assert refused("soil ** ratio").startswith("A base with a variable exponent must be dimens")


def test_both_arguments_of_a_smooth_step_have_one_unit():
    assert "stand side by side" in refused("smooth_step(soil, width)")


def test_compared_quantities_have_one_unit():
    assert "stand side by side" in refused("where(soil > t, prcp, 0)")


def test_both_branches_have_one_unit():
    assert "stand side by side" in refused("where(t > t0, prcp, soil)")


def test_the_wrong_unit_of_an_equation():
    with pytest.raises(UnitError) as caught:
        require_unit(parse_expression("k * soil", UNITS), "mm", UNITS, "the equation of 'q'")
    assert str(caught.value) == (
        "The equation has the unit 'mm d-1' but 'mm' is declared. Where: the equation of 'q'. "
        "To mend it: Multiply by a constant with the missing unit, or correct the declared one."
    )


def test_a_mean_of_temperatures_is_a_temperature():
    require_unit(parse_expression("(t + t0) / 2", UNITS), "degC", UNITS, "here")


def test_a_difference_in_fahrenheit_is_not_one_in_kelvin():
    declared = {"t": "degF", "t0": "degF", "df": "mm d-1 K-1"}
    difference = parse_expression("t - t0", declared)
    assert unit_of(difference, declared, "here") == "delta_degF"
    with pytest.raises(UnitError, match="but 'mm d-1' is declared"):
        require_unit(parse_expression("df * (t - t0)", declared), "mm d-1", declared, "here")


def test_functions_that_equations_may_not_have():
    soil = fn.symbol("soil")
    with pytest.raises(UnitError, match="is not an expression that equations may have"):
        unit_of(sympy.erf(soil), UNITS, "here")


def test_conditions_that_equations_may_not_have():
    soil, cap = fn.symbol("soil"), fn.symbol("cap")
    both = sympy.And(soil > 0, soil < cap)
    with pytest.raises(UnitError, match="is not a condition that equations may have"):
        unit_of(sympy.Piecewise((soil, both), (0, True)), UNITS, "here")
