import numpy as np
import pytest

from hybridwater.engines import Options, get_engine
from hybridwater.ude import UDE, models
from hybridwater.ude.program import initial_weights


@pytest.fixture(scope="session")
def compiled():
    def build(engine, ude, **options):
        return get_engine(engine).compile(ude, Options(**options))

    return build


def weather(batch, days, seed=0):
    """Precipitation, temperature and day length with seasons."""
    rng = np.random.default_rng(seed)
    season = np.sin(2 * np.pi * np.arange(days) / 365.25 - 1.5)
    prcp = rng.gamma(0.5, 12.0, (batch, days)) * (rng.random((batch, days)) < 0.5)
    tmean = 9.0 + 11.0 * season + rng.normal(0.0, 3.0, (batch, days))
    dayl = np.broadcast_to(12.0 + 3.0 * season, (batch, days))
    return {"prcp": prcp, "tmean": tmean, "dayl": dayl, "pet": np.maximum(tmean, 0.0) / 5}


def inputs(ude, batch=2, days=60, seed=0):
    """Parameters around their defaults, random weights, weather and half-full stores."""
    rng = np.random.default_rng(seed)
    defaults = np.array([ude.parameter(n).default for n in ude.program.parameters])
    parameters = defaults * (1.0 + rng.uniform(-0.1, 0.1, (batch, len(defaults))))
    weights = initial_weights(ude.program, seed)
    weights = weights + rng.normal(0.0, 0.1, weights.size)
    series = weather(batch, days, seed)
    forcing = np.stack([series[f.name] for f in ude.forcings], axis=-1)
    initial = rng.uniform(10.0, 60.0, (batch, len(ude.states)))
    return parameters, weights, np.ascontiguousarray(forcing), initial


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def make_inputs():
    return inputs


@pytest.fixture(scope="session")
def make_weather():
    return weather


@pytest.fixture(
    scope="session",
    params=["exp_hydro", "exp_hydro_hybrid", "neural_ode", "hbv", "regional_hybrid"],
)
def ude(request):
    return getattr(models, request.param)()
