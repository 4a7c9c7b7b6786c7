"""The ledger: every kilogram of a coupled run is booked.

Water is booked where it leaves, on its way, and where it arrives. Components and exchanges do so
independently of one another: a component by what it says crossed its boundary, an exchange by what
it read and what it set. Where the two do not agree, a unit, a sign or an area is wrong, and the
ledger says where. Numbers of one row are sums over one coupling step.
"""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from hybridwater.coupling.books import Totals, fields, guess, to_dataset
from hybridwater.coupling.records import Records
from hybridwater.errors import CouplingError, LedgerError

if TYPE_CHECKING:
    import xarray as xr

    from hybridwater.components.base import Variable
    from hybridwater.coupling.clock import Participant
    from hybridwater.coupling.link import Link

_PER_COMPONENT = ("storage", "storage_change", "inflow", "outflow", "component_residual")
_PER_EXCHANGE = ("given", "unmapped", "in_transit", "delivered", "clipping", "exchange_residual")
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


@dataclass
class _Account:
    """Sums of one exchange over a coupling step [kg]; ``moved`` counts without sign."""

    given: float = 0.0
    unmapped: float = 0.0
    delivered: float = 0.0
    clipping: float = 0.0
    moved: float = 0.0


@dataclass
class _Book:
    """Sums of one component over a coupling step [kg], by flux; ``moved`` without sign."""

    fluxes: dict[str, float] = field(default_factory=dict)
    moved: dict[str, float] = field(default_factory=dict)


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
        self._links: dict[str, Link] = {}
        self._time = 0.0
        self._transit: dict[str, float] = {}

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
        self._links = {link.label: link for link in links if link.water}
        self._accounts = {label: _Account() for label in self._links}
        self._books = {name: _Book() for name in self._booked}
        self._storage = {name: self._stored(name) for name in self._booked}
        self._transit = {label: link.in_transit() for label, link in self._links.items()}
        self._columns = self._layout()
        self._places = set(self._columns)
        self.totals = Totals(len(self._columns))
        self.records = Records(
            fields(self._columns), origin, path, "ledger of a coupled run", "coupling step"
        )

    def _layout(self) -> list[tuple[str, str]]:
        rates = []
        for name in self._booked:
            own = self._participants[name].component.variables
            every = (*own, *self._others.get(name, ()))
            fluxes = dict.fromkeys(v.name for v in every if v.kind == "rate")
            rates += [("boundary_flux", f"{name}.{flux}") for flux in (*fluxes, _OTHER)]
        components = [(what, name) for what in _PER_COMPONENT for name in self._booked]
        exchanges = [(what, label) for what in _PER_EXCHANGE for label in self._links]
        return [*components, *exchanges, *((what, "") for what in _SYSTEM), *rates]

    # ---- bookings

    def book(self, participant: Participant) -> None:
        """Book what crossed the boundary of a component in its last step."""
        book = self._books.get(participant.name)
        if book is None:
            return
        for name, kilograms in participant.component.boundary_fluxes().items():
            book.fluxes[name] = book.fluxes.get(name, 0.0) + float(kilograms.sum())
            book.moved[name] = book.moved.get(name, 0.0) + float(np.abs(kilograms).sum())

    def give(self, label: str, kilograms: np.ndarray, unmapped: float) -> None:
        """Book what an exchange took from its source, and what of it goes nowhere."""
        account = self._accounts[label]
        account.given += float(kilograms.sum())
        account.moved += float(np.abs(kilograms).sum())
        account.unmapped += unmapped

    def deliver(self, label: str, kilograms: np.ndarray) -> None:
        """Book what an exchange gave to its target."""
        account = self._accounts[label]
        account.delivered += float(kilograms.sum())
        account.moved += float(np.abs(kilograms).sum())

    def clip(self, label: str, kilograms: float) -> None:
        """Book what an exchange held back because its target could not take it."""
        self._accounts[label].clipping += kilograms

    def kept(self) -> tuple[dict[str, _Account], dict[str, _Book]]:
        """Return what `restore` takes: the bookings of the coupling step so far."""
        accounts = {k: _Account(**vars(a)) for k, a in self._accounts.items()}
        books = {k: _Book(dict(b.fluxes), dict(b.moved)) for k, b in self._books.items()}
        return accounts, books

    def restore(self, kept: tuple[dict[str, _Account], dict[str, _Book]]) -> None:
        """Forget what was booked since `kept`."""
        accounts, books = kept
        self._accounts = {k: _Account(**vars(a)) for k, a in accounts.items()}
        self._books = {k: _Book(dict(b.fluxes), dict(b.moved)) for k, b in books.items()}

    # ---- balance

    def close(self, time: float) -> None:
        """Balance a coupling step, add its row, and begin the next one.

        Raises
        ------
        LedgerError
            If the policy says so and water is missing; the message names where.
        """
        row: dict[tuple[str, str], float] = {}
        faults = [*self._close_components(row), *self._close_exchanges(row)]
        external = sum(sum(b.fluxes.values()) for b in self._books.values())
        unobserved = 0.0
        for label, link in self._links.items():
            account = self._accounts[label]
            carried = account.given - account.unmapped
            if link.source.name in self._books:
                external += carried
            else:
                unobserved += carried
            if link.target.name in self._books:
                external -= account.delivered
            else:
                unobserved -= account.delivered
        row["external", ""], row["unobserved", ""] = external, unobserved
        row["residual", ""] = sum(row["component_residual", n] for n in self._booked) - sum(
            row["exchange_residual", label] for label in self._links
        )
        for name, book in self._books.items():
            for flux, kilograms in book.fluxes.items():
                column = ("boundary_flux", f"{name}.{flux}")
                if column not in self._places:
                    column = ("boundary_flux", f"{name}.{_OTHER}")
                row[column] = row.get(column, 0.0) + kilograms
        values = np.array([row.get(column, 0.0) for column in self._columns])
        self.totals.add(values)
        row_of, first = [], 0
        for f in self.records.fields:
            row_of.append(values[first : first + f.size] if f.dimension else values[first])
            first += f.size
        self.records.append(self._time, time, row_of)
        self._time = time
        self._accounts = {label: _Account() for label in self._links}
        self._books = {name: _Book() for name in self._booked}
        self._answer(faults)

    def _close_components(self, row: dict[tuple[str, str], float]) -> Iterable[str]:
        faults = []
        for name, book in self._books.items():
            before, now = self._storage[name], self._stored(name)
            fluxes = book.fluxes.values()
            residual = now - before - sum(fluxes)
            scale = abs(before) + abs(now) + sum(book.moved.values())
            row["storage", name], row["storage_change", name] = now, now - before
            row["inflow", name] = sum(f for f in fluxes if f > 0)
            row["outflow", name] = -sum(f for f in fluxes if f < 0)
            row["component_residual", name] = residual
            self._storage[name] = now
            if abs(residual) > self.policy.tolerance * scale:
                faults.append(
                    f"The component '{name}' lost or made {residual:.6g} kg: its storage changed "
                    f"by {now - before:.6g} kg, but {sum(fluxes):.6g} kg crossed its boundary."
                )
        return faults

    def _close_exchanges(self, row: dict[tuple[str, str], float]) -> Iterable[str]:
        faults = []
        for label, link in self._links.items():
            account = self._accounts[label]
            before, now = self._transit[label], link.in_transit()
            residual = account.given - account.unmapped - account.delivered - (now - before)
            scale = account.moved + abs(before) + abs(now)
            row["given", label], row["unmapped", label] = account.given, account.unmapped
            row["in_transit", label], row["delivered", label] = now, account.delivered
            row["clipping", label] = account.clipping
            row["exchange_residual", label] = residual
            self._transit[label] = now
            if abs(residual) > self.policy.tolerance * scale:
                faults.append(
                    f"The exchange '{label}' lost or made {residual:.6g} kg: {account.given:.6g} "
                    f"kg were given and {account.delivered:.6g} kg delivered."
                )
            faults += self._compare(label, link, account)
        return faults

    def _compare(self, label: str, link: Link, account: _Account) -> Iterable[str]:
        """Compare what an exchange moved with what the components at its ends booked."""
        source = self._books.get(link.source.name)
        if source is not None and source.fluxes:
            given = account.given
            if link.partial:
                given = sum(
                    self._accounts[other.label].given
                    for other in self._links.values()
                    if other.source is link.source and other.given.name == link.given.name
                )
            yield from self._differs(
                label, "given", given, source, link.source.name, link.given.name, -1.0
            )
        target = self._books.get(link.target.name)
        if target is not None and target.fluxes:
            delivered = sum(
                self._accounts[other.label].delivered
                for other in self._links.values()
                if other.target is link.target and other.taken.name == link.taken.name
            )
            yield from self._differs(
                label, "delivered", delivered, target, link.target.name, link.taken.name, 1.0
            )

    def _differs(
        self,
        label: str,
        what: str,
        moved: float,
        book: _Book,
        component: str,
        flux: str,
        sign: float,
    ) -> Iterable[str]:
        if flux not in book.fluxes:
            yield (
                f"The exchange '{label}' moves '{flux}', but the component '{component}' does not "
                "book it among its boundary fluxes: the water would be counted twice or lost."
            )
            return
        booked = sign * book.fluxes[flux]
        scale = book.moved[flux] + self._accounts[label].moved
        if abs(moved - booked) > self.policy.tolerance * scale:
            yield (
                f"The exchange '{label}' has {moved:.6g} kg {what}, but the component "
                f"'{component}' books {booked:.6g} kg of '{flux}'{guess(moved, booked)}."
            )

    def _answer(self, faults: list[str]) -> None:
        if not faults or self.policy.on_error == "record":
            return
        error = LedgerError(
            " ".join(faults),
            f"coupling step that ends at {self._time:g} s",
            "Look at the units, signs and areas of what is named; on_error = 'record' goes on "
            "without stopping",
        )
        if self.policy.on_error == "error":
            raise error
        warnings.warn(str(error), stacklevel=4)

    def _stored(self, name: str) -> float:
        return float(sum(s.sum() for s in self._participants[name].component.storage().values()))

    # ---- results

    def to_dataset(self) -> xr.Dataset:
        """Return all rows as a dataset; see `CoupledModel.ledger`."""
        return to_dataset(self.records.to_dataset(), self._columns, self.totals)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return totals, for a checkpoint."""
        return {"sum": self.totals.sum, "rest": self.totals.rest}

    def go_on(self, time: float, arrays: dict[str, np.ndarray]) -> None:
        """Go on from totals of a checkpoint, with components and links as they are now."""
        if arrays:
            self.totals.sum, self.totals.rest = arrays["sum"].copy(), arrays["rest"].copy()
        self._storage = {name: self._stored(name) for name in self._booked}
        self._transit = {label: link.in_transit() for label, link in self._links.items()}
        self._time = time
