"""Record-wise methods: a fixed number of substeps in each record, one record after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from hybridwater.engines.embedded.equations import Equations, Layers, join, split, unpack_weights
from hybridwater.engines.embedded.interpolation import at
from hybridwater.engines.embedded.linear import linear_of
from hybridwater.engines.embedded.substeps import substep
from hybridwater.ude.program import Program

Array = jax.Array

_UNROLLED_SUBSTEPS = 4


class Inputs(NamedTuple):
    """What a solve depends on.

    Parameters
    ----------
    start : jax.Array
        Initial state, shape (n_states, batch).
    forcing : jax.Array
        Polynomial coefficients, shape (time, order, n_forcings, batch).
    parameters : jax.Array
        Shape (n_parameters, batch).
    weights : jax.Array
        Shape (n_weights,) or (batch, n_weights).
    """

    start: Array
    forcing: Array
    parameters: Array
    weights: Array


class Sweep(NamedTuple):
    """Result of the forward sweep.

    Parameters
    ----------
    starts : jax.Array
        States at the start of every substep, shape (time, substeps, n_states, batch).
    outputs : jax.Array
        Shape (time, n_outputs, batch).
    final : jax.Array
        Shape (n_states, batch).
    """

    starts: Array
    outputs: Array
    final: Array


#: (states, tau, coefs, parameters, layers) -> (states, contribution), of one substep
Advance = Callable[[Array, Array, Array, Array, Layers], tuple[Array, Array]]


def substep_map(
    f: Equations, program: Program, method: str, n: int, step: Array, instantaneous: bool
) -> Advance:
    """Return the map of one substep.

    Parameters
    ----------
    f : callable
        The equations.
    program : Program
        What they were made from.
    method : str
        A record-wise method.
    n : int
        Substeps per record.
    step : jax.Array
        Length of a record in the time unit of the model.
    instantaneous : bool
        Whether outputs are values at the start of the record instead of means over it.

    Returns
    -------
    callable
        ``map(states, tau, coefs, parameters, layers) -> (states, contribution)``: arrays of shape
        (n_states, ...) and (n_outputs, ...), the latter adding up to the record's output over its
        substeps.
    """
    linear = linear_of(program)

    def advance(
        states: Array, tau: Array, coefs: Array, parameters: Array, layers: Layers
    ) -> tuple[Array, Array]:
        p = list(parameters)

        def rhs(s: list[Array], t: Array | float) -> tuple[list[Array], list[Array]]:
            return f(s, at(coefs, t), p, layers)

        start = split(program, program.states, states)
        new, integrals = substep(method, rhs, start, tau, step / n, 1.0 / n, linear)
        if instantaneous:
            _, now = rhs(start, tau)
            parts = [(tau == 0.0) * value for value in now]
        else:
            parts = [value / step for value in integrals]
        return join(new, states), join(parts, states)

    return advance


def one_record(
    advance: Advance, n: int, states: Array, coefs: Array, parameters: Array, layers: Layers
) -> tuple[Array, Array, Array]:
    """Run through the substeps of one record.

    Returns
    -------
    final : jax.Array
        Shape (n_states, batch).
    starts : jax.Array
        States at the start of every substep, shape (n, n_states, batch).
    outputs : jax.Array
        Shape (n_outputs, batch).
    """

    def one(states: Array, tau: Array) -> tuple[Array, tuple[Array, Array]]:
        new, part = advance(states, tau, coefs, parameters, layers)
        return new, (states, part)

    taus = jnp.arange(n, dtype=states.dtype) / n
    final, (starts, parts) = jax.lax.scan(one, states, taus, unroll=n <= _UNROLLED_SUBSTEPS)
    return final, starts, parts.sum(0)


def forward(advance: Advance, program: Program, n: int, x: Inputs) -> Sweep:
    """Run through all records."""
    layers = unpack_weights(program.networks, x.weights)

    def record(states: Array, coefs: Array) -> tuple[Array, tuple[Array, Array]]:
        final, starts, outputs = one_record(advance, n, states, coefs, x.parameters, layers)
        return final, (starts, outputs)

    final, (starts, outputs) = jax.lax.scan(record, x.start, x.forcing)
    return Sweep(starts, outputs, final)
