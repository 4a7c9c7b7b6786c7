"""Equilibria: analytic ones, their gradients against finite differences, engine against engine."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.engines import Options, find_equilibrium, get_engine
from hybridwater.errors import DataError, SolveFailed
from hybridwater.ude import UDE
from hybridwater.ude.program import initial_weights

ENGINES = ["embedded", pytest.param("julia", marks=pytest.mark.julia)]


def chain():
    """A nonlinear reservoir above a linear one: k S^2 is what the first gives to the second."""
    return UDE.from_dict(
        {
            "name": "chain",
            "forcings": {"rain": {"unit": "mm d-1"}},
            "parameters": {
                "k": {"unit": "mm-1 d-1", "bounds": [0, 1], "default": 0.01},
                "c": {"unit": "d-1", "bounds": [0, 1], "default": 0.02},
            },
            "fluxes": {
                "down": {"unit": "mm d-1", "equation": "k * S * S"},
                "q": {"unit": "mm d-1", "equation": "c * G"},
            },
            "states": {
                "S": {"unit": "mm", "initial": 5, "equation": "rain - down"},
                "G": {"unit": "mm", "initial": 1, "equation": "down - q"},
            },
        }
    )


def compiled(engine, ude):
    return get_engine(engine).compile(ude, Options())


def differences(value, x, step=1e-6):
    slopes = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        h = step * max(abs(x[index]), 1e-2)
        up, down = x.copy(), x.copy()
        up[index] += h
        down[index] -= h
        slopes[index] = (value(up) - value(down)) / (2 * h)
    return slopes


@pytest.mark.parametrize("engine", ENGINES)
def test_the_analytic_equilibrium_and_its_gradients(engine):
    k, c, rain = np.array([0.01, 0.2, 0.5]), np.array([0.02, 0.5, 1e-3]), np.array([3.0, 1.0, 0.1])
    solver = compiled(engine, chain())
    inputs = (np.stack([k, c], 1), np.zeros(0), rain[:, None], np.full((3, 2), 5.0))
    found = find_equilibrium(solver, *inputs)
    exact = np.stack([np.sqrt(rain / k), rain / c], 1)
    np.testing.assert_allclose(found.states, exact, rtol=1e-12)
    bars = found.pullback(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    S = exact[:, 0]
    slopes = [[-S[0] / (2 * k[0]), 0], [-S[1] / (2 * k[1]), 0], [0, -rain[2] / c[2] ** 2]]
    np.testing.assert_allclose(bars.parameters, slopes, rtol=1e-9, atol=1e-9)
    expected = [S[0] / (2 * rain[0]), S[1] / (2 * rain[1]), 1 / c[2]]
    np.testing.assert_allclose(bars.forcing[:, 0], expected, rtol=1e-9)
    assert not bars.initial_state.any()


def test_slow_stores_are_no_slower_to_find():
    solver = compiled("embedded", chain())
    slow = np.array([[1e-7, 1e-8]])
    found = find_equilibrium(solver, slow, np.zeros(0), np.array([[2.0]]), np.full((1, 2), 5.0))
    np.testing.assert_allclose(found.states, [[np.sqrt(2e7), 2e8]], rtol=1e-10)


@pytest.mark.parametrize("engine", ENGINES)
def test_networks_and_columns_against_finite_differences(engine, layered):
    rng = np.random.default_rng(0)
    ude = layered
    weights = initial_weights(ude.program, 0)
    weights = weights + rng.normal(0, 0.1, weights.size)
    defaults = np.array([ude.parameter(n).default for n in ude.program.parameters])
    inputs = [defaults[None], weights, np.array([[2.0]]), np.full((1, ude.program.n_states), 3.0)]
    solver = compiled(engine, ude)
    bar = rng.normal(size=(1, ude.program.n_states))

    def value(which):
        def of(x):
            given = [x if k == which else a for k, a in enumerate(inputs)]
            return float((find_equilibrium(solver, *given).states * bar).sum())

        return of

    found = find_equilibrium(solver, *inputs)
    rates, _, _ = solver.linearize(*inputs[:3], found.states)
    assert np.abs(rates).max() < 1e-10
    bars = found.pullback(bar)
    for which, gradient in enumerate((bars.parameters, bars.weights, bars.forcing)):
        expected = differences(value(which), inputs[which])
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.julia
@pytest.mark.parametrize("name", ["one", "layered", "regional_hybrid"])
def test_slopes_and_products_are_those_of_the_other_engine(name, implicit_models, layered):
    models = {"one": implicit_models["one"], "layered": layered}
    ude = models.get(name) or hw.models.regional_hybrid()
    rng = np.random.default_rng(1)
    batch = 3
    defaults = np.array([ude.parameter(n).default for n in ude.program.parameters])
    parameters = defaults * rng.uniform(0.9, 1.1, (batch, defaults.size))
    weights = initial_weights(ude.program, 0)
    weights = weights + rng.normal(0, 0.1, weights.size)
    forcing = rng.uniform(1, 9, (batch, len(ude.forcings)))
    if name == "one":
        forcing = np.stack([rng.uniform(100, 500, batch), rng.uniform(250, 300, batch)], 1)
    states = rng.uniform(1, 30, (batch, ude.program.n_states))
    bar = rng.normal(size=states.shape)
    results = []
    for engine in ("embedded", "julia"):
        rates, slopes, pull = compiled(engine, ude).linearize(parameters, weights, forcing, states)
        results.append((rates, slopes, *pull(bar)))
    for ours, theirs in zip(*results, strict=True):
        assert ours.shape == theirs.shape
        scale = np.abs(ours).max(initial=1e-12)
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_simulation_that_begins_in_its_equilibrium_stays_there(engine):
    days = pd.date_range("2001-01-01", periods=4)
    rain = xr.Dataset({"rain": ("time", np.full(4, 3.0), {"units": "mm d-1"})}, {"time": days})
    run = hw.simulate(chain(), rain, initial_state="steady", engine=engine)
    np.testing.assert_allclose(run["S"], np.sqrt(3.0 / 0.01), rtol=1e-12)
    np.testing.assert_allclose(run["q"], 3.0, rtol=1e-12)
    wetter = rain + xr.zeros_like(rain["time"], float)
    wetter["rain"] = rain["rain"] + np.array([2.0, -2.0, 1.0, -1.0])
    wetter["rain"].attrs = rain["rain"].attrs
    other = hw.simulate(chain(), wetter, initial_state="steady", engine=engine)
    assert other["S"].values[0, 0] == pytest.approx(np.sqrt(300.0), rel=0.1)


def test_a_store_that_only_fills_has_none():
    spec = chain().to_dict()
    spec["states"]["G"]["equation"] = "down"
    days = pd.date_range("2001-01-01", periods=4)
    rain = xr.Dataset({"rain": ("time", np.full(4, 3.0), {"units": "mm d-1"})}, {"time": days})
    with pytest.raises(SolveFailed, match="no equilibrium under the mean of its forcing"):
        hw.simulate(UDE.from_dict(spec), rain, initial_state="steady", engine="embedded")
    with pytest.raises(DataError, match="The initial state 'stedy' is not known"):
        hw.simulate(chain(), rain, initial_state="stedy", engine="embedded")


def test_exp_hydro_stays_in_its_equilibrium():
    ude = hw.models.exp_hydro()
    weather = {"prcp": 3.0, "tmean": 12.0, "dayl": 12.0}
    mean = np.array([[weather[f.name] for f in ude.forcings]])
    solver = get_engine("embedded").compile(ude, Options())
    defaults = np.array([[ude.parameter(n).default for n in ude.program.parameters]])
    found = find_equilibrium(solver, defaults, np.zeros(0), mean, np.array([[0.0, 100.0]])).states
    days = np.broadcast_to(mean[:, None], (1, 10, len(weather)))
    later = solver.solve(defaults, np.zeros(0), days, found)
    np.testing.assert_allclose(later.final_state, found, rtol=1e-10, atol=1e-10)
    assert later.flux("q")[0, -1] + later.flux("et")[0, -1] == pytest.approx(3.0, rel=1e-10)
