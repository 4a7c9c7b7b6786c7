"""The Richards column against solutions of other people: analytic ones, and Celia's scheme."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.linalg import solve_banded
from scipy.optimize import brentq

import hybridwater as hw
from hybridwater.engines import Options, get_engine
from hybridwater.engines.balance import balance_error, water_balance
from hybridwater.ude.models import richards, richards_hybrid, richards_water

#: New Mexico soil of Celia et al. (1990), sect. 5, in mm and days.
SOIL = {"alpha": 0.00335, "n": 2.0, "theta_s": 0.368, "theta_r": 0.102}
SOIL |= {"ks": 0.00922 * 10 * 86400, "air_entry": 1e-3}


def solve(ude, initial, days, parameters, forcing=(), **options):
    """Solve one record with the embedded engine."""
    options = {"method": "rosenbrock2", "substeps": 400, **options}
    solver = get_engine("embedded").compile(ude, Options(**options))
    values = {p.name: p.default for p in ude.parameters} | parameters
    p = np.array([[values[n] for n in ude.program.parameters]])
    weights = np.zeros(ude.program.n_weights)
    x = np.array([[forcing]], float).reshape(1, 1, len(ude.forcings))
    solution = solver.solve(p, weights, x, initial, days)
    assert not solution.failures
    return solution


def column_water(ude, solution):
    return solution.final_state[0, : ude.columns[0].count]


def srivastava_yeh(z, t, length, before, after, terms=200):
    """Relative conductivity above a water table, Srivastava and Yeh (1991), eqs. 9 to 11.

    Everything is dimensionless: z and length in capillary lengths, z upwards from the water table;
    ``before`` and ``after`` are the fluxes at the surface relative to the saturated conductivity.
    """

    def root(k):
        low = ((k - 0.5) * np.pi + 1e-12) / length
        return brentq(lambda x: np.sin(x * length) + 2 * x * np.cos(x * length), low,
                      k * np.pi / length)  # fmt: skip

    x = np.array([root(k) for k in range(1, terms + 1)])
    series = np.sin(np.outer(z, x)) * np.sin(x * length) * np.exp(-(x**2) * t)
    series = (series / (1 + length / 2 + 2 * x**2 * length)).sum(1)
    steady = after - (after - 1) * np.exp(-z)
    return steady - 4 * (after - before) * np.exp((length - z) / 2 - t / 4) * series


GARDNER = {"alpha": 0.01, "theta_s": 0.40, "theta_r": 0.06, "ks": 240.0}


def gardner_error(cells, days, before=0.1, after=0.9, depth=1000.0):
    """Largest error of the water content against the analytic solution."""
    ude = richards(cells, depth, hydraulic="gardner", lower="water_table")
    parameters = GARDNER | {"water_table": depth}
    alpha, span = 0.01, 0.34
    z = alpha * (depth - ude.columns[0].geometry["soil_depth"][1])
    steady = before - (before - 1) * np.exp(-z)
    initial = richards_water(ude, np.log(steady) / alpha, parameters)
    found = solve(ude, initial, days, parameters, [after * 240.0], fluxes=())
    time = alpha * 240.0 * days / span
    exact = 0.06 + span * srivastava_yeh(z, time, alpha * depth, before, after)
    return np.abs(column_water(ude, found) / (depth / cells) - exact).max()


@pytest.mark.parametrize("days", [0.2, 0.6])
def test_transient_infiltration_is_that_of_srivastava_and_yeh(days):
    coarse, fine = gardner_error(25, days), gardner_error(50, days)
    assert fine < 1.5e-3
    assert coarse / fine > 3  # second order in the size of the cells


def test_the_steady_state_is_that_of_gardner():
    assert gardner_error(50, 20.0) < 1e-3


def celia_scheme(depth, dz, dt, days, top, bottom, initial):
    """Modified Picard iteration of the mixed form, Celia et al. (1990), eq. 17, on nodes."""
    alpha, n, span = SOIL["alpha"], SOIL["n"], SOIL["theta_s"] - SOIL["theta_r"]
    m = 1 - 1 / n

    def properties(h):
        s = (1 + (alpha * np.abs(h)) ** n) ** -m
        c = span * alpha * n * m * (alpha * np.abs(h)) ** (n - 1)
        c = c * (1 + (alpha * np.abs(h)) ** n) ** (-m - 1)
        k = SOIL["ks"] * np.sqrt(s) * (1 - (1 - s ** (1 / m)) ** m) ** 2
        return SOIL["theta_r"] + span * s, c, k

    h = np.full(round(depth / dz) + 1, initial)
    h[0], h[-1] = top, bottom
    for _ in range(round(days / dt)):
        old = properties(h)[0]
        for _ in range(60):
            theta, c, k = properties(h)
            face = (k[1:] + k[:-1]) / 2
            q = face * ((h[:-1] - h[1:]) / dz + 1)
            residual = (q[:-1] - q[1:]) / dz - (theta - old)[1:-1] / dt
            bands = np.zeros((3, len(h) - 2))
            bands[1] = c[1:-1] / dt + (face[:-1] + face[1:]) / dz**2
            bands[0, 1:], bands[2, :-1] = -face[1:-1] / dz**2, -face[1:-1] / dz**2
            change = solve_banded((1, 1), bands, residual)
            h[1:-1] += change
            if np.abs(change).max() < 1e-4:
                break
    return np.arange(len(h)) * dz, properties(h)[0]


def test_infiltration_into_dry_soil_is_that_of_celia():
    depth, dry = 600.0, -10_000.0
    ude = richards(240, depth, upper="head", lower="water_table")
    parameters = SOIL | {"surface_head": -750.0, "water_table": depth - dry}
    initial = richards_water(ude, dry, parameters)
    found = solve(ude, initial, 0.5, parameters, method="rosenbrock1", substeps=5000)
    theta = column_water(ude, found) / (depth / 240)
    z, expected = celia_scheme(depth, 2.5, 5e-4, 0.5, -750.0, dry, dry)
    expected_here = np.interp(ude.columns[0].geometry["soil_depth"][1], z, expected)
    assert np.abs(theta - expected_here).max() < 4e-3  # at the front, whose slope is steep
    gained = np.trapezoid(expected - expected[-1], z)
    np.testing.assert_allclose((theta - theta[-1]).sum() * 2.5, gained, rtol=5e-3)


def storm(days=12):
    time = pd.date_range("2000-05-01", periods=days)
    rain = np.zeros(days)
    rain[2:4] = 400.0
    forcing = {"prcp": ("time", rain, {"units": "mm d-1"})}
    forcing["pet"] = ("time", np.full(days, 5.0), {"units": "mm d-1"})
    return xr.Dataset(forcing, {"time": time})


def test_a_storm_ponds_runs_off_and_drains():
    ude = richards(40, 1000.0, roots=True)
    found = hw.simulate(
        ude,
        storm(),
        {"pond_max": 20.0},
        initial_state=richards_water(ude, -3000.0),
        engine="embedded",
        method="rosenbrock1",
        substeps=400,
    ).isel(basin=0)
    assert found["pond"].max() == pytest.approx(20.0, abs=1.0)
    assert found["runoff"].max() > 10.0
    assert found["pond"][-1] < 1e-6
    assert found["theta"].max() < 0.43 + 1e-3
    assert found["theta"].min() > 0.078
    assert found["transpiration"].min() > 0
    assert balance_error(water_balance(ude, found.expand_dims("basin"))) < 1e-8
    assert set(ude.boundary) == {"prcp", "runoff", "drainage", "transpiration"}


def test_a_water_table_rises_into_the_column():
    ude = richards(50, 1000.0, lower="water_table")
    deep = {"water_table": 500.0}
    initial = richards_water(ude, -2000.0)
    found = solve(ude, initial, 400.0, deep, [0.0], method="rosenbrock1", substeps=4000)
    z = ude.columns[0].geometry["soil_depth"][1]
    final = richards_water(ude, z - 500.0, deep)[0, :50]  # hydrostatic
    np.testing.assert_allclose(column_water(ude, found), final, rtol=2e-3)


def test_initial_states_follow_parameters():
    ude = richards(3, 300.0, hydraulic="gardner")
    (state,) = richards_water(ude, [-100.0, -50.0, 10.0], GARDNER)
    theta = [0.06 + 0.34 * np.exp(-1), 0.06 + 0.34 * np.exp(-0.5), 0.40 + 1e-5]
    np.testing.assert_allclose(state, [*(100 * np.array(theta)), 0.0], rtol=1e-12)


def test_the_learned_closure_is_conductivity_of_each_cell():
    ude = richards_hybrid(20, hidden=(4,), upper="head", lower="water_table")
    network = ude.network("relative_conductivity")
    assert network.conceptual is not None
    assert ude.places["relative_conductivity"].size == 20
    assert (
        ude.conceptual().program.places
        == richards(20, upper="head", lower="water_table").program.places
    )
    assert hw.UDE.from_dict(ude.to_dict()) == ude
