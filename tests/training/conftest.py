"""Small models and generated data, whose truth is known."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.training import Stage
from hybridwater.ude import UDE


def weather(basins: int = 1, days: int = 400, seed: int = 0) -> xr.Dataset:
    """Generated precipitation and potential evapotranspiration, and an attribute."""
    rng = np.random.default_rng(seed)
    time = pd.date_range("2000-01-01", periods=days)
    wet = rng.random((basins, days)) < 0.4
    prcp = np.where(wet, rng.exponential(8.0, (basins, days)), 0.0)
    pet = 2.0 - 1.8 * np.cos(2 * np.pi * (time.day_of_year.to_numpy() - 20) / 365.25)
    return xr.Dataset(
        {
            "prcp": (("basin", "time"), prcp, {"units": "mm d-1"}),
            "pet": (("time",), pet, {"units": "mm d-1"}),
            "slope": ("basin", np.linspace(0.0, 1.0, basins), {"units": "1"}),
        },
        {"basin": [f"b{k}" for k in range(basins)], "time": time},
    )


@pytest.fixture(scope="session")
def make_weather() -> Callable[..., xr.Dataset]:
    return weather


@pytest.fixture(scope="session")
def reservoir() -> UDE:
    """One linear reservoir: the outflow is k times the storage."""

    @hw.model
    def reservoir(m: hw.Declaration) -> None:
        P = m.forcing("prcp", "mm d-1")
        k = m.parameter("k", "d-1", bounds=(1e-3, 1), default=0.03, log=True)
        S = m.state("storage", "mm", initial=50)
        q = m.flux("q", k * S, "mm d-1")
        m.derivative(S, P - q)

    return reservoir


@pytest.fixture(scope="session")
def bucket() -> UDE:
    """A bucket that evaporates in proportion to its filling."""

    @hw.model
    def bucket(m: hw.Declaration) -> None:
        P = m.forcing("prcp", "mm d-1")
        pet = m.forcing("pet", "mm d-1")
        k = m.parameter("k", "d-1", bounds=(1e-3, 0.5), default=0.05, log=True)
        c = m.parameter("c", "mm", bounds=(20, 300), default=60)
        s0 = m.parameter("s0", "mm", bounds=(0, 100), default=40)
        S = m.state("soil", "mm", initial=s0)
        et = m.flux("et", pet * S / (S + c), "mm d-1")
        q = m.flux("q", k * S, "mm d-1")
        m.derivative(S, P - et - q)

    return bucket


@pytest.fixture(scope="session")
def hybrid(bucket: UDE) -> UDE:
    """The bucket with a small network for evapotranspiration."""
    return bucket.learn(
        "et",
        {"soil": (0, 200), "pet": (0, 4)},
        hidden=(4,),
        positive=True,
        scale=2.0,
        zero_when_empty="soil",
    )


@pytest.fixture(scope="session")
def observe() -> Callable[..., xr.Dataset]:
    """Add the discharge of a model as observations, with a few missing values."""

    def observe_(ude: UDE, data: xr.Dataset, **parameters: object) -> xr.Dataset:
        q = hw.simulate(ude, data, parameters)["q"]
        return data.assign(qobs=q.where(data["time"].dt.day != 13).assign_attrs(units="mm d-1"))

    return observe_


@pytest.fixture(scope="session")
def fit() -> Callable[..., hw.Surrogate]:
    """Fit discharge quietly, with one substep."""
    return functools.partial(
        hw.fit, observed={"q": "qobs"}, warmup=30, show_progress=False, substeps=1
    )


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A fit, how it was made, and its run directory."""

    surrogate: hw.Surrogate
    keywords: dict[str, Any]
    directory: Path


@pytest.fixture(scope="session")
def pair(bucket: UDE, observe: Callable[..., xr.Dataset]) -> xr.Dataset:
    """Two basins and the discharge of the bucket."""
    return observe(bucket, weather(2))


@pytest.fixture(scope="session")
def fitted(
    fit: Callable[..., hw.Surrogate],
    hybrid: UDE,
    pair: xr.Dataset,
    tmp_path_factory: pytest.TempPathFactory,
) -> Fitted:
    """A short fit of the hybrid to two basins, through all stages."""
    keywords = {
        "train": ("2000-01", "2000-10"),
        "validation": ("2000-11", "2001-01"),
        "schedule": (
            Stage("skeleton", 6, 0.1),
            Stage("pretrain", 6),
            Stage("joint", 6, 0.02, 0.01),
        ),
        "assess_every": 2,
    }
    directory = tmp_path_factory.mktemp("runs") / "run"
    return Fitted(fit(hybrid, pair, directory=directory, **keywords), keywords, directory)
