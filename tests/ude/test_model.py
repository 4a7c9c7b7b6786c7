import copy
import dataclasses
import pickle

import pytest
import sympy

from hybridwater.errors import DeclarationError, UnitError
from hybridwater.ude import UDE, Constant, Parameter, models
from hybridwater.ude.functions import symbol


def twin(**extra):
    """Two stores in series; the second leaks."""
    return UDE.from_dict(
        {
            "name": "twin",
            "forcings": {"prcp": {"unit": "mm d-1"}, "pet": {"unit": "mm d-1"}},
            "states": {
                "upper": {"unit": "mm", "equation": "prcp - et - down"},
                "lower": {"unit": "mm", "equation": "down - q - 0.5 * leak"},
            },
            "parameters": {
                "k": {"unit": "d-1", "bounds": [0, 1]},
                "c": {"unit": "mm", "bounds": [1, 100]},
            },
            "fluxes": {
                "q": {"unit": "mm d-1", "equation": "fast + slow"},
                "fast": {"unit": "mm d-1", "equation": "k * max(lower - c, 0)"},
                "slow": {"unit": "mm d-1", "equation": "k * lower / 10"},
                "down": {"unit": "mm d-1", "equation": "k * upper"},
                "et": {"unit": "mm d-1", "equation": "pet * upper / c"},
                "leak": {"unit": "mm d-1", "equation": "k * lower / 100"},
                "wetness": {"unit": "1", "equation": "upper / c"},
            },
            **extra,
        }
    )


def learned():
    return twin().learn("q", {"lower": (0, 100)}, positive=True, zero_when_empty="lower")


def test_units_of_every_name():
    assert twin().units["leak"] == "mm d-1"


def test_fluxes_are_ordered_by_what_they_need():
    order = twin().order
    assert set(order) == {"q", "fast", "slow", "down", "et", "leak", "wetness"}
    assert order.index("q") > max(order.index("fast"), order.index("slow"))


def test_roles_at_the_boundary():
    assert twin().boundary == {
        "prcp": ("in", 1.0),
        "et": ("out", 1.0),
        "q": ("out", 1.0),
        "leak": ("out", 0.5),
    }


def test_no_roles_if_the_balance_has_terms_without_a_name():
    data = twin().to_dict()
    data["states"]["lower"]["equation"] = "down - q - k * lower"
    assert UDE.from_dict(data).boundary == {}


def test_an_internal_split_cancels():
    data = twin().to_dict()
    data["parameters"]["part"] = {"unit": "1", "bounds": [0, 1]}
    data["states"]["upper"]["equation"] = "prcp * part - et"
    data["states"]["lower"]["equation"] = "prcp * (1 - part) - q"
    assert set(UDE.from_dict(data).boundary) == {"prcp", "et", "q"}


def test_storages_hold_water():
    data = twin().to_dict()
    data["states"]["memory"] = {"unit": "1", "equation": "-k * memory"}
    ude = UDE.from_dict(data)
    assert ude.storages == ("upper", "lower")
    assert ude.boundary == twin().boundary


@pytest.mark.parametrize(
    "make",
    [
        models.linear_reservoir,
        models.exp_hydro,
        models.exp_hydro_hybrid,
        models.hbv,
        models.gr4j,
        lambda: models.neural_ode(states=3),
    ],
)
def test_storage_change_is_in_minus_out(make):
    ude = make()
    change = sum(ude.derivatives[s] for s in ude.storages)
    flows = sum(
        (1 if role == "in" else -1) * factor * symbol(name)
        for name, (role, factor) in ude.boundary.items()
    )
    assert ude.boundary
    assert sympy.simplify(change - flows) == 0
    assert len(ude.storages) == len(ude.states)
    assert all(role in ("in", "out") for role, _ in ude.boundary.values())
    assert {"et", "q"} <= set(ude.boundary)


def test_learn_puts_a_network_in_the_place_of_a_flux():
    ude = learned()
    assert [n.name for n in ude.networks] == ["q"]
    assert "q" not in {f.name for f in ude.fluxes}
    assert ude.network("q").conceptual == symbol("fast") + symbol("slow")
    assert ude.network("q").unit == "mm d-1"
    assert ude.boundary == twin().boundary
    assert ude.has_skeleton
    assert not twin().has_skeleton


def test_learn_leaves_the_original_alone():
    ude = twin()
    ude.learn("q", {"lower": (0, 100)})
    assert ude == twin()


def test_learn_takes_expressions_and_symbols():
    lower, c = symbol("lower"), symbol("c")
    ude = twin().learn("q", {lower / c: (0, 2), lower: (0, 100)}, zero_when_empty=lower)
    text = twin().learn("q", {"lower / c": (0, 2), "lower": (0, 100)}, zero_when_empty="lower")
    assert ude == text


def test_learn_takes_any_expression():
    lower, c = symbol("lower"), symbol("c")
    deep = sympy.Min(lower / c, 1)
    network = twin().learn("q", {deep: (0, 1)}, monotone={deep: 1}).network("q")
    assert network.inputs[0].expression == deep
    assert network.inputs[0].monotone == 1


def test_fluxes_of_a_replaced_equation_are_dormant():
    ude = learned()
    assert ude.dormant == {"fast", "slow"}
    assert set(ude.order) == {"q", "down", "et", "leak", "wetness"}
    assert {step.name for step in ude.program.steps} == {*ude.order, "q__raw"}
    assert "fast" not in str(ude)


def test_a_flux_that_is_only_looked_at_is_not_dormant():
    assert "wetness" in learned().order


def test_parameters_of_replaced_equations_are_not_used():
    ude = UDE.from_dict(twin().to_dict()).replace("et", "pet").replace("wetness", "0")
    assert ude.used_parameters == {"k", "c"}
    hybrid = ude.learn("q", {"lower": (0, 100)})
    assert hybrid.used_parameters == {"k"}
    assert hybrid.program.parameters == ("k",)


def test_learn_an_unknown_flux():
    with pytest.raises(DeclarationError) as caught:
        twin().learn("fasst", {"lower": (0, 1)})
    assert str(caught.value) == "The model 'twin' has no flux 'fasst' (did you mean 'fast'?)."


def test_learn_with_an_unknown_option():
    with pytest.raises(DeclarationError, match=r"'positiv' is not known \(did you mean 'positive'"):
        twin().learn("q", {"lower": (0, 1)}, positiv=True)


def test_learn_with_an_unknown_input():
    with pytest.raises(DeclarationError, match=r"did you mean 'lower'\?"):
        twin().learn("q", {"lowr": (0, 1)})


def test_the_skeleton_is_the_original():
    skeleton = learned().conceptual()
    assert skeleton.networks == ()
    assert skeleton.dormant == frozenset()
    assert {f.name: f for f in skeleton.fluxes} == {f.name: f for f in twin().fluxes}
    assert skeleton.derivatives == twin().derivatives
    assert twin().conceptual() == twin()


def test_a_network_without_equation_has_no_skeleton():
    ude = models.neural_ode()
    assert not ude.has_skeleton
    with pytest.raises(DeclarationError) as caught:
        ude.conceptual()
    assert str(caught.value) == (
        "The network 'et' has no conceptual equation. Where: model 'neural_ode'. To mend it: "
        "Declare it with conceptual=..., or fit without calibrating a skeleton first."
    )


def test_replace_with_text_and_with_an_expression():
    text = twin().replace("q", "k * lower")
    expression = twin().replace("q", symbol("k") * symbol("lower"))
    assert text == expression
    assert {f.name: f for f in text.fluxes}["q"].expression == symbol("k") * symbol("lower")


def test_replace_a_network():
    ude = learned().replace("q", "k * lower")
    assert not ude.networks
    assert ude.dormant == frozenset()


def test_replace_checks_names_and_units():
    with pytest.raises(DeclarationError, match=r"did you mean 'lower'\?"):
        twin().replace("q", "k * lowr")
    with pytest.raises(UnitError, match="The equation has the unit 'mm'"):
        twin().replace("q", "lower")
    with pytest.raises(DeclarationError, match="has no flux or network 'p'"):
        twin().replace("p", "lower")


def test_replace_may_not_make_a_circle():
    with pytest.raises(DeclarationError, match="in a circle"):
        twin().replace("fast", "q")


def test_parameters_and_networks_are_found_by_name():
    assert twin().parameter("k").unit == "d-1"
    with pytest.raises(DeclarationError, match="The model 'twin' has no parameter 'kk'"):
        twin().parameter("kk")
    with pytest.raises(DeclarationError, match=r"has no network 'q' \(no names are known here\)"):
        twin().network("q")


def test_fingerprints():
    assert twin().fingerprint == twin().fingerprint
    assert twin().fingerprint != twin().replace("q", "slow").fingerprint
    assert twin().fingerprint != learned().fingerprint
    assert len(twin().fingerprint) == 16


def test_a_model_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        twin().name = "other"


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda u: pickle.loads(pickle.dumps(u))])
def test_a_model_can_be_copied(duplicate):
    ude = learned()
    assert duplicate(ude) == ude
    assert duplicate(ude).fingerprint == ude.fingerprint


def test_equal_models_have_equal_hashes():
    assert hash(twin()) == hash(twin())
    assert len({twin(), twin(), learned()}) == 2


def test_replace_may_bring_parameters_and_constants():
    ude = twin().replace(
        "q",
        "alpha * (fast + slow) + low",
        parameters=[Parameter("alpha", "1", (0, 2), 1.0)],
        constants=[Constant("low", "mm d-1", 0.1)],
    )
    assert "alpha" in ude.used_parameters
    assert ude.units["low"] == "mm d-1"
    with pytest.raises(DeclarationError, match="used as parameter and as constant"):
        twin().replace("q", "fast", constants=[Constant("k", "d-1", 0.1)])
