"""Implicit coupling: a group of components is repeated over a window until its exchanges agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hybridwater.coupling.acceleration import METHODS
from hybridwater.coupling.clock import seconds
from hybridwater.coupling.link import Link
from hybridwater.coupling.schedule import common_multiple
from hybridwater.coupling.stepping import Solo
from hybridwater.errors import CouplingError, NotConverged, nearest

# Growth of what goes through the exchanges, within a window, after which more passes are of no use.
_DIVERGED = 1e12


@dataclass(frozen=True)
class Iteration:
    """How cycles of exchanges are iterated.

    Parameters
    ----------
    method : {"iqn-ils", "anderson", "aitken", "relaxation"}
        What makes the next iterate; see `hybridwater.coupling.acceleration`.
    tolerance : float
        Largest change in a pass of what goes through an exchange, relative to it; of each exchange
        that closes a cycle (Euclidean norms).
    max_iterations : int
        Passes after which the run is ended with an error.
    relaxation : float
        Share of the change that is taken over where nothing better is known.
    depth : int
        How many earlier passes Anderson and IQN-ILS remember.
    reuse : int
        From how many earlier windows IQN-ILS remembers passes.
    window : str, optional
        Time that a pass covers; by default the shortest in which the steps of all components of the
        group fit.

    Raises
    ------
    CouplingError
        If a field is not as above.
    """

    method: Literal["iqn-ils", "anderson", "aitken", "relaxation"] = "iqn-ils"
    tolerance: float = 1e-8
    max_iterations: int = 50
    relaxation: float = 0.5
    depth: int = 20
    reuse: int = 0
    window: str | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise CouplingError(
                f"There is no iteration '{self.method}' ({nearest(self.method, METHODS)})."
            )
        sound = self.tolerance > 0 and 0 < self.relaxation <= 1
        if not sound or self.max_iterations < 1 or self.depth < 1 or self.reuse < 0:
            raise CouplingError(
                f"The iteration cannot have tolerance {self.tolerance}, relaxation "
                f"{self.relaxation}, max_iterations {self.max_iterations}, depth {self.depth} and "
                f"reuse {self.reuse}.",
                fix="Choose a tolerance above 0, a relaxation in (0, 1], and counts from 1",
            )


class Iterated:
    """Components of a cycle, stepped together and repeated until they agree.

    Parameters
    ----------
    members : sequence of Solo
        In the order in which they step.
    cut : sequence of Link
        Exchanges that close the cycle; what goes through them is iterated.
    iteration : Iteration
        How.

    Raises
    ------
    CouplingError
        If a component has no state, or the steps do not fit into a window.
    """

    def __init__(self, members: Sequence[Solo], cut: Sequence[Link], iteration: Iteration) -> None:
        self.members, self.cut, self.iteration = list(members), list(cut), iteration
        self.names = tuple(name for solo in members for name in solo.names)
        where = f"cycle of {', '.join(self.names)}"
        for solo in members:
            if not solo.participant.component.has_state:
                raise CouplingError(
                    f"The component '{solo.participant.name}' has no state that can be taken and "
                    "put back, so it can take part in explicit coupling only.",
                    where,
                    "Say lag = true in an exchange of the cycle, or give it get_state and "
                    "set_state",
                )
        self.window = self._find_window(where)
        self.ledger = members[0].ledger
        own = {solo.participant for solo in members}
        every = dict.fromkeys(link for s in members for link in (*s.incoming, *s.outgoing))
        self.links = list(every)
        self.outside = [k for k in every if k.target in own and k.source not in own]
        self.time = 0.0
        self.counts: list[int] = []
        self._acceleration = METHODS[iteration.method](
            iteration.relaxation, iteration.depth, iteration.reuse
        )
        self._last = [link.first_value() for link in self.cut]

    def _find_window(self, where: str) -> float:
        steps = [solo.participant.step for solo in self.members]
        declared = self.iteration.window
        window = common_multiple(steps) if declared is None else seconds(declared, "window")
        fits = window is not None and all(
            abs(window / s - round(window / s)) < 1e-9 and round(window / s) for s in steps
        )
        if window is None or not fits:
            raise CouplingError(
                f"The steps {', '.join(f'{s:g} s' for s in steps)} do not fit into a window.",
                where,
                "Choose steps that do, a window that is a multiple of all, or lag = true in an "
                "exchange of the cycle",
            )
        return window

    @property
    def end(self) -> float:
        """End of the next window [s]."""
        return self.time + self.window

    def ready(self) -> bool:
        """Whether all that a pass needs from outside has been given."""
        return not self.waits_for()

    def waits_for(self) -> list[Link]:
        """Return the exchanges from outside that have not yet given all that a pass needs."""
        return [link for link in self.outside if not link.buffer.covers(self.end)]

    def advance(self) -> None:
        """Go on by a window.

        Raises
        ------
        NotConverged
            If the exchanges do not agree after the last pass; names the worst variable and cell.
        """
        states = [solo.participant.component.get_state() for solo in self.members]
        kept, booked = [link.kept() for link in self.links], self.ledger.kept()
        outputs = [solo.outputs for solo in self.members if solo.outputs is not None]
        for output in outputs:
            output.hold()
        x = np.concatenate([np.tile(v, n) for v, n in zip(self._last, self._pieces(), strict=True)])
        accelerate, first = self._acceleration, 0.0
        accelerate.start()
        for count in range(1, self.iteration.max_iterations + 1):
            if count > 1:
                for solo, state in zip(self.members, states, strict=True):
                    solo.participant.set_state(state)
                for link, held in zip(self.links, kept, strict=True):
                    link.restore(held)
                self.ledger.restore(booked)
                for output in outputs:
                    output.drop()
            moved = self._pass(x)
            if count == 1:
                accelerate.weights = self._weights(moved)
            worst, share = self._disagreement(x, moved)
            if share <= self.iteration.tolerance:
                break
            size = float(np.abs(moved).max())
            first = size if count == 1 else first
            if count == self.iteration.max_iterations or size > _DIVERGED * first > 0.0:
                self._refuse(worst, share, x, moved, count)
            x = accelerate.next(x, moved)
        accelerate.finish()
        self._accept(x, moved)
        self.counts.append(count)
        for output in outputs:
            output.release()

    def _pieces(self) -> list[int]:
        return [round(self.window / link.source.step) for link in self.cut]

    def _pass(self, x: np.ndarray) -> np.ndarray:
        """Run all members over the window with a guess; return what the cut exchanges moved."""
        for link, values in zip(self.cut, self._split(x), strict=True):
            link.guess(values, self.time, self.window / len(values))
        end, near = self.end, self.members[0].participant.step * 1e-9
        while True:
            left = [s for s in self.members if s.end <= end + near]
            ready = [s for s in left if s.ready()]
            if not ready:
                break
            min(ready, key=lambda s: s.end).advance()
        if left:
            raise CouplingError(
                f"'{left[0].participant.name}' waits for others inside its cycle.",
                f"cycle of {', '.join(self.names)}",
                "Leave out lag in exchanges of a cycle that is iterated",
            )
        return np.concatenate([np.concatenate(link.found()) for link in self.cut])

    def _split(self, x: np.ndarray) -> list[np.ndarray]:
        """Return the values of each cut exchange, shape (piece, cell)."""
        found, first = [], 0
        for link, n in zip(self.cut, self._pieces(), strict=True):
            found.append(x[first : first + n * link.size].reshape(n, link.size))
            first += n * link.size
        return found

    def _weights(self, moved: np.ndarray) -> np.ndarray:
        """Return what brings exchanges of different units to the same size, shape (n,)."""
        parts = self._split(moved)
        norms = [float(np.linalg.norm(p)) or 1.0 for p in parts]
        return np.concatenate([np.full(p.size, 1.0 / n) for p, n in zip(parts, norms, strict=True)])

    def _disagreement(self, x: np.ndarray, moved: np.ndarray) -> tuple[int, float]:
        """Return the exchange that changed most, and by which share."""
        shares = []
        for before, after in zip(self._split(x), self._split(moved), strict=True):
            change, size = np.linalg.norm(after - before), np.linalg.norm(after)
            shares.append(0.0 if change == 0 else float(change / size) if size else np.inf)
        worst = int(np.argmax(shares))
        return worst, shares[worst]

    def _refuse(
        self, worst: int, share: float, x: np.ndarray, moved: np.ndarray, count: int
    ) -> None:
        link = self.cut[worst]
        change = np.abs(self._split(moved)[worst] - self._split(x)[worst]).max(axis=0)
        cell = int(np.argmax(change))
        raise NotConverged(
            f"{count} passes did not agree: '{link.given.name}' still "
            f"changes by {share:.3g} of its size.",
            f"component '{link.source.name}', variable '{link.given.name}', target cell {cell}, "
            f"window from {self.time:g} to {self.end:g} s",
            "Choose another method, a smaller relaxation or shorter steps, or more passes",
        )

    def _accept(self, x: np.ndarray, moved: np.ndarray) -> None:
        """Keep the last pass; what it gave and did not deliver stays in transit."""
        for link, used, given in zip(self.cut, self._split(x), self._split(moved), strict=True):
            if link.given.kind == "rate":
                link.owe((given - used).sum(axis=0) * (self.window / len(used)))
        self._last = [values[-1].copy() for values in self._split(moved)]
        self.time = self.end

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what outlives a window, for a checkpoint."""
        last = {f"last/{i:04d}": values for i, values in enumerate(self._last)}
        known = {f"known/{k}": v for k, v in self._acceleration.arrays().items()}
        return {"time": np.array(self.time), **last, **known}

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take what outlives a window from a checkpoint."""
        self.time = float(arrays["time"])
        self._last = [arrays[k] for k in sorted(arrays) if k.startswith("last/")]
        known = {k.partition("/")[2]: v for k, v in arrays.items() if k.startswith("known/")}
        self._acceleration.set_arrays(known)
