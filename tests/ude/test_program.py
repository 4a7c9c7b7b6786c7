import numpy as np
import pytest
import sympy

from hybridwater.ude import UDE, models
from hybridwater.ude.functions import symbol
from hybridwater.ude.program import Assign, Perceptron, initial_weights


def gated(**physics):
    """One store that a network empties."""
    return UDE.from_dict(
        {
            "name": "gated",
            "forcings": {"pet": {"unit": "mm d-1"}},
            "states": {"soil": {"unit": "mm", "equation": "half - et"}},
            "constants": {"two": {"unit": "1", "value": 2}},
            "fluxes": {"half": {"unit": "mm d-1", "equation": "et / two"}},
            "networks": {
                "et": {
                    "unit": "mm d-1",
                    "inputs": {"soil": [0, 200], "pet * two": [2, 6]},
                    "hidden": [3, 5],
                    "scale": 4,
                }
                | physics
            },
        }
    ).program


Z = symbol("et__raw")


def output(**physics):
    return next(s.expression for s in gated(**physics).steps if s.name == "et")


def test_steps_are_in_an_order_that_can_be_computed():
    program = gated()
    assert [s.name for s in program.steps] == ["et__raw", "et", "half"]
    assert isinstance(program.steps[0], Perceptron)
    assert isinstance(program.steps[1], Assign)
    assert program.states == ("soil",)
    assert program.forcings == ("pet",)
    assert program.parameters == ()


def test_constants_are_numbers():
    program = gated()
    expressions = [s.expression for s in program.steps if isinstance(s, Assign)]
    assert not any(e.has(symbol("two")) for e in expressions)
    assert program.steps[-1].expression.subs(symbol("et"), 3) == 1.5


@pytest.mark.parametrize(("pet", "scaled"), [(1, -1), (2, 0), (3, 1), (5, 3)])
def test_inputs_are_scaled(pet, scaled):
    first = gated().steps[0]
    assert first.index == 0
    assert float(first.inputs[1].subs(symbol("pet"), pet)) == scaled
    assert float(first.inputs[0].subs(symbol("soil"), 100)) == 0


@pytest.mark.parametrize("z", [-3.0, 0.0, 2.0])
@pytest.mark.parametrize(
    ("physics", "expected"),
    [
        ({}, lambda z: 4 * z),
        ({"positive": True}, lambda z: 4 * np.log1p(np.exp(z))),
        ({"positive": "softplus"}, lambda z: 4 * np.log1p(np.exp(z))),
        ({"positive": "exp"}, lambda z: 4 * np.exp(z)),
        ({"bounds": [1, 3]}, lambda z: 1 + 2 / (1 + np.exp(-z))),
    ],
)
def test_the_physics_around_a_network(physics, expected, z):
    assert float(output(**physics).subs(Z, z)) == pytest.approx(expected(z), rel=1e-12)


@pytest.mark.parametrize(("soil", "gate"), [(-5, 0), (0, 0), (2, 0.5), (6, 0.75)])
def test_the_gate_of_an_empty_store(soil, gate):
    value = output(zero_when_empty="soil").subs({Z: 1, symbol("soil"): soil})
    assert float(value) == pytest.approx(4 * gate)


def test_layout_of_the_weights():
    program = gated()
    (layout,) = program.networks
    assert layout.sizes == (2, 3, 5, 1)
    assert program.n_weights == 2 * 3 + 3 + 3 * 5 + 5 + 5 + 1
    covered = np.zeros(program.n_weights, int)
    for w, b, (n_out, n_in) in layout.layers:
        assert w.stop - w.start == n_in * n_out
        assert b.stop - b.start == n_out
        covered[w] += 1
        covered[b] += 1
    assert (covered == 1).all()


def test_two_networks_do_not_share_weights():
    first, second = models.exp_hydro_hybrid().program.networks
    assert first.offset == 0
    assert second.offset == first.layers[-1][1].stop
    assert second.layers[-1][1].stop == models.exp_hydro_hybrid().program.n_weights


def test_signs_of_a_monotone_network():
    (layout,) = gated(monotone={"soil": -1}).networks
    np.testing.assert_array_equal(layout.signs[0], np.tile([-1, 0], (3, 1)))
    assert all((later == 1).all() for later in layout.signs[1:])
    (free,) = gated().networks
    assert not any(signs.any() for signs in free.signs)


def test_initial_weights():
    program = gated()
    weights = initial_weights(program, seed=3)
    assert weights.shape == (program.n_weights,)
    assert weights.dtype == np.float64
    np.testing.assert_array_equal(weights, initial_weights(program, seed=3))
    assert not np.array_equal(weights, initial_weights(program, seed=4))
    for k, (w, b, (n_out, n_in)) in enumerate(program.networks[0].layers):
        limit = np.sqrt(6 / (n_in + n_out)) * (0.1 if k == 2 else 1)
        assert 0 < np.abs(weights[w]).max() <= limit
        assert not weights[b].any()


@pytest.mark.parametrize(
    "make", [models.exp_hydro, models.hbv, models.gr4j, models.linear_reservoir]
)
def test_every_symbol_is_known_when_it_is_needed(make):
    program = make().program
    known = {symbol(n) for n in (*program.states, *program.forcings, *program.parameters)}
    for step in program.steps:
        assert step.expression.free_symbols <= known
        known.add(symbol(step.name))
    assert len(program.derivatives) == len(program.states)
    assert all(d.free_symbols <= known for d in program.derivatives)


def test_derivatives_have_the_order_of_the_states():
    program = models.exp_hydro().program
    snow = program.derivatives[program.states.index("snow")]
    assert snow == symbol("snowfall") - symbol("melt")
    assert all(isinstance(d, sympy.Expr) for d in program.derivatives)
