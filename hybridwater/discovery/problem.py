"""What a search for equations is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hybridwater import units
from hybridwater.discovery.drafting import Place, is_offset
from hybridwater.discovery.forms import Visited
from hybridwater.discovery.physics import Physics
from hybridwater.discovery.polishing import Target
from hybridwater.ude.functions import symbol
from hybridwater.ude.model import UDE
from hybridwater.ude.terms import Equation, Network
from hybridwater.ude.text import print_expression

if TYPE_CHECKING:
    import xarray as xr

#: An input varies if it does by more than this fraction of its size.
VARIES = 1e-3


class Method(Protocol):
    """A way to search."""

    def search(self, target: Target) -> tuple[list[Any], int]:
        """Return candidates that respect the physics, and how many did not."""
        ...

    def refit(self, candidate: Any, target: Target) -> Any | None:
        """Fit the constants of a candidate; ``None`` if nothing comes of it."""
        ...

    def write(self, candidate: Any, *, gated: bool = True) -> Equation:
        """Return the equation of a candidate; with its gate, or without."""
        ...

    def describe(self, candidate: Any) -> str:
        """Say in words what a candidate looks like."""
        ...


@dataclass(frozen=True)
class Problem:
    """A term, where it has been, and what its equations must respect.

    Parameters
    ----------
    place : Place
        The term.
    texts : tuple of str
        Inputs as text.
    visited : tuple of Visited
        One per input.
    columns : tuple of int
        Inputs that vary; the others are left out.
    physics : Physics
        What the term must respect.
    max_operations : int
        Most operations of an equation.
    """

    place: Place
    texts: tuple[str, ...]
    visited: tuple[Visited, ...]
    columns: tuple[int, ...]
    physics: Physics
    max_operations: int

    @classmethod
    def of(
        cls, ude: UDE, name: str, term: xr.Dataset, x: np.ndarray, max_operations: int
    ) -> Problem:
        """Look at the samples of a term and at its inputs, of shape (sample, input)."""
        network = ude.network(name)
        texts = inputs_of(network)
        place = Place(network, ude.units, tuple(str(term[t].attrs["units"]) for t in texts))
        offsets = [is_offset(u) for u in place.input_units]
        states = {symbol(s.name) for s in ude.states}
        stored = [bool(states & i.expression.free_symbols) for i in network.inputs]
        visited = tuple(
            Visited.of(x[:, k], temperature=offsets[k], stored=stored[k]) for k in range(len(texts))
        )
        spans = [v.span > VARIES * abs(x[:, k]).max() for k, v in enumerate(visited)]
        columns = tuple(int(k) for k in np.flatnonzero(spans))
        size = float(np.sqrt(np.mean(term["learned"].values ** 2)))
        physics = Physics(network, x, visited, size)
        return cls(place, texts, visited, columns, physics, max_operations)

    @property
    def gate(self) -> bool:
        """Whether the term has the gate of an empty store."""
        return self.place.network.zero_when_empty is not None

    @property
    def positive(self) -> bool:
        """Whether the term must not be negative."""
        network = self.place.network
        return bool(network.positive) or (network.bounds is not None and network.bounds[0] >= 0)

    @property
    def vanishing(self) -> frozenset[int]:
        """Inputs that are zero when the store of the gate is empty."""
        network = self.place.network
        if network.zero_when_empty is None:
            return frozenset()
        store = symbol(network.zero_when_empty)
        rows = enumerate(network.inputs)
        return frozenset(
            k for k, i in rows if i.expression.has(store) and i.expression.subs(store, 0) == 0
        )

    @property
    def natural(self) -> frozenset[tuple[tuple[int, int], ...]]:
        """Powers of inputs, as ``((column, power), ...)``, that have the unit of the term."""
        term = units.parse(self.place.network.unit)
        same = [((k, 1),) for k in self.columns if units.parse(self.place.input_units[k]) == term]
        dimensionless = [()] if term == units.parse("1") else []
        return frozenset([*same, *dimensionless])

    def gates(self, x: np.ndarray) -> np.ndarray:
        """Evaluate the gate where the store is an input; else it counts as open."""
        network = self.place.network
        if network.zero_when_empty not in self.texts:
            return np.ones(len(x))
        assert network.empty_scale is not None
        stored = x[:, self.texts.index(network.zero_when_empty)]
        return np.minimum(stored / network.empty_scale, 1.0)


def inputs_of(network: Network) -> tuple[str, ...]:
    """Return the inputs of a network as text."""
    return tuple(print_expression(i.expression) for i in network.inputs)
