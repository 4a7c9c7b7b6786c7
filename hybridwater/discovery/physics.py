"""What a term must respect, asked of a candidate equation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy
from scipy.special import expit

from hybridwater.discovery.drafting import ungated
from hybridwater.discovery.forms import Visited
from hybridwater.discovery.structures import Evaluated
from hybridwater.ude.functions import symbol
from hybridwater.ude.model import UDE
from hybridwater.ude.terms import Network

_FUNCTIONS = {
    "sigmoid": expit,
    "smooth_step": lambda x, width: (np.tanh(x / width) + 1) / 2,
    "softplus": lambda x: np.logaddexp(0.0, x),
}

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


@dataclass(frozen=True)
class Written:
    """An equation of a model, with numbers for its constants, that is asked like a candidate.

    Parameters
    ----------
    function : callable
        From the inputs of the network, of shape (sample,), and numbers to the term without its
        gate.
    numbers : tuple of float
        Those of its constants.
    """

    function: Callable[..., np.ndarray]
    numbers: tuple[float, ...]

    @classmethod
    def of(
        cls, ude: UDE, network: Network, numbers: Sequence[Mapping[str, float]]
    ) -> list[Written]:
        """Take the flux in the place of a network, with each of some numbers by their names.

        Fluxes that it is made of are written out. Nothing is returned if it depends on more than
        the inputs of the network: it is then another term, and cannot be asked.
        """
        fluxes = {symbol(f.name): f.expression for f in ude.fluxes}
        inputs = [sympy.Dummy() for _ in network.inputs]
        known = {row.expression: name for row, name in zip(network.inputs, inputs, strict=True)}
        expression = ungated(fluxes[symbol(network.name)], network).subs(known)
        while parts := expression.free_symbols & fluxes.keys():
            expression = expression.subs({part: fluxes[part] for part in parts}).subs(known)
        constants = sorted(map(str, expression.free_symbols - set(inputs)))
        if not all(c in n for n in numbers for c in constants):
            return []
        every = [*inputs, *map(symbol, constants)]
        function = sympy.lambdify(every, expression, [_FUNCTIONS, "numpy"])
        return [cls(function, tuple(n[c] for c in constants)) for n in numbers]

    def values(
        self, x: np.ndarray, visited: Sequence[Visited], gate: np.ndarray | float = 1.0
    ) -> np.ndarray:
        """Evaluate at inputs of shape (sample, input); shape (sample,)."""
        with np.errstate(all="ignore"):  # what is not finite is refused
            return np.broadcast_to(self.function(*x.T, *self.numbers), len(x)) * gate
