"""Discrete adjoints: exact derivatives of the numbers that the forward sweep computed.

Two ways through the same stored states. Both need memory for those states and one chunk or record,
whatever the length.

- *Sequential*: one vector-Jacobian product per record, from the last to the first. Best for large
  batches, which keep the processor busy within a record.
- *Parallel in time*: nothing but a small linear recurrence has to run backward. The states at every
  substep are known, so the Jacobian of each is computed for many substeps at once (a chunk), the
  adjoint states run through them, and one vector-Jacobian product for the whole chunk gives the
  gradients. Best for small batches of models with few states.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from hybridwater.engines.embedded.equations import unpack_weights
from hybridwater.engines.embedded.recordwise import Advance, Inputs, one_record
from hybridwater.ude.program import Program

Array = jax.Array
#: (states, coefs, parameters, weights) -> (states, outputs)
Record = Callable[[Array, Array, Array, Array], tuple[Array, Array]]

#: Substeps (times batch) that are differentiated together; small enough for the cache.
CHUNK_LANES = 2048
#: States up to which the Jacobians of all substeps are formed.
MAX_PARALLEL_STATES = 12
#: Batch up to which that pays if the batch shares its weights (measured: benchmarks/adjoint.py).
MAX_PARALLEL_BATCH = 32
_UNROLLED_COLUMNS = 3


def sequential(
    record: Record,
    x: Inputs,
    starts: Array,
    outputs_bar: Array,
    states_bar: Array,
    *,
    forcing_gradient: bool,
) -> Inputs:
    """Reverse sweep with one vector-Jacobian product per record.

    Parameters
    ----------
    record : callable
        ``record(states, coefs, parameters, weights) -> (states, outputs)``.
    x : Inputs
        Inputs of the solve.
    starts : jax.Array
        States at the start of every record, shape (time, n_states, batch).
    outputs_bar, states_bar : jax.Array
        Cotangents, shapes (time, n_outputs, batch) and (time, n_states, batch).
    forcing_gradient : bool
        Whether the cotangent of the forcing is wanted.

    Returns
    -------
    Inputs
        Cotangents.
    """

    def body(carry: tuple[Array, Array, Array], item: tuple) -> tuple[tuple, Array]:
        adjoint, p_total, w_total = carry
        states, coefs, o_bar, s_bar = item
        if forcing_gradient:
            _, pull = jax.vjp(record, states, coefs, x.parameters, x.weights)
            adjoint, c_bar, p_bar, w_bar = pull((adjoint + s_bar, o_bar))
        else:
            _, pull = jax.vjp(
                lambda s, p, w: record(s, coefs, p, w), states, x.parameters, x.weights
            )
            adjoint, p_bar, w_bar = pull((adjoint + s_bar, o_bar))
            c_bar = jnp.zeros((), states.dtype)
        return (adjoint, p_total + p_bar, w_total + w_bar), c_bar

    zeros = (jnp.zeros_like(x.start), jnp.zeros_like(x.parameters), jnp.zeros_like(x.weights))
    items = (starts, x.forcing, outputs_bar, states_bar)
    (start, parameters, weights), c_bars = jax.lax.scan(body, zeros, items, reverse=True)
    return Inputs(start, c_bars, parameters, weights)


def record_of(advance: Advance, program: Program, n: int) -> Record:
    """Return a whole record of a record-wise method, as :func:`sequential` wants it."""

    def record(states: Array, coefs: Array, parameters: Array, weights: Array) -> tuple:
        layers = unpack_weights(program.networks, weights)
        final, _, outputs = one_record(advance, n, states, coefs, parameters, layers)
        return final, outputs

    return record


def parallel_pays(n_states: int, batch: int, shared_weights: bool) -> bool:
    """Whether the adjoint that is parallel in time is the faster one."""
    return n_states <= MAX_PARALLEL_STATES and (batch <= MAX_PARALLEL_BATCH or not shared_weights)


def columns(push: Callable, basis: Array) -> tuple[Array, Array]:
    """Apply a linear map to each vector: written out (faster) or mapped (compiles faster)."""
    if len(basis) > _UNROLLED_COLUMNS:
        return jax.vmap(push)(basis)
    first, second = zip(*(push(vector) for vector in basis), strict=True)
    return jnp.stack(first), jnp.stack(second)


def chunk_length(time: int, n: int, batch: int) -> int:
    """Return how many records are differentiated together."""
    return max(1, min(time, CHUNK_LANES // (n * batch)))


def parallel(
    advance: Advance,
    program: Program,
    n: int,
    x: Inputs,
    starts: Array,
    outputs_bar: Array,
    states_bar: Array,
    *,
    forcing_gradient: bool,
) -> Inputs:
    """Adjoint with the Jacobians of a chunk of substeps computed at once.

    Parameters
    ----------
    advance, program, n, x
        As in :func:`hybridwater.engines.embedded.recordwise.forward`.
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
    # Lanes are (batch, length * n), substeps in order; in one axis, which is faster, where the
    # weights are shared.
    lanes = (batch, length * n) if x.weights.ndim == 2 else (batch * length * n,)

    def spread(a: Array) -> Array:
        """Bring (variables, batch, length) to the lanes."""
        return jnp.repeat(a, n, axis=-1).reshape(-1, *lanes)

    taus = jnp.tile(jnp.arange(n, dtype=dtype) / n, batch * length).reshape(lanes)
    parameters = jnp.repeat(x.parameters[:, :, None], length * n, axis=-1).reshape(-1, *lanes)

    def one_chunk(carry: tuple[Array, Inputs], item: tuple) -> tuple[tuple, Array]:
        adjoint, total = carry
        states, coefs, o_bar, s_bar = item
        states = states.transpose(2, 3, 0, 1).reshape(n_states, *lanes)
        order, n_forcings = coefs.shape[1:3]
        coefs = coefs.transpose(1, 2, 3, 0).reshape(order * n_forcings, batch, length)
        coefs = spread(coefs).reshape(order, n_forcings, *lanes)
        o_bar = spread(o_bar.transpose(1, 2, 0))

        def many(s: Array, c: Array, p: Array, w: Array) -> tuple[Array, Array]:
            return advance(s, taus, c, p, unpack_weights(program.networks, w))

        if forcing_gradient:
            arguments = (coefs, parameters, x.weights)
            _, push = jax.linearize(many, states, *arguments)
        else:
            arguments = (parameters, x.weights)
            _, push = jax.linearize(lambda s, p, w: many(s, coefs, p, w), states, *arguments)
        # Compute the partial derivatives once: XLA would fuse them into each of their uses.
        push = jax.lax.optimization_barrier(push)
        still = tuple(jnp.zeros_like(a) for a in arguments)
        basis = jnp.eye(n_states, dtype=dtype).reshape(n_states, n_states, *(1,) * len(lanes))
        basis = jnp.broadcast_to(basis, (n_states, *states.shape))
        # [j, i] = d new_i / d old_j
        jacobian, rates = columns(lambda v: push(v, *still), basis)
        through = (rates * o_bar).sum(1)  # (n_states, *lanes)

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
                jacobian.reshape(n_states, n_states, batch, -1).transpose(3, 0, 1, 2),
                through.reshape(n_states, batch, -1).transpose(2, 0, 1),
                ends.reshape(length * n, n_states, batch),
            ),
            reverse=True,
            unroll=min(8, length * n),
        )
        pull = jax.linear_transpose(lambda *a: push(jnp.zeros_like(states), *a), *arguments)
        bars = pull((adjoints.transpose(1, 2, 0).reshape(n_states, *lanes), o_bar))
        *c_bar, p_bar, w_bar = bars
        p_bar = p_bar.reshape(-1, batch, length * n).sum(-1)
        total = Inputs(total.start, total.forcing, total.parameters + p_bar, total.weights + w_bar)
        if forcing_gradient:
            folded = c_bar[0].reshape(order, n_forcings, batch, length, n).sum(-1)
            return (adjoint, total), folded.transpose(3, 0, 1, 2)
        return (adjoint, total), jnp.zeros((), dtype)

    zero = Inputs(*(jnp.zeros_like(a) for a in x))
    zero = zero._replace(forcing=jnp.zeros((), dtype))
    start = jnp.zeros((n_states, batch), dtype)
    (adjoint, total), c_bars = jax.lax.scan(one_chunk, (start, zero), data, reverse=True)
    if forcing_gradient:
        c_bars = c_bars.reshape(chunks * length, *c_bars.shape[2:])[:time]
    return total._replace(start=adjoint, forcing=c_bars)
