import numpy as np
import pytest
import scipy.stats as st

from hybridwater.ensembles.distributions import Distribution, distribution, lognormal
from hybridwater.errors import EnsembleError

PEERS = {
    "uniform": ((2, 5), st.uniform(2, 3)),
    "loguniform": ((0.1, 10), st.loguniform(0.1, 10)),
    "triangular": ((0, 1, 4), st.triang(0.25, 0, 4)),
    "normal": ((1, 2), st.norm(1, 2)),
    "truncated_normal": ((1, 2, 0, 3), st.truncnorm(-0.5, 1, 1, 2)),
    "lognormal": ((0.5,), st.lognorm(0.5, scale=np.exp(-0.125))),
}


@pytest.mark.parametrize("kind", PEERS)
def test_quantiles_are_those_of_scipy(kind):
    numbers, peer = PEERS[kind]
    u = np.linspace(0.001, 0.999, 41)
    ours = Distribution(kind, tuple(map(float, numbers))).quantile(u)
    np.testing.assert_allclose(ours, peer.ppf(u), rtol=1e-9, atol=1e-9)


def test_factors_have_the_mean_one():
    u = (np.arange(100000) + 0.5) / 100000
    assert lognormal(0.4).quantile(u).mean() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"unifrom": [0, 1]}, "did you mean 'uniform'"),
        ({"uniform": [1, 0]}, "makes no uniform"),
        ({"uniform": [0]}, "makes no uniform"),
        ({"normal": [0, -1]}, "spreads above zero"),
        ({"loguniform": [0, 1]}, "above zero"),
        ({"triangular": [0, 5, 4]}, "makes no triangular"),
        ({"normal": [0, float("nan")]}, "makes no normal"),
        ({"normal": ["a", 1]}, "The numbers of"),
        ({}, "not a distribution"),
        (3, "not a distribution"),
    ],
)
def test_what_is_no_distribution_is_refused(said, told):
    with pytest.raises(EnsembleError, match=told):
        distribution(said)
