"""Samples are those of the fit, over training time, with the spread of further fits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import hybridwater as hw
from hybridwater.discovery import sample_term
from hybridwater.errors import DataError, DeclarationError


def test_samples_of_training_time(hybrid_fit, weather):
    term = sample_term(hybrid_fit, "et", weather, samples=100)
    assert 80 <= term.sizes["sample"] <= 120
    assert term["time"].max() <= np.datetime64(hybrid_fit.periods["train"][1])
    assert (term["spread"] == 0).all()
    assert term["soil"].attrs["units"] == "mm"
    assert term.attrs["fits"] == 1


def test_a_network_evaluated_alone_is_the_network_in_the_model(hybrid_fit, weather):
    """Two equal fits do not differ: the probe does what the solver does, gate included."""
    term = sample_term([hybrid_fit, hybrid_fit], "et", weather)
    assert (term["spread"] == 0).all()
    from hybridwater.discovery import sampling

    x = np.stack([term["soil"].values, term["pet"].values], axis=1)
    network = hybrid_fit.ude.network("et")
    alone = sampling._at(hybrid_fit, network, "basin", x, ("mm", "mm d-1"))
    np.testing.assert_allclose(alone, term["learned"], rtol=1e-9)


def test_spread_is_the_distance_of_other_fits(hybrid_fit, weather):
    moved = dataclasses.replace(hybrid_fit, weights=hybrid_fit.weights + 0.1)
    term = sample_term([hybrid_fit, moved], "et", weather)
    assert (term["spread"] > 0).any()
    assert term.attrs["fits"] == 2


def test_fits_of_different_models_are_refused(hybrid_fit, weather):
    other = dataclasses.replace(hybrid_fit, ude=hw.models.exp_hydro_hybrid())
    with pytest.raises(DeclarationError, match="different models"):
        sample_term([hybrid_fit, other], "et", weather)
    with pytest.raises(DataError, match="no fit"):
        sample_term([], "et", weather)
    with pytest.raises(DeclarationError, match="did you mean 'et'"):
        sample_term(hybrid_fit, "etx", weather)


def test_data_without_training_time_are_refused(hybrid_fit, weather):
    later = weather.assign_coords(time=weather["time"] + np.timedelta64(3650, "D"))
    with pytest.raises(DataError, match="no records of the training period"):
        sample_term(hybrid_fit, "et", later)
