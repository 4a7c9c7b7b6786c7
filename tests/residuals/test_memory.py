import numpy as np
import pytest

from hybridwater.residuals.memory import independent_fraction


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.8])
def test_it_is_that_of_an_autoregression(memory):
    rng = np.random.default_rng(0)
    error = rng.standard_normal((30, 1500))
    for t in range(1, 1500):
        error[:, t] = memory * error[:, t - 1] + np.sqrt(1 - memory**2) * error[:, t]
    terms = np.ones((1, 30, 1500))
    valid = rng.uniform(size=error.shape) < 0.9
    found = independent_fraction(error, terms, valid)
    # integrated autocorrelation time of an AR(1): (1 + r) / (1 - r)
    assert found == pytest.approx((1 - memory) / (1 + memory), rel=0.2)
