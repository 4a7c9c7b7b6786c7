"""The ledger: every kilogram of a coupled run is booked.

Water is booked where it leaves, on its way, and where it arrives. Components and exchanges do so
independently of one another: a component by what it says crossed its boundary, an exchange by what
it read and what it set. Where the two do not agree, a unit, a sign or an area is wrong, and the
ledger says where. Numbers of one row are sums over one coupling step. Every step is balanced for
itself, but some at once, which is much quicker. They wait for a second of computing at most, so
that a run of slow models stops in the step in which water is missing.

A batch of runs has an account of each. What is booked is then of shape (copy,), and every run is
balanced for itself.
"""

from __future__ import annotations

import datetime as dt
import warnings
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hybridwater.coupling.accounts import Account
from hybridwater.coupling.balance import Plan
from hybridwater.coupling.records import Records
from hybridwater.coupling.sums import total, total_and_norm, totals, totals_and_norms
from hybridwater.errors import CouplingError, LedgerError

if TYPE_CHECKING:
    import xarray as xr

    from hybridwater.components.base import Variable
    from hybridwater.coupling.clock import Participant
    from hybridwater.coupling.link import Link

# What is booked [kg]: in a batch of runs, one number of each, shape (copy,).
Amount = float | np.ndarray

# Steps are balanced once there are so many, or after so long [s], for each run of a batch.
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
    copies : int
        How many runs the components hold.
    """

    def __init__(
        self,
        participants: Iterable[Participant],
        policy: Policy,
        others: Mapping[str, Sequence[Variable]] | None = None,
        copies: int = 1,
    ) -> None:
        self.policy = policy
        self._participants = {p.name: p for p in participants}
        self._others = dict(others or {})
        self._copies = copies
        self._total, self._total_and_norm = total, total_and_norm
        if copies > 1:
            self._total = partial(totals, copies=copies)
            self._total_and_norm = partial(totals_and_norms, copies=copies)
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
        columns = [
            *((what, name) for what in _PER_COMPONENT for name in self._booked),
            *((what, label) for what in _PER_EXCHANGE for label in self._slot),
            *((what, "") for what in _SYSTEM),
            *(("boundary_flux", f"{name}.{flux}") for name, flux in fluxes),
        ]
        self._account = Account(self._plan, columns, origin, path, self._copies)
        self._begin(0.0)

    @property
    def records(self) -> Records:
        """The rows; in a batch, those of the first run."""
        return self._account.records

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
            crossed, size = self._total_and_norm(kilograms)
            row[i] += crossed
            row[moved + i] += size

    def give(
        self,
        label: str,
        given: Amount,
        unmapped: Amount | None = None,
        gross: Amount | None = None,
    ) -> None:
        """Book what an exchange took from its source, and what of it goes nowhere [kg]."""
        i, row, begins = self._slot[label], self._row, self._begins
        row[begins["given"] + i] += given
        if unmapped is not None:
            row[begins["unmapped"] + i] += unmapped
        if gross is not None:
            row[begins["gross"] + i] += gross

    def come(self, label: str, kilograms: Amount) -> None:
        """Book what an exchange added of its own, that nobody observed."""
        self._row[self._begins["added"] + self._slot[label]] += kilograms

    def deliver(self, label: str, delivered: Amount) -> None:
        """Book what an exchange gave to its target [kg]."""
        self._row[self._begins["delivered"] + self._slot[label]] += delivered

    def clip(self, label: str, kilograms: Amount) -> None:
        """Book what an exchange held back because its target could not take it."""
        self._row[self._begins["clipping"] + self._slot[label]] += kilograms

    def kept(self) -> list[Any]:
        """Return what `restore` takes: the bookings of the coupling step so far."""
        return self._row.copy()

    def restore(self, kept: list[Any]) -> None:
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
        row = self._row + self._in_store() + self._in_transit()
        if self._copies == 1:
            self._waiting.fromlist(row)
        else:
            self._waiting.frombytes(self._by_copy(row).tobytes())
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
        ends, rows = self._ends, np.frombuffer(self._waiting)
        rows = np.moveaxis(rows.reshape(len(ends), -1, self._copies), -1, 0)
        self._gather()
        times = list(zip([self._time, *ends[:-1]], ends, strict=True))
        self._time = ends[-1]
        found = self._account.settle(times, np.ascontiguousarray(rows), self.policy.tolerance)
        if self.policy.on_error != "record":
            for k, step, faults in found:
                self._answer(faults, ends[step], "" if self._copies == 1 else f" of run {k}")

    def _answer(self, faults: list[str], end: float, whose: str) -> None:
        error = LedgerError(
            " ".join(faults),
            f"coupling step{whose} that ends at {end:g} s",
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

    def _in_store(self) -> list[Any]:
        """Return the water in each component [kg]."""
        return [
            sum(map(self._total, self._participants[name].storage().values()))
            for name in self._booked
        ]

    def _in_transit(self) -> list[Any]:
        """Return the water in each exchange [kg]."""
        return [link.in_transit() for link in self._links]

    def _by_copy(self, amounts: list[Any]) -> np.ndarray:
        """Return amounts as an array of shape (number, copy)."""
        every = np.empty((len(amounts), self._copies))
        for row, amount in zip(every, amounts, strict=True):
            row[:] = amount
        return every

    # ---- results

    def to_dataset(self) -> xr.Dataset:
        """Return all rows as a dataset; see `CoupledModel.ledger`."""
        self.settle()
        return self._account.to_dataset()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return totals of what is settled, for a checkpoint; only of a single run."""
        kept = self._account.totals
        return {"sum": kept.sum[0], "rest": kept.rest[0]}

    def go_on(self, time: float, arrays: dict[str, np.ndarray]) -> None:
        """Go on from totals of a checkpoint, with components and links as they are now."""
        if arrays:
            kept = self._account.totals
            kept.sum[0], kept.rest[0] = arrays["sum"], arrays["rest"]
        self._begin(time)

    def _begin(self, time: float) -> None:
        """Begin at a time with what is in store and in transit, and nothing booked."""
        stored, transit = self._by_copy(self._in_store()), self._by_copy(self._in_transit())
        self._account.begin(stored.T, transit.T)
        self._time, self._row = time, self._plan.blank()
        self._gather()

    def _gather(self) -> None:
        """Begin to gather steps that will be balanced."""
        self._waiting, self._ends = array("d"), list[float]()
        self._due = monotonic() + _LONGEST * self._copies
