"""Models with unknowns: against closed forms, SciPy and finite differences."""

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize

import hybridwater as hw
from hybridwater.errors import SolveFailed
from hybridwater.ude.program import initial_weights

METHODS = ["rk4", "rosenbrock2", "tsit5", "kvaerno5"]


@pytest.fixture(scope="module")
def weir():
    """A reservoir whose level h holds S = h + h^3: with q = k h, closed form in h."""

    @hw.model
    def reservoir(m):
        """Reservoir with a level of its own."""
        S = m.state("storage", "m", initial=2.0)
        k = m.parameter("k", "d-1", bounds=(0.01, 2), default=0.5)
        a = m.constant("a", 1.0, "m2")
        h = m.unknown("level", "m", bounds=(0, 100))
        m.residual(h, S - h - h**3 / a)
        m.derivative(S, -m.flux("q", k * h, "m d-1"))

    return reservoir


def level_after(h0, k, t):
    """Solve (1 + 3 h^2) dh/dt = -k h in closed form: log h + 1.5 h^2 falls by k t."""
    wanted = np.log(h0) + 1.5 * h0**2 - k * t
    return scipy.optimize.brentq(lambda h: np.log(h) + 1.5 * h**2 - wanted, 1e-12, h0, xtol=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_a_store_with_a_level_follows_its_closed_form(weir, compiled, method):
    k, days = 0.4, 6
    solver = compiled(weir, method=method, substeps=200, rtol=1e-10, atol=1e-10)
    arrays = (np.array([[k]]), np.zeros(0), np.zeros((1, days, 0)), np.array([[2.0]]))
    solution, pullback = solver.solve_with_pullback(*arrays)
    tolerance = {"rosenbrock2": 1e-6}.get(method, 1e-8)
    h = np.array([level_after(1.0, k, t) for t in range(days + 1)])  # S = 2 is h = 1
    np.testing.assert_allclose(solution.states[0, :, 0], (h + h**3)[1:], rtol=tolerance)
    q = -np.diff(h + h**3)
    np.testing.assert_allclose(solution.flux("q")[0], q, rtol=10 * tolerance)
    np.testing.assert_allclose(solution.flux("level")[0], q / k, rtol=10 * tolerance)
    # d h / d k = -t h / (1 + 3 h^2), so that d S / d k = -t h
    gradients = pullback(np.zeros_like(solution.fluxes), np.ones_like(solution.states))
    expected = -(np.arange(1, days + 1) * h[1:]).sum()
    np.testing.assert_allclose(gradients.parameters[0, 0], expected, rtol=10 * tolerance)
    # d S(t) / d S(0) = (dS/dh)(t) (dh(t)/dh(0)) / (dS/dh)(0) = h(t) / h(0)
    np.testing.assert_allclose(gradients.initial_state[0, 0], h[1:].sum(), rtol=10 * tolerance)


def case(ude, batch=3, days=9):
    rng = np.random.default_rng(0)
    defaults = np.array([ude.parameter(n).default for n in ude.program.parameters])
    parameters = defaults * rng.uniform(0.8, 1.2, (batch, defaults.size))
    weights = initial_weights(ude.program, 0)
    weights = weights + rng.normal(0.0, 0.2, weights.size)
    forcing = np.stack(
        [rng.uniform(100, 500, (batch, days)), rng.uniform(250, 300, (batch, days))], axis=-1
    )
    return parameters, weights, forcing, np.full((batch, 1), 500.0)


def test_unknowns_satisfy_their_equations(implicit_models, compiled):
    arrays = case(implicit_models["two"])
    parameters, forcing = arrays[0], arrays[2]
    solution = compiled(implicit_models["two"], output="instantaneous").solve(*arrays)
    between, leaves = solution.flux("between"), solution.flux("leaves")
    values = dict(zip(implicit_models["two"].program.parameters, parameters.T, strict=True))
    radiation, air = forcing[..., 0], forcing[..., 1]
    warmth = values["c"][:, None] * (leaves - between)
    np.testing.assert_allclose(radiation - 5.67e-8 * leaves**4, warmth, rtol=1e-9)
    np.testing.assert_allclose(values["d"][:, None] * (between - air), warmth, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "method"),
    [("one", "rk4"), ("one", "kvaerno5"), ("two", "rosenbrock2"), ("learned", "rosenbrock2")],
)
def test_gradients_are_finite_differences(implicit_models, compiled, name, method):
    ude = implicit_models[name]
    arrays = case(ude)
    solver = compiled(ude, method=method, rtol=1e-9, atol=1e-9)
    solution, pullback = solver.solve_with_pullback(*arrays, forcing_gradient=True)
    assert not solution.failures
    rng = np.random.default_rng(1)
    bars = [rng.normal(size=a.shape) for a in (solution.fluxes, solution.states)]
    found = pullback(*bars)

    def loss(arrays):
        s = solver.solve(*arrays)
        return sum((b * a).sum() for b, a in zip(bars, (s.fluxes, s.states), strict=True))

    gradients = (found.parameters, found.weights, found.forcing, found.initial_state)
    for k, (array, gradient) in enumerate(zip(arrays, gradients, strict=True)):
        if not array.size:
            continue
        direction = rng.normal(size=array.shape) * np.maximum(np.abs(array), 0.1)
        shifted = [[*arrays] for _ in range(2)]
        for sign, inputs in zip((1, -1), shifted, strict=True):
            inputs[k] = array + sign * 1e-5 * direction
        difference = (loss(shifted[0]) - loss(shifted[1])) / 2e-5
        np.testing.assert_allclose((gradient * direction).sum(), difference, rtol=2e-5)


def test_a_network_within_an_equation_agrees_with_scipy(implicit_models, compiled):
    """The network sees the unknown: what it makes of it is part of the equation that is solved."""
    ude = implicit_models["learned"]
    arrays = case(ude)
    solution = compiled(ude, output="instantaneous").solve(*arrays)
    rest = arrays[2][..., 0] - 5.67e-8 * solution.flux("surface") ** 4
    np.testing.assert_allclose(solution.flux("warmth"), rest, rtol=1e-8, atol=1e-8)


def test_the_water_balance_closes(implicit_models, compiled):
    for method in METHODS:
        _, _, _, initial = arrays = case(implicit_models["one"])
        solution = compiled(implicit_models["one"], method=method).solve(*arrays)
        lost = solution.flux("gain").sum(-1)
        change = initial[:, 0] - solution.final_state[:, 0]
        np.testing.assert_allclose(change, lost, rtol=0, atol=1e-12 * initial.max())


def test_no_solution_is_a_failure_in_words(energy_balance):
    import pandas as pd
    import xarray as xr

    spec = energy_balance()
    spec["unknowns"]["surface"]["bounds"] = [250, 400]
    air = [280.0, 280.0, 200.0]
    forcing = xr.Dataset(
        {
            "radiation": ("time", [300.0] * 3, {"units": "W m-2"}),
            "air": ("time", air, {"units": "K"}),
        },
        {"time": pd.date_range("2001-01-01", periods=3)},
    )
    with pytest.raises(SolveFailed) as caught:
        hw.simulate(hw.UDE.from_dict(spec), forcing, engine="embedded")
    assert "equation of 'surface' has no solution between 250 and 400" in str(caught.value)
    assert "2001-01-03" in str(caught.value)
