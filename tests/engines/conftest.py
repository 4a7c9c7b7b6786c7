import functools
from types import SimpleNamespace

import numpy as np
import pytest

from hybridwater.engines import Options, get_engine
from hybridwater.ude import UDE, models
from hybridwater.ude.program import initial_weights


def reservoir():
    """One linear reservoir: dS/dt = prcp - k S."""
    return UDE.from_dict(
        {
            "name": "reservoir",
            "forcings": {"prcp": {"unit": "mm d-1"}},
            "parameters": {"k": {"unit": "d-1", "bounds": [0, 2], "default": 0.5}},
            "fluxes": {"q": {"unit": "mm d-1", "equation": "k * S"}},
            "states": {"S": {"unit": "mm", "equation": "prcp - q"}},
        }
    )


def cascade():
    """Two linear reservoirs in a row."""
    rate = {"unit": "d-1", "bounds": [0, 3], "default": 0.5}
    return UDE.from_dict(
        {
            "name": "cascade",
            "forcings": {"prcp": {"unit": "mm d-1"}},
            "parameters": {"k1": rate, "k2": rate},
            "fluxes": {
                "q1": {"unit": "mm d-1", "equation": "k1 * A"},
                "q2": {"unit": "mm d-1", "equation": "k2 * B"},
            },
            "states": {
                "A": {"unit": "mm", "equation": "prcp - q1"},
                "B": {"unit": "mm", "equation": "q1 - q2"},
            },
        }
    )


def smooth():
    """Two stores without kinks, a network between them."""
    return UDE.from_dict(
        {
            "name": "smooth",
            "forcings": {"prcp": {"unit": "mm d-1"}, "heat": {"unit": "1"}},
            "parameters": {"k": {"unit": "d-1", "bounds": [0, 2], "default": 0.5}},
            "fluxes": {"q": {"unit": "mm d-1", "equation": "k * B"}},
            "networks": {
                "seep": {
                    "unit": "mm d-1",
                    "inputs": {"A": [0, 60], "heat": [-1, 1]},
                    "hidden": [4, 3],
                    "positive": True,
                    "scale": 5,
                }
            },
            "states": {
                "A": {"unit": "mm", "equation": "prcp - seep"},
                "B": {"unit": "mm", "equation": "seep - q"},
            },
        }
    )


def explosive():
    """A state that runs off to infinity in finite time: dS/dt = r S^2."""
    return UDE.from_dict(
        {
            "name": "explosive",
            "forcings": {"prcp": {"unit": "mm d-1"}},
            "parameters": {"r": {"unit": "mm-1 d-1", "bounds": [0, 10], "default": 1}},
            "fluxes": {"growth": {"unit": "mm d-1", "equation": "r * S * S"}},
            "states": {"S": {"unit": "mm", "equation": "growth + prcp"}},
        }
    )


def weather(batch, days, seed=0):
    """Precipitation, temperature and day length through a cold and a warm time."""
    rng = np.random.default_rng(seed)
    season = np.sin(np.linspace(-1.2, 1.8, days))
    prcp = rng.gamma(0.5, 12.0, (batch, days)) * (rng.random((batch, days)) < 0.6)
    tmean = 12.0 * season + 2.0 + rng.normal(0.0, 3.0, (batch, days))
    dayl = np.broadcast_to(12.0 + 3.0 * season, (batch, days))
    return np.stack([prcp, tmean, dayl], axis=-1)


def hybrid_case(batch=2, days=23, hidden=(3, 2)):
    """The hybrid with random weights, and inputs for it."""
    ude = models.exp_hydro_hybrid(hidden)
    rng = np.random.default_rng(1)
    weights = initial_weights(ude.program, seed=1)
    weights = weights + rng.normal(0.0, 0.2, weights.size)
    parameters = np.array([ude.parameter(n).default for n in ude.program.parameters])
    parameters = parameters + rng.uniform(-0.2, 0.2, (batch, parameters.size))
    initial = np.column_stack([rng.uniform(5, 30, batch), rng.uniform(200, 900, batch)])
    return SimpleNamespace(
        ude=ude, inputs=(parameters, weights, weather(batch, days), initial), batch=batch, days=days
    )


def smooth_case(batch=2, days=12):
    """The smooth model with random weights, and inputs for it."""
    ude = smooth()
    rng = np.random.default_rng(2)
    weights = rng.normal(0.0, 0.5, ude.program.n_weights)
    forcing = np.stack(
        [rng.gamma(0.5, 12.0, (batch, days)), rng.uniform(-1, 1, (batch, days))], axis=-1
    )
    parameters, initial = rng.uniform(0.2, 0.8, (batch, 1)), rng.uniform(20, 40, (batch, 2))
    return SimpleNamespace(ude=ude, inputs=(parameters, weights, forcing, initial))


@pytest.fixture(scope="session")
def make():
    return SimpleNamespace(
        reservoir=functools.cache(reservoir),
        cascade=functools.cache(cascade),
        explosive=functools.cache(explosive),
        weather=weather,
        hybrid_case=hybrid_case,
    )


@pytest.fixture(scope="session")
def compiled():
    """Compile with the embedded engine; the same request gives the same solver."""

    def build(ude, **options):
        return get_engine("embedded").compile(ude, Options(**options))

    return build


@pytest.fixture(scope="session")
def hybrid():
    return hybrid_case()


@pytest.fixture(scope="session")
def smooth_problem():
    return smooth_case()
