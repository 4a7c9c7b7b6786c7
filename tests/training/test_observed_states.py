"""Fitting to states, and beginning at them."""

import numpy as np
import pytest
import torch

import hybridwater as hw
from hybridwater.errors import DataError, DeclarationError, SettingsError
from hybridwater.training import Stage
from hybridwater.training.problem import make_problem

OBSERVED = {"q": "q_seen", "storage": "s_seen"}
PERIODS = {"train": ("2000-01", "2000-08"), "validation": ("2000-09", "2001-01")}


@pytest.fixture(scope="module")
def seen(reservoir, make_weather):
    """Three basins whose reservoirs are known, and do not begin at the declared state."""
    data = make_weather(3)
    truth = hw.simulate(
        reservoir,
        data,
        {"k": [0.02, 0.08, 0.3]},
        initial_state=np.array([[300.0], [5.0], [0.0]]),
        engine="embedded",
    )
    return data.assign(q_seen=truth["q"], s_seen=truth["storage"])


def fit(ude, data, **options):
    given = {"observed": OBSERVED, "begin": "observed", "warmup": 0, "show_progress": False}
    return hw.fit(ude, data, **{**given, **PERIODS, "engine": "embedded", **options})


def schedule(window=None):
    return [Stage("joint", 90, 0.1, window=window), Stage("joint", 60, 0.01, window=window)]


@pytest.mark.parametrize("window", [None, 20])
def test_parameters_come_back_from_flux_and_state(reservoir, seen, window):
    found = fit(reservoir, seen, schedule=schedule(window))
    np.testing.assert_allclose(found.parameters["k"], [0.02, 0.08, 0.3], rtol=1e-3)


def test_a_state_alone_is_enough(reservoir, seen):
    observed = {"storage": "s_seen"}
    found = fit(reservoir, seen, observed=observed, schedule=schedule())
    np.testing.assert_allclose(found.parameters["k"], [0.02, 0.08, 0.3], rtol=1e-3)
    scores = found.scores(
        seen, simulations={"fit": hw.simulate(reservoir, seen, {"k": [0.02, 0.08, 0.3]})}
    )
    assert len(scores) == 6  # a state can be scored, too


def test_starts_are_the_ends_of_the_records_before(reservoir, seen):
    problem = make_problem(reservoir, seen, OBSERVED, warmup=0, begin="observed", **PERIODS)
    assert problem.run.start == 1
    assert problem.starts is not None
    assert torch.isnan(problem.starts[:, 0]).all()
    np.testing.assert_array_equal(problem.starts[:, 1:, 0], seen["s_seen"].values[:, :-1])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"begin": "there"}, SettingsError, "begin='there' is not known"),
        ({"observed": {"q": "q_seen"}}, DataError, "'storage' is not observed"),
        ({"observed": {"storag": "s_seen"}}, DeclarationError, "did you mean 'storage'"),
        ({"output": "instantaneous"}, SettingsError, "at the end of a record"),
    ],
)
def test_bad_input_is_refused(reservoir, seen, options, error, message):
    with pytest.raises(error, match=message):
        fit(reservoir, seen, **options)


def test_a_gap_in_a_state_is_refused_by_basin_and_record(reservoir, seen):
    gap = seen.copy(deep=True)
    gap["s_seen"][1, 40] = np.nan
    with pytest.raises(DataError, match=r"observed state is missing.*'b1', record 2000-02-10"):
        fit(reservoir, gap)
