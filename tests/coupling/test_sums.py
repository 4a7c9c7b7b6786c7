"""Sums of BLAS are those of NumPy, whatever the arrays look like."""

import math

import numpy as np
import pytest

from hybridwater.coupling.sums import total, total_and_norm, weighted

VALUES = np.random.default_rng(0).normal(0, 1e6, 24)


@pytest.mark.parametrize(
    "values",
    [
        VALUES,
        VALUES.reshape(4, 6),
        VALUES.reshape(2, 3, 4),
        np.asfortranarray(VALUES.reshape(4, 6)),
        VALUES[::-3],
        VALUES.astype(np.float32),
        VALUES.astype(int),
        np.array(3.5),
        np.empty(0),
        np.empty((0, 3)),
    ],
    ids=lambda v: f"{v.dtype}{v.shape}",
)
def test_sum_and_norm(values):
    total_, norm = total_and_norm(values)
    assert total(values) == total_ == pytest.approx(values.sum(dtype=float), rel=1e-12)
    assert norm == pytest.approx(np.linalg.norm(np.ravel(values).astype(float)), rel=1e-12)
    assert type(total_) is type(norm) is float


def test_what_is_not_finite_shows():
    assert np.isnan(total(np.array([1.0, np.nan])))
    assert np.isinf(total(np.array([1.0, np.inf])))
    many = np.tile([np.inf, -np.inf], 2**12)
    assert np.isnan(total(many))
    assert np.isnan(weighted(many, np.ones(many.size)))


def test_weighted_sum_of_equally_many():
    factors = np.linspace(0, 1, 24)
    assert weighted(VALUES, factors) == pytest.approx((VALUES * factors).sum(), rel=1e-12)
    assert weighted(np.empty(0), np.empty(0)) == 0.0
    for short, long in ((VALUES[:5], factors), (VALUES, factors[:5])):
        with pytest.raises(ValueError, match=r"values for \d+ cells"):
            weighted(short, long)


@pytest.mark.parametrize("size", [2**12, 2**12 + 1, 3_000_000])
def test_rounding_does_not_grow_with_the_number_of_cells(size):
    """Equal cells round the same way in every addition, which a ledger would take for a loss."""
    for value in 1e7 * np.exp(-0.05 * np.arange(2.0)) / 3:
        values, factors = np.full(size, value), np.full(size, 1.1)
        exact = math.fsum(values)
        assert abs(total(values) - exact) < 1e-14 * exact
        assert abs(total_and_norm(values)[0] - exact) < 1e-14 * exact
        exact = math.fsum(values * factors)
        assert abs(weighted(values, factors) - exact) < 1e-14 * exact
