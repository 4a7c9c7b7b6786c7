"""The water balance of every model of the library closes, whatever fixed-step method solves it."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.engines.balance import balance_error, water_balance

DAYS = 400
MODELS = {
    "exp_hydro": hw.models.exp_hydro,
    "exp_hydro_hybrid": lambda: hw.models.exp_hydro_hybrid((4,)),
    "gr4j": hw.models.gr4j,
    "hbv": hw.models.hbv,
    "linear_reservoir": hw.models.linear_reservoir,
    "neural_ode": hw.models.neural_ode,
    "regional_hybrid": lambda: hw.models.regional_hybrid(latent=2, hidden=(4,)),
}


@pytest.fixture(scope="module")
def data() -> xr.Dataset:
    """Return a year with frost, for any model."""
    rng = np.random.default_rng(0)
    season = np.cos(2 * np.pi * (np.arange(DAYS) - 20) / 365.25)
    values = {
        "prcp": (rng.gamma(0.3, 10.0, DAYS), "mm d-1"),
        "pet": (2.0 - 1.5 * season, "mm d-1"),
        "tmean": (6 - 11 * season + rng.normal(0, 3, DAYS), "degC"),
        "dayl": (12 - 3 * season, "h"),
    }
    forcing = {n: (("basin", "time"), v[None], {"units": u}) for n, (v, u) in values.items()}
    time = pd.date_range("2000-10-01", periods=DAYS)
    return xr.Dataset(forcing, {"basin": ["a"], "time": time})


@pytest.mark.parametrize("method", ["rk4", "rosenbrock1"])
@pytest.mark.parametrize("name", MODELS)
def test_balance_closes_flux_by_flux(data, name, method):
    ude = MODELS[name]()
    simulation = hw.simulate(ude, data, method=method, substeps=2)
    balance = water_balance(ude, simulation)
    roles = {flux: balance[flux].attrs["role"] for flux in balance}
    assert {"in", "out", "storage", "residual"} <= set(roles.values())
    assert balance_error(balance) < 1e-10
