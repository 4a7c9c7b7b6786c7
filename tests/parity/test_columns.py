"""Engine against engine where states live on columns."""

from __future__ import annotations

import numpy as np
import pytest

import hybridwater as hw
from hybridwater.engines import simulate

pytestmark = pytest.mark.julia
ENGINES = ("embedded", "julia")
TIGHT = {"rtol": 1e-9, "atol": 1e-9}


def inputs(ude, batch=2, days=6, seed=0):
    rng = np.random.default_rng(seed)
    program = ude.program
    weights = rng.normal(0.0, 0.4, program.n_weights)
    parameters = np.array([ude.parameter(n).default for n in program.parameters])
    parameters = parameters * rng.uniform(0.8, 1.2, (batch, parameters.size))
    forcing = rng.uniform(0.0, 6.0, (batch, days, 1))
    return parameters, weights, forcing, rng.uniform(1.0, 5.0, (batch, program.n_states))


def gradients(solver, arrays, seed=1):
    solution, pullback = solver.solve_with_pullback(*arrays, forcing_gradient=True)
    assert not solution.failures
    rng = np.random.default_rng(seed)
    return solution, pullback(
        rng.normal(size=solution.fluxes.shape), rng.normal(size=solution.states.shape)
    )


def close(found, expected, relative):
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * np.abs(expected).max())


def same(found, expected, relative):
    for name in ("parameters", "weights", "initial_state", "forcing"):
        close(getattr(found, name), getattr(expected, name), relative)


@pytest.mark.parametrize("options", [{}, {"interpolation": "linear", "output": "instantaneous"}])
def test_explicit_steps_give_the_same_numbers_and_gradients(layered, compiled, options):
    arrays = inputs(layered)
    results = [
        gradients(compiled(e, layered, method="rk4", substeps=4, **options), arrays)
        for e in ENGINES
    ]
    (embedded, expected), (julia, found) = results
    close(julia.states, embedded.states, 1e-12)
    close(julia.fluxes, embedded.fluxes, 1e-12)
    same(found, expected, 1e-11)
    assert np.all(found.parameters != 0)


@pytest.mark.parametrize("interpolation", ["constant", "pchip"])
def test_sparse_rosenbrock_steps_and_their_gradients(layered, compiled, interpolation):
    arrays = inputs(layered)
    options = {"interpolation": interpolation, **TIGHT}
    embedded, expected = gradients(
        compiled("embedded", layered, method="rk4", substeps=60, interpolation=interpolation),
        arrays,
    )
    julia, found = gradients(compiled("julia", layered, method="rodas5p", **options), arrays)
    close(julia.states, embedded.states, 1e-6)  # a store that runs empty has a kink
    close(julia.fluxes, embedded.fluxes, 1e-6)
    same(found, expected, 1e-4)


@pytest.mark.parametrize("method", ["rosenbrock23", "trbdf2", "kencarp4", "fbdf", "tsit5"])
def test_all_methods_agree(layered, compiled, method):
    arrays = inputs(layered)
    expected = compiled("embedded", layered, method="dopri5", **TIGHT).solve(*arrays)
    found = compiled("julia", layered, method=method, **TIGHT).solve(*arrays)
    assert not found.failures
    close(found.states, expected.states, 1e-5)
    close(found.fluxes, expected.fluxes, 1e-5)


def test_weights_of_the_batch_own(layered, compiled):
    parameters, weights, forcing, initial = inputs(layered)
    own = np.stack([weights, 0.5 * weights])
    arrays = (parameters, own, forcing, initial)
    results = [gradients(compiled(e, layered, method="heun"), arrays) for e in ENGINES]
    (embedded, expected), (julia, found) = results
    close(julia.states, embedded.states, 1e-12)
    same(found, expected, 1e-11)


def test_fluxes_without_solving(layered, compiled):
    parameters, weights, forcing, _ = inputs(layered, days=4)
    states = np.random.default_rng(3).uniform(1, 5, (2, 4, layered.program.n_states))
    results = []
    for engine in ENGINES:
        solver = compiled(engine, layered)
        fluxes, pullback = solver.evaluate(parameters, weights, forcing, states)
        results.append((fluxes, *pullback(np.cos(fluxes))))
    for found, expected in zip(results[1], results[0], strict=True):
        close(found, expected, 1e-12)


def test_a_failed_entry_is_a_value(compiled):
    """Sparse factorisations must bear what is not finite."""

    @hw.model
    def explosive(m):
        cells = m.column("cells", [1.0, 2.0, 3.0], "mm")
        S = m.state("S", "mm", initial=1.0, on=cells)
        m.derivative(S, m.parameter("r", "mm-1 d-1", bounds=(0, 10), default=1) * S**2)

    initial = np.array([[0.01, 0.02, 0.03], [0.1, 0.2, 0.3]])  # to infinity in 1 / S days
    arrays = (np.ones((2, 1)), np.zeros(0), np.zeros((2, 20, 0)), initial)
    solver = compiled("julia", explosive, method="rodas5p", **TIGHT)
    solution, pullback = solver.solve_with_pullback(*arrays)
    (failure,) = solution.failures
    assert (failure.batch, failure.record) == (1, 3)
    assert np.isnan(solution.states[1, 3:]).all()
    days = np.arange(1, 21)[:, None]
    exact = initial[0] / (1 - initial[0] * days)
    np.testing.assert_allclose(solution.states[0], exact, rtol=1e-7)
    exact_too = initial[1] / (1 - initial[1] * days[:3])
    np.testing.assert_allclose(solution.states[1, :3], exact_too, rtol=1e-7)
    bars = np.zeros((2, 20, 3))
    bars[:, -1] = 1.0
    found = pullback(np.zeros_like(solution.fluxes), bars)
    np.testing.assert_allclose(found.initial_state[0], (exact[-1] / initial[0]) ** 2, rtol=1e-7)
    assert not found.parameters[1].any()
    assert not found.initial_state[1].any()


@pytest.mark.parametrize("method", ["rk4", "rodas5p", "fbdf"])
def test_water_is_kept_and_profiles_come_back(layered, method):
    import pandas as pd
    import xarray as xr

    time = pd.date_range("2000-01-01", periods=8)
    rain = ("time", np.linspace(0.0, 6.0, 8), {"units": "mm d-1"})
    found = simulate(
        layered, xr.Dataset({"rain": rain}, {"time": time}), engine="julia", method=method, **TIGHT
    )
    assert found["W"].dims == ("basin", "time", "layers")
    assert found["q"].dims == ("basin", "time", "layers_face")
    assert found["q"].sizes["layers_face"] == 7
    assert found["pond"].dims == ("basin", "time")
    assert found["layers"].attrs["positive"] == "down"
    assert found["layers"].values[0] == 5.0
    stored = found["W"].sum("layers") + found["pond"]
    given = xr.DataArray(rain[1], {"time": time}, "time")
    passed = (-found["total"] - found["q"][..., -1] + given).isel(time=slice(1, None))
    change = stored.diff("time")
    np.testing.assert_allclose(change.values, passed.values, atol=1e-8)
