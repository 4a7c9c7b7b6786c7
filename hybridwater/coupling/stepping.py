"""One component's step in a coupled run: take what came in, step, book, give what goes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.coupling.clock import Participant
from hybridwater.coupling.demand import Allocation
from hybridwater.coupling.ledger import Ledger
from hybridwater.coupling.link import Link
from hybridwater.coupling.outputs import Outputs
from hybridwater.coupling.stand_ins import Watch
from hybridwater.errors import CouplingError

if TYPE_CHECKING:
    from hybridwater.coupling.iteration import Iterated


class Solo:
    """A component that steps on its own as soon as all it needs has been given.

    Parameters
    ----------
    participant : Participant
        The component.
    links : sequence of Link
        All exchanges; its own are picked.
    ledger : Ledger
        Where everything is booked.
    outputs : Outputs, optional
        Takes up the values after each step that counts.
    watch : Watch, optional
        Puts a stand-in in place of the component if it fails.
    allocations : sequence of Allocation
        Demands on supplies; its own are picked.
    """

    def __init__(
        self,
        participant: Participant,
        links: Sequence[Link],
        ledger: Ledger,
        outputs: Outputs | None = None,
        watch: Watch | None = None,
        allocations: Sequence[Allocation] = (),
    ) -> None:
        self.participant, self.ledger, self.outputs = participant, ledger, outputs
        self.watch = watch
        self._allocations = [a for a in allocations if a.supply is participant]
        self.incoming = [link for link in links if link.target is participant]
        self.outgoing = [link for link in links if link.source is participant]
        writers: dict[str, list[Link]] = {}
        for link in self.incoming:
            writers.setdefault(link.taken.name, []).append(link)
        self._writers = list(writers.items())
        self._buffers = [link.buffer for link in self.incoming]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the components that step."""
        return (self.participant.name,)

    @property
    def end(self) -> float:
        """End of the next step [s]."""
        return self.participant.end

    def ready(self) -> bool:
        """Whether all that the next step needs has been given."""
        end = self.participant.end
        for buffer in self._buffers:
            if buffer.end < end - buffer.tolerance:
                return False
        return True

    def waits_for(self) -> list[Link]:
        """Return the exchanges that have not yet given all that the next step needs."""
        end = self.end
        return [link for link in self.incoming if not link.buffer.covers(end)]

    def advance(self) -> None:
        """Do a step, and keep its outputs."""
        self.calculate()
        if self.outputs is not None:
            self.outputs.record()

    def calculate(self) -> None:
        """Do a step."""
        participant, ledger = self.participant, self.ledger
        length, until = participant.step, participant.end
        inputs = []
        for name, links in self._writers:
            values = links[0].deliver(until, length, ledger)
            for link in links[1:]:
                values = values + link.deliver(until, length, ledger)
            inputs.append((name, values))
        for allocation in self._allocations:
            inputs.append((allocation.variable.name, allocation.ask(length)))
        for link in self.outgoing:
            link.buffer.own()
        if self.watch is None:
            self._try(inputs)
        else:
            self.watch.over(lambda: self._try(inputs))
        for allocation in self._allocations:
            allocation.share()
        for link in self.outgoing:
            link.give(ledger)

    def _try(self, inputs: Sequence[tuple[str, np.ndarray]]) -> None:
        """Hand over the inputs, step, see that what goes out is finite, and book it."""
        self.participant.advance(inputs)
        if not self.participant.checked:
            for link in self.outgoing:
                self.participant.read(link.given)
        if self.watch is not None:
            self.participant.storage()  # a process that dies while it is asked is replaced, too
        self.ledger.book(self.participant)


def step_until(units: Sequence[Solo | Iterated], until: float, tolerance: float) -> bool:
    """Step what has all it needs, what ends first before the rest, as long as something can.

    Parameters
    ----------
    units : sequence of Solo or Iterated
        What steps.
    until : float
        Steps that end later [s] are left.
    tolerance : float
        By how much two times may differ and be the same [s].

    Returns
    -------
    bool
        Whether anything has stepped.
    """
    last, moved = until + tolerance, False
    ends = [unit.end for unit in units]
    first = min(ends)
    while first < last:
        near, stepped = first + tolerance, False
        for i, end in enumerate(ends):
            if first <= end <= near and units[i].ready():
                units[i].advance()
                ends[i] = units[i].end
                stepped = True
        moved |= stepped
        first = min(ends) if stepped else min([e for e in ends if e > near], default=last)
    return moved


def refuse_standstill(units: Sequence[Solo | Iterated], near: float, now: float) -> None:
    """Refuse a run in which components wait for one another for ever.

    Parameters
    ----------
    units : sequence of Solo or Iterated
        What steps.
    near : float
        Whose step ends until then [s] should have done it.
    now : float
        Time of the run [s].

    Raises
    ------
    CouplingError
        If two of them wait for one another.
    """
    due = {name: u for u in units if u.end <= near for name in u.names}
    for name, unit in due.items():
        for link in unit.waits_for():
            if link.source.name in due:
                raise CouplingError(
                    f"'{name}' waits for '{link.label}', and nothing moves any more.",
                    f"time {now:g} s",
                    "Give a longer lag to an exchange of that cycle, or leave the lag out",
                )
