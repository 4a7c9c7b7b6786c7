"""The written-out vector-Jacobian product of a model with columns, against JAX."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import sympy

from hybridwater.engines.embedded.equations import (
    equations,
    evaluate,
    join,
    split,
    unpack_weights,
)
from hybridwater.ude.derivatives import Backpropagate, pullback, rates
from hybridwater.ude.functions import symbol
from hybridwater.ude.moves import Assign, Move
from hybridwater.ude.program import Perceptron

OUTPUTS = ("q", "total", "share", "rain")


class Interpreter:
    """Runs straight code with arrays of cells or faces; networks in numpy."""

    def __init__(self, program, given, weights):
        self.values = dict(given)
        self.program = program
        self.layers = [
            [(np.asarray(w), np.asarray(b)) for w, b in layers]
            for layers in unpack_weights(program.networks, jax.numpy.asarray(weights))
        ]

    def number(self, e):
        e = e.replace(sympy.Heaviside, lambda x, *_: (x > 0) * sympy.Integer(1) if x.is_number
                      else sympy.Piecewise((1, x > 0), (0, True)))  # fmt: skip
        found = evaluate(e, {symbol(n): v for n, v in self.values.items()})
        return np.asarray(found, float)

    def network(self, index, x):
        for w, b in self.layers[index][:-1]:
            x = np.tanh(np.tensordot(w, x, 1) + b.reshape(-1, *(1,) * (x.ndim - 1)))
        w, b = self.layers[index][-1]
        return (np.tensordot(w, x, 1) + b.reshape(-1, *(1,) * (x.ndim - 1)))[0]

    def move(self, step):
        first, *edges = map(self.number, step.operands)
        first = np.broadcast_to(first, (step.source.size,))
        match step.kind:
            case "above":
                return np.concatenate([np.ravel(edges[0]), first]) if edges else first[:-1]
            case "below":
                return np.concatenate([first, np.ravel(edges[0])]) if edges else first[1:]
            case "ends":
                return np.concatenate([np.ravel(edges[0]), first[1:-1], np.ravel(edges[1])])
            case "uppermost":
                return first[0]
            case "lowermost":
                return first[-1]
        return first.sum()

    def run(self, straight):
        for step in straight.steps:
            if isinstance(step, Assign):
                value = self.number(step.expression)
                size = () if step.place is None else (step.place.size,)
                self.values[step.name] = np.broadcast_to(value, size or value.shape)
            elif isinstance(step, Move):
                self.values[step.name] = self.move(step)
            else:
                x = np.stack(np.broadcast_arrays(*map(self.number, step.inputs)))
                if isinstance(step, Perceptron):
                    self.values[step.name] = self.network(step.index, x)
                    continue
                assert isinstance(step, Backpropagate)
                bar = self.number(step.bar)
                for k, name in enumerate(step.names):
                    h = np.zeros((len(x), *(1,) * (x.ndim - 1)))
                    h[k] = 1e-5
                    up, down = self.network(step.index, x + h), self.network(step.index, x - h)
                    self.values[name] = bar * (up - down) / 2e-5
        return {key: self.number(e) for key, e in straight.results.items()}


@pytest.fixture(scope="module")
def place(layered):
    """One random place in the inputs of the model, with JAX's derivative there."""
    program = layered.program
    rng = np.random.default_rng(0)
    states = rng.uniform(1, 5, program.n_states)
    p = np.array([layered.parameter(n).default for n in program.parameters])
    weights, x = rng.normal(size=program.n_weights), np.array([2.0])
    f = equations(program, OUTPUTS)

    def flat(states, x, p):
        blocks = split(program, program.states, states)
        d, o = f(blocks, list(x), list(p), unpack_weights(program.networks, weights))
        return join([*d, *o], states)

    with jax.enable_x64(True):
        arguments = tuple(map(jax.numpy.asarray, (states, x, p)))
        values, pull = jax.vjp(flat, *arguments)
        bar = rng.normal(size=values.size)
        expected = [np.asarray(v) for v in pull(jax.numpy.asarray(bar))]
    given = dict(zip(program.forcings, x, strict=True)) | dict(
        zip(program.parameters, p, strict=True)
    )
    slices = zip(program.states, program.slices(program.states), strict=True)
    given |= {n: states[s] if n in program.places else states[s.start] for n, s in slices}
    given |= program.geometry
    return program, given, weights, np.asarray(values), bar, expected


def test_rates(place):
    program, given, weights, expected, *_ = place
    with jax.enable_x64(True):
        found = Interpreter(program, given, weights).run(rates(program, OUTPUTS))
    sizes = program.sizes((*program.states, *OUTPUTS))
    whole = [np.broadcast_to(v, (n,)) for v, n in zip(found.values(), sizes, strict=True)]
    np.testing.assert_allclose(np.concatenate(whole), expected, rtol=1e-12)


def test_pullback(place):
    program, given, weights, _, bar, expected = place
    names = (*program.states, *OUTPUTS)
    keys = [f"bar__state{i}" for i in range(2)] + [f"bar__output{j}" for j in range(len(OUTPUTS))]
    parts = [bar[s] if n in program.places else bar[s.start]
             for n, s in zip(names, program.slices(names), strict=True)]  # fmt: skip
    bars = dict(zip(keys, parts, strict=True))
    with jax.enable_x64(True):
        found = Interpreter(program, given | bars, weights).run(pullback(program, OUTPUTS))
    states = np.concatenate([np.ravel(found["state", i]) for i in range(2)])
    np.testing.assert_allclose(states, expected[0], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found["forcing", 0], expected[1][0], rtol=1e-6)
    parameters = [found["parameter", m] for m in range(2)]
    np.testing.assert_allclose(np.ravel(parameters), expected[2], rtol=1e-6)
