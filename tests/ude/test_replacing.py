"""A term can be replaced by text, equation, function, library process or network."""

import pytest
import sympy

from hybridwater.errors import DeclarationError, UnitError
from hybridwater.ude import Constant, Equation, Network, NetworkInput, Parameter, minimum, models
from hybridwater.ude.functions import symbol
from hybridwater.ude.processes import evapotranspiration


@pytest.fixture
def base():
    return models.exp_hydro()


def flux(model, name):
    return next(f.expression for f in model.fluxes if f.name == name)


def test_function_with_a_parameter_of_its_own(base):
    def limited(m):
        lp = m.parameter("lp", "1", bounds=(0.2, 1.0), default=0.7)
        return m["pet"] * minimum(m["soil"] / (lp * m["smax"]), 1)

    model = base.replace("et", limited)
    assert model.parameter("lp").default == 0.7
    assert symbol("lp") in flux(model, "et").free_symbols
    assert model.boundary == base.boundary


def test_process_of_the_library_declares_the_term_under_its_name(base):
    model = base.replace(
        "et",
        lambda m: evapotranspiration.limit_lp(m, pet=m["pet"], soil=m["soil"], capacity=m["smax"]),
    )
    assert {"lp"} == {p.name for p in model.parameters} - {p.name for p in base.parameters}
    assert [f.name for f in model.fluxes].count("et") == 1


def test_function_that_declares_a_network(base):
    model = base.replace(
        "et", lambda m: m.network("et", {m["soil"]: (0, 1500)}, "mm d-1", positive=True)
    )
    assert [n.name for n in model.networks] == ["et"]


def test_network(base):
    row = NetworkInput(symbol("soil"), 0, 1500)
    model = base.replace("et", Network("any", "mm d-1", (row,), positive=True))
    assert [n.name for n in model.networks] == ["et"]


def test_equation_brings_its_parameters_and_constants(base):
    a, ref = symbol("a"), symbol("ref")
    equation = Equation(
        a * symbol("soil") / ref,
        (Parameter("a", "mm d-1", (0, 10), 2.0),),
        (Constant("ref", "mm", 100.0),),
    )
    model = base.replace("et", equation)
    assert model.parameter("a").default == 2.0
    assert str(equation) == "a*soil/ref"
    assert r"\mathrm{soil}" in equation._repr_latex_()
    with pytest.raises(UnitError, match="et"):
        base.replace("et", Equation(a * symbol("soil"), equation.parameters))


def test_what_is_wrong_is_told(base):
    with pytest.raises(DeclarationError, match="did you mean 'et'"):
        base.replace("ett", "pet")
    with pytest.raises(DeclarationError, match=r"'soli' is not declared \(did you mean 'soil'"):
        base.replace("et", lambda m: m["pet"] * m["soli"])
    with pytest.raises(DeclarationError, match="is not an expression"):
        base.replace("et", lambda m: "pet")
    with pytest.raises(DeclarationError, match="used as parameter and as parameter"):
        base.replace("et", Equation(sympy.Integer(0), (base.parameter("smax"),)))


def test_defaults_move_within_bounds(base):
    model = base.with_defaults({"smax": 1e9, "f": 0.05})
    assert model.parameter("smax").default == base.parameter("smax").bounds[1]
    assert model.parameter("f").default == 0.05
    with pytest.raises(DeclarationError, match="did you mean 'smax'"):
        base.with_defaults({"smx": 1})
