import numpy as np
import pytest

from hybridwater.engines.base import FIXED_STEP, METHODS

ADAPTIVE = [method for method in METHODS["embedded"] if method not in FIXED_STEP]

RAIN = np.array([[0.0, 12.0, 3.0, 0.0, 0.0, 30.0]])[..., None]


@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_linear_reservoir(make, compiled, method):
    """S' = S exp(-k) + P / k (1 - exp(-k)) over one record of length 1."""
    k, s = 0.3, 20.0
    solver = compiled(make.reservoir(), method=method, rtol=1e-7, atol=1e-7, max_steps=4000)
    found = solver.solve(np.array([[k]]), np.zeros(0), RAIN, np.array([[s]]))
    assert not found.failures
    states, flows = [], []
    for p in RAIN[0, :, 0]:
        new = s * np.exp(-k) + p / k * (1.0 - np.exp(-k))
        flows.append(p - (new - s))
        states.append(new)
        s = new
    np.testing.assert_allclose(found.states[0, :, 0], states, rtol=3e-6)
    np.testing.assert_allclose(found.flux("q")[0], flows, rtol=3e-6)


@pytest.fixture(scope="module")
def truth(smooth_problem, compiled):
    solver = compiled(smooth_problem.ude, method="rk4", substeps=32)
    solution, pullback = solver.solve_with_pullback(*smooth_problem.inputs, forcing_gradient=True)
    rng = np.random.default_rng(7)
    cotangents = [rng.normal(size=a.shape) for a in (solution.fluxes, solution.states)]
    return solution, cotangents, pullback(*cotangents)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_values_and_gradients_are_those_of_many_small_steps(
    smooth_problem, compiled, truth, method
):
    tolerance = 1e-6 if method == "heun_adaptive" else 1e-8
    solver = compiled(smooth_problem.ude, method=method, rtol=tolerance, atol=tolerance)
    solution, pullback = solver.solve_with_pullback(*smooth_problem.inputs, forcing_gradient=True)
    expected, cotangents, gradients = truth
    assert not solution.failures
    np.testing.assert_allclose(solution.states, expected.states, rtol=30 * tolerance)
    np.testing.assert_allclose(solution.fluxes, expected.fluxes, rtol=100 * tolerance)
    found = pullback(*cotangents)
    for name in ("parameters", "weights", "initial_state", "forcing"):
        a, b = getattr(found, name), getattr(gradients, name)
        np.testing.assert_allclose(a, b, rtol=0, atol=100 * tolerance * np.abs(b).max())


@pytest.mark.parametrize("method", ["tsit5", "kvaerno5"])
def test_the_water_balance_closes_to_tolerance(smooth_problem, compiled, method):
    tolerance = 1e-8
    solver = compiled(smooth_problem.ude, method=method, rtol=tolerance, atol=tolerance)
    found = solver.solve(*smooth_problem.inputs)
    prcp, start = smooth_problem.inputs[2][:, :, 0], smooth_problem.inputs[3]
    outflow = found.flux("q")
    change = (found.final_state - start).sum(-1)
    residual = change - (prcp - outflow).sum(-1)
    assert np.abs(residual).max() < 10 * tolerance * np.abs(start).sum()


def test_a_burst_within_a_long_drought_is_not_stepped_over(make, compiled):
    rain = np.zeros((1, 60, 1))
    rain[0, 41] = 80.0
    solver = compiled(make.reservoir(), method="tsit5", rtol=1e-3, atol=1e-3)
    found = solver.solve(np.array([[0.5]]), np.zeros(0), rain, np.array([[0.0]]))
    leaving = found.flux("q")[0]
    assert leaving[:41].max() == 0.0
    assert leaving.sum() == pytest.approx(80.0, rel=2e-3)


def test_too_many_steps_are_a_failure(make, compiled):
    solver = compiled(make.reservoir(), method="tsit5", rtol=1e-9, atol=1e-9, max_steps=3)
    parameters = np.array([[0.0], [2.0]])
    rain = np.concatenate([RAIN, RAIN])
    found = solver.solve(parameters, np.zeros(0), rain, np.array([[20.0], [20.0]]))
    (failure,) = found.failures
    assert (failure.batch, failure.record) == (1, 0)
    assert "within 3 steps" in failure.reason
    np.testing.assert_array_equal(failure.state, [20.0])
    assert np.isfinite(found.states[0]).all()
    assert np.isnan(found.states[1]).all()


def test_instantaneous_output(smooth_problem, compiled):
    solver = compiled(
        smooth_problem.ude, method="tsit5", output="instantaneous", rtol=1e-8, atol=1e-8
    )
    fixed = compiled(smooth_problem.ude, method="rk4", substeps=32, output="instantaneous")
    found, expected = solver.solve(*smooth_problem.inputs), fixed.solve(*smooth_problem.inputs)
    np.testing.assert_array_equal(found.states[:, 0], smooth_problem.inputs[3])
    np.testing.assert_allclose(found.states, expected.states, rtol=1e-6)
    np.testing.assert_allclose(found.fluxes, expected.fluxes, rtol=1e-5, atol=1e-6)
