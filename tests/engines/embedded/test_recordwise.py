"""Gradients of the record-wise methods."""

import jax
import numpy as np
import pytest

from hybridwater.engines.base import FIXED_STEP, Options
from hybridwater.engines.embedded import adjoint
from hybridwater.engines.embedded.engine import EmbeddedSolver

NAMES = ("parameters", "weights", "initial_state", "forcing")
#: (method, output, interpolation): every method, and each choice that the adjoint depends on.
CHOICES = [(m, "mean", "constant") for m in FIXED_STEP]
CHOICES += [("rk4", "instantaneous", "pchip"), ("rosenbrock2", "mean", "linear")]
STEP = 0.8


def cotangents(solution, seed=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=solution.fluxes.shape), rng.normal(size=solution.states.shape)


def scalar(solution, fluxes_bar, states_bar):
    return (solution.fluxes * fluxes_bar).sum() + (solution.states * states_bar).sum()


def directions(inputs):
    """One random direction per group of inputs, others zero; sized as the inputs are."""
    rng = np.random.default_rng(5)
    # rain is left alone where it is zero: PCHIP has a kink there
    scales = [0.1, 0.1, 1.0, 0.1 * (inputs[2] != 0)]
    order = (0, 1, 3, 2)
    result = []
    for group, scale in zip(order, scales, strict=True):
        tangent = [np.zeros_like(a) for a in inputs]
        tangent[group] = rng.normal(size=inputs[group].shape) * scale
        result.append(tangent)
    return result


@pytest.fixture(scope="module", params=CHOICES, ids="-".join)
def gradient_case(request, hybrid, compiled):
    method, output, interpolation = request.param
    solver = compiled(
        hybrid.ude, method=method, substeps=2, output=output, interpolation=interpolation
    )
    solution, pullback = solver.solve_with_pullback(*hybrid.inputs, STEP, forcing_gradient=True)
    bars = cotangents(solution)
    return solver, hybrid.inputs, bars, pullback(*bars)


def along(gradients, tangent):
    parts = (gradients.parameters, gradients.weights, gradients.forcing, gradients.initial_state)
    return sum((g * t).sum() for g, t in zip(parts, tangent, strict=True))


def test_gradients_agree_with_finite_differences(gradient_case):
    solver, inputs, bars, gradients = gradient_case
    h = 2e-3
    for name, tangent in zip(NAMES, directions(inputs), strict=True):
        values = {}
        for k in (-2, -1, 1, 2):
            moved = [a + k * h * t for a, t in zip(inputs, tangent, strict=True)]
            values[k] = scalar(solver.solve(*moved, STEP), *bars)
        slope = (8.0 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12.0 * h)
        assert along(gradients, tangent) == pytest.approx(slope, rel=1e-6), name


def test_gradients_agree_with_forward_mode(gradient_case):
    solver, inputs, (fluxes_bar, states_bar), gradients = gradient_case
    with jax.enable_x64(True):

        def run(*arrays):
            states, fluxes, _, _ = solver._sweep(*arrays, np.float64(STEP))
            return (fluxes * fluxes_bar).sum() + (states * states_bar).sum()

        tangents = [np.stack(group) for group in zip(*directions(inputs), strict=True)]
        push = jax.jit(jax.vmap(lambda *t: jax.jvp(run, inputs, t)[1]))
        slopes = np.asarray(push(*tangents))
    for name, tangent, slope in zip(NAMES, directions(inputs), slopes, strict=True):
        assert along(gradients, tangent) == pytest.approx(slope, rel=1e-6), name


def test_no_parameter_weight_or_initial_state_is_without_gradient(gradient_case):
    _, _, _, gradients = gradient_case
    for name in NAMES[:3]:
        assert (np.abs(getattr(gradients, name)) > 0).all(), name


def test_without_cotangents_of_states_or_gradient_of_forcing(hybrid, compiled):
    solver = compiled(hybrid.ude, method="rk4", substeps=2)
    solution, pullback = solver.solve_with_pullback(*hybrid.inputs)
    bar, _ = cotangents(solution)
    a, b = pullback(bar), pullback(bar, np.zeros_like(solution.states))
    assert a.forcing is None
    for name in NAMES[:3]:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def gradients_of(solver, inputs):
    solution, pullback = solver.solve_with_pullback(*inputs, STEP, forcing_gradient=True)
    return pullback(*cotangents(solution))


def assert_same(a, b):
    for name in NAMES:
        x, y = getattr(a, name), getattr(b, name)
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-12 * np.abs(y).max(), err_msg=name)


@pytest.mark.parametrize("lanes", [1, 20, 68])
def test_chunks_do_not_matter(hybrid, compiled, monkeypatch, lanes):
    """23 records of 2 basins in 2 substeps: chunks of 1, of 5 (padded) and of 17 (padded)."""
    expected = gradients_of(compiled(hybrid.ude, method="rk4", substeps=2), hybrid.inputs)
    monkeypatch.setattr(adjoint, "CHUNK_LANES", lanes)
    assert_same(gradients_of(EmbeddedSolver(hybrid.ude, Options()), hybrid.inputs), expected)


@pytest.mark.parametrize("output", ["mean", "instantaneous"])
def test_both_adjoints_agree(hybrid, compiled, monkeypatch, output):
    options = Options(method="heun", substeps=3, output=output)
    expected = gradients_of(EmbeddedSolver(hybrid.ude, options), hybrid.inputs)
    monkeypatch.setattr(adjoint, "MAX_PARALLEL_STATES", 1)
    assert_same(gradients_of(EmbeddedSolver(hybrid.ude, options), hybrid.inputs), expected)


@pytest.mark.parametrize(
    ("time", "n", "batch", "length"), [(100, 1, 1, 100), (5000, 2, 4, 256), (10, 4, 10**6, 1)]
)
def test_length_of_a_chunk(time, n, batch, length):
    assert adjoint.chunk_length(time, n, batch) == length
