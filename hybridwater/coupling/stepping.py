"""One component's step in a coupled run: take what came in, step, book, give what goes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hybridwater.coupling.clock import Participant
from hybridwater.coupling.ledger import Ledger
from hybridwater.coupling.link import Link

#: Called with a component after each of its steps that counts.
Listener = Callable[[Participant], None]


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
    listeners : sequence of callable
        Called after each step.
    """

    def __init__(
        self,
        participant: Participant,
        links: Sequence[Link],
        ledger: Ledger,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self.participant, self.ledger, self.listeners = participant, ledger, listeners
        self.incoming = [link for link in links if link.target is participant]
        self.outgoing = [link for link in links if link.source is participant]
        writers: dict[str, list[Link]] = {}
        for link in self.incoming:
            writers.setdefault(link.taken.name, []).append(link)
        self._writers = list(writers.items())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the components that step."""
        return (self.participant.name,)

    @property
    def end(self) -> float:
        """End of the next step [s]."""
        return self.participant.time + self.participant.step

    def waits_for(self) -> list[Link]:
        """Return the exchanges that have not yet given all that the next step needs."""
        end = self.end
        return [link for link in self.incoming if not link.buffer.covers(end)]

    def advance(self) -> None:
        """Do a step, and tell the listeners."""
        self.calculate()
        for listener in self.listeners:
            listener(self.participant)

    def calculate(self) -> None:
        """Do a step."""
        participant, ledger = self.participant, self.ledger
        length, until = participant.step, self.end
        for name, links in self._writers:
            values = links[0].deliver(until, length, ledger)
            for link in links[1:]:
                values = values + link.deliver(until, length, ledger)
            participant.write(name, np.asarray(values))
        participant.advance()
        ledger.book(participant)
        for link in self.outgoing:
            link.give(ledger)
