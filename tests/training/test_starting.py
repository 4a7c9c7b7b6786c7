"""Going on from another fit, and what is refused."""

import numpy as np
import pytest

from hybridwater.errors import DataError, SettingsError
from hybridwater.training import Stage

pytestmark = pytest.mark.filterwarnings("ignore::hybridwater.training.OutsideTrainingRange")

TRAIN = ("2000-01", "2000-10")
SHORT = {"schedule": [Stage("joint", 4, 0.1, 0.02)], "train": TRAIN, "assess_every": 1}


@pytest.fixture(scope="module")
def data(bucket, pair, observe):
    return observe(bucket, pair, k=[0.02, 0.2])


@pytest.fixture(scope="module")
def first(fit, hybrid, data):
    return fit(hybrid, data, **SHORT)


def test_a_fit_goes_on_where_the_other_ended(fit, hybrid, data, first):
    second = fit(hybrid, data, start=first, **SHORT)
    ended = first.metrics["train_nse"].max()
    assert second.metrics["train_nse"].iloc[0] == pytest.approx(ended, abs=1e-9)
    assert second.metrics["train_nse"].iloc[-1] > ended


def test_basins_are_found_by_name(fit, hybrid, data, first):
    one = fit(hybrid, data.isel(basin=[1]), start=first, **SHORT)
    both = fit(hybrid, data, start=first, **SHORT)
    np.testing.assert_allclose(one.weights[0], both.weights[1], rtol=1e-7)


def test_networks_that_are_shared_become_those_of_each_basin(fit, hybrid, data, first):
    shared = fit(hybrid, data, share="networks", **SHORT)
    own = fit(hybrid, data, start=shared, **SHORT)
    assert own.metrics["train_nse"].iloc[0] == pytest.approx(
        shared.metrics["train_nse"].max(), abs=1e-9
    )
    with pytest.raises(DataError, match="networks of its own for each basin"):
        fit(hybrid, data, share="networks", start=first, **SHORT)


def test_what_cannot_be_gone_on_from_is_refused(fit, hybrid, reservoir, data, first):
    with pytest.raises(SettingsError, match="restarts cannot go on"):
        fit(hybrid, data, start=first, restarts=2, **SHORT)
    with pytest.raises(DataError, match="is of another model"):
        fit(reservoir, data, start=first, **SHORT)
    with pytest.raises(DataError, match="has no basin 'c'"):
        fit(hybrid, data.assign_coords(basin=["b0", "c"]), start=first, **SHORT)


def test_a_run_goes_on_only_from_the_same_start(fit, hybrid, data, first, tmp_path):
    how = {"directory": tmp_path / "run", **SHORT}
    ended = fit(hybrid, data, start=first, **how)
    again = fit(hybrid, data, start=first, resume=True, **how)
    np.testing.assert_array_equal(again.weights, ended.weights)
    with pytest.raises(SettingsError, match="start"):
        fit(hybrid, data, resume=True, **how)
