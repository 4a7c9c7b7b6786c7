import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.engines import Options
from hybridwater.training.terms import sample_term
from hybridwater.ude.program import initial_weights


@pytest.fixture(scope="module")
def forcing() -> xr.Dataset:
    days, rng = 200, np.random.default_rng(0)
    angle = 2 * np.pi * np.arange(days) / 365
    return xr.Dataset(
        {
            "prcp": ("time", rng.exponential(4.0, days), {"units": "mm d-1"}),
            "tmean": ("time", 274.0 - 8 * np.cos(angle), {"units": "K"}),
            "dayl": ("time", 12 - 4 * np.cos(angle), {"units": "h"}),
        },
        {"time": pd.date_range("2000-01-01", periods=days)},
    )


def sample(forcing: xr.Dataset, name: str, skeleton: dict | None = None, **options) -> xr.Dataset:
    ude = hw.models.exp_hydro_hybrid(hidden=(3,))
    values = {p.name: np.array([p.default]) for p in ude.parameters}
    weights = initial_weights(ude.program, 0)
    given = Options(substeps=1, **options)
    skeleton = None if skeleton is None else values | skeleton
    return sample_term(ude, name, forcing, values, weights, given, 40, skeleton)


def test_evapotranspiration_beside_its_equation(forcing):
    term = sample(forcing, "et")
    assert {"soil", "snow", "tmean", "dayl", "time"} <= set(term.coords)
    assert term["tmean"].attrs["units"] == "degC"
    np.testing.assert_allclose(term["tmean"], forcing["tmean"].sel(time=term["time"]) - 273.15)
    t, soil = term["tmean"], term["soil"]
    pet = 29.8 * term["dayl"] * 0.611 * np.exp(17.3 * t / (t + 237.3)) / (t + 273.2)

    ratio = term["conceptual"] / pet
    assert (term["conceptual"] > 0).all()
    full = soil > 1020
    np.testing.assert_allclose(ratio[full], 1.0, rtol=1e-3)
    dry = (soil < 950) & (soil > 50)
    np.testing.assert_allclose(ratio[dry], soil[dry] / 1000.0, rtol=1e-3)


def test_calibrated_skeleton_gives_the_conceptual_curve(forcing):
    plain, calibrated = sample(forcing, "et"), sample(forcing, "et", {"smax": np.array([2000.0])})
    np.testing.assert_array_equal(plain["learned"], calibrated["learned"])
    unsaturated = plain["soil"] < 950
    np.testing.assert_allclose(
        calibrated["conceptual"][unsaturated], plain["conceptual"][unsaturated] / 2, rtol=1e-3
    )
    assert plain["conceptual"].attrs["comment"] == "with the parameters of the fit"
    assert re.search(r"\(.*\bsmax\b.*: of the cal", calibrated["conceptual"].attrs["comment"])


def test_parameters_that_the_hybrid_uses_too_are_those_of_the_fit(forcing):
    plain, calibrated = sample(forcing, "q"), sample(forcing, "q", {"ddf": np.array([9.0])})
    np.testing.assert_array_equal(plain["conceptual"], calibrated["conceptual"])
    assert "ddf" not in calibrated["conceptual"].attrs["comment"]


def test_input_that_is_a_sum_of_fluxes(forcing):
    term = sample(forcing, "q")
    assert any("melt" in str(name) and "rainfall" in str(name) for name in term.coords)
    assert term["learned"].attrs["units"] == "mm d-1"
