import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.interpolate import PchipInterpolator

from hybridwater.ude import models

REFERENCE_NAMES = {
    "f": "f",
    "smax": "Smax",
    "qmax": "Qmax",
    "df": "Df",
    "tmax": "Tmax",
    "tmin": "Tmin",
    "snow0": "S0",
    "soil0": "S1",
}


def test_names_and_order():
    ude = models.exp_hydro()
    assert [s.name for s in ude.states] == ["snow", "soil"]
    assert {f.name for f in ude.forcings} == {"prcp", "tmean", "dayl"}
    assert set(ude.order) == {
        *("snowfall", "rainfall", "melt", "pet", "et", "q_base", "q_surf", "q"),
    }
    assert {p.name for p in ude.parameters} == set(REFERENCE_NAMES)
    assert {s.name: s.initial for s in ude.states} == {"snow": "snow0", "soil": "soil0"}


def test_an_initial_storage_is_no_argument_of_the_equations():
    assert set(models.exp_hydro().program.parameters) == {"f", "smax", "qmax", "df", "tmax", "tmin"}


def by_hand(snow, soil, P, T, dayl, f, smax, qmax, df, tmax, tmin):
    """EXP-Hydro as published, in plain Python."""

    def h(x):
        return (math.tanh(5.0 * x) + 1.0) * 0.5

    pet = 29.8 * dayl * 0.611 * math.exp((17.3 * T) / (T + 237.3)) / (T + 273.2)
    melt = h(T - tmax) * h(snow) * min(snow, df * (T - tmax))
    et = h(soil) * h(soil - smax) * pet + h(soil) * h(smax - soil) * pet * (soil / smax)
    q_base = h(soil) * h(soil - smax) * qmax
    q_base += h(soil) * h(smax - soil) * qmax * math.exp(-f * (smax - soil))
    q_surf = h(soil) * h(soil - smax) * (soil - smax)
    q = q_base + q_surf
    return [h(tmin - T) * P - melt, h(T - tmin) * P + melt - et - q, et, q]


@pytest.mark.parametrize("soil", [0.05, 300.0, 999.9, 1000.1, 1020.0])
@pytest.mark.parametrize("T", [-12.0, -1.4, 0.9, 18.0])
def test_the_equations_are_the_published_ones(compiled, soil, T):
    ude = models.exp_hydro()
    parameters = {"f": 0.02, "smax": 1000, "qmax": 25, "df": 2.7, "tmax": 0.8, "tmin": -1.5}
    states, forcing = (3.0, soil), {"prcp": 11.0, "tmean": T, "dayl": 9.5}
    f = compiled(ude, "et", "q")
    program = ude.program
    found = f(
        states,
        [forcing[n] for n in program.forcings],
        [parameters[n] for n in program.parameters],
    )
    expected = by_hand(*states, forcing["prcp"], T, forcing["dayl"], **parameters)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("basin", ["01022500", "03604000", "06746095"])
def test_reproduces_the_published_parameters_skill(compiled, shared_data, basin):
    table = pd.read_csv(
        shared_data / "camels_us/exphydro_reference.csv", dtype={"gauge_id": str}
    ).set_index("gauge_id")
    reference = table.loc[basin]
    with xr.open_dataset(shared_data / "camels_us/camels_daily.nc") as data:
        data = data.sel(basin=basin, time=slice("1980-10-01", "2000-09-30")).load()
    day = data.time.dt.dayofyear.values - 1
    series = {
        "prcp": data.prcp.values,
        "tmean": data.tmean.values,
        "dayl": data.dayl.values[day].astype(float),
    }
    ude = models.exp_hydro()
    program = ude.program
    parameters = [float(reference[REFERENCE_NAMES[n]]) for n in program.parameters]
    f = compiled(ude, "q")
    q = _runge_kutta(
        f, [series[n] for n in program.forcings], parameters, (reference.S0, reference.S1)
    )
    observed = data.qobs.values.astype(float)
    known = np.isfinite(observed)
    error = ((q - observed)[known] ** 2).sum()
    nse = 1 - error / ((observed[known] - observed[known].mean()) ** 2).sum()
    assert nse == pytest.approx(reference.nse_train_rk4_reproduced, abs=5e-4)


def _runge_kutta(f, series, parameters, state):
    """Classical Runge-Kutta, four steps a day, PCHIP forcing; discharge at the records."""
    n, h = len(series[0]), 0.25
    times = np.arange((n - 1) * 8 + 1) / 8
    records = np.arange(n)
    forcing = np.stack([PchipInterpolator(records, s)(times) for s in series], axis=1).tolist()
    x, y = map(float, state)
    q = np.empty(n)
    for k in range(0, len(times), 2):
        a = f((x, y), forcing[k], parameters)
        if k % 8 == 0:
            q[k // 8] = a[2]
        if k + 2 >= len(times):
            break
        b = f((x + h / 2 * a[0], y + h / 2 * a[1]), forcing[k + 1], parameters)
        c = f((x + h / 2 * b[0], y + h / 2 * b[1]), forcing[k + 1], parameters)
        d = f((x + h * c[0], y + h * c[1]), forcing[k + 2], parameters)
        x += h / 6 * (a[0] + 2 * b[0] + 2 * c[0] + d[0])
        y += h / 6 * (a[1] + 2 * b[1] + 2 * c[1] + d[1])
    return q


def test_every_published_parameter_is_within_bounds(shared_data):
    table = pd.read_csv(shared_data / "camels_us/exphydro_reference.csv")
    for parameter in models.exp_hydro().parameters:
        values = table[REFERENCE_NAMES[parameter.name]]
        low, high = parameter.bounds
        assert low <= values.min(), parameter.name
        assert values.max() <= high, parameter.name


def test_hybrid_learns_et_and_q():
    hybrid = models.exp_hydro_hybrid(hidden=(8,))
    assert [n.name for n in hybrid.networks] == ["et", "q"]
    assert [n.sizes for n in hybrid.networks] == [(4, 8, 1), (2, 8, 1)]
    assert all(n.zero_when_empty == "soil" and n.positive for n in hybrid.networks)
    assert hybrid.boundary == models.exp_hydro().boundary


def test_hybrid_keeps_only_what_it_needs():
    hybrid = models.exp_hydro_hybrid()
    assert hybrid.dormant == {"pet", "q_base", "q_surf"}
    assert hybrid.used_parameters == {"df", "tmax", "tmin", "snow0", "soil0"}
    assert set(hybrid.program.parameters) == {"df", "tmax", "tmin"}


def test_skeleton_of_the_hybrid_is_exp_hydro():
    original, skeleton = models.exp_hydro(), models.exp_hydro_hybrid().conceptual()
    assert not skeleton.networks
    assert not skeleton.dormant
    assert skeleton.derivatives == original.derivatives
    assert {f.name: f.expression for f in skeleton.fluxes} == {
        f.name: f.expression for f in original.fluxes
    }
    assert skeleton.used_parameters == original.used_parameters
