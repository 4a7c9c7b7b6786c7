"""Adaptive methods: diffrax solves each forcing record on its own, so no record is stepped over.

The first step tried in a record is the whole record. The outputs are integrated as additional
states under the same error control. Backward, the records are differentiated one after the other
from their stored starts, so memory does not grow with the number of steps.
"""

from __future__ import annotations

from typing import Any

import diffrax
import jax
import jax.numpy as jnp

from hybridwater.engines.base import Options
from hybridwater.engines.embedded import adjoint
from hybridwater.engines.embedded.equations import Equations, join, split, unpack_weights
from hybridwater.engines.embedded.interpolation import at
from hybridwater.engines.embedded.recordwise import Inputs, Sweep
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
    """

    def __init__(self, f: Equations, program: Program, options: Options) -> None:
        self.f = f
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
        o, n = self.options, self.n_states
        layers = unpack_weights(self.program.networks, weights)
        p = list(parameters)

        def rates(s: Array, tau: Array | float) -> tuple[Array, Array]:
            blocks = split(self.program, self.program.states, s)
            d, out = self.f(blocks, at(coefs, tau), p, layers)
            return join(d, s), join(out, s)

        mean = o.output == "mean"

        def field(tau: Array, y: Array, _: None) -> Array:
            d, out = rates(y[:n], tau)
            return jnp.concatenate([d * step, out]) if mean else d * step

        _, now = rates(start, 0.0)
        y0 = jnp.concatenate([start, jnp.zeros_like(now)]) if mean else start
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),  # pyright: ignore[reportArgumentType]
            self._solver(),
            t0=jnp.zeros((), start.dtype),
            t1=jnp.ones((), start.dtype),
            dt0=jnp.ones((), start.dtype),
            y0=y0,
            stepsize_controller=diffrax.PIDController(rtol=o.rtol, atol=o.atol),
            max_steps=o.max_steps,
            throw=False,
        )
        assert solution.ys is not None
        good = solution.result == diffrax.RESULTS.successful
        end = jnp.where(good, solution.ys[-1], jnp.nan)
        return (end[:n], end[n:]) if mean else (end, now)

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
