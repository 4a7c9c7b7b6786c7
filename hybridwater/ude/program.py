"""A model as a straight list of assignments: what an engine compiles.

All of the physics around a network (scaling of inputs and output, sign, bounds, the gate of an
empty store) is written out as expressions here, so that an engine only has to know the raw
perceptron and the elementary functions, and every engine computes the same numbers.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import sympy

from hybridwater.ude.columns import Place
from hybridwater.ude.functions import sigmoid, softplus, symbol
from hybridwater.ude.moves import Assign, Move, Unfolding
from hybridwater.ude.terms import Network

if TYPE_CHECKING:
    from hybridwater.ude.model import UDE


@dataclass(frozen=True)
class Perceptron:
    """``name = mlp(inputs)``: the raw output z of network ``index``, at every cell of a place."""

    name: str
    index: int
    inputs: tuple[sympy.Expr, ...]
    place: Place | None = None


@dataclass(frozen=True)
class WeightLayout:
    """Where the weights of one network lie in the flat vector.

    Layer after layer; in each the matrix ``W`` of shape (n_out, n_in) in C order, then the bias
    ``b`` of shape (n_out,). ``signs[k]`` has the shape of ``W`` of layer ``k``: where it is not
    zero, the weight in use is ``sign * |w|``, which is how monotone effects are kept.
    """

    name: str
    sizes: tuple[int, ...]
    activation: str
    offset: int
    signs: tuple[np.ndarray, ...]

    @property
    def layers(self) -> list[tuple[slice, slice, tuple[int, int]]]:
        """Slices of W and b in the flat vector, and the shape of W, per layer."""
        result, at = [], self.offset
        for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False):
            w = slice(at, at + n_in * n_out)
            b = slice(w.stop, w.stop + n_out)
            result.append((w, b, (n_out, n_in)))
            at = b.stop
        return result


@dataclass(frozen=True)
class Program:
    """Assignments in the order in which they can be computed.

    Symbols that are given from outside: states, forcings, parameters, in the order of the UDE, and
    ``geometry``: numbers at the cells or faces of columns.

    A name that ``places`` has is a value at each cell or face; all others are one number. In flat
    arrays the values of one name stand side by side, in the order of the names.
    """

    states: tuple[str, ...]
    forcings: tuple[str, ...]
    parameters: tuple[str, ...]
    steps: tuple[Assign | Perceptron | Move, ...]
    derivatives: tuple[sympy.Expr, ...]
    networks: tuple[WeightLayout, ...]
    n_weights: int
    places: Mapping[str, Place] = field(default_factory=dict)
    geometry: Mapping[str, np.ndarray] = field(default_factory=dict)

    @functools.cached_property
    def n_states(self) -> int:
        """Number of state values."""
        return sum(self.sizes(self.states))

    @functools.cached_property
    def value_names(self) -> tuple[str, ...]:
        """Name of each state value; the cells of a column share theirs."""
        sizes = zip(self.states, self.sizes(self.states), strict=True)
        return tuple(name for name, size in sizes for _ in range(size))

    def sizes(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return how many values each name has."""
        return tuple(self.places[n].size if n in self.places else 1 for n in names)

    def slices(self, names: Iterable[str]) -> tuple[slice, ...]:
        """Return where the values of each name stand in a flat array of all of them."""
        edges = list(itertools.accumulate(self.sizes(names), initial=0))
        return tuple(itertools.starmap(slice, itertools.pairwise(edges)))


def lower(ude: UDE, parameters: tuple[str, ...]) -> Program:
    """Lower a UDE to a program of which ``parameters`` are the arguments."""
    constants = {symbol(c.name): sympy.Float(c.value) for c in ude.constants}
    networks = {n.name: n for n in ude.networks}
    fluxes = {f.name: f for f in ude.fluxes}
    geometry = {n: values for c in ude.columns for n, (_, values) in c.geometry.items()}
    even = {symbol(n): sympy.Float(v[0]) for n, v in geometry.items() if np.ptp(v) == 0}
    unfolding = Unfolding(dict(ude.places), even)
    steps: list[Assign | Perceptron | Move] = []

    def known(expression: sympy.Expr) -> sympy.Expr:
        """Put in numbers, and take functions of columns out."""
        found, flat = unfolding.unfold(expression.subs(constants))
        steps.extend(found)
        return flat

    for name in ude.order:
        place = ude.places.get(name)
        if name in fluxes:
            steps.append(Assign(name, known(fluxes[name].expression), place))
        else:
            scaled = tuple(
                (known(i.expression) - sympy.Float(i.low)) * sympy.Float(2 / (i.high - i.low)) - 1
                for i in networks[name].inputs
            )
            steps += _network_steps(networks[name], scaled, ude, place)
            if place is not None:
                unfolding.places |= {step.name: place for step in steps[-2:]}
    layouts, offset = [], 0
    for network in ude.networks:
        layouts.append(
            WeightLayout(network.name, network.sizes, network.activation, offset, _signs(network))
        )
        offset += network.n_weights
    derivatives = tuple(known(ude.derivatives[s.name]) for s in ude.states)
    needed = {str(s) for e in _expressions(steps, derivatives) for s in e.free_symbols}
    return Program(
        states=tuple(s.name for s in ude.states),
        forcings=tuple(f.name for f in ude.forcings),
        parameters=parameters,
        steps=tuple(steps),
        derivatives=derivatives,
        networks=tuple(layouts),
        n_weights=offset,
        places=unfolding.places,
        geometry={name: values for name, values in geometry.items() if name in needed},
    )


def used(step: Assign | Perceptron | Move) -> tuple[sympy.Expr, ...]:
    """Return the expressions that a step evaluates."""
    if isinstance(step, Assign):
        return (step.expression,)
    return step.inputs if isinstance(step, Perceptron) else step.operands


def _expressions(steps: Iterable, derivatives: Iterable[sympy.Expr]) -> list[sympy.Expr]:
    return [*derivatives, *(e for step in steps for e in used(step))]


def _network_steps(
    network: Network, scaled: tuple[sympy.Expr, ...], ude: UDE, place: Place | None
) -> list[Assign | Perceptron]:
    index = [n.name for n in ude.networks].index(network.name)
    raw = f"{network.name}__raw"
    z = symbol(raw)
    scale = sympy.Float(network.scale)
    if network.bounds is not None:
        low, high = (sympy.Float(b) for b in network.bounds)
        value = low + (high - low) * sigmoid(z)
    elif network.positive == "exp":
        value = scale * sympy.exp(z)
    elif network.positive:
        value = scale * softplus(z)
    else:
        value = scale * z
    if network.zero_when_empty is not None:
        stored = sympy.Max(symbol(network.zero_when_empty), 0)
        value = value * stored / (stored + sympy.Float(network.empty_scale))
    return [Perceptron(raw, index, scaled, place), Assign(network.name, value, place)]


def _signs(network: Network) -> tuple[np.ndarray, ...]:
    """Signs of constrained weights: monotone inputs in the first layer, then all but the biases."""
    sizes = network.sizes
    signs = [np.zeros((o, i)) for i, o in itertools.pairwise(sizes)]
    if network.is_monotone:
        signs[0][:] = np.array([i.monotone for i in network.inputs])[None, :]
        for later in signs[1:]:
            later[:] = 1.0
    return tuple(signs)


def initial_weights(program: Program, seed: int) -> np.ndarray:
    """Draw initial weights.

    Glorot uniform matrices (Glorot and Bengio, 2010, eq. 16), zero biases; the last layer's
    matrix is a tenth of that, so that an untrained term starts near its typical magnitude.

    Parameters
    ----------
    program : Program
        The lowered model.
    seed : int
        Seed of the draw.

    Returns
    -------
    numpy.ndarray
        Shape (n_weights,), float64.
    """
    rng = np.random.default_rng(seed)
    weights = np.zeros(program.n_weights)
    for network in program.networks:
        layers = network.layers
        for k, (w, _, (n_out, n_in)) in enumerate(layers):
            limit = np.sqrt(6.0 / (n_in + n_out)) * (0.1 if k == len(layers) - 1 else 1.0)
            weights[w] = rng.uniform(-limit, limit, n_in * n_out)
    return weights
