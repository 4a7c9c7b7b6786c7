"""Many records: the forward sweep, and the discrete adjoint that differentiates it.

Forward, records follow each other. Backward, nothing but a small linear recurrence has to: the
states at every substep are known, so the Jacobian of each substep is computed for many substeps
at once (a chunk), the adjoint states run through them, and one vector-Jacobian product for the
whole chunk gives the gradients. Memory is the stored states and one chunk, whatever the length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from hybridwater.engines.embedded.equations import Equations, Layers, unpack_weights
from hybridwater.engines.embedded.interpolation import at
from hybridwater.engines.embedded.substeps import substep
from hybridwater.ude.program import Program

Array = jax.Array

#: Substeps (times batch) that are differentiated together; small enough for the cache.
CHUNK_LANES = 2048
#: States up to which the Jacobians of all substeps are formed.
MAX_JACOBIAN_STATES = 12
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


Map = Callable[[Array, Array, Array, Array, Layers], tuple[Array, Array]]


def substep_map(f: Equations, method: str, n: int, instantaneous: bool) -> Callable[..., Map]:
    """Return the map of one substep, for a record of a given length.

    Returns
    -------
    callable
        ``build(step) -> map`` with ``map(states, tau, coefs, parameters, layers) -> (states,
        contribution)``: arrays of shape (n_states, \\*lanes) and (n_outputs, \\*lanes), the latter
        adding up to the record's output over its substeps.
    """

    def build(step: Array) -> Map:
        def advance(
            states: Array, tau: Array, coefs: Array, parameters: Array, layers: Layers
        ) -> tuple[Array, Array]:
            p = list(parameters)

            def rhs(s: list[Array], t: Array | float) -> tuple[list[Array], list[Array]]:
                return f(s, at(coefs, t), p, layers)

            new, integrals = substep(method, rhs, list(states), tau, step / n, 1.0 / n)
            if instantaneous:
                _, now = rhs(list(states), tau)
                contribution = jnp.stack(now) * (tau == 0.0)
            else:
                contribution = jnp.stack(integrals) / step
            return jnp.stack(new), contribution

        return advance

    return build


def forward(advance: Map, program: Program, n: int, x: Inputs) -> Sweep:
    """Run through all records."""
    layers = unpack_weights(program.networks, x.weights)

    def one(states: Array, coefs: Array, tau: Array | float) -> tuple[Array, tuple[Array, Array]]:
        new, contribution = advance(states, jnp.asarray(tau), coefs, x.parameters, layers)
        return new, (states, contribution)

    def record(states: Array, coefs: Array) -> tuple[Array, tuple[Array, Array]]:
        if n <= _UNROLLED_SUBSTEPS:
            kept, total = [], 0.0
            for i in range(n):
                states, (before, contribution) = one(states, coefs, i / n)
                kept.append(before)
                total = total + contribution
            return states, (jnp.stack(kept), total)
        taus = jnp.arange(n, dtype=states.dtype) / n
        states, (kept, parts) = jax.lax.scan(lambda s, t: one(s, coefs, t), states, taus)
        return states, (kept, parts.sum(0))

    final, (starts, outputs) = jax.lax.scan(record, x.start, x.forcing)
    return Sweep(starts, outputs, final)


def chunk_length(time: int, n: int, batch: int) -> int:
    """Return how many records are differentiated together."""
    return max(1, min(time, CHUNK_LANES // (n * batch)))


def backward(
    advance: Map,
    program: Program,
    n: int,
    x: Inputs,
    starts: Array,
    outputs_bar: Array,
    states_bar: Array,
    *,
    forcing_gradient: bool,
) -> Inputs:
    """Discrete adjoint of :func:`forward` with the Jacobians of a chunk computed at once.

    Parameters
    ----------
    advance, program, n, x
        As in :func:`forward`.
    starts : jax.Array
        States at the start of every substep, shape (time, n, n_states, batch).
    outputs_bar, states_bar : jax.Array
        Cotangents of the outputs (time, n_outputs, batch) and of the states at the end of every
        record (time, n_states, batch).
    forcing_gradient : bool
        Whether to return the cotangent of the forcing (zeros otherwise).

    Returns
    -------
    Inputs
        Cotangents.
    """
    time, _, n_states, batch = starts.shape
    length = chunk_length(time, n, batch)
    chunks = -(-time // length)
    pad = chunks * length - time
    dtype = starts.dtype

    def chunked(a: Array, fill: bool) -> Array:
        if pad:
            tail = jnp.repeat(a[-1:], pad, axis=0)
            a = jnp.concatenate([a, tail if fill else jnp.zeros_like(tail)])
        return a.reshape(chunks, length, *a.shape[1:])

    data = (
        chunked(starts, True),
        chunked(x.forcing, True),
        chunked(outputs_bar, False),
        chunked(states_bar, False),
    )
    taus = jnp.tile(jnp.arange(n, dtype=dtype) / n, length)  # (lanes of one batch entry,)
    parameters = x.parameters[:, :, None]

    def one_chunk(carry: tuple[Array, Inputs], item: tuple) -> tuple[tuple, Array]:
        adjoint, total = carry
        states, coefs, o_bar, s_bar = item
        # lanes are (batch, length * n), substeps in order
        lanes = states.transpose(2, 3, 0, 1).reshape(n_states, batch, length * n)
        spread = jnp.repeat(coefs.transpose(1, 2, 3, 0), n, axis=-1)
        o_bar = jnp.repeat(o_bar.transpose(1, 2, 0), n, axis=-1)

        def many(s: Array, c: Array, p: Array, w: Array) -> tuple[Array, Array]:
            return advance(s, taus, c, p, unpack_weights(program.networks, w))

        if forcing_gradient:
            arguments = (spread, parameters, x.weights)
            _, push = jax.linearize(many, lanes, *arguments)
        else:
            arguments = (parameters, x.weights)
            _, push = jax.linearize(lambda s, p, w: many(s, spread, p, w), lanes, *arguments)
        still = tuple(jnp.zeros_like(a) for a in arguments)
        columns = [
            push(jnp.zeros_like(lanes).at[j].set(1.0), *still) for j in range(n_states)
        ]
        jacobian = jnp.stack([c[0] for c in columns])  # [j, i] = d new_i / d old_j
        through = jnp.stack([(c[1] * o_bar).sum(0) for c in columns])  # (n_states, *lanes)

        def recur(a: Array, parts: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            jac, thr, s = parts
            a = a + s
            return (jac * a).sum(1) + thr, a

        # cotangent of the state at the end of a record enters at its last substep
        ends = jnp.zeros((length, n, n_states, batch), dtype).at[:, -1].set(s_bar)
        adjoint, adjoints = jax.lax.scan(
            recur,
            adjoint,
            (
                jacobian.transpose(3, 0, 1, 2),
                through.transpose(2, 0, 1),
                ends.reshape(length * n, n_states, batch),
            ),
            reverse=True,
            unroll=min(8, length * n),
        )
        pull = jax.linear_transpose(lambda *a: push(jnp.zeros_like(lanes), *a), *arguments)
        bars = pull((adjoints.transpose(1, 2, 0), o_bar))
        *c_bar, p_bar, w_bar = bars
        total = Inputs(
            total.start, total.forcing, total.parameters + p_bar[:, :, 0], total.weights + w_bar
        )
        if forcing_gradient:
            folded = c_bar[0].reshape(*c_bar[0].shape[:-1], length, n).sum(-1)
            return (adjoint, total), folded.transpose(3, 0, 1, 2)
        return (adjoint, total), jnp.zeros((), dtype)

    zero = Inputs(*(jnp.zeros_like(a) for a in x))
    zero = zero._replace(forcing=jnp.zeros((), dtype))
    start = jnp.zeros((n_states, batch), dtype)
    (adjoint, total), c_bars = jax.lax.scan(one_chunk, (start, zero), data, reverse=True)
    if forcing_gradient:
        c_bars = c_bars.reshape(chunks * length, *c_bars.shape[2:])[:time]
    return total._replace(start=adjoint, forcing=c_bars)
