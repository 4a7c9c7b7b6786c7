import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hybridwater.coupling import sums
from hybridwater.coupling.sums import Sums, total, weighted

NUMBERS = st.floats(-1e6, 1e6)
ARRAYS = st.lists(
    hnp.arrays(float, hnp.array_shapes(min_dims=0, max_dims=2, min_side=0), elements=NUMBERS)
)


@settings(max_examples=60, deadline=None)
@given(ARRAYS)
def test_sums_taken_together_are_those_of_each(arrays):
    taken, found, norms = Sums(), [0.0, 0.0], [0.0, 0.0]
    for k, array in enumerate(arrays):
        taken.add(array, found, norms, k % 2)
    taken.settle()
    for i in (0, 1):
        mine = arrays[i::2]
        size = sum(np.abs(a).sum() for a in mine)
        assert abs(found[i] - math.fsum(x for a in mine for x in a.ravel())) <= 1e-14 * size
        assert abs(norms[i] - sum(np.linalg.norm(a) for a in mine)) <= 1e-13 * size


def test_many_and_large_arrays_are_added_up_at_once(monkeypatch):
    monkeypatch.setattr(sums, "_MOST", 3)
    monkeypatch.setattr(sums, "_LARGE", 10)
    taken, found = Sums(), [0.0]
    taken.add(np.ones(11), found, None, 0)
    assert found == [11.0]
    for _ in range(4):
        taken.add(np.ones(5), found, None, 0)
    assert found == [26.0]
    taken.forget()
    taken.settle()
    assert found == [26.0]


def test_what_is_not_finite_shows():
    assert not math.isfinite(total(np.array([1.0, np.nan])))
    assert not math.isfinite(total(np.array([1.0, np.inf])))
    assert weighted(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 11.0
    assert weighted(np.array([1.0, 2.0]), 2.0) == 6.0
