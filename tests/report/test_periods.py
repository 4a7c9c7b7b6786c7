"""Reading a split as people write it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hybridwater.errors import DataError
from hybridwater.report.periods import read_split

TIMES = pd.date_range("2000-10-01", "2003-09-30", freq="D")
DAY = np.timedelta64(1, "D")


def stamps(split):
    return [(p.name, str(p.start)[:10], str(p.end)[:10]) for p in read_split(split, TIMES, DAY)]


def test_no_split_has_no_periods():
    assert read_split(None, TIMES, DAY) == []


@pytest.mark.parametrize(
    "bounds",
    [
        ("2001-10-01", "2002-09-30"),
        ["2001-10", "2002-09"],
        slice("2001-10-01", "2002-09-30"),
        (np.datetime64("2001-10-01"), np.datetime64("2002-09-30")),
        (pd.Timestamp("2001-10-01"), pd.Timestamp("2002-09-30")),
    ],
)
def test_both_ends_are_included(bounds):
    assert stamps({"train": bounds}) == [("train", "2001-10-01", "2002-10-01")]


def test_open_ends_and_order_of_time():
    found = stamps({"test": ("2002-10-01", None), "train": (None, "2002-09-30")})
    assert found == [("train", "2000-10-01", "2002-10-01"), ("test", "2002-10-01", "2003-10-01")]


@pytest.mark.parametrize("bounds", ["2001", ("2001",), 5, ("soon", "later"), None])
def test_what_is_not_a_pair_of_times_is_refused(bounds):
    with pytest.raises(DataError, match="not a start and an end"):
        read_split({"train": bounds}, TIMES, DAY)


def test_backward_period_is_refused():
    with pytest.raises(DataError, match="ends before it starts"):
        read_split({"train": ("2002-01-01", "2001-01-01")}, TIMES, DAY)


def test_overlap_is_refused():
    split = {"train": ("2000-10-01", "2002-01-01"), "test": ("2002-01-01", None)}
    with pytest.raises(DataError, match="'train' and 'test' overlap"):
        read_split(split, TIMES, DAY)
