import numpy as np
import pytest

from hybridwater.ensembles import Design
from hybridwater.errors import EnsembleError


@pytest.mark.parametrize("kind", ["monte-carlo", "latin-hypercube", "sobol"])
def test_numbers_are_between_0_and_1_and_depend_on_the_seed_alone(kind):
    one = Design(64, kind, seed=3).uniforms(3)
    assert one.shape == (64, 3)
    assert 0 < one.min() < one.max() < 1
    np.testing.assert_array_equal(one, Design(64, kind, seed=3).uniforms(3))
    assert (one != Design(64, kind, seed=4).uniforms(3)).all()


def test_strata():
    """Every stratum of a latin hypercube, and every one of a Sobol sequence, has one point."""
    for kind in ("latin-hypercube", "sobol"):
        points = Design(32, kind).uniforms(4)
        assert (np.sort(np.floor(32 * points), axis=0) == np.arange(32)[:, None]).all()


def test_plain_members_have_their_own_draws():
    assert Design(3).rows(2).tolist() == [[0, 0], [1, 1], [2, 2]]


def test_members_for_attribution_are_mixed():
    rows = Design(2, attribution=True).rows(2)
    assert rows.tolist() == [[0, 0], [2, 2], [2, 0], [0, 2], [1, 1], [3, 3], [3, 1], [1, 3]]
    assert Design(16, "sobol", attribution=True).uniforms(3).shape == (32, 3)
    assert Design(16, attribution=True).uniforms(0).shape == (32, 0)


def test_bad_designs():
    with pytest.raises(EnsembleError, match=r"power of two.*Ask for 64 or 128"):
        Design(100, "sobol")
    with pytest.raises(EnsembleError, match="did you mean 'sobol'"):
        Design(8, "sobl")  # type: ignore[arg-type]
    with pytest.raises(EnsembleError, match="0 members"):
        Design(0)
