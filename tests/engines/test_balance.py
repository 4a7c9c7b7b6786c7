import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.engines import balance_error, water_balance
from hybridwater.errors import DataError, DeclarationError
from hybridwater.ude import UDE


@pytest.fixture(scope="module")
def ude() -> UDE:
    """Two stores with an internal flux."""

    @hw.model
    def stores(m: hw.Declaration) -> None:
        P = m.forcing("prcp", "mm d-1")
        pet = m.forcing("pet", "mm d-1")
        k = m.parameter("k", "d-1", bounds=(0.01, 1), default=0.2)
        c = m.parameter("c", "mm", bounds=(1, 100), default=30)
        S = m.state("soil", "mm", initial=20.0)
        G = m.state("ground", "mm", initial=5.0)
        et = m.flux("et", pet * S / (S + c), "mm d-1", "evaporation")
        seep = m.flux("seep", k * S, "mm d-1")
        q = m.flux("q", k * G, "mm d-1")
        m.derivative(S, P - et - seep)
        m.derivative(G, seep - q)

    return stores


@pytest.fixture(scope="module")
def data() -> xr.Dataset:
    rng = np.random.default_rng(0)
    forcing = {n: rng.exponential(m, (2, 300)) for n, m in (("prcp", 4.0), ("pet", 2.0))}
    return xr.Dataset(
        {n: (("basin", "time"), v, {"units": "mm d-1"}) for n, v in forcing.items()},
        {"basin": ["a", "b"], "time": pd.date_range("2000-01-01", periods=300)},
    )


@pytest.fixture(scope="module")
def simulation(ude, data) -> xr.Dataset:
    return hw.simulate(ude, data)


def test_fixed_steps_close_the_balance(ude, simulation):
    balance = water_balance(ude, simulation)
    assert balance_error(balance) < 1e-10
    assert {n: v.attrs["role"] for n, v in balance.data_vars.items()} == {
        "prcp": "in",
        "et": "out",
        "q": "out",
        "storage_change": "storage",
        "residual": "residual",
    }
    assert all(v.attrs["units"] == "mm" for v in balance.data_vars.values())
    assert balance["et"].attrs["long_name"] == "evaporation"
    assert balance["et"].dims == ("basin", "time")


def test_fluxes_are_accumulated_since_the_first_record(ude, simulation, data):
    balance = water_balance(ude, simulation)
    rain = data["prcp"].values.copy()
    rain[:, 0] = 0.0
    np.testing.assert_allclose(balance["prcp"], rain.cumsum(1))
    stored = simulation["soil"] + simulation["ground"]
    np.testing.assert_allclose(balance["storage_change"], stored - stored.isel(time=0))


@pytest.mark.parametrize("method", ["euler", "heun", "rosenbrock1", "rosenbrock2"])
def test_every_fixed_step_method_closes(ude, data, method):
    assert balance_error(water_balance(ude, hw.simulate(ude, data, method=method))) < 1e-10


def test_hourly_records_close_too(ude, data):
    hourly = data.assign_coords(time=pd.date_range("2000-01-01", periods=300, freq="h"))
    balance = water_balance(ude, hw.simulate(ude, hourly))
    assert balance_error(balance) < 1e-10
    assert float(balance["prcp"][0, -1]) == pytest.approx(float(data["prcp"][0, 1:].sum() / 24))


def test_part_of_a_simulation_closes(ude, simulation):
    part = simulation.isel(basin=0, time=slice(100, 200))
    assert balance_error(water_balance(ude, part)) < 1e-10


def test_error_is_seen(ude, simulation):
    broken = simulation.assign(q=(simulation["q"] * 1.01).assign_attrs(simulation["q"].attrs))
    error = balance_error(water_balance(ude, broken))
    assert 1e-3 < error < 1e-2


def test_simulation_is_left_alone(ude, simulation):
    before = simulation.copy(deep=True)
    water_balance(ude, simulation)
    xr.testing.assert_identical(simulation, before)


def test_nothing_moved():
    still = xr.Dataset({"q": ("time", [0.0, 0.0], {"role": "out"})}).assign(
        residual=("time", [0.0, 0.0], {"role": "residual"})
    )
    assert balance_error(still) == 0.0


def test_simulation_without_a_boundary_flux_is_refused(ude, data):
    with pytest.raises(DataError, match="no flux 'prcp'"):
        water_balance(ude, hw.simulate(ude, data, fluxes=("q", "et")))


def test_instantaneous_simulation_is_refused(ude, data):
    with pytest.raises(DataError, match="output='mean'"):
        water_balance(ude, hw.simulate(ude, data, output="instantaneous"))


def test_single_record_is_refused(ude, simulation):
    with pytest.raises(DataError, match="two records"):
        water_balance(ude, simulation.isel(time=[0]))


def test_unnamed_fluxes_are_refused(data):
    @hw.model
    def unnamed(m: hw.Declaration) -> None:
        P = m.forcing("prcp", "mm d-1")
        k = m.parameter("k", "d-1", bounds=(0.01, 1), default=0.2)
        S = m.state("soil", "mm", initial=20.0)
        m.flux("half", k * S / 2, "mm d-1")
        m.derivative(S, P - k * S)

    with pytest.raises(DeclarationError, match=r"m.flux"):
        water_balance(unnamed, hw.simulate(unnamed, data))
