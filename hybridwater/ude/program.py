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
class Root:
    """``names`` = the values, each within its bounds, at which all ``residuals`` are zero.

    Parameters
    ----------
    names : tuple of str
        The values that are looked for; nothing follows from them but what is in ``body``.
    body : tuple of Assign or Perceptron
        From the values to the residuals. It comes once more among the steps of the program, for
        an engine that differentiates them.
    residuals : tuple of str
        What in ``body`` is zero at the solution; one per value.
    bounds : tuple of (float, float)
        One per value.
    guesses : tuple of float
        Where the search begins.
    """

    names: tuple[str, ...]
    body: tuple[Assign | Perceptron, ...]
    residuals: tuple[str, ...]
    bounds: tuple[tuple[float, float], ...]
    guesses: tuple[float, ...]


@dataclass(frozen=True)
class Implicit:
    """``names = values`` of a :class:`Root`; their slopes are those of the implicit function.

    Where residuals r of values z and of anything else x are zero, dz/dx = -(dr/dz)^-1 dr/dx.
    """

    names: tuple[str, ...]
    root: Root


@dataclass(frozen=True)
class Impulse:
    """The flux ``name``, otherwise zero, moves ``amount`` at once where ``when`` is positive."""

    name: str
    when: sympy.Expr
    amount: sympy.Expr


#: What an engine runs through.
ProgramStep = Assign | Perceptron | Move | Root | Implicit


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
    steps: tuple[ProgramStep, ...]
    derivatives: tuple[sympy.Expr, ...]
    networks: tuple[WeightLayout, ...]
    n_weights: int
    impulses: tuple[Impulse, ...] = ()
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
    blocks = ude.arrangement.blocks
    geometry = {n: values for c in ude.columns for n, (_, values) in c.geometry.items()}
    even = {symbol(n): sympy.Float(v[0]) for n, v in geometry.items() if np.ptp(v) == 0}
    unfolding = Unfolding(dict(ude.places), even)
    steps: list[ProgramStep] = [Assign(e.name, sympy.Integer(0)) for e in ude.events]

    def known(expression: sympy.Expr) -> sympy.Expr:
        """Put in numbers, and take functions of columns out."""
        found, flat = unfolding.unfold(expression.subs(constants))
        steps.extend(found)
        return flat

    def computed(name: str) -> list[Assign | Perceptron]:
        place = ude.places.get(name)
        if name in fluxes:
            return [Assign(name, known(fluxes[name].expression), place)]
        scaled = tuple(
            (known(i.expression) - sympy.Float(i.low)) * sympy.Float(2 / (i.high - i.low)) - 1
            for i in networks[name].inputs
        )
        made = _network_steps(networks[name], scaled, ude, place)
        if place is not None:
            unfolding.places |= {step.name: place for step in made}
        return made

    for name in ude.order:
        if name in fluxes or name in networks:
            made = computed(name)  # which may add to the steps before it
            steps += made
        elif name in blocks:
            between = [step for n in blocks[name].between for step in computed(n)]
            steps += _implicit_steps(ude, blocks[name].unknowns, between, constants)
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
        impulses=tuple(
            Impulse(e.name, e.when.subs(constants), e.amount.subs(constants)) for e in ude.events
        ),
    )


def used(step: ProgramStep) -> tuple[sympy.Expr, ...]:
    """Return the expressions that a step evaluates."""
    if isinstance(step, Assign):
        return (step.expression,)
    if isinstance(step, Root | Implicit):
        return ()
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


def _implicit_steps(
    ude: UDE, names: tuple[str, ...], between: list[Assign | Perceptron], constants: dict
) -> list[ProgramStep]:
    """Solve for unknowns. What lies between them and their residuals gets names of its own."""
    unknowns = [next(u for u in ude.unknowns if u.name == name) for name in names]
    held = {symbol(n): symbol(f"{n}__held") for n in (*names, *(step.name for step in between))}
    body: list[Assign | Perceptron] = []
    for step in between:
        name = str(held[symbol(step.name)])
        if isinstance(step, Assign):
            body.append(Assign(name, step.expression.subs(held)))
        else:
            body.append(Perceptron(name, step.index, tuple(e.subs(held) for e in step.inputs)))
    residuals = tuple(f"{name}__residual" for name in names)
    for name, unknown in zip(residuals, unknowns, strict=True):
        body.append(Assign(name, unknown.residual.subs(constants).subs(held)))
    root = Root(
        tuple(str(held[symbol(name)]) for name in names),
        tuple(body),
        residuals,
        tuple(u.bounds for u in unknowns),
        tuple(u.guess for u in unknowns),
    )
    return [root, *body, Implicit(names, root)]


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
