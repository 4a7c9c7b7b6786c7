"""Small series with the shapes, units and attributes that the figures expect."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

DAYS = 1200
TIME = np.datetime64("2000-10-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D")
SPLIT = {
    "train": ("2000-10-01", "2002-09-30"),
    "validation": ("2002-10", "2002-12"),
    "test": ("2003-01-01", None),
}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def observed(rng) -> xr.DataArray:
    values = rng.gamma(0.6, 3.0, (2, DAYS)) + 0.01
    values[:, 100:110] = np.nan
    return xr.DataArray(
        values,
        dims=("basin", "time"),
        coords={"basin": ["03604000", "01013500"], "time": TIME},
        name="qobs",
        attrs={"units": "mm d-1"},
    )


@pytest.fixture
def simulated(observed, rng) -> xr.DataArray:
    values = observed.fillna(1.0).values * rng.lognormal(0.0, 0.3, observed.shape)
    attrs = {"units": "mm d-1", "cell_methods": "time: mean"}
    return observed.copy(data=values).rename("q").assign_attrs(attrs)


@pytest.fixture
def precipitation(observed, rng) -> xr.DataArray:
    return observed.copy(data=rng.gamma(0.2, 20.0, observed.shape)).rename("prcp")


@pytest.fixture
def balance() -> xr.Dataset:
    step = np.arange(1.0, DAYS + 1)
    parts = {
        "prcp": (3.0 * step, "in", "precipitation"),
        "et": (2.0 * step, "out", "evapotranspiration"),
        "q": (0.9 * step, "out", "discharge"),
        "storage_change": (0.1 * step, "storage", None),
        "residual": (-2.5e-12 * np.sin(step / 50), "residual", None),
    }
    data = {}
    for name, (values, role, title) in parts.items():
        attrs = {"units": "mm", "role": role} | ({"long_name": title} if title else {})
        data[name] = (("basin", "time"), values[None], attrs)
    return xr.Dataset(data, coords={"basin": ["03604000"], "time": TIME})


@pytest.fixture
def term(rng) -> xr.Dataset:
    soil, warmth = rng.uniform(0, 300, 2000), rng.normal(10, 8, 2000)
    snow = np.where(warmth < 0, rng.uniform(0, 50, 2000), 0.0)
    learned = 3 * soil / 300 + rng.normal(0, 0.1, 2000)
    units = {"units": "mm d-1"}
    return xr.Dataset(
        {"learned": ("sample", learned, units), "conceptual": ("sample", 2 * soil / 300, units)},
        coords={
            "s_soil": ("sample", soil, {"units": "mm", "long_name": "soil water storage"}),
            "s_snow": ("sample", snow, {"units": "mm"}),
            "tmean": ("sample", warmth, {"units": "degC"}),
            "basin": ("sample", np.full(2000, "03604000")),
        },
        attrs={"term": "et"},
    )


@pytest.fixture
def metrics() -> pd.DataFrame:
    loss = np.r_[np.linspace(40, 1, 5), np.linspace(0.1, 0.01, 5), np.linspace(0.8, 0.3, 10)]
    skill = np.where(np.repeat([0, 1, 0], [5, 5, 10]), np.nan, 1 - loss)
    return pd.DataFrame(
        {
            "stage": np.repeat(["calibrate", "pretrain", "together"], [5, 5, 10]),
            "epoch": np.arange(1, 21),
            "loss": loss,
            "train_nse": skill,
            "validation_nse": skill - 0.05,
            "seconds": 0.1,
        }
    )


@pytest.fixture
def split() -> dict[str, tuple[str, str | None]]:
    return dict(SPLIT)
