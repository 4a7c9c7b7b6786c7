"""Demand edges: what is wanted goes one way, what is had comes back, never more than there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hybridwater.components.base import Component, Variable
from hybridwater.coupling.clock import Participant
from hybridwater.coupling.exchange import Exchange, find_end
from hybridwater.coupling.ledger import Ledger
from hybridwater.coupling.link import Link, cells_of
from hybridwater.coupling.quantities import measure
from hybridwater.coupling.route import Cells, Route
from hybridwater.errors import CouplingError


@dataclass(frozen=True, eq=False)
class Demand:
    """One declared demand of a consumer on a supply.

    Before each of its steps the supply is asked for what all consumers stated last, but for no more
    than is available; what it then books as taken is theirs.

    Parameters
    ----------
    demand : str
        ``"component.variable"``: output of the consumer, the water that it wants.
    realised : str
        ``"component.variable"``: input of the consumer, the water that it gets.
    supply : str
        ``"component.variable"``: input of the supply, the water to take out of it.
    available : str
        ``"component.variable"``: output of the supply, the water that there is: an amount, or a
        flux.
    cells : str or sequence of int
        Cell of the supply that serves each cell of the consumer (-1: none), or ``"identity"``.
    rule : {"proportional", "priority"}
        How demands on one supply share what is not enough for all: in the same proportion, or one
        after the other. The same for all demands on it.
    priority : int
        Lower numbers are served first; equal ones in proportion.
    usable : float
        Share of what is available that may be taken in a step, above 0 and at most 1.
    additive : bool
        Whether the consumer's input is a sum with that of other demands and exchanges.

    Raises
    ------
    CouplingError
        If a field is not as above.
    """

    demand: str
    realised: str
    supply: str
    available: str
    cells: Any = "identity"
    rule: Literal["proportional", "priority"] = "proportional"
    priority: int = 0
    usable: float = 1.0
    additive: bool = False

    def __post_init__(self) -> None:
        where = f"demand '{self.demand}' on '{self.supply}'"
        if self.rule not in ("proportional", "priority"):
            raise CouplingError(
                f"There is no rule '{self.rule}'.", where, "Choose 'proportional' or 'priority'"
            )
        if not 0.0 < self.usable <= 1.0:
            raise CouplingError(f"The usable share {self.usable} is not in (0, 1].", where)
        for one, other in ((self.demand, self.realised), (self.supply, self.available)):
            if one.partition(".")[0] != other.partition(".")[0]:
                raise CouplingError(
                    f"'{one}' and '{other}' are not of the same component.",
                    where,
                    "Demand and realised are the consumer's, supply and available the supply's",
                )


def allocate(
    available: np.ndarray, demands: Sequence[np.ndarray], priorities: Sequence[int] | None = None
) -> list[np.ndarray]:
    """Share what there is.

    Parameters
    ----------
    available : numpy.ndarray
        Shape (cell,), at least 0.
    demands : sequence of numpy.ndarray
        Each of shape (cell,), at least 0.
    priorities : sequence of int, optional
        Of each demand; without, all have the same.

    Returns
    -------
    list of numpy.ndarray
        What each demand gets, shape (cell,): no more than it wants, and in sum no more than there
        is.
    """
    ranks = [0] * len(demands) if priorities is None else list(priorities)
    granted = [np.zeros_like(available) for _ in demands]
    left = available.copy()
    for rank in sorted(set(ranks)):
        same = [i for i, r in enumerate(ranks) if r == rank]
        wanted = np.sum([demands[i] for i in same], axis=0)
        enough = wanted <= left
        ratio = np.divide(left, wanted, out=np.ones_like(left), where=~enough)
        for i in same:
            granted[i] = demands[i] * ratio
        left = np.maximum(left - np.where(enough, wanted, left), 0.0)
    return granted


class DemandLink(Link):
    """The way back of a demand: what was taken from the supply goes to the consumer."""

    partial = True

    def __init__(
        self, demand: Demand, components: Mapping[str, Component], parts: Mapping[str, Participant]
    ) -> None:
        where = f"demand '{demand.demand}' on '{demand.supply}'"
        consumer, self.wanted = find_end(components, demand.demand, "", "out", where)
        _, realised = find_end(components, demand.realised, "", "in", where)
        supply, self.asked = find_end(components, demand.supply, "", "in", where)
        _, self.there = find_end(components, demand.available, "", "out", where)
        for variable in (self.wanted, realised, self.asked):
            if not measure(variable.units).is_flux:
                raise CouplingError(
                    f"'{variable.name}' is in '{variable.units}', which is no flux of water.",
                    where,
                    "Demands, what is realised and what is taken are in kg m-2 s-1 or m3 s-1",
                )
        if measure(self.there.units).form == "other":
            raise CouplingError(
                f"'{self.there.name}' is in '{self.there.units}', which is not water.", where
            )
        self.demand = demand
        super().__init__(
            Exchange(demand.supply, demand.realised, additive=demand.additive, water=True),
            parts[supply],
            parts[consumer],
            self.asked,
            realised,
        )

    def _make_route(self, here: Cells, there: Cells, where: str) -> Route:
        self.index = _index(self.demand.cells, here.count, there.count, where)
        self._kg_wanted = cells_of(self.target, self.wanted).kilograms(where)
        self._moved, self._taken = np.zeros(there.count), np.zeros(there.count)
        return Route(lambda _: self._moved, None, None)

    @property
    def rules(self) -> tuple[Any, ...]:
        """What tells one demand from another, cells apart."""
        d = self.demand
        return *super().rules, self.wanted.name, self.there.name, d.rule, d.priority, d.usable

    def imprint(self) -> list[np.ndarray]:
        """Return the cells of the supply."""
        return [self.index]

    def ask(self, length: float) -> np.ndarray:
        """Return what the consumer wants in a step of the supply [kg], shape (supply cell,)."""
        wanted = np.maximum(self.target.read(self.wanted), 0.0) * self._kg_wanted * length
        self._each = np.where(self.index >= 0, wanted, 0.0)
        return self._to_supply(self._each)

    def _to_supply(self, kilograms: np.ndarray) -> np.ndarray:
        served = self.index >= 0
        size = cells_of(self.source, self.asked).count
        return np.bincount(self.index[served], kilograms[served], size)

    def get(self, kilograms: np.ndarray, length: float) -> None:
        """Share what was taken for this demand among the cells of the consumer.

        Parameters
        ----------
        kilograms : numpy.ndarray
            Shape (supply cell,).
        length : float
            Length of the step of the supply [s].
        """
        whole = self._to_supply(self._each)
        ratio = np.divide(kilograms, whole, out=np.zeros_like(whole), where=whole > 0)
        got = np.where(self.index >= 0, self._each * ratio[self.index], 0.0)
        self._moved = got / (self.kg_taken * length)
        self._taken = kilograms

    def give(self, ledger: Ledger) -> None:
        """Hand on what was taken, and book it."""
        self._put(self._moved)
        total = float(self._taken.sum())
        ledger.give(self.label, total, gross=abs(total))


class Allocation:
    """All demands on one variable of a supply.

    Parameters
    ----------
    links : sequence of DemandLink
        At least one.

    Raises
    ------
    CouplingError
        If they do not agree about the rule, or about what is available.
    """

    def __init__(self, links: Sequence[DemandLink]) -> None:
        self.links, first = list(links), links[0]
        self.supply, self.variable = first.source, first.asked
        where = f"demands on '{first.demand.supply}'"
        kinds = {(k.demand.rule, k.there.name, k.demand.usable) for k in links}
        if len(kinds) > 1:
            raise CouplingError(
                "Demands on one supply have different rules, or see different water as available.",
                where,
                "Give all of them the same rule, available and usable",
            )
        self._there: Variable = first.there
        self._usable = first.demand.usable
        ranked = first.demand.rule == "priority"
        self._priorities = [k.demand.priority for k in links] if ranked else None
        self._kg_there = cells_of(self.supply, self._there).kilograms(where)
        self._kg_asked = cells_of(self.supply, self.variable).kilograms(where)
        self._per_time = measure(self._there.units).is_flux

    def ask(self, length: float) -> np.ndarray:
        """Return what the supply is asked for in a step, in the units of its input."""
        there = np.maximum(self.supply.read(self._there), 0.0) * self._kg_there * self._usable
        if self._per_time:
            there = there * length
        self._granted = allocate(there, [k.ask(length) for k in self.links], self._priorities)
        return np.sum(self._granted, axis=0) / (self._kg_asked * length)

    def share(self) -> None:
        """Share what the supply says was taken in its last step.

        Raises
        ------
        CouplingError
            If it gave more than it was asked for.
        """
        length, granted = self.supply.length, self._granted
        taken = self.supply.crossed.get(self.variable.name)
        if taken is not None and np.shape(taken) == granted[0].shape:
            taken = -np.asarray(taken)
            most = np.sum(granted, axis=0)
            if (taken > most * (1 + 1e-9)).any():
                cell = int(np.argmax(taken - most))
                raise CouplingError(
                    f"The supply gave {taken[cell]:.6g} kg, but was asked for {most[cell]:.6g} kg.",
                    f"component '{self.supply.name}', variable '{self.variable.name}', cell {cell}",
                    "Let it take what it is asked for, or less",
                )
            if (taken != most).any():
                granted = _scaled(taken, granted, self._priorities)
        for link, kilograms in zip(self.links, granted, strict=True):
            link.get(kilograms, length)


def _scaled(
    taken: np.ndarray, granted: list[np.ndarray], priorities: list[int] | None
) -> list[np.ndarray]:
    """Share what was taken by the same rule; rounding above what was granted goes along."""
    shared = allocate(np.maximum(taken, 0.0), granted, priorities)
    total = np.sum(shared, axis=0)
    ratio = np.divide(taken, total, out=np.zeros_like(total), where=total > 0)
    return [s * ratio for s in shared]


def _index(cells: Any, supply: int, consumer: int, where: str) -> np.ndarray:
    if isinstance(cells, str):
        if cells != "identity" or supply != consumer:
            raise CouplingError(
                f"The consumer has {consumer} cells and the supply {supply}.",
                where,
                "Give the cell of the supply that serves each cell of the consumer: cells = [...]",
            )
        return np.arange(consumer)
    index = np.asarray(cells)
    sound = index.shape == (consumer,) and index.dtype.kind in "iu"
    if not sound or (index < -1).any() or (index >= supply).any():
        raise CouplingError(
            f"The cells are not {consumer} whole numbers from -1 to {supply - 1}.", where
        )
    return index.astype(np.int64)
