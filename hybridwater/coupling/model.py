"""The coupled model: components, exchanges and a clock."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater.components.base import Component
from hybridwater.coupling import schedule
from hybridwater.coupling.clock import SAME, Participant, seconds, until_seconds
from hybridwater.coupling.exchange import Exchange, declared, find_end
from hybridwater.coupling.ledger import Ledger, Policy
from hybridwater.coupling.link import Link
from hybridwater.coupling.stepping import Solo
from hybridwater.errors import CouplingError, nearest

if TYPE_CHECKING:
    import xarray as xr


class CoupledModel:
    """Components that run together and exchange water.

    Parameters
    ----------
    components : mapping of str to Component
        By the names that exchanges use; in the order in which they step where they depend on one
        another.
    exchanges : sequence of Exchange or mapping
        What goes from where to where; tables with the fields of
        :class:`~hybridwater.coupling.Exchange` do as well.
    window : str or timedelta, optional
        Coupling step: how far `step` goes, and what a row of the ledger covers. The longest step of
        a component by default.
    ledger : Policy or mapping, optional
        When missing water stops the run; always by default.
    configurations : mapping of str to str, optional
        Configuration files, handed to ``initialize`` of the components.

    Raises
    ------
    CouplingError
        If components and exchanges do not fit together.
    """

    def __init__(
        self,
        components: Mapping[str, Component],
        exchanges: Sequence[Exchange | Mapping[str, Any]] = (),
        *,
        window: str | dt.timedelta | None = None,
        ledger: Policy | Mapping[str, Any] | None = None,
        configurations: Mapping[str, str] | None = None,
    ) -> None:
        if not components:
            raise CouplingError("A coupled model without components was asked for.")
        self._components = dict(components)
        files = dict(configurations or {})
        for name, component in self._components.items():
            component.initialize(files.get(name, ""))
        self._participants = {n: Participant(n, c) for n, c in self._components.items()}
        self.origin = _common_origin(self._participants)
        self._links = self._connect([declared(Exchange, e) for e in exchanges])
        steps = {name: p.step for name, p in self._participants.items()}
        self._window = max(steps.values()) if window is None else seconds(window, "window")
        self._time, self._tolerance = 0.0, SAME * min(steps.values())
        groups = schedule.find_groups(list(steps), self._links)
        cut = {link: group for group in groups for link in group.cut}
        for link in self._links:
            late = link in cut or link.exchange.lag not in (None, False)
            link.open(schedule.lag_of(link, cut.get(link), steps) if late else 0.0)
        policy = declared(Policy, {} if ledger is None else ledger)
        self._ledger = Ledger(self._participants.values(), policy)
        self._ledger.begin(self._links)
        self._units = [
            Solo(self._participants[name], self._links, self._ledger)
            for group in groups
            for name in group.members
        ]
        self._seconds = 0.0

    def _connect(self, exchanges: Sequence[Exchange]) -> list[Link]:
        links, ends = [], []
        for exchange in exchanges:
            where = f"exchange '{exchange.label}'"
            from_, given = find_end(self._components, exchange.source, "", "out", where)
            default = exchange.source.partition(".")[2]
            to, taken = find_end(self._components, exchange.target, default, "in", where)
            ends.append((exchange, to, taken.name))
            links.append(
                Link(exchange, self._participants[from_], self._participants[to], given, taken)
            )
        schedule.refuse_two_writers(ends)
        schedule.refuse_water_given_twice(links)
        labels = [link.label for link in links]
        for label in labels:
            if labels.count(label) > 1:
                raise CouplingError(f"The exchange '{label}' is declared twice.")
        return links

    # ---- running

    @property
    def time(self) -> dt.datetime | float:
        """Current time: a date, or seconds since the start where no component knows dates."""
        if self.origin is None:
            return self._time
        return self.origin + dt.timedelta(seconds=self._time)

    def component(self, name: str) -> Component:
        """Return a component.

        Raises
        ------
        CouplingError
            If there is none of that name.
        """
        if name not in self._participants:
            raise CouplingError(
                f"There is no component '{name}' ({nearest(name, self._participants)})."
            )
        return self._participants[name].component

    def step(self) -> None:
        """Go on by one coupling step."""
        self._advance(self._time + self._window)

    def run(self, until: str | dt.date | dt.timedelta | np.timedelta64) -> None:
        """Run.

        Parameters
        ----------
        until : str, date or timedelta
            A date, or a duration from now on (``"30 d"``).

        Raises
        ------
        CouplingError
            If it is neither or lies in the past.
        ComponentFailed
            If a component fails.
        LedgerError
            If water is missing, and the policy of the ledger says so.
        """
        end = until_seconds(until, self.origin, self._time)
        while self._time < end - self._tolerance:
            self._advance(min(self._time + self._window, end))

    def _advance(self, until: float) -> None:
        began = time.perf_counter()
        moved = False
        while (unit := self._next(until)) is not None:
            unit.advance()
            moved = True
        if not moved:
            self._refuse_standstill(until)
        self._ledger.close(until)
        self._time = until
        self._seconds += time.perf_counter() - began

    def _next(self, until: float) -> Solo | None:
        """Return what ends its next step first, of those that have all they need."""
        best, first = None, until + 2 * self._tolerance
        for unit in self._units:
            end = unit.end
            if end < first - self._tolerance and not unit.waits_for():
                best, first = unit, end
        return best

    def _refuse_standstill(self, until: float) -> None:
        """Refuse a run in which components wait for one another for ever."""
        due = {name: u for u in self._units if u.end <= until + self._tolerance for name in u.names}
        for name, unit in due.items():
            for link in unit.waits_for():
                if link.source.name in due:
                    raise CouplingError(
                        f"'{name}' waits for '{link.label}', and nothing moves any more.",
                        f"time {self._time:g} s",
                        "Give a longer lag to an exchange of that cycle, or leave the lag out",
                    )

    # ---- results

    def ledger(self) -> xr.Dataset:
        """Return the ledger.

        Returns
        -------
        xarray.Dataset
            One row per coupling step since the run was started or resumed, and totals; all in kg.
            Dimensions ``time``, ``component``, ``exchange`` and ``flux``.
        """
        return self._ledger.to_dataset(self.origin)

    @property
    def seconds(self) -> dict[str, float]:
        """Time on this computer [s]: of each component, and of all the rest as ``"coupling"``."""
        spent = {name: p.seconds for name, p in self._participants.items()}
        return {**spent, "coupling": self._seconds - sum(spent.values())}


def _common_origin(participants: Mapping[str, Participant]) -> dt.datetime | None:
    origins = {n: p.origin for n, p in participants.items() if p.origin is not None}
    if len(set(origins.values())) > 1:
        listed = ", ".join(f"'{n}' at {o}" for n, o in origins.items())
        raise CouplingError(
            f"The components do not start together: {listed}.",
            fix="Give all of them the same start",
        )
    return next(iter(origins.values()), None)
