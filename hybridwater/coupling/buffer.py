"""Buffers between two clocks: what a source gave over its steps, until a target has taken it.

A flux buffer holds pieces of constant flux. The mean over any step is the exact integral of the
pieces in it divided by its length, so that what goes in comes out, whatever the two steps are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

# Lengths of time that differ by less than this are the same number, but for rounding.
_ROUNDING = 1e-14


class Piece(NamedTuple):
    """Values over a step of the source: constant, or a line from ``before`` to ``values``."""

    end: float
    length: float
    values: np.ndarray
    before: np.ndarray


class Buffer(ABC):
    """Pieces in the order of time, without gaps.

    Parameters
    ----------
    begin : float
        Time [s] from which on there is something to take.
    tolerance : float
        Two times [s] that differ by less are the same.

    Attributes
    ----------
    end : float
        Time [s] up to which it is filled.
    lent : bool
        Whether the values that were put last are the giver's own, which it may change; see `own`.
    """

    def __init__(self, begin: float, tolerance: float) -> None:
        self.tolerance = tolerance
        self._fill([], begin)

    def _fill(self, pieces: Iterable[Piece], begin: float) -> None:
        self.pieces, self.begin, self.lent = deque(pieces), begin, False
        self.end = self.pieces[-1].end if self.pieces else begin

    def empty(self, begin: float) -> None:
        """Forget everything, and begin at a time [s]."""
        self._fill([], begin)

    def put(
        self,
        end: float,
        length: float,
        values: np.ndarray,
        before: np.ndarray | None = None,
        *,
        lent: bool = False,
    ) -> None:
        """Add what a source gave over a step.

        Parameters
        ----------
        end, length : float
            End of the step and its length [s].
        values : numpy.ndarray
            Shape (cell,); kept, not copied.
        before : numpy.ndarray, optional
            Value at the beginning of the step, for states.
        lent : bool
            Whether ``values`` are lent until `own` is called, which most often comes after they
            were taken, so that nothing is copied.
        """
        self.lent = lent
        self.pieces.append(Piece(end, length, values, values if before is None else before))
        self.end = end

    def own(self) -> None:
        """Copy what was lent and not yet taken, as its giver is about to change it."""
        if self.lent and self.pieces:
            values = self.pieces[-1].values.copy()
            self.pieces[-1] = self.pieces[-1]._replace(values=values, before=values)
        self.lent = False

    def covers(self, until: float) -> bool:
        """Whether everything up to a time has been given."""
        return self.end >= until - self.tolerance

    @abstractmethod
    def take(self, until: float, length: float) -> np.ndarray:
        """Take what belongs to a step of the target, and forget what is before.

        Parameters
        ----------
        until, length : float
            End of the step and its length [s].

        Returns
        -------
        numpy.ndarray
            Shape (cell,); not to be changed.
        """

    @abstractmethod
    def in_transit(self) -> np.ndarray | float:
        """Return the integral of what was given and not taken, shape (cell,), or 0 for nothing."""

    def kept(self) -> tuple[list[Piece], float]:
        """Return what `restore` takes; arrays are shared, as they are never changed."""
        self.own()
        return list(self.pieces), self.begin

    def restore(self, kept: tuple[list[Piece], float]) -> None:
        """Go back to what `kept` returned."""
        self._fill(*kept)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the whole content as arrays, for a checkpoint."""
        return {
            "times": np.array([(p.end, p.length) for p in self.pieces], float).reshape(-1, 2),
            "values": np.array([p.values for p in self.pieces]),
            "before": np.array([p.before for p in self.pieces]),
            "begin": np.array(self.begin),
        }

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the content from `arrays`."""
        rows = zip(arrays["times"], arrays["values"], arrays["before"], strict=True)
        pieces = [Piece(float(t[0]), float(t[1]), v, b) for t, v, b in rows]
        self._fill(pieces, float(arrays["begin"]))


class FluxBuffer(Buffer):
    """Pieces of constant flux; what is taken is the mean over the step of the target.

    Lengths are counted, not differences of times, which would lose digits far from time zero.
    """

    def take(self, until: float, length: float) -> np.ndarray:
        """Take the mean over a step: the integral of what is there, divided by its length."""
        self.begin = until
        first = self.pieces[0]
        if first.length > length + self.tolerance:  # within one piece: its value, to the last bit
            self.pieces[0] = first._replace(length=first.length - length)
            return first.values
        if abs(first.length - length) <= _ROUNDING * length:
            return self.pieces.popleft().values
        integral, missing = np.zeros_like(first.values), length
        while self.pieces and missing > self.tolerance:
            piece = self.pieces.popleft()
            used = piece.length
            if used > missing + self.tolerance:
                used = missing
                self.pieces.appendleft(piece._replace(length=piece.length - used))
            integral += piece.values * used
            missing -= used
        return integral / length

    def in_transit(self) -> np.ndarray | float:
        """Return the integral of what was given and not taken, shape (cell,), or 0 for nothing."""
        total: np.ndarray | float = 0.0
        for piece in self.pieces:
            total = total + piece.values * piece.length
        return total


class StateBuffer(Buffer):
    """States along lines from the beginning to the end of each step of the source.

    Parameters
    ----------
    begin, tolerance
        As in `Buffer`.
    mean : bool
        Whether a target gets the mean over its step, or the state at its end.
    """

    def __init__(self, begin: float, tolerance: float, mean: bool) -> None:
        super().__init__(begin, tolerance)
        self.mean = mean

    def take(self, until: float, length: float) -> np.ndarray:
        """Take the state at the end of a step, or its mean over the step."""
        begin = until - length
        while len(self.pieces) > 1 and self.pieces[0].end <= begin + self.tolerance:
            self.pieces.popleft()
        if not self.mean:
            return self._at(until)
        integral = np.zeros_like(self.pieces[0].values)
        for piece in self.pieces:
            low, high = max(piece.end - piece.length, begin), min(piece.end, until)
            if high > low:
                integral += _along(piece, (low + high) / 2) * (high - low)
        return integral / length

    def _at(self, time: float) -> np.ndarray:
        for piece in self.pieces:
            if abs(piece.end - time) <= self.tolerance:
                return piece.values
            if piece.end > time:
                return _along(piece, time)
        return self.pieces[-1].values

    def in_transit(self) -> float:
        """Return 0: a state is not water."""
        return 0.0


def _along(piece: Piece, time: float) -> np.ndarray:
    share = 1.0 - (piece.end - time) / piece.length
    return piece.before + share * (piece.values - piece.before)
