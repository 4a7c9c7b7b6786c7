"""When the intervals of outputs end: after a duration, or with a month or year of the calendar."""

from __future__ import annotations

import datetime as dt

from hybridwater.coupling.clock import SAME, seconds
from hybridwater.errors import CouplingError

_CALENDAR = ("month", "year")


class Cadence:
    """Intervals of outputs.

    Parameters
    ----------
    every : str
        A duration such as ``"30 d"``, counted from the start of the run; ``"month"`` or ``"year"``
        of the calendar.
    origin : datetime or None
        Date of time zero.
    where : str
        What it is of, for errors.

    Raises
    ------
    CouplingError
        If it is neither, or of the calendar where no component knows dates.
    """

    def __init__(self, every: str, origin: dt.datetime | None, where: str) -> None:
        self.every, self.origin = every, origin
        number, _, unit = every.strip().partition(" ")
        word = every.strip() if every.strip() in _CALENDAR else unit.removesuffix("s")
        self._calendar = word if word in _CALENDAR else None
        if self._calendar is None:
            self._length = seconds(every, where)
            if not self._length > 0:
                raise CouplingError(f"'{every}' is not above 0.", where)
        elif word != every.strip() and number != "1":  # a unit library makes 30.4 days of a month
            raise CouplingError(
                f"'{every}' is neither a duration nor a month or year.",
                where,
                "Write 'month', 'year', or a number of days as in '90 d'",
            )
        elif origin is None:
            raise CouplingError(
                f"Outputs are wanted every {word}, but no component knows its dates.",
                where,
                "Give the components a start, as in start = 1990-10-01, or a duration: '30 d'",
            )

    def end(self, begin: float) -> float:
        """Return the end of the interval in which a time lies, or which begins there [s]."""
        if self._calendar is None:
            return (int(begin / self._length + SAME) + 1) * self._length
        assert self.origin is not None
        date = self.origin + dt.timedelta(seconds=begin, microseconds=1)
        month = 1 if self._calendar == "year" else date.month % 12 + 1
        year = date.year + (month == 1)
        return (dt.datetime(year, month, 1) - self.origin).total_seconds()
