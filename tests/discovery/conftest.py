"""Samples of terms whose law is known, as a store and the weather would visit them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

import hybridwater as hw
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
