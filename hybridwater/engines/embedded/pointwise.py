"""Fluxes at given states: the equations evaluated without solving anything."""

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
