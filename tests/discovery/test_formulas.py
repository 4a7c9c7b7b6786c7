"""Programs, the units of their constants, and the equations that they become."""

from __future__ import annotations

import numpy as np
import pytest
import sympy

from hybridwater import units
from hybridwater.discovery.drafting import Place
from hybridwater.discovery.formulas import OPERATORS, Formula, System, fold
from hybridwater.errors import UnitError

TOKEN = {o.name: -k for k, o in enumerate(OPERATORS, 1)}
UNITS = {"soil": "mm", "pet": "mm d-1", "tmean": "degC"}
RNG = np.random.default_rng(0)
X = {
    "soil": RNG.uniform(10, 500, 50),
    "pet": RNG.uniform(0.2, 5, 50),
    "tmean": RNG.uniform(-9, 20, 50),
}


@pytest.fixture
def make(learned):
    """Make a formula from words: names of inputs, operators, and numbers of the model's units."""

    def make(words: str, *inputs: str, constants=()):
        model = learned("et", *inputs)
        place = Place(model.network("et"), model.units, tuple(UNITS[i] for i in inputs))
        x = np.stack([X[i] for i in inputs], axis=1)
        system = System.of(place, x, np.full(50, 2.0))
        program = tuple(
            0 if w == "c" else inputs.index(w) + 1 if w in inputs else TOKEN[w]
            for w in words.split()
        )
        formula = Formula.of(program, np.ones(program.count(0)), system)
        if formula is None:
            return None, x
        sizes = np.array([system.size(p) for p in formula.powers])
        given = np.array(constants or np.ones(program.count(0)))
        return Formula(program, given / sizes, formula.powers, system), x

    return make


def spelled(formula):
    return [units.parse(formula.system.unit(p)) for p in formula.powers]


@pytest.mark.parametrize(
    ("words", "inputs", "expected"),
    [
        ("pet soil * soil c + /", ("soil", "pet"), ["mm"]),
        ("c soil *", ("soil",), ["d-1"]),
        ("c soil c / exp *", ("soil",), ["mm d-1", "mm"]),
        ("c tmean c - positive *", ("tmean",), ["mm d-1 K-1", "delta_degC"]),
        ("c soil c power *", ("soil",), ["mm d-1", "1"]),
        ("pet soil c * c smaller *", ("soil", "pet"), ["mm-1", "1"]),
        ("c pet c * soil + *", ("soil", "pet"), ["d-1", "d"]),
    ],
)
def test_constants_have_the_units_that_make_it_consistent(make, words, inputs, expected):
    formula, _ = make(words, *inputs)
    assert spelled(formula) == [units.parse(u) for u in expected]


@pytest.mark.parametrize(
    "words",
    ["soil", "soil pet +", "c soil exp *", "pet soil tanh *", "c soil pet power *", "pet soil -"],
)
def test_what_is_not_consistent_is_no_formula(make, words):
    assert make(words, "soil", "pet")[0] is None


def test_values_are_those_of_the_law_in_its_own_units(make):
    formula, x = make("pet soil * soil c + /", "soil", "pet", constants=(150.0,))
    np.testing.assert_allclose(formula.values(x), x[:, 1] * x[:, 0] / (x[:, 0] + 150.0))
    formula, x = make("c soil c / exp *", "soil", constants=(0.1, 80.0))
    np.testing.assert_allclose(formula.values(x), 0.1 * np.exp(x[:, 0] / 80.0))
    formula, x = make("c tmean c - positive *", "tmean", constants=(2.5, 1.5))
    np.testing.assert_allclose(formula.values(x), 2.5 * np.maximum(x[:, 0] - 1.5, 0))


@pytest.mark.parametrize(
    ("words", "inputs", "constants"),
    [
        ("pet soil * soil c + /", ("soil", "pet"), (150.0,)),
        ("c soil c power *", ("soil",), (1.3, 2.5)),
        ("c soil pet / c power *", ("soil", "pet"), (1.3, 0.5)),
        ("c tmean c - positive * pet smaller", ("tmean", "pet"), (2.5, 1.5)),
        ("c pet c - tanh *", ("pet",), None),
    ],
)
def test_the_equation_says_what_the_formula_computes(make, words, inputs, constants):
    formula, x = make(words, *inputs, constants=constants)
    if constants is None:  # tanh of a difference with a unit
        assert formula is None
        return
    equation = formula.write()  # checks units
    known = {c.name: c.value for c in equation.constants}
    known |= {p.name: p.default for p in equation.parameters}
    for p in equation.parameters:
        assert p.bounds[0] < p.default < p.bounds[1]
    symbols = sorted(equation.expression.free_symbols, key=str)
    row = {n: x[:, k] for k, n in enumerate(inputs)}
    values = [known[str(s)] if str(s) in known else row[str(s)] for s in symbols]
    function = sympy.lambdify(
        symbols, equation.expression, [{"Max": np.maximum, "Min": np.minimum}, "numpy"]
    )
    np.testing.assert_allclose(function(*values), formula.values(x), rtol=1e-4)


def test_a_fixed_scale_stands_only_below_a_power(make):
    formula, _ = make("c soil c power *", "soil", constants=(1.3, 2.5))
    assert [units.parse(c.unit) for c in formula.write().constants] == [units.parse("mm")]
    formula, _ = make("pet soil * soil c + /", "soil", "pet")
    assert formula.write().constants == ()


def test_units_make_sizes_near_one(make):
    formula, x = make("pet soil * soil c + /", "soil", "pet")
    assert np.all(np.abs(np.log(np.median(formula.system.scaled(x), axis=0))) < np.log(10))


def test_a_program_is_read_from_left_to_right():
    words = [1, 2, TOKEN["-"], 0, TOKEN["/"]]
    text = fold(tuple(words), ["c"], ["a", "b"], lambda o, a, b: f"({a} {o.name} {b})")
    assert text == "((a - b) / c)"


def test_the_writer_does_not_trust_the_units(make):
    formula, _ = make("c soil *", "soil")
    formula.powers[0] = 0 * formula.powers[0]
    with pytest.raises(UnitError, match="has the unit"):
        formula.write()
