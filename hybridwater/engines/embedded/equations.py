"""A program in JAX: equations evaluated with arrays, one array per name.

Arrays of one name have the shape ``lanes``: any shape whose last axis is the batch, for example
``(batch,)`` while stepping and ``(records, batch)`` while differentiating many steps at once.
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
from hybridwater.ude.program import Assign, Implicit, Program, ProgramStep, Root, WeightLayout

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
        the shape ``lanes``.
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
            else:
                inputs = [jnp.asarray(evaluate(e, values)) for e in step.inputs]
                layout = program.networks[step.index]
                value = perceptron(layers[step.index], layout.activation, inputs)
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
        like = states[0]
        run(program.steps, values, layers, like)
        derivatives = [
            jnp.broadcast_to(evaluate(e, values), like.shape) for e in program.derivatives
        ]
        wanted = [jnp.broadcast_to(values[_symbol(o)], like.shape) for o in outputs]
        return derivatives, wanted

    return f
