"""Written-out derivatives against JAX, which differentiates the same programs by itself."""

from __future__ import annotations

import itertools
import math

import jax
import numpy as np
import pytest
import sympy

from hybridwater.engines.embedded.equations import equations, unpack_weights
from hybridwater.ude import models
from hybridwater.ude.derivatives import (
    TIME,
    Backpropagate,
    InputGradient,
    Iterate,
    LinearSystem,
    jacobian,
    pullback,
    rates,
)
from hybridwater.ude.functions import symbol
from hybridwater.ude.model import UDE
from hybridwater.ude.program import Assign, Perceptron, initial_weights

MODELS = {
    "exp_hydro": (models.exp_hydro, ("q", "et")),
    "exp_hydro_hybrid": (lambda: models.exp_hydro_hybrid((4, 3)), ("q", "et", "prcp")),
    "regional_hybrid": (lambda: models.regional_hybrid(2, (5,)), ("q", "et", "met")),
    "hbv": (models.hbv, ("q",)),
    "neural_ode": (models.neural_ode, ("q",)),
}
#: Models with unknowns, see the fixture ``implicit_models``.
IMPLICIT = {
    "one": ("surface", "gain"),
    "two": ("between", "leaves", "gain"),
    "learned": ("warmth", "surface"),
}
RANGES = {"radiation": (100, 500), "air": (250, 300)}


@pytest.fixture(params=[*MODELS, *IMPLICIT])
def model(request, implicit_models):
    if request.param in IMPLICIT:
        return implicit_models[request.param], IMPLICIT[request.param]
    make, outputs = MODELS[request.param]
    return make(), outputs


class Interpreter:
    """Runs straight code with numbers; the networks in numpy, layer by layer."""

    def __init__(self, program, values, weights):
        self.values = {symbol(n): float(v) for n, v in values.items()}
        with jax.enable_x64(True):
            self.networks = [
                [(np.asarray(w), np.asarray(b)) for w, b in layers]
                for layers in unpack_weights(program.networks, jax.numpy.asarray(weights))
            ]
        self.activations = [network.activation for network in program.networks]
        self.inputs = {}
        self.bars = {}

    def number(self, expression):
        bound = expression.subs(self.values)
        return float(bound.replace(sympy.Heaviside, lambda x, *_: 0.5 * (1 + np.sign(float(x)))))

    def network(self, index, x):
        act = {"tanh": np.tanh, "silu": lambda v: v / (1 + np.exp(-v)), "softplus": _softplus}
        layers = self.networks[index]
        for k, (w, b) in enumerate(layers):
            x = w @ x + b
            x = act[self.activations[index]](x) if k < len(layers) - 1 else x
        return x[0]

    def gradient(self, index):
        x, h = self.inputs[index], 1e-6
        steps = [h * np.eye(x.size)[k] for k in range(x.size)]
        return [(self.network(index, x + s) - self.network(index, x - s)) / (2 * h) for s in steps]

    def run(self, straight):
        for step in straight.steps:
            if isinstance(step, Assign):
                self.values[symbol(step.name)] = self.number(step.expression)
            elif isinstance(step, Perceptron):
                self.inputs[step.index] = np.array([self.number(e) for e in step.inputs])
                z = self.network(step.index, self.inputs[step.index])
                self.values[symbol(step.name)] = z
            elif isinstance(step, Iterate):
                self.newton(step)
            elif isinstance(step, LinearSystem):
                n = len(step.names)
                matrix = np.reshape([self.number(e) for e in step.matrix], (n, n))
                found = np.linalg.solve(matrix, [self.number(e) for e in step.right])
                self.values |= {symbol(k): v for k, v in zip(step.names, found, strict=True)}
            else:
                bar = 1.0
                if isinstance(step, Backpropagate):
                    bar = self.number(step.bar)
                    self.bars[step.index] = self.bars.get(step.index, 0.0) + bar
                else:
                    assert isinstance(step, InputGradient)
                for name, slope in zip(step.names, self.gradient(step.index), strict=True):
                    self.values[symbol(name)] = bar * slope
        return {key: self.number(e) for key, e in straight.results.items()}

    def newton(self, step):
        z, n = np.array(step.guesses), range(len(step.names))
        for _ in range(20):
            self.values |= {symbol(k): v for k, v in zip(step.names, z, strict=True)}
            found = self.run(step.body)
            slopes = np.array([[found.get((i, j), 0.0) for j in n] for i in n])
            z = z - np.linalg.solve(slopes, [found["residual", i] for i in n])
        self.values |= {symbol(k): v for k, v in zip(step.names, z, strict=True)}


def _softplus(v):
    return np.logaddexp(v, 0.0)


def case(model, seed=0):
    """Return a program, its outputs and one random place."""
    ude, outputs = model
    program = ude.program
    rng = np.random.default_rng(seed)
    weights = initial_weights(program, seed) + rng.normal(0, 0.1, program.n_weights)
    given = {n: rng.uniform(1, 40) for n in program.states}
    given |= {n: rng.uniform(*RANGES.get(n, (0.5, 12))) for n in program.forcings}
    given |= {n: ude.parameter(n).default * rng.uniform(0.8, 1.2) for n in program.parameters}
    return program, outputs, given, weights


def by_jax(program, outputs):
    f = equations(program, outputs)

    def flat(states, forcings, parameters, weights):
        layers = unpack_weights(program.networks, weights)
        arrays = ([v[None] for v in group] for group in (states, forcings, parameters))
        derivatives, wanted = f(*arrays, layers)
        return jax.numpy.stack([v[0] for v in (*derivatives, *wanted)])

    return flat


def arguments(program, given, weights):
    groups = (program.states, program.forcings, program.parameters)
    return (*(jax.numpy.array([given[n] for n in names]) for names in groups), weights)


def test_rates_are_those_of_the_embedded_engine(model):
    program, outputs, given, weights = case(model)
    found = Interpreter(program, given, weights).run(rates(program, outputs))
    with jax.enable_x64(True):
        expected = by_jax(program, outputs)(*arguments(program, given, weights))
    assert list(found) == [("state", i) for i in range(len(program.states))] + [
        ("output", j) for j in range(len(outputs))
    ]
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-10)


def test_pullback_agrees_with_jax(model):
    program, outputs, given, weights = case(model, 1)
    n, m = len(program.states), len(outputs)
    bars = np.random.default_rng(2).normal(size=n + m)
    names = [f"bar__state{i}" for i in range(n)] + [f"bar__output{j}" for j in range(m)]
    interpreter = Interpreter(program, given | dict(zip(names, bars, strict=True)), weights)
    found = interpreter.run(pullback(program, outputs))
    with jax.enable_x64(True):
        _, pull = jax.vjp(by_jax(program, outputs), *arguments(program, given, weights))
        *expected, weights_bar = (np.asarray(a) for a in pull(jax.numpy.asarray(bars)))
    np.testing.assert_allclose(list(found.values()), np.concatenate(expected), rtol=1e-6, atol=1e-8)
    for network in program.networks:  # the bias of the last layer is added to the raw output
        index = program.networks.index(network)
        last = network.layers[-1][1]
        bar = interpreter.bars.get(index, 0.0)
        np.testing.assert_allclose(bar, weights_bar[last][0], rtol=1e-6)


def test_jacobian_agrees_with_jax(model):
    program, outputs, given, weights = case(model, 3)
    pace = {f: 0.3 * k + 0.1 for k, f in enumerate(program.forcings)}
    extra = {f"rate__{f}": v for f, v in pace.items()}
    found = Interpreter(program, given | extra, weights).run(jacobian(program, outputs))
    with jax.enable_x64(True):
        at = arguments(program, given, weights)
        slopes = jax.jacobian(by_jax(program, outputs), (0, 1))(*at)
    by_states, by_forcings = map(np.asarray, slopes)
    n = len(program.states)
    full = np.column_stack([by_states, by_forcings @ np.array(list(pace.values()))])
    rows, columns = range(n + len(outputs)), (*range(n), TIME)
    for (r, row), (c, column) in itertools.product(enumerate(rows), enumerate(columns)):
        assert math.isclose(
            found.get((row, column), 0.0), full[r, c], rel_tol=1e-6, abs_tol=1e-8
        ), (row, column)


def test_zeros_of_the_jacobian_are_left_out():
    program = models.exp_hydro().program
    found = jacobian(program, ()).results
    assert (0, 1) not in found  # snow does not depend on soil
    assert (1, 0) in found


def test_what_nobody_asks_for_is_not_computed():
    program = models.regional_hybrid(2, (5,)).program
    names = {s.name for s in rates(program, ()).steps if isinstance(s, Assign)}
    assert "q" not in names
    assert "q" in {s.name for s in rates(program, ("q",)).steps if isinstance(s, Assign)}


def test_thresholds_have_the_derivative_of_one_side():
    ude = UDE.from_dict(
        {
            "name": "threshold",
            "forcings": {"prcp": {"unit": "mm d-1"}},
            "parameters": {"k": {"unit": "d-1", "bounds": [0, 2], "default": 0.5}},
            "constants": {"a": {"unit": "mm", "value": 10}, "b": {"unit": "mm", "value": 20}},
            "fluxes": {
                "q": {"unit": "mm d-1", "equation": "where(S > a, k * (S - a), 0)"},
                "r": {"unit": "mm d-1", "equation": "k * max(S - b, 0) + k * abs(S)"},
            },
            "states": {"S": {"unit": "mm", "equation": "prcp - q - r"}},
        }
    )
    straight = jacobian(ude.program, ("q", "r"))
    for storage, slopes in ((5.0, (0.0, 0.5)), (15.0, (0.5, 0.5)), (25.0, (0.5, 1.0))):
        given = {"S": storage, "prcp": 1.0, "k": 0.5, "rate__prcp": 0.0}
        found = Interpreter(ude.program, given, np.zeros(0)).run(straight)
        assert tuple(found.get((r, 0), 0.0) for r in (1, 2)) == slopes


@pytest.mark.parametrize("store", [0.0, 30.0])
def test_powers_of_an_empty_store(store):
    ude = UDE.from_dict(
        {
            "name": "power",
            "parameters": {
                "k": {"unit": "mm d-1", "bounds": [0, 9], "default": 2},
                "full": {"unit": "mm", "bounds": [1, 100], "default": 20},
                "b": {"unit": "1", "bounds": [1, 4], "default": 1.5},
            },
            "fluxes": {"q": {"unit": "mm d-1", "equation": "k * (S / full) ** b"}},
            "states": {"S": {"unit": "mm", "equation": "-q"}},
        }
    )
    program, given = ude.program, {"S": store, "k": 2.0, "full": 20.0, "b": 1.5}
    bars = {"bar__state0": 1.0, "bar__output0": 0.5}
    found = Interpreter(program, given | bars, np.zeros(0)).run(pullback(program, ("q",)))
    slopes = Interpreter(program, given, np.zeros(0)).run(jacobian(program, ("q",)))
    with jax.enable_x64(True):
        at = arguments(program, given, np.zeros(0))
        _, pull = jax.vjp(by_jax(program, ("q",)), *at)
        *expected, _ = map(np.asarray, pull(jax.numpy.array([1.0, 0.5])))
    np.testing.assert_allclose(list(found.values()), np.concatenate(expected), rtol=1e-12)
    assert math.isclose(slopes[0, 0], 2 * expected[0][0], rel_tol=1e-12)
