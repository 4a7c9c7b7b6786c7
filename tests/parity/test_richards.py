"""Infiltration fronts in Julia, in the embedded engine and in scipy, on the same equations."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.sparse import csr_array

from hybridwater.engines.embedded.equations import equations, join, split
from hybridwater.ude.models import richards, richards_hybrid, richards_water
from hybridwater.ude.program import initial_weights
from hybridwater.ude.sparsity import sparsity

pytestmark = pytest.mark.julia

DRY = -10_000.0
#: New Mexico soil of Celia et al. (1990), sect. 5, in mm and days.
SOIL = {"alpha": 0.00335, "n": 2.0, "theta_s": 0.368, "theta_r": 0.102}
SOIL |= {"ks": 0.00922 * 10 * 86400, "air_entry": 1e-3}
EDGES = {"surface_head": -750.0, "water_table": 1000.0 - DRY}


def front(cells):
    """Infiltration into dry soil: the model, its parameters and the state at the beginning."""
    ude = richards(cells, 1000.0, upper="head", lower="water_table")
    values = {p.name: p.default for p in ude.parameters} | SOIL | EDGES
    p = np.array([[values[n] for n in ude.program.parameters]])
    return ude, p, richards_water(ude, DRY, SOIL | EDGES)


def by_scipy(ude, p, initial, days, method="Radau", tolerance=1e-9):
    """Solve the same right-hand side, evaluated by JAX, with scipy."""
    program = ude.program
    f = equations(program, ())

    @jax.jit
    def rates(states):
        derivatives, _ = f(split(program, program.states, states), [], list(p[0]), [])
        return join(derivatives, states)

    pattern = sparsity(program, ())
    jac = csr_array((np.ones(len(pattern.rows)), (pattern.rows, pattern.columns)))
    with jax.enable_x64(True):
        found = solve_ivp(
            lambda t, y: np.asarray(rates(y)),
            (0.0, days),
            initial[0],
            method=method,
            rtol=tolerance,
            atol=tolerance,
            jac_sparsity=jac,
        )
    assert found.success
    return found.y[:, -1]


@pytest.fixture(scope="module")
def infiltration():
    ude, p, initial = front(200)
    return ude, p, initial, by_scipy(ude, p, initial, 1.0)


@pytest.mark.parametrize("method", ["rodas5p", "rosenbrock23", "trbdf2", "kencarp4", "fbdf"])
def test_a_front_in_200_cells_is_that_of_scipy(infiltration, compiled, method):
    ude, p, initial, expected = infiltration
    fluxes = ("infiltration", "drainage")
    tolerance = 1e-6 if method in ("rosenbrock23", "trbdf2") else 1e-8
    solver = compiled(
        "julia",
        ude,
        method=method,
        rtol=tolerance,
        atol=tolerance,
        max_steps=100_000,
        fluxes=fluxes,
    )
    found = solver.solve(p, np.zeros(0), np.zeros((1, 1, 0)), initial, 1.0)
    assert not found.failures
    np.testing.assert_allclose(found.final_state[0], expected, rtol=0, atol=2e-4 * 5 * 0.368)
    gained, passed = found.final_state.sum() - initial.sum(), found.flux("infiltration").item()
    assert gained == pytest.approx(passed - found.flux("drainage").item(), rel=1e-8)
    assert 0 < found.statistics["factorizations"].item() <= 5000
    assert found.statistics["steps"].item() > 20


def gradients(solver, arrays):
    solution, pullback = solver.solve_with_pullback(*arrays)
    assert not solution.failures
    fluxes, states = np.zeros(solution.fluxes.shape), np.zeros(solution.states.shape)
    fluxes[..., 0], states[:, -1, ::3] = 1.0, 1.0
    return solution, pullback(fluxes, states)


def close(found, expected, relative):
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * np.abs(expected).max())


def test_engines_agree_on_values_and_gradients_of_the_hybrid(compiled):
    ude = richards_hybrid(12, (4,), depth=600.0)
    rng = np.random.default_rng(0)
    weights = initial_weights(ude.program, 0)
    weights = weights + rng.normal(0.0, 0.2, weights.size)
    values = np.array([[ude.parameter(n).default for n in ude.program.parameters]])
    rain = np.array([0.5, 1.0, 0.2]).reshape(1, 3, 1)  # the soil takes all of it: no kink
    arrays = (values, weights, rain, richards_water(ude, -1500.0))
    fluxes = ("infiltration", "drainage", "theta")
    embedded, expected = gradients(
        compiled("embedded", ude, method="rosenbrock2", substeps=1000, fluxes=fluxes), arrays
    )
    julia, found = gradients(
        compiled("julia", ude, method="rodas5p", rtol=1e-10, atol=1e-10, fluxes=fluxes,
                 max_steps=100_000), arrays
    )  # fmt: skip
    close(julia.states, embedded.states, 1e-6)
    close(julia.fluxes, embedded.fluxes, 1e-5)
    close(found.weights, expected.weights, 1e-4)
    close(found.initial_state, expected.initial_state, 1e-4)
    scale = np.abs(values)
    close(found.parameters * scale, expected.parameters * scale, 1e-4)


def test_the_gradient_of_a_front_is_its_slope(compiled):
    ude, p, initial = front(40)
    options = {"method": "rodas5p", "rtol": 1e-9, "atol": 1e-9, "max_steps": 100_000}
    solver = compiled("julia", ude, fluxes=("infiltration",), **options)

    def inflow(p):
        return solver.solve(p, np.zeros(0), np.zeros((1, 1, 0)), initial, 0.3).fluxes.item()

    arrays = (p, np.zeros(0), np.zeros((1, 1, 0)), initial, 0.3)
    solution, pullback = solver.solve_with_pullback(*arrays)
    found = pullback(np.ones(solution.fluxes.shape)).parameters[0]
    for k, name in enumerate(ude.program.parameters):
        step = np.zeros_like(p)
        step[0, k] = 1e-4 * p[0, k]
        slope = (inflow(p + step) - inflow(p - step)) / (2 * step[0, k])
        reference = abs(solution.fluxes.item() / p[0, k])
        assert abs(found[k] - slope) < 1e-4 * max(abs(slope), 1e-2 * reference), name
