import pytest
import sympy

from hybridwater.errors import DeclarationError, HybridwaterError, UnitError
from hybridwater.ude import UDE
from hybridwater.ude.checks import check_name


def tank(**changes):
    """Plain data of a small valid model, with tables changed."""
    data = {
        "name": "tank",
        "forcings": {"prcp": {"unit": "mm d-1"}},
        "states": {"soil": {"unit": "mm", "initial": 10, "equation": "prcp - q"}},
        "parameters": {"k": {"unit": "d-1", "bounds": [0.001, 1]}},
        "fluxes": {"q": {"unit": "mm d-1", "equation": "k * soil"}},
    }
    for key, table in changes.items():
        data[key] = table if key == "name" else data.get(key, {}) | table
    return data


def network(**changes):
    inputs = {"soil": [0, 300]}
    return {"et": {"unit": "mm d-1", "inputs": inputs} | changes}


def refused(data, kind=DeclarationError):
    with pytest.raises(kind) as caught:
        UDE.from_dict(data)
    return str(caught.value)


def test_the_small_model_is_valid():
    assert UDE.from_dict(tank()).order == ("q",)


@pytest.mark.parametrize("name", ["soil", "S1", "q_base", "k" * 64])
def test_names(name):
    assert check_name(name, "here") == name


@pytest.mark.parametrize(
    "name",
    ["", "1soil", "so il", "soil.x", "_soil", "so__il", "sóil", "k" * 65, "a;b", "q\n", 3, None],
)
def test_what_is_no_name(name):
    with pytest.raises(DeclarationError, match="is not a name for a quantity") as caught:
        check_name(name, "model 'tank'")
    assert str(caught.value).endswith(
        "Where: model 'tank'. To mend it: Use letters, digits and single underscores, starting "
        "with a letter."
    )


@pytest.mark.parametrize("name", ["lambda", "end", "module", "exp", "where", "class", "pi", "true"])
def test_reserved_words_are_no_names(name):
    with pytest.raises(DeclarationError, match=f"'{name}' is a reserved word"):
        check_name(name, "here")


def test_a_name_is_state_and_parameter():
    data = tank(parameters={"soil": {"unit": "mm", "bounds": [0, 1]}})
    assert refused(data) == (
        "The name 'soil' is used as state and as parameter. Where: model 'tank'. "
        "To mend it: Give one of the two another name."
    )


def test_a_name_is_forcing_and_flux():
    data = tank(fluxes={"prcp": {"unit": "mm d-1", "equation": "q"}})
    assert refused(data).startswith("The name 'prcp' is used as forcing and as flux.")


def test_an_unknown_name_in_an_equation():
    data = tank(fluxes={"q": {"unit": "mm d-1", "equation": "k * sol"}})
    assert refused(data).startswith(
        "The name 'sol' is not declared (did you mean 'soil'?). Where: the equation of 'q'."
    )


def test_fluxes_that_define_each_other():
    data = tank(
        fluxes={
            "q": {"unit": "mm d-1", "equation": "a + k * soil"},
            "a": {"unit": "mm d-1", "equation": "b"},
            "b": {"unit": "mm d-1", "equation": "q / 2"},
        }
    )
    message = refused(data)
    assert message.startswith("The fluxes define each other in a circle: ")
    assert all(name in message for name in ("a", "b", "q"))
    assert message.endswith(
        "Where: model 'tank'. To mend it: Make one of them a state, or write it without the others."
    )


def test_a_flux_that_defines_itself():
    data = tank(fluxes={"q": {"unit": "mm d-1", "equation": "q"}})
    assert "in a circle: q -> q" in refused(data)


def test_a_circle_through_a_network():
    data = tank(
        fluxes={"q": {"unit": "mm d-1", "equation": "k * soil + et"}},
        networks=network(inputs={"q": [0, 10]}),
    )
    assert "in a circle" in refused(data)


def test_a_model_needs_a_state():
    data = tank() | {"states": {}, "fluxes": {}}
    assert refused(data).startswith("The model has no state.")


def test_the_initial_value_is_a_parameter():
    data = tank(states={"soil": {"unit": "mm", "initial": "kk", "equation": "prcp - q"}})
    assert refused(data).startswith(
        "The initial value of 'soil' is 'kk', not a parameter (did you mean 'k'?)."
    )


def test_the_initial_value_has_the_unit_of_the_state():
    data = tank(states={"soil": {"unit": "mm", "initial": "k", "equation": "prcp - q"}})
    assert refused(data, UnitError) == (
        "The initial value 'k' is in 'd-1', the state 'soil' in 'mm'. Where: model 'tank'."
    )


@pytest.mark.parametrize("bounds", [[1, 0], [1, 1], [0, float("inf")], [float("nan"), 1]])
def test_bounds_are_a_finite_range(bounds):
    data = tank(parameters={"k": {"unit": "d-1", "bounds": bounds, "default": 0.5}})
    message = refused(data)
    assert "are not a finite range. Where: parameter 'k' of model 'tank'." in message


def test_the_default_is_within_bounds():
    data = tank(parameters={"k": {"unit": "d-1", "bounds": [0, 1], "default": 2}})
    assert refused(data) == (
        "The default 2.0 is outside the bounds (0.0, 1.0). Where: parameter 'k' of model 'tank'."
    )


def test_a_logarithmic_search_needs_positive_bounds():
    data = tank(parameters={"k": {"unit": "d-1", "bounds": [0, 1], "log": True}})
    assert "A logarithmic search needs positive bounds" in refused(data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": {}}, "The network has no inputs."),
        ({"inputs": {"soil": [1, 1]}}, "is not a finite range"),
        ({"inputs": {"sol": [0, 1]}}, "did you mean 'soil'?"),
        ({"monotone": {"soil": 2}}, "The monotone effect of 'soil' is 2. "),
        ({"monotone": {"prcp": 1}}, "'prcp' is monotone but not an input."),
        ({"activation": "tahn"}, "The activation 'tahn' is not known (did you mean 'tanh'?)."),
        ({"activation": "silu", "monotone": {"soil": 1}}, "cannot have the activation 'silu'"),
        ({"hidden": [16, 0]}, "The hidden layers (16, 0) are not widths."),
        ({"hidden": [16, "x"]}, "are not widths"),
        ({"hidden": 16}, "Write [16, 16]"),
        ({"positive": "log"}, "positive='log' is not known."),
        ({"positive": True, "bounds": [0, 1]}, "not be combined with positive"),
        ({"bounds": [1, 0]}, "must be (low, high)"),
        ({"scale": 0}, "The scale 0.0 is not a positive number."),
        ({"zero_when_empty": "sol"}, "which is not a state (did you mean 'soil'?)"),
        ({"zero_when_empty": "soil", "inputs": {"prcp": [0, 9]}}, "typical range is not known"),
    ],
)
def test_bad_networks(changes, message):
    assert message in refused(tank(networks=network(**changes)))


def test_the_gate_of_an_empty_store_has_a_scale():
    ude = UDE.from_dict(tank(networks=network(zero_when_empty="soil")))
    assert ude.network("et").empty_scale == pytest.approx(3.0)
    ude = UDE.from_dict(tank(networks=network(zero_when_empty="soil", empty_scale=7)))
    assert ude.network("et").empty_scale == 7


@pytest.mark.parametrize("unit", ["", "bucket"])
def test_units_are_needed_and_known(unit):
    message = refused(tank(parameters={"k": {"unit": unit, "bounds": [0, 1]}}), UnitError)
    assert "Where: 'k' of model 'tank'." in message


def test_the_wrong_unit_of_a_flux():
    data = tank(fluxes={"q": {"unit": "mm h-1", "equation": "k * soil"}})
    message = refused(data, HybridwaterError)
    assert "the equation of 'q'" in message
    assert "'mm d-1'" in message


def test_the_wrong_unit_of_a_derivative():
    data = tank(states={"soil": {"unit": "m", "equation": "prcp - q"}})
    data["fluxes"] = {"q": {"unit": "mm d-1", "equation": "prcp"}}
    assert "the derivative of 'soil'" in refused(data, UnitError)


def test_the_time_unit_is_a_time():
    assert refused(tank() | {"time_unit": "mm"}, UnitError).startswith(
        "The time unit 'mm' is no time."
    )


def test_a_model_in_hours():
    data = tank(
        forcings={"prcp": {"unit": "mm h-1"}},
        parameters={"k": {"unit": "h-1", "bounds": [0, 1]}},
        fluxes={"q": {"unit": "mm h-1", "equation": "k * soil"}},
    )
    assert UDE.from_dict(data | {"time_unit": "h"}).time_unit == "h"


def test_a_state_may_be_a_temperature():
    data = tank(
        forcings={"tmean": {"unit": "degC"}},
        states={"ground": {"unit": "degC", "equation": "k * (tmean - ground)"}},
    )
    assert UDE.from_dict(data).storages == ("soil",)


def test_a_symbol_from_elsewhere_is_refused():
    ude = UDE.from_dict(tank())
    foreign = sympy.Symbol("k") * sympy.Symbol("soil")
    with pytest.raises(DeclarationError, match="was made elsewhere"):
        ude.replace("q", foreign)


def test_numbers_that_are_not_finite_are_refused():
    ude = UDE.from_dict(tank())
    with pytest.raises(DeclarationError, match="infinite, not real"):
        ude.replace("q", sympy.Symbol("soil", real=True) * sympy.oo)


def test_a_network_that_serves_only_a_replaced_equation():
    data = tank(
        fluxes={
            "a": {"unit": "mm d-1", "equation": "k * soil"},
            "q": {"unit": "mm d-1", "equation": "a"},
        }
    )
    learned = UDE.from_dict(data).learn("a", {"soil": (0, 1)})
    with pytest.raises(DeclarationError, match="only serves an equation that another network"):
        learned.learn("q", {"soil": (0, 1)})
