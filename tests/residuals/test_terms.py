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


def test_a_smooth_is_the_exponentially_weighted_mean_of_pandas():
    scaling = Scaling.of(Z, np.ones(Z.shape, bool))
    wetness = design(["wetness"], Z, scaling, TIMES, {})[1] + Z
    expected = pd.DataFrame(Z.T).ewm(alpha=0.1, adjust=False).mean().to_numpy().T
    np.testing.assert_allclose(wetness, expected)


def test_seasons_return_after_a_year():
    scaling = Scaling.of(Z, np.ones(Z.shape, bool))
    season = design(["season"], Z, scaling, TIMES, {})[1:]
    np.testing.assert_allclose(season[..., 0], season[..., 365], atol=1e-12)
    assert np.ptp(season, axis=-1).min() == pytest.approx(2, abs=0.01)
