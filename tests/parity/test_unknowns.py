"""Models with unknowns, engine against engine."""

from __future__ import annotations

import numpy as np
import pytest

from hybridwater.engines import Options, get_engine
from hybridwater.ude.program import initial_weights

pytestmark = pytest.mark.julia


def inputs(ude, batch=3, days=30):
    rng = np.random.default_rng(0)
    defaults = np.array([ude.parameter(n).default for n in ude.program.parameters])
    parameters = defaults * rng.uniform(0.8, 1.2, (batch, defaults.size))
    weights = initial_weights(ude.program, 0)
    weights = weights + rng.normal(0.0, 0.2, weights.size)
    radiation, air = rng.uniform(100, 500, (batch, days)), rng.uniform(250, 300, (batch, days))
    return parameters, weights, np.stack([radiation, air], axis=-1), np.full((batch, 1), 500.0)


def results(engine, ude, arrays, **options):
    solver = get_engine(engine).compile(ude, Options(**options))
    solution, pullback = solver.solve_with_pullback(*arrays, forcing_gradient=True)
    rng = np.random.default_rng(1)
    bars = [rng.normal(size=a.shape) for a in (solution.fluxes, solution.states)]
    found = pullback(*bars)
    gradients = (found.parameters, found.weights, found.initial_state, found.forcing)
    return (solution.states, solution.fluxes), gradients


def close(found, expected, relative):
    for a, b in zip(found, expected, strict=True):
        scale = np.abs(b).max() if b.size else 1.0
        np.testing.assert_allclose(a, b, rtol=0, atol=relative * scale)


@pytest.mark.parametrize("name", ["one", "two", "learned"])
def test_record_wise_methods_give_the_same_numbers_and_gradients(implicit_models, name):
    ude = implicit_models[name]
    arrays = inputs(ude)
    expected = results("embedded", ude, arrays, method="rk4", interpolation="linear")
    found = results("julia", ude, arrays, method="rk4", interpolation="linear")
    close(found[0], expected[0], 1e-11)
    close(found[1], expected[1], 1e-9)


@pytest.mark.parametrize("name", ["one", "learned"])
def test_the_stiff_adjoint_differentiates_unknowns_twice(implicit_models, name):
    ude = implicit_models[name]
    arrays = inputs(ude)
    tight = {"rtol": 1e-9, "atol": 1e-9, "interpolation": "linear"}
    expected = results("embedded", ude, arrays, method="rk4", substeps=40, interpolation="linear")
    found = results("julia", ude, arrays, method="rodas5p", **tight)
    close(found[0], expected[0], 1e-7)
    close(found[1], expected[1], 1e-6)


def test_no_solution_is_named(energy_balance):
    from hybridwater.ude import UDE

    spec = energy_balance()
    spec["unknowns"]["surface"]["bounds"] = [250, 400]
    ude = UDE.from_dict(spec)
    forcing = np.array([[[300.0, 280.0], [300.0, 280.0], [300.0, 200.0]]] * 2)
    forcing[0, 2, 1] = 280.0
    arrays = (np.full((2, 1), 12.0), np.zeros(0), forcing, np.full((2, 1), 500.0))
    for method in ("rk4", "rodas5p"):
        solution = get_engine("julia").compile(ude, Options(method=method)).solve(*arrays)
        (failure,) = solution.failures
        assert (failure.batch, failure.record) == (1, 2)
        assert failure.reason == "The equation of 'surface' has no solution between 250 and 400."
        assert np.isfinite(solution.states[0]).all()
