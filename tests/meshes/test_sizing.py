import numpy as np
import pytest

from hybridwater.errors import DataError, SettingsError
from hybridwater.meshes import Sizing


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"smallest": 0.0}, "smallest size is 0"),
        ({"largest": np.nan}, "largest size is nan"),
        ({"smallest": 10.0}, "smallest size, 10 m, is above the largest, 5 m"),
        ({"change": 0.0}, "are not positive"),
        ({"change": (np.inf, np.inf)}, "none is finite"),
        ({"change": np.nan}, "are not positive"),
        ({"growth": 0.9}, "growth=0.9 is less than 1"),
        ({"stretch": np.inf}, "stretch=inf"),
        ({"cells": 0}, "cells=0"),
    ],
)
def test_sizes_that_cannot_be_are_refused(choices, said):
    with pytest.raises(SettingsError, match=said):
        Sizing(**{"smallest": 1.0, "largest": 5.0, "change": 0.1, **choices})


def test_states_are_counted_in_their_changes_and_some_not_at_all():
    sizing = Sizing(1.0, 5.0, change=(0.5, np.inf, 2.0))
    states = np.array([[1.0, np.nan, 4.0], [2.0, np.nan, 8.0]])
    np.testing.assert_allclose(sizing.columns(states, 2, "here"), [[2.0, 2.0], [4.0, 4.0]])
    with pytest.raises(DataError, match="1 cells are not finite, first of cell 1"):
        sizing.columns([[1.0, 0.0, 1.0], [1.0, 0.0, np.nan]], 2, "here")
    with pytest.raises(DataError, match="not 3 of 5 cells"):
        sizing.columns(states, 5, "here")


def test_changes_are_taken_larger_until_there_are_few_enough_cells():
    sizing = Sizing(1.0, 5.0, change=1.0)
    assert sizing.coarsening(lambda f: 10.0 / f, 20.0) == 1.0
    assert sizing.coarsening(lambda f: 10.0 / f, 4.0) == pytest.approx(2.5)
    assert sizing.coarsening(lambda f: 7.0, 4.0) == np.inf
