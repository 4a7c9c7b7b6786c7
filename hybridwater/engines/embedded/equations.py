"""A program in JAX: equations evaluated with arrays, one array per name.

Arrays of one name have the shape ``lanes``: any shape whose last axis is the batch, for example
``(batch,)`` while stepping and ``(records, batch)`` while differentiating many steps at once. A
name with values on a column has these in a further first axis. A *flat* array has the values of
several names side by side in its first axis, see :class:`hybridwater.ude.program.Program`.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import sympy

from hybridwater.engines.embedded.roots import roots
from hybridwater.ude.functions import sigmoid, smooth_step, softplus
from hybridwater.ude.functions import symbol as _symbol
from hybridwater.ude.moves import Assign, Move
from hybridwater.ude.program import Implicit, Program, ProgramStep, Root, WeightLayout

Array = jax.Array
#: Per network, per layer: matrix and bias.
Layers = list[list[tuple[Array, Array]]]

_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "softplus": jax.nn.softplus,
    "silu": jax.nn.silu,
}
_FUNCTIONS: dict[type, Callable[..., Array]] = {
    sympy.exp: jnp.exp,
    sympy.log: jnp.log,
    sympy.tanh: jnp.tanh,
    sympy.sin: jnp.sin,
    sympy.cos: jnp.cos,
    sympy.Abs: jnp.abs,
    sigmoid: jax.nn.sigmoid,
    softplus: jax.nn.softplus,
    smooth_step: lambda x, width: 0.5 * (jnp.tanh(x / width) + 1.0),
    sympy.Min: lambda *a: functools.reduce(jnp.minimum, a),
    sympy.Max: lambda *a: functools.reduce(jnp.maximum, a),
    sympy.Lt: operator.lt,
    sympy.Le: operator.le,
    sympy.Gt: operator.gt,
    sympy.Ge: operator.ge,
}


def evaluate(expression: sympy.Basic, values: dict[sympy.Basic, Array | float]) -> Array | float:
    """Evaluate an expression; ``values`` holds the symbols and remembers sub-expressions."""
    if expression in values:
        return values[expression]
    if expression.is_number:
        return float(expression)
    if isinstance(expression, sympy.Piecewise):
        *branches, last = expression.args
        result = evaluate(last.expr, values)
        for branch in reversed(branches):
            condition = evaluate(branch.cond, values)
            result = jnp.where(condition, evaluate(branch.expr, values), result)
    elif isinstance(expression, sympy.Pow):
        result = _power(evaluate(expression.base, values), expression.exp, values)
    else:
        arguments = [evaluate(a, values) for a in expression.args]
        if isinstance(expression, sympy.Add):
            result = functools.reduce(lambda a, b: a + b, arguments)
        elif isinstance(expression, sympy.Mul):
            result = functools.reduce(lambda a, b: a * b, arguments)
        else:
            result = _FUNCTIONS[expression.func](*arguments)
    values[expression] = result
    return result


def _power(base: Array | float, exponent: sympy.Expr, values: dict) -> Array | float:
    if exponent == -1:
        return 1.0 / base
    if exponent == sympy.Rational(1, 2):
        return jnp.sqrt(base)
    if exponent.is_Integer:
        return base ** int(exponent)
    return base ** evaluate(exponent, values)


def unpack_weights(layouts: Sequence[WeightLayout], weights: Array) -> Layers:
    """Cut the flat weights into matrices and biases.

    Parameters
    ----------
    layouts : sequence of WeightLayout
        One per network.
    weights : jax.Array
        Shape (n_weights,), shared by the batch, or (batch, n_weights).

    Returns
    -------
    list of list of (jax.Array, jax.Array)
        Per network and layer: W (n_out, n_in) and b (n_out,), or with the batch first.
    """
    networks = []
    for layout in layouts:
        layers = []
        for (w, b, shape), signs in zip(layout.layers, layout.signs, strict=True):
            matrix = weights[..., w].reshape(*weights.shape[:-1], *shape)
            if signs.any():
                matrix = jnp.where(signs != 0, signs * jnp.abs(matrix), matrix)
            layers.append((matrix, weights[..., b]))
        networks.append(layers)
    return networks


def perceptron(layers: list[tuple[Array, Array]], activation: str, inputs: list[Array]) -> Array:
    """Evaluate one network for all lanes; the result has the shape ``lanes``.

    Weights of the batch's own (batch, n_out, n_in) need lanes whose first axis is the batch.
    """
    act = _ACTIVATIONS[activation]
    shared = layers[0][0].ndim == 2
    inputs = jnp.broadcast_arrays(*inputs)
    lanes = inputs[0].shape
    if shared:
        x = jnp.stack([i.reshape(-1) for i in inputs], axis=0)  # (n_in, lanes)
    else:
        x = jnp.stack([i.reshape(lanes[0], -1) for i in inputs], axis=1)  # (batch, n_in, rest)
    for k, (matrix, bias) in enumerate(layers):
        x = matrix @ x + bias[..., None]
        if k < len(layers) - 1:
            x = act(x)
    return (x[0] if shared else x[:, 0]).reshape(lanes)


def split(program: Program, names: Sequence[str], flat: Array) -> list[Array]:
    """Cut a flat array, shape (values, *lanes), into one array per name."""
    if not program.places:
        return list(flat)
    where = zip(names, program.slices(names), strict=True)
    return [flat[s] if name in program.places else flat[s.start] for name, s in where]


def join(parts: Sequence[Array], like: Array) -> Array:
    """Put arrays side by side in a flat one; each has the lanes of the flat array ``like``."""
    if not parts:
        return jnp.zeros((0, *like.shape[1:]), like.dtype)
    if all(part.ndim < like.ndim for part in parts):
        return jnp.stack(parts)
    return jnp.concatenate([p if p.ndim == like.ndim else p[None] for p in parts])


def _move(step: Move, values: dict[sympy.Basic, Array | float], lanes: tuple[int, ...]) -> Array:
    """Evaluate a function of a column, whose axis is the first one."""
    first, *edges = (jnp.asarray(evaluate(e, values)) for e in step.operands)
    first = jnp.broadcast_to(first, (step.source.size, *lanes))
    edges = [jnp.broadcast_to(e, (1, *lanes)) for e in edges]
    match step.kind:
        case "above":
            return jnp.concatenate([*edges, first]) if edges else first[:-1]
        case "below":
            return jnp.concatenate([first, *edges]) if edges else first[1:]
        case "ends":
            return jnp.concatenate([edges[0], first[1:-1], edges[1]])
        case "uppermost":
            return first[0]
        case "lowermost":
            return first[-1]
        case _:
            return first.sum(0)


def _network(
    layers: list[tuple[Array, Array]], activation: str, inputs: list[Array], lanes: int
) -> Array:
    """Evaluate a network; if the batch has its own weights, its axis comes first meanwhile."""
    wide = max(i.ndim for i in inputs) > lanes
    if not wide or layers[0][0].ndim == 2:
        return perceptron(layers, activation, inputs)
    inputs = [jnp.moveaxis(i, 0, -1) if i.ndim > lanes else i[..., None] for i in inputs]
    return jnp.moveaxis(perceptron(layers, activation, inputs), -1, 0)


Equations = Callable[
    [Sequence[Array], Sequence[Array], Sequence[Array], Layers], tuple[list[Array], list[Array]]
]


def equations(program: Program, outputs: Sequence[str]) -> Equations:
    """Return the right-hand side as a function of arrays.

    Parameters
    ----------
    program : Program
        The lowered model.
    outputs : sequence of str
        Fluxes, networks or forcings whose value is wanted beside the derivatives.

    Returns
    -------
    callable
        ``f(states, forcings, parameters, layers) -> (derivatives, outputs)``, lists of arrays of
        the shape ``lanes``, or (cells, *lanes).
    """
    symbols = [
        [_symbol(n) for n in group]
        for group in (program.states, program.forcings, program.parameters)
    ]

    def run(
        steps: Sequence[ProgramStep],
        values: dict[sympy.Basic, Array | float],
        layers: Layers,
        like: Array,
    ) -> None:
        for step in steps:
            if isinstance(step, Assign):
                values[_symbol(step.name)] = evaluate(step.expression, values)
            elif isinstance(step, Root):
                found = solved(step, values, layers, like)
                values.update(zip(map(_symbol, step.names), found, strict=True))
            elif isinstance(step, Implicit):
                for name, value in zip(step.names, step.root.names, strict=True):
                    values[_symbol(name)] = values[_symbol(value)]
            elif isinstance(step, Move):
                values[_symbol(step.name)] = _move(step, values, like.shape)
            else:
                inputs = [jnp.asarray(evaluate(e, values)) for e in step.inputs]
                activation = program.networks[step.index].activation
                value = _network(layers[step.index], activation, inputs, like.ndim)
                values[_symbol(step.name)] = value

    def solved(
        root: Root, given: dict[sympy.Basic, Array | float], layers: Layers, like: Array
    ) -> list[Array]:
        def residuals(unknowns: list[Array]) -> list[Array]:
            values = {**given, **dict(zip(map(_symbol, root.names), unknowns, strict=True))}
            run(root.body, values, layers, like)
            return [jnp.broadcast_to(values[_symbol(r)], like.shape) for r in root.residuals]

        return roots(residuals, root.bounds, root.guesses, like)

    def f(
        states: Sequence[Array],
        forcings: Sequence[Array],
        parameters: Sequence[Array],
        layers: Layers,
    ) -> tuple[list[Array], list[Array]]:
        values: dict[sympy.Basic, Array | float] = {}
        for group, arrays in zip(symbols, (states, forcings, parameters), strict=True):
            values.update(zip(group, arrays, strict=True))
        lanes = states[0].shape[program.states[0] in program.places :]
        shapes = {name: (place.size, *lanes) for name, place in program.places.items()}
        for name, numbers in program.geometry.items():
            column = jnp.asarray(numbers, states[0].dtype)
            values[_symbol(name)] = column.reshape(-1, *(1,) * len(lanes))
        run(program.steps, values, layers, jnp.zeros(lanes, states[0].dtype))
        derivatives = [
            jnp.broadcast_to(evaluate(e, values), shapes.get(s, lanes))
            for s, e in zip(program.states, program.derivatives, strict=True)
        ]
        wanted = [jnp.broadcast_to(values[_symbol(o)], shapes.get(o, lanes)) for o in outputs]
        return derivatives, wanted

    return f
