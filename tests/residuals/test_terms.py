import numpy as np
import pandas as pd
import pytest

from hybridwater.residuals.terms import TERMS, Scaling, design, term_labels

TIMES = pd.date_range("2001-01-01", periods=800)
Z = np.random.default_rng(0).normal(size=(3, 800)).cumsum(1) / 10


def test_columns_have_labels():
    scaling = Scaling.of(Z, np.ones(Z.shape, bool))
    columns = design(list(TERMS), Z, scaling, TIMES, {})
    assert columns.shape == (len(term_labels(list(TERMS), ())), 3, 800)
    assert np.isfinite(columns).all()
    np.testing.assert_allclose(columns[1].mean(1), 0, atol=1e-12)  # level


def test_terms_know_nothing_of_the_future():
    scaling = Scaling.of(Z, np.ones(Z.shape, bool))
    changed = Z.copy()
    changed[:, 500:] += 3.0
    whole, other = (design(list(TERMS), z, scaling, TIMES, {}) for z in (Z, changed))
    np.testing.assert_array_equal(whole[..., :500], other[..., :500])


def test_a_mean_of_the_past_is_that_of_pandas_less_now_and_bounded():
    scaling = Scaling.of(Z, np.ones(Z.shape, bool))
    level, wetness = design(["level", "wetness"], Z, scaling, TIMES, {})[1:]
    mean = pd.DataFrame(level.T).ewm(alpha=0.1, adjust=False).mean().to_numpy().T
    np.testing.assert_allclose(wetness, np.tanh(mean - level), atol=1e-12)


def test_a_flood_cannot_make_changes_large():
    flood = Z.copy()
    flood[:, 400:410] += 30.0
    scaling = Scaling.of(Z, np.ones(Z.shape, bool))
    changes = ["previous", "rise", "recent", "wetness", "storage"]
    assert np.abs(design(changes, flood, scaling, TIMES, {})[1:]).max() <= 1.0
    level, capped = design(["level", "capped level"], flood, scaling, TIMES, {})[1:]
    assert level.max() > 10
    assert capped.max() <= 2.0
    np.testing.assert_array_equal(capped[level < 0], level[level < 0])


def test_a_bounded_level_is_bounded_in_floods_and_in_droughts():
    both = Z.copy()
    both[:, 400:410] += 30.0
    both[:, 500:510] -= 30.0
    scaling = Scaling.of(Z, np.ones(Z.shape, bool))
    level, bounded = design(["level", "bounded level"], both, scaling, TIMES, {})[1:]
    assert min(level.max(), -level.min()) > 10
    np.testing.assert_allclose(bounded, 2 * np.tanh(level / 2), atol=1e-12)


def test_seasons_return_after_a_year():
    scaling = Scaling.of(Z, np.ones(Z.shape, bool))
    season = design(["season"], Z, scaling, TIMES, {})[1:]
    np.testing.assert_allclose(season[..., 0], season[..., 365], atol=1e-12)
    assert np.ptp(season, axis=-1).min() == pytest.approx(2, abs=0.01)
