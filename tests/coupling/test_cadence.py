import datetime as dt

import pytest

from hybridwater.coupling.cadence import Cadence
from hybridwater.errors import CouplingError

DAY = 86400.0
START = dt.datetime(1979, 11, 15)


def test_durations_are_counted_from_the_start():
    cadence = Cadence("2 d", None, "")
    assert [cadence.end(t * DAY) / DAY for t in (0, 0.5, 1.9, 2.0, 2.4)] == [2, 2, 2, 4, 4]
    assert cadence.end(2 * DAY * (1 - 1e-12)) == 4 * DAY  # but for rounding there


def test_months_and_years_are_those_of_the_calendar():
    month, year = Cadence("month", START, ""), Cadence("year", START, "")
    assert month.end(0.0) == 16 * DAY
    assert month.end(16 * DAY) == (16 + 31) * DAY
    assert month.end(47 * DAY) == (47 + 31) * DAY  # over the turn of the year
    assert month.end(78 * DAY) == (78 + 29) * DAY  # of a leap year
    assert year.end(0.0) == 47 * DAY
    assert year.end(47 * DAY) == (47 + 366) * DAY
    assert Cadence("1 month", START, "").end(0.0) == 16 * DAY


@pytest.mark.parametrize(
    ("every", "words"),
    [
        ("3 months", "neither a duration nor a month"),
        ("often", "not a duration"),
        ("0 d", "not above 0"),
        ("12", "not a duration"),
    ],
)
def test_refusals(every, words):
    with pytest.raises(CouplingError, match=words):
        Cadence(every, START, "outputs of 'lake'")


def test_a_calendar_needs_dates():
    with pytest.raises(CouplingError, match="no component knows its dates"):
        Cadence("month", None, "outputs of 'lake'")
