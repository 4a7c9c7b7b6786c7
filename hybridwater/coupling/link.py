"""Links: declared exchanges once they are connected to components and hold their buffers."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridwater.components.base import Variable
from hybridwater.coupling.buffer import FluxBuffer, StateBuffer
from hybridwater.coupling.clock import SAME, Participant
from hybridwater.coupling.exchange import Exchange
from hybridwater.coupling.ledger import Ledger
from hybridwater.coupling.quantities import is_water, linear_conversion, measure
from hybridwater.coupling.route import Cells, Route, make_route, same_cells
from hybridwater.coupling.sums import shared, weighted, weighted_rows
from hybridwater.errors import CouplingError


class Link:
    """An exchange between two participants.

    Whether it is ``partial`` says if what it takes is only a part of what its source books.

    Parameters
    ----------
    exchange : Exchange
        What was declared.
    source, target : Participant
        Its ends.
    given, taken : Variable
        The variable at each end.

    Attributes
    ----------
    lag : float
        How much later [s] the target gets what the source gave.
    water : bool
        Whether it is booked.

    In a batch of runs its values are of shape (copy, cell), and what it books of shape (copy,).
    """

    partial = False

    def __init__(
        self,
        exchange: Exchange,
        source: Participant,
        target: Participant,
        given: Variable,
        taken: Variable,
    ) -> None:
        self.exchange, self.label = exchange, exchange.label
        self.source, self.target, self.given, self.taken = source, target, given, taken
        self._copies = source.copies
        self._weighted = weighted if self._copies == 1 else weighted_rows
        where = f"exchange '{self.label}'"
        self.water = is_water(given, taken, exchange.water)
        self.rule = exchange.time or ("mean" if given.kind == "rate" else "instantaneous")
        if self.water and self.rule != "mean":
            raise CouplingError(
                "Water is exchanged as the value at one time, which would lose or make some.",
                where,
                "Leave out time = 'instantaneous'",
            )
        here, there = cells_of(source, given), cells_of(target, taken)
        if isinstance(exchange.remap, str) and exchange.remap == "identity":
            here, there = same_cells(here, there)
        self.route = self._make_route(here, there, where)
        self.size = there.count
        self.shape = (self.size,) if self._copies == 1 else (self._copies, self.size)
        if self.water:
            self.kg_given = shared(here.kilograms(where))
            self.kg_taken = shared(there.kilograms(where))
            fraction = self.route.fraction
            self._kg_lost = None if fraction is None else (1.0 - fraction) * self.kg_given
        self.lag = 0.0
        self._found: list[np.ndarray] | None = None
        self._owed: np.ndarray | None = None
        self._before: np.ndarray | None = None  # state at the end of the source's last step
        self._connect(SAME * min(source.step, target.step))

    def _make_route(self, here: Cells, there: Cells, where: str) -> Route:
        masks = self.exchange.source_mask, self.exchange.target_mask
        return self._route_by(self.exchange.remap, masks, here, there, where)

    def _route_by(
        self, rule: Any, masks: tuple[Any, Any], here: Cells, there: Cells, where: str
    ) -> Route:
        return make_route(
            rule,
            here,
            there,
            linear_conversion(self.given, self.taken, where),
            share=self.exchange.share,
            fill=self.exchange.fill,
            masks=masks,
            where=where,
        )

    def _connect(self, tolerance: float) -> None:
        constant = self.given.kind == "rate" or self.water
        self.buffer = (
            FluxBuffer(0.0, tolerance)
            if constant
            else StateBuffer(0.0, tolerance, self.rule == "mean")
        )
        # A flux that arrives as it is needs no copy if it is taken before its source steps again.
        self._lends = constant and self.route.passes and np.dtype(self.given.dtype) == float
        if not constant:
            self._before = self.route.move(self.source.read(self.given))

    @property
    def rules(self) -> tuple[Any, ...]:
        """What tells one exchange from another, arrays apart."""
        e = self.exchange
        return self.rule, self.lag, e.initial, e.additive, e.share, e.minimum, self.water, e.fill

    def imprint(self) -> list[np.ndarray]:
        """Return the arrays that tell one exchange from another."""
        return self.route.imprint()

    def open(self, lag: float) -> None:
        """Fill the buffer for the time before the source has given anything.

        Raises
        ------
        CouplingError
            If the initial value is needed and was not declared.
        """
        self.lag = lag
        if lag > 0:
            self.buffer.put(lag, lag, self.first_value())

    def join(self) -> None:
        """Begin in the middle of a run, where the clocks of the two ends are."""
        ahead = self.source.time + self.lag
        self.buffer.empty(self.target.time)
        if ahead > self.target.time + self.buffer.tolerance:
            self.buffer.put(ahead, ahead - self.target.time, self.first_value())

    def first_value(self) -> np.ndarray:
        """Return what the target gets before the source has given anything."""
        declared = self.exchange.initial
        if declared is not None:
            return np.full(self.shape, float(declared))
        if self._before is not None:
            return self._before
        if self.water:
            return np.zeros(self.shape)
        raise CouplingError(
            f"'{self.given.name}' is exchanged late, and has no value at the start.",
            f"exchange '{self.label}'",
            f"Give one in {self.taken.units}: initial = ...",
        )

    def give(self, ledger: Ledger) -> None:
        """Take up what the source gave in its last step."""
        source = self.source
        values = source.read(self.given)
        if self._lends and self._found is None:
            self.buffer.put(source.time + self.lag, source.length, values, lent=True)
        else:
            self._put(self.route.move(values))
        if self.water:
            length, lost, gross = source.length, None, None
            if self._kg_lost is not None:
                lost = self._weighted(values, self._kg_lost) * length
            if not source.component.has_storage:
                gross = self._weighted(np.abs(values), self.kg_given) * length
            ledger.give(self.label, self._weighted(values, self.kg_given) * length, lost, gross)

    def _put(self, moved: np.ndarray) -> None:
        """Keep what was moved until the target takes it, or aside if it is taking a guess."""
        source = self.source
        if self._found is None:
            self.buffer.put(source.time + self.lag, source.length, moved, self._before)
        else:
            self._found.append(moved)
        if self._before is not None:
            self._before = moved

    def deliver(self, until: float, length: float, ledger: Ledger) -> np.ndarray:
        """Return what the target gets for its next step; not to be changed.

        Of the shape of the target's values: in a batch, copies follow one another.
        """
        values = self.buffer.take(until, length)
        if self._owed is not None or self.exchange.minimum is not None:
            values = self._with_what_is_owed(values, length, ledger)
        if self.water:
            ledger.deliver(self.label, self._weighted(values, self.kg_taken) * length)
        return values if self._copies == 1 else values.reshape(-1)

    def _with_what_is_owed(self, values: np.ndarray, length: float, ledger: Ledger) -> np.ndarray:
        wanted = values if self._owed is None else values + self._owed / length
        least = self.exchange.minimum
        given = wanted if least is None else np.maximum(wanted, least)
        if least is not None:
            self._owed = (wanted - given) * length
            if self.water:
                clipped = np.abs(self._owed * self.kg_taken)
                ledger.clip(self.label, clipped.sum(axis=-1))
        else:
            self._owed = None
        return given

    def guess(self, values: np.ndarray, begin: float, length: float) -> None:
        """Let the target take a guess, and put aside what the source gives.

        Parameters
        ----------
        values : numpy.ndarray
            Shape (piece, cell), in units of the target.
        begin, length : float
            Begin of the first piece, and length of each [s].
        """
        before = self._before
        for i, row in enumerate(values):
            self.buffer.put(begin + (i + 1) * length, length, row, before)
            before = None if before is None else row
        self._found = []

    def found(self) -> list[np.ndarray]:
        """Return what the source gave since `guess`, one array of shape (cell,) per step."""
        found, self._found = self._found or [], None
        return found

    def owe(self, integral: np.ndarray) -> None:
        """Add an integral that the target has yet to get, shape (cell,)."""
        self._owed = integral if self._owed is None else self._owed + integral

    def in_transit(self) -> float | np.ndarray:
        """Return the water [kg] that left the source and has not reached the target."""
        if not self.water:
            return 0.0
        if not self.buffer.pieces and self._owed is None:
            return 0.0
        integral = self.buffer.in_transit()
        if self._owed is not None:
            integral = integral + self._owed
        return np.sum(integral * self.kg_taken, axis=-1)

    def kept(self) -> tuple:
        """Return what `restore` takes."""
        return self.buffer.kept(), self._owed, self._before

    def restore(self, kept: tuple) -> None:
        """Go back to what `kept` returned."""
        pieces, self._owed, self._before = kept
        self.buffer.restore(pieces)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that it holds, for a checkpoint."""
        extra = {"owed": self._owed, "last": self._before}
        return {**self.buffer.arrays(), **{k: v for k, v in extra.items() if v is not None}}

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take all that it holds from a checkpoint."""
        self.buffer.set_arrays(arrays)
        self._owed, self._before = arrays.get("owed"), arrays.get("last")


def cells_of(participant: Participant, variable: Variable) -> Cells:
    """Return the cells that a variable of a component lies on, in a batch those of one copy."""
    component = participant.component
    count = component.get_var_nbytes(variable.name) // component.get_var_itemsize(variable.name)
    mesh = component.mesh(variable.grid)
    return Cells(count // participant.copies, measure(variable.units), mesh)
