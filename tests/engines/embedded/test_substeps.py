"""Every record-wise method against analytic solutions."""

import numpy as np
import pytest
from scipy.linalg import expm

from hybridwater.engines.base import FIXED_STEP
from hybridwater.ude import UDE

ORDERS = {"euler": 1, "heun": 2, "rk4": 4, "rosenbrock1": 1, "rosenbrock2": 2}
RAIN = np.array([[0.0, 12.0, 3.0, 0.0, 0.0, 30.0], [5.0, 5.0, 0.0, 1.0, 8.0, 0.0]])[..., None]
NO_WEIGHTS = np.zeros(0)


def exact(matrix, start, rain, step):
    """States after each record of ds/dt = matrix s + (rain, 0, ...), by the matrix exponential."""
    n = len(start)
    states, s = [], np.asarray(start, dtype=float)
    for p in rain:
        whole = np.zeros((n + 1, n + 1))
        whole[:n, :n], whole[0, n] = matrix, p
        s = (expm(whole * step) @ [*s, 1.0])[:n]
        states.append(s)
    return np.array(states)


def linear_problem(make, name):
    if name == "reservoir":
        parameters, start = np.array([[0.3], [0.6]]), np.array([[20.0], [4.0]])
        matrices = [[[-k]] for (k,) in parameters]
        return make.reservoir(), parameters, start, matrices
    parameters, start = np.array([[0.5, 0.2], [0.3, 0.6]]), np.array([[20.0, 1.0], [4.0, 9.0]])
    matrices = [[[-a, 0.0], [a, -b]] for a, b in parameters]
    return make.cascade(), parameters, start, matrices


@pytest.mark.parametrize("name", ["reservoir", "cascade"])
@pytest.mark.parametrize("method", FIXED_STEP)
def test_order_of_convergence(make, compiled, name, method):
    step = 0.5
    ude, parameters, start, matrices = linear_problem(make, name)
    states = np.stack(
        [exact(m, s, r[:, 0], step) for m, s, r in zip(matrices, start, RAIN, strict=True)]
    )
    before = np.concatenate([start[:, None], states[:, :-1]], axis=1)
    # mean outflow of the last store from the balance of all stores
    outflow = RAIN[..., 0] - (states - before).sum(-1) / step
    state_errors, flux_errors = [], []
    for substeps in (5, 10):
        solver = compiled(ude, method=method, substeps=substeps)
        found = solver.solve(parameters, NO_WEIGHTS, RAIN, start, step)
        state_errors.append(np.abs(found.states - states).max())
        flux_errors.append(np.abs(found.fluxes[:, :, -1] - outflow).max())
        np.testing.assert_array_equal(found.final_state, found.states[:, -1])
    for coarse, fine in (state_errors, flux_errors):
        assert np.log2(coarse / fine) == pytest.approx(ORDERS[method], abs=0.15)


@pytest.fixture(scope="module")
def nonlinear():
    """One store with a power-law outflow and a rate that follows the temperature."""
    return UDE.from_dict(
        {
            "name": "nonlinear",
            "forcings": {"prcp": {"unit": "mm d-1"}, "heat": {"unit": "1"}},
            "constants": {"full": {"unit": "mm", "value": 20}},
            "parameters": {"k": {"unit": "mm d-1", "bounds": [0, 20], "default": 6}},
            "fluxes": {"q": {"unit": "mm d-1", "equation": "k * exp(heat) * (S / full)**2"}},
            "states": {"S": {"unit": "mm", "equation": "prcp - q"}},
        }
    )


@pytest.mark.parametrize("method", FIXED_STEP)
def test_order_where_forcing_varies_within_records(compiled, nonlinear, method):
    heat = np.array([0.1, 0.4, -0.3, 0.2, 0.0, 0.3])
    inputs = (
        np.array([[6.0]]),
        NO_WEIGHTS,
        np.stack([RAIN[:1, :, 0], heat[None]], axis=-1),
        np.array([[15.0]]),
    )

    def run(method, substeps):
        return compiled(nonlinear, method=method, substeps=substeps, interpolation="pchip").solve(
            *inputs
        )

    truth = run("rk4", 160)
    errors = [
        [np.abs(getattr(run(method, n), a) - getattr(truth, a)).max() for n in (8, 16)]
        for a in ("states", "fluxes")
    ]
    for coarse, fine in errors:
        assert np.log2(coarse / fine) == pytest.approx(ORDERS[method], abs=0.25)


@pytest.mark.parametrize("method", ["rosenbrock1", "rosenbrock2"])
def test_a_stiff_store_stays_bounded(make, compiled, method):
    solver = compiled(make.reservoir(), method=method, substeps=1)
    found = solver.solve(np.full((2, 1), 1e4), NO_WEIGHTS, RAIN, np.array([[20.0], [4.0]]))
    assert not found.failures
    assert np.abs(found.states[:, -1, 0]).max() < 0.1
    np.testing.assert_allclose(found.fluxes[:, 2:, 0], RAIN[:, 2:, 0], atol=0.1)


@pytest.mark.parametrize("method", FIXED_STEP)
def test_what_leaves_a_store_is_what_is_reported(hybrid, compiled, method):
    solver = compiled(hybrid.ude, method=method, substeps=2)
    step = 0.7
    found = solver.solve(*hybrid.inputs, step)
    assert not found.failures
    start = hybrid.inputs[3][:, None]
    change = np.diff(np.concatenate([start, found.states], axis=1), axis=1)
    flux = found.flux
    expected = np.stack(
        [flux("snowfall") - flux("melt"), flux("rainfall") + flux("melt") - flux("et") - flux("q")],
        axis=-1,
    )
    scale = np.abs(found.states).max()
    np.testing.assert_allclose(change, expected * step, rtol=0, atol=1e-10 * scale / 100)
    prcp = hybrid.inputs[2][:, :, 0]
    total = (prcp - flux("et") - flux("q")).cumsum(1) * step
    stored = (found.states - start).sum(-1)
    np.testing.assert_allclose(stored, total, rtol=0, atol=1e-10 * np.abs(prcp).sum())
