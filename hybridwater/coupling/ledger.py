"""The ledger: every kilogram of a coupled run is booked.

Water is booked where it leaves, on its way, and where it arrives. Components and exchanges do so
independently of one another: a component by what it says crossed its boundary, an exchange by what
it read and what it set. Where the two do not agree, a unit, a sign or an area is wrong, and the
ledger says where. Numbers of one row are sums over one coupling step. Every step is balanced for
itself, but some at once, which is much quicker. They wait for a second of computing at most, so
that a run of slow models stops in the step in which water is missing.
"""

from __future__ import annotations

import datetime as dt
import warnings
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Literal

import numpy as np

from hybridwater.coupling.balance import Balance, Plan
from hybridwater.coupling.books import Totals, fields, to_dataset
from hybridwater.coupling.records import Layout, Records
from hybridwater.coupling.sums import total, total_and_norm
from hybridwater.errors import CouplingError, LedgerError

if TYPE_CHECKING:
    import xarray as xr

    from hybridwater.components.base import Variable
    from hybridwater.coupling.clock import Participant
    from hybridwater.coupling.link import Link

# Steps are balanced once there are so many, or after so long [s].
_MOST, _LONGEST = 256, 1.0
_PER_COMPONENT = ("storage", "storage_change", "inflow", "outflow", "component_residual")
_PER_EXCHANGE = (
    *("given", "unmapped", "added", "in_transit", "delivered", "clipping"),
    "exchange_residual",
)
# Fluxes of a component that took a place in the middle of a run, and has others than the first one.
_OTHER = "other"
_SYSTEM = ("external", "unobserved", "residual")


@dataclass(frozen=True)
class Policy:
    """What the ledger does where water is missing.

    Parameters
    ----------
    tolerance : float
        Largest residual, relative to the water in store and moved in the step.
    on_error : {"error", "warn", "record"}
        Stop the run, warn, or only keep the number.

    Raises
    ------
    CouplingError
        If a field is not as above.
    """

    tolerance: float = 1e-12
    on_error: Literal["error", "warn", "record"] = "error"

    def __post_init__(self) -> None:
        if self.on_error not in ("error", "warn", "record") or not self.tolerance > 0:
            raise CouplingError(
                f"The ledger cannot have on_error = '{self.on_error}' and tolerance = "
                f"{self.tolerance}.",
                fix="Choose 'error', 'warn' or 'record', and a tolerance above 0",
            )


class Ledger:
    """The books of a coupled run.

    Parameters
    ----------
    participants : iterable of Participant
        Components; those without storage keep no books of their own.
    policy : Policy
        Tolerance and what follows.
    others : mapping of str to sequence of Variable, optional
        Variables of components that may take a place, by its name.
    """

    def __init__(
        self,
        participants: Iterable[Participant],
        policy: Policy,
        others: Mapping[str, Sequence[Variable]] | None = None,
    ) -> None:
        self.policy = policy
        self._participants = {p.name: p for p in participants}
        self._others = dict(others or {})
        self._booked = [n for n, p in self._participants.items() if p.component.has_storage]

    def begin(self, links: Iterable[Link], origin: dt.datetime | None, path: Path | None) -> None:
        """Begin with what is in store and in transit.

        Parameters
        ----------
        links : iterable of Link
            Exchanges, opened.
        origin : datetime or None
            Date of time zero.
        path : pathlib.Path or None
            File for the rows; None keeps them in memory.
        """
        self._links = [link for link in links if link.water]
        self._slot = {link.label: i for i, link in enumerate(self._links)}
        fluxes = self._fluxes()
        self._place: dict[str, dict[str, int]] = {name: {} for name in self._booked}
        for i, (name, flux) in enumerate(fluxes):
            self._place[name][flux] = i
        self._plan = Plan(self._booked, self._links, fluxes)
        self._begins = self._plan.begin
        self._begin(0.0)
        self._columns = [
            *((what, name) for what in _PER_COMPONENT for name in self._booked),
            *((what, label) for what in _PER_EXCHANGE for label in self._slot),
            *((what, "") for what in _SYSTEM),
            *(("boundary_flux", f"{name}.{flux}") for name, flux in fluxes),
        ]
        self.totals = Totals(len(self._columns))
        layout = Layout(fields(self._columns), origin, "ledger of a coupled run", "coupling step")
        self.records = Records(layout, path)

    def _fluxes(self) -> list[tuple[str, str]]:
        """Return component and name of all fluxes that may be booked."""
        ends = {(k.source.name, k.given.name) for k in self._links}
        ends |= {(k.target.name, k.taken.name) for k in self._links}
        found = []
        for name in self._booked:
            own = self._participants[name].component.variables
            every = (*own, *self._others.get(name, ()))
            rates = [v.name for v in every if v.kind == "rate" or (name, v.name) in ends]
            found += [(name, flux) for flux in dict.fromkeys((*rates, _OTHER))]
        return found

    # ---- bookings

    def book(self, participant: Participant) -> None:
        """Book what crossed the boundary of a component in its last step."""
        place = self._place.get(participant.name)
        if place is None:
            return
        row, moved, other = self._row, self._begins["moved"], place[_OTHER]
        for name, kilograms in participant.crossed.items():
            i = place.get(name, other)
            crossed, size = total_and_norm(kilograms)
            row[i] += crossed
            row[moved + i] += size

    def give(self, label: str, given: float, unmapped: float, gross: float) -> None:
        """Book what an exchange took from its source, and what of it goes nowhere [kg]."""
        i, row, begins = self._slot[label], self._row, self._begins
        row[begins["given"] + i] += given
        if unmapped or gross:
            row[begins["unmapped"] + i] += unmapped
            row[begins["gross"] + i] += gross

    def come(self, label: str, kilograms: float) -> None:
        """Book what an exchange added of its own, that nobody observed."""
        self._row[self._begins["added"] + self._slot[label]] += kilograms

    def deliver(self, label: str, delivered: float) -> None:
        """Book what an exchange gave to its target [kg]."""
        self._row[self._begins["delivered"] + self._slot[label]] += delivered

    def clip(self, label: str, kilograms: float) -> None:
        """Book what an exchange held back because its target could not take it."""
        self._row[self._begins["clipping"] + self._slot[label]] += kilograms

    def kept(self) -> list[float]:
        """Return what `restore` takes: the bookings of the coupling step so far."""
        return self._row.copy()

    def restore(self, kept: list[float]) -> None:
        """Forget what was booked since `kept`."""
        self._row = kept.copy()

    # ---- balance

    def close(self, time: float) -> None:
        """End a coupling step: note what is in store and in transit, and begin the next.

        Raises
        ------
        LedgerError
            As `settle`, which is called now and then.
        """
        self._waiting.fromlist(self._row + self._in_store() + self._in_transit())
        self._ends.append(time)
        self._row = self._plan.blank()
        if len(self._ends) == _MOST or monotonic() > self._due:
            self.settle()

    def settle(self) -> None:
        """Balance every step that was closed since the last time, and add its row.

        Raises
        ------
        LedgerError
            If the policy says so and water is missing; the message names where, and the first such
            step.
        """
        if not self._ends:
            return
        ends, waiting = self._ends, self._waiting
        rows = np.frombuffer(waiting).reshape(len(ends), -1)
        balance = Balance(self._plan, rows, self._stored, self._transit)
        self._gather()
        self._stored, self._transit = list(balance.stored[-1]), list(balance.transit[-1])
        table = balance.table()
        self.totals.add(table)
        self.records.extend(list(zip([self._time, *ends[:-1]], ends, strict=True)), list(table))
        self._time = ends[-1]
        if self.policy.on_error != "record":
            for step, faults in balance.faults(self.policy.tolerance):
                self._answer(faults, ends[step])

    def _answer(self, faults: list[str], end: float) -> None:
        error = LedgerError(
            " ".join(faults),
            f"coupling step that ends at {end:g} s",
            "Look at the units, signs and areas of what is named; on_error = 'record' goes on "
            "without stopping",
        )
        if self.policy.on_error == "error":
            raise error
        warnings.warn(str(error), stacklevel=4)

    def flush(self) -> None:
        """Settle, and see that all rows are in the file."""
        self.settle()
        self.records.flush()

    def _in_store(self) -> list[float]:
        """Return the water in each component [kg]."""
        return [
            sum(map(total, self._participants[name].storage().values())) for name in self._booked
        ]

    def _in_transit(self) -> list[float]:
        """Return the water in each exchange [kg]."""
        return [link.in_transit() for link in self._links]

    # ---- results

    def to_dataset(self) -> xr.Dataset:
        """Return all rows as a dataset; see `CoupledModel.ledger`."""
        self.settle()
        return to_dataset(self.records.to_dataset(), self._columns, self.totals)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return totals of what is settled, for a checkpoint."""
        return {"sum": self.totals.sum, "rest": self.totals.rest}

    def go_on(self, time: float, arrays: dict[str, np.ndarray]) -> None:
        """Go on from totals of a checkpoint, with components and links as they are now."""
        if arrays:
            self.totals.sum, self.totals.rest = arrays["sum"].copy(), arrays["rest"].copy()
        self._begin(time)

    def _begin(self, time: float) -> None:
        """Begin at a time with what is in store and in transit, and nothing booked."""
        self._stored, self._transit = self._in_store(), self._in_transit()
        self._time, self._row = time, self._plan.blank()
        self._gather()

    def _gather(self) -> None:
        """Begin to gather steps that will be balanced."""
        self._waiting, self._ends = array("d"), list[float]()
        self._due = monotonic() + _LONGEST
