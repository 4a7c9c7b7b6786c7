"""Samples of terms whose law is known, as a store and the weather would visit them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.training import Stage
from hybridwater.ude import UDE

DAYS = 720


@pytest.fixture(scope="session")
def visited() -> dict[str, np.ndarray]:
    """Soil water, potential evapotranspiration and temperature of two years."""
    rng = np.random.default_rng(0)
    day = np.arange(DAYS)
    soil = 300 + 200 * np.sin(day / 60) + np.cumsum(rng.normal(0, 4, DAYS))
    season = -np.cos(2 * np.pi * day / 365)
    return {
        "soil": soil.clip(5),
        "pet": 2 + 1.8 * season + 0.3 * rng.random(DAYS),
        "tmean": 8 + 12 * season + rng.normal(0, 4, DAYS),
    }


_UNITS = {"soil": "mm", "pet": "mm d-1", "tmean": "degC"}


@pytest.fixture(scope="session")
def make_term(visited: dict[str, np.ndarray]) -> Callable[..., xr.Dataset]:
    """Make samples of a term from its law, with relative noise."""

    def make(
        law: Callable[..., np.ndarray], noise: float = 0.02, **others: np.ndarray
    ) -> xr.Dataset:
        inputs = visited | others
        rng = np.random.default_rng(1)
        values = law(**inputs) * (1 + noise * rng.standard_normal(DAYS))
        coordinates = {n: ("sample", v, {"units": _UNITS[n]}) for n, v in inputs.items()}
        return xr.Dataset({"learned": ("sample", values, {"units": "mm d-1"})}, coordinates)

    return make


@pytest.fixture(scope="session")
def learned() -> Callable[..., UDE]:
    """Put a network into EXP-Hydro."""

    def learn(name: str, *inputs: str, **physics: object) -> UDE:
        ranges = {"soil": (0, 600), "pet": (0, 4), "tmean": (-15, 25)}
        model = hw.models.exp_hydro()
        return model.learn(name, {i: ranges[i] for i in inputs}, hidden=(4,), **physics)

    return learn


@pytest.fixture(scope="session")
def bucket() -> UDE:
    """A bucket that evaporates in proportion to a saturating function of its filling."""

    @hw.model
    def bucket(m: hw.Declaration) -> None:
        P, pet = m.forcing("prcp", "mm d-1"), m.forcing("pet", "mm d-1")
        k = m.parameter("k", "d-1", bounds=(1e-3, 0.5), default=0.05, log=True)
        c = m.parameter("c", "mm", bounds=(20, 300), default=60)
        s0 = m.parameter("s0", "mm", bounds=(0, 100), default=40)
        S = m.state("soil", "mm", initial=s0)
        et = m.flux("et", pet * S / (S + c), "mm d-1")
        q = m.flux("q", k * S, "mm d-1")
        m.derivative(S, P - et - q)

    return bucket


@pytest.fixture(scope="session")
def reservoir() -> UDE:
    """One linear reservoir: the outflow is k times the storage."""

    @hw.model
    def reservoir(m: hw.Declaration) -> None:
        P = m.forcing("prcp", "mm d-1")
        k = m.parameter("k", "d-1", bounds=(1e-3, 1), default=0.05, log=True)
        S = m.state("storage", "mm", initial=50)
        q = m.flux("q", k * S, "mm d-1")
        m.derivative(S, P - q)

    return reservoir


@pytest.fixture(scope="session")
def hybrid(bucket: UDE) -> UDE:
    """The bucket with a small network for evapotranspiration."""
    return bucket.learn(
        "et",
        {"soil": (0, 200), "pet": (0, 4)},
        hidden=(6,),
        positive=True,
        scale=2.0,
        zero_when_empty="soil",
    )


@pytest.fixture(scope="session")
def weather(bucket: UDE) -> xr.Dataset:
    """400 days of generated weather, and the discharge of the bucket."""
    rng = np.random.default_rng(0)
    time = pd.date_range("2000-01-01", periods=400)
    rain = np.where(rng.random(400) < 0.4, rng.exponential(8.0, 400), 0.0)
    pet = 2.0 - 1.8 * np.cos(2 * np.pi * (time.day_of_year.to_numpy() - 20) / 365.25)
    units = {"units": "mm d-1"}
    data = xr.Dataset(
        {"prcp": ("time", rain, units), "pet": ("time", pet, units)},
        {"time": time},
    )
    q = hw.simulate(bucket, data, {"k": 0.04, "c": 90.0}, substeps=1)["q"].isel(basin=0, drop=True)
    return data.assign(qobs=q)


@pytest.fixture(scope="session")
def hybrid_fit(hybrid: UDE, weather: xr.Dataset) -> hw.Surrogate:
    """A short fit of the hybrid."""
    return hw.fit(
        hybrid,
        weather,
        observed={"q": "qobs"},
        train=("2000-01", "2000-10"),
        test=("2000-11", "2001-01"),
        warmup=30,
        schedule=(Stage("joint", 20, 0.05, 0.02),),
        substeps=1,
        show_progress=False,
    )
