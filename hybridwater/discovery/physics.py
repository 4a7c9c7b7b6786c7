"""What a term must respect, asked of a candidate equation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybridwater.discovery.forms import Visited
from hybridwater.discovery.structures import Evaluated
from hybridwater.ude.terms import Network

_PROBES = 300
_STEPS = 12
#: Slack, relative to the size of the term.
_SLACK = 1e-6


@dataclass(frozen=True)
class Physics:
    """The constraints of a network, tested at its visited inputs and in the box around them.

    Parameters
    ----------
    network : Network
        Its ``positive``, ``bounds`` and ``monotone`` must hold. ``zero_when_empty`` holds by
        construction: what does not vanish with the store is multiplied by the network's gate.
    x : numpy.ndarray
        Visited inputs, shape (sample, input).
    visited : tuple of Visited
        One per input.
    size : float
        Typical magnitude of the term.
    """

    network: Network
    x: np.ndarray
    visited: tuple[Visited, ...]
    size: float

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        low, high = self.x.min(0), self.x.max(0)
        for k, row in enumerate(self.network.inputs):
            if str(row.expression) == self.network.zero_when_empty:
                low[k] = min(low[k], 0.0)
        box = rng.uniform(low, high, (_PROBES, self.x.shape[1]))
        some = self.x[:: max(1, len(self.x) // _PROBES)]
        object.__setattr__(self, "_probes", np.concatenate([some, box]))
        object.__setattr__(self, "_range", (low, high))

    def broken(self, candidate: Evaluated) -> str:
        """Say which constraint a candidate breaks; empty if none."""
        probes: np.ndarray = self._probes  # type: ignore[attr-defined]
        slack = _SLACK * self.size
        values = candidate.values(probes, self.visited)
        if not np.isfinite(values).all():
            return "not finite"
        if self.network.positive and values.min() < -slack:
            return "negative"
        if self.network.bounds is not None:
            low, high = self.network.bounds
            if values.min() < low - slack or values.max() > high + slack:
                return "out of bounds"
        low, high = self._range  # type: ignore[attr-defined]
        for k, row in enumerate(self.network.inputs):
            if row.monotone:
                lines = np.repeat(probes[:, None, :], _STEPS, axis=1)
                lines[:, :, k] = np.linspace(low[k], high[k], _STEPS)
                flat = candidate.values(lines.reshape(-1, lines.shape[2]), self.visited)
                slopes = np.diff(flat.reshape(-1, _STEPS), axis=1) * row.monotone
                if slopes.min() < -slack:
                    return "not monotone"
        return ""
