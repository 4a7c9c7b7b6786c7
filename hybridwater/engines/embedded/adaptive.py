"""Adaptive methods: diffrax solves each forcing record on its own, so no record is stepped over.

The first step tried in a record is the whole record. The outputs are integrated as additional
states under the same error control. Backward, the records are differentiated one after the other
from their stored starts, so memory does not grow with the number of steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp

from hybridwater.engines.base import Options
from hybridwater.engines.embedded import adjoint
from hybridwater.engines.embedded.equations import Equations, join, split, unpack_weights
from hybridwater.engines.embedded.interpolation import at
from hybridwater.engines.embedded.recordwise import Inputs, Sweep
from hybridwater.engines.embedded.thresholds import Given, Switches, pieces
from hybridwater.ude.program import Program

Array = jax.Array

_EXPLICIT = {
    "heun_adaptive": diffrax.Heun,
    "bosh3": diffrax.Bosh3,
    "tsit5": diffrax.Tsit5,
    "dopri5": diffrax.Dopri5,
}
_IMPLICIT = {"kvaerno3": diffrax.Kvaerno3, "kvaerno5": diffrax.Kvaerno5}


class AdaptiveRecords:
    """Forward and backward sweeps with a diffrax solver inside each record.

    Parameters
    ----------
    f : callable
        The equations.
    program : Program
        The lowered model.
    options : Options
        Method, tolerances, output.
    switches : Switches, optional
        If records are to be solved in pieces that end on thresholds.
    """

    def __init__(
        self,
        f: Equations,
        program: Program,
        options: Options,
        switches: Switches | None = None,
    ) -> None:
        self.f = f
        self.switches = switches
        self.program = program
        self.options = options
        self.n_states = program.n_states

    def _solver(self) -> Any:
        o = self.options
        if o.method in _EXPLICIT:
            return _EXPLICIT[o.method]()
        return _IMPLICIT[o.method](root_finder=diffrax.VeryChord(rtol=o.rtol, atol=o.atol))

    def _record(
        self, start: Array, coefs: Array, parameters: Array, weights: Array, step: Array
    ) -> tuple[Array, Array]:
        """Solve one record of one batch entry: (n_states,), (order, n_forcings), ... -> ..."""
        layers = unpack_weights(self.program.networks, weights)
        p = list(parameters)

        def rates(s: Array, tau: Array | float) -> tuple[Array, Array]:
            blocks = split(self.program, self.program.states, s)
            d, out = self.f(blocks, at(coefs, tau), p, layers)
            return join(d, s), join(out, s)

        mean = self.options.output == "mean"
        _, now = rates(start, 0.0)
        if self.switches is None:
            end, parts = self._piece(rates, start, jnp.zeros_like(step), 1.0, step, len(now))
        else:
            given = Given(start, jnp.zeros_like(step), coefs, parameters, layers)
            end, parts = self._pieces(self.switches, given, step, len(now))
        return end, parts if mean else now

    def _piece(
        self,
        rates: Callable[[Array, Array], tuple[Array, Array]],
        start: Array,
        tau: Array,
        s: Array | float,
        step: Array,
        outputs: int,
    ) -> tuple[Array, Array]:
        """Solve from local time ``tau`` on to ``tau + s``: states, and integrals of outputs."""
        o, n = self.options, self.n_states
        mean = o.output == "mean"

        def field(part: Array, y: Array, _: None) -> Array:
            d, out = rates(y[:n], tau + s * part)
            return s * (jnp.concatenate([d * step, out]) if mean else d * step)

        nothing = jnp.zeros(outputs, start.dtype)
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),  # pyright: ignore[reportArgumentType]
            self._solver(),
            t0=jnp.zeros((), start.dtype),
            t1=jnp.ones((), start.dtype),
            dt0=jnp.ones((), start.dtype),
            y0=jnp.concatenate([start, nothing]) if mean else start,
            stepsize_controller=diffrax.PIDController(rtol=o.rtol, atol=o.atol),
            max_steps=o.max_steps,
            throw=False,
        )
        assert solution.ys is not None
        good = solution.result == diffrax.RESULTS.successful
        end = jnp.where(good, solution.ys[-1], jnp.nan)
        return (end[:n], end[n:]) if mean else (end, nothing)

    def _pieces(
        self, switches: Switches, begin: Given, step: Array, outputs: int
    ) -> tuple[Array, Array]:
        """Solve a record in pieces that end on thresholds."""

        def rates(given: Given, on: Array, states: Array, tau: Array) -> tuple[Array, Array]:
            d, out, _ = switches.run(given, on, list(states), tau)
            return jnp.stack(d), join(out, states)

        def ahead(given: Given, on: Array, s: Array) -> tuple[Array, Array]:
            equations = functools.partial(rates, given, on)
            return self._piece(equations, given.states, given.tau, s, step, outputs)

        def pace(given: Given, on: Array, s: Array, states: Array) -> tuple[Array, Array]:
            d, out = rates(given, on, states, given.tau + s)
            return d * step, out

        return pieces(switches, ahead, pace, 1, step)(begin)[:2]

    def _records(self, x: Inputs) -> Any:
        weights_axis = 0 if x.weights.ndim == 2 else None
        return jax.vmap(self._record, in_axes=(-1, -1, -1, weights_axis, None), out_axes=-1)

    def forward(self, x: Inputs, step: Array) -> Sweep:
        """Run through all records; ``starts`` has one substep per record."""
        record = self._records(x)

        def body(states: Array, coefs: Array) -> tuple[Array, tuple[Array, Array]]:
            new, out = record(states, coefs, x.parameters, x.weights, step)
            return new, (states[None], out)

        final, (starts, outputs) = jax.lax.scan(body, x.start, x.forcing)
        return Sweep(starts, outputs, final)

    def backward(
        self,
        x: Inputs,
        step: Array,
        starts: Array,
        outputs_bar: Array,
        states_bar: Array,
        *,
        forcing_gradient: bool,
    ) -> Inputs:
        """Differentiate record after record, from the last to the first."""
        record = self._records(x)
        return adjoint.sequential(
            lambda s, c, p, w: record(s, c, p, w, step),
            x,
            starts[:, 0],
            outputs_bar,
            states_bar,
            forcing_gradient=forcing_gradient,
        )
