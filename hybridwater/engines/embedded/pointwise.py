"""Fluxes and rates at given states: the equations evaluated without solving anything."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from hybridwater.engines.embedded.equations import Equations, join, split, unpack_weights
from hybridwater.ude.program import Program

Array = jax.Array


def pointwise(f: Equations, program: Program) -> Callable[[Array, Array, Array, Array], Array]:
    """Return a function from inputs to fluxes.

    Returns
    -------
    callable
        ``fluxes(parameters, weights, forcing, states)`` with shapes (batch, n_parameters),
        (n_weights,) or (batch, n_weights), (batch, time, n_forcings), (batch, time, n_states);
        the result has the shape (batch, time, n_fluxes).
    """

    def fluxes(parameters: Array, weights: Array, forcing: Array, states: Array) -> Array:
        flat = jnp.moveaxis(states, -1, 0)
        _, out = f(
            split(program, program.states, flat),
            list(jnp.moveaxis(forcing, -1, 0)),
            list(parameters.T[:, :, None]),
            unpack_weights(program.networks, weights),
        )
        return jnp.moveaxis(join(out, flat), 0, -1)

    return fluxes


def rates_of(f: Equations, program: Program) -> Callable[[Array, Array, Array, Array], Array]:
    """Return a function from inputs to the derivatives of the states.

    Returns
    -------
    callable
        ``rates(parameters, weights, forcing, states)``; as in `pointwise`, without time.
    """

    def rates(parameters: Array, weights: Array, forcing: Array, states: Array) -> Array:
        derivatives, _ = f(
            split(program, program.states, states.T),
            list(forcing.T),
            list(parameters.T),
            unpack_weights(program.networks, weights),
        )
        return join(derivatives, states.T).T

    return rates


def slopes_of(
    rates: Callable[[Array, Array, Array, Array], Array],
) -> Callable[[Array, Array, Array, Array], tuple[Array, Array]]:
    """Return a function from inputs to rates, and slopes of shape (batch, n_states, n_states)."""

    def slopes(
        parameters: Array, weights: Array, forcing: Array, states: Array
    ) -> tuple[Array, Array]:
        value, push = jax.linearize(lambda u: rates(parameters, weights, forcing, u), states)
        unit = jnp.eye(states.shape[1], dtype=states.dtype)[:, None, :]
        columns = jax.vmap(push)(jnp.broadcast_to(unit, (len(unit), *states.shape)))
        return value, jnp.moveaxis(columns, 0, -1)

    return slopes
