"""A model as a straight list of assignments: what an engine compiles.

All of the physics around a network (scaling of inputs and output, sign, bounds, the gate of an
empty store) is written out as expressions here, so that an engine only has to know the raw
perceptron and the elementary functions, and every engine computes the same numbers.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sympy

from hybridwater.ude.functions import sigmoid, softplus, symbol
from hybridwater.ude.terms import Network

if TYPE_CHECKING:
    from hybridwater.ude.model import UDE


@dataclass(frozen=True)
class Assign:
    """``name = expression``."""

    name: str
    expression: sympy.Expr


@dataclass(frozen=True)
class Perceptron:
    """``name = mlp(inputs)``: the raw output z of network ``index``."""

    name: str
    index: int
    inputs: tuple[sympy.Expr, ...]


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


#: What an engine runs through.
ProgramStep = Assign | Perceptron | Root | Implicit


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

    Symbols that are given from outside: states, forcings, parameters, in the order of the UDE.
    """

    states: tuple[str, ...]
    forcings: tuple[str, ...]
    parameters: tuple[str, ...]
    steps: tuple[ProgramStep, ...]
    derivatives: tuple[sympy.Expr, ...]
    networks: tuple[WeightLayout, ...]
    n_weights: int


def lower(ude: UDE, parameters: tuple[str, ...]) -> Program:
    """Lower a UDE to a program of which ``parameters`` are the arguments."""
    constants = {symbol(c.name): sympy.Float(c.value) for c in ude.constants}
    networks = {n.name: n for n in ude.networks}
    fluxes = {f.name: f for f in ude.fluxes}
    blocks = ude.arrangement.blocks

    def computed(name: str) -> list[Assign | Perceptron]:
        if name in fluxes:
            return [Assign(name, fluxes[name].expression.subs(constants))]
        return _network_steps(networks[name], ude, constants)

    steps: list[ProgramStep] = []
    for name in ude.order:
        if name in fluxes or name in networks:
            steps += computed(name)
        elif name in blocks:
            between = [step for n in blocks[name].between for step in computed(n)]
            steps += _implicit_steps(ude, blocks[name].unknowns, between, constants)
    layouts, offset = [], 0
    for network in ude.networks:
        layouts.append(
            WeightLayout(network.name, network.sizes, network.activation, offset, _signs(network))
        )
        offset += network.n_weights
    return Program(
        states=tuple(s.name for s in ude.states),
        forcings=tuple(f.name for f in ude.forcings),
        parameters=parameters,
        steps=tuple(steps),
        derivatives=tuple(ude.derivatives[s.name].subs(constants) for s in ude.states),
        networks=tuple(layouts),
        n_weights=offset,
    )


def _network_steps(network: Network, ude: UDE, constants: dict) -> list[Assign | Perceptron]:
    index = [n.name for n in ude.networks].index(network.name)
    scaled = tuple(
        (i.expression.subs(constants) - sympy.Float(i.low)) * sympy.Float(2 / (i.high - i.low)) - 1
        for i in network.inputs
    )
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
    return [Perceptron(raw, index, scaled), Assign(network.name, value)]


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
