"""The embedded engine: JAX and diffrax behind the Engine contract."""

from __future__ import annotations

import functools
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hybridwater import settings
from hybridwater.engines.base import (
    FIXED_STEP,
    METHODS,
    Failure,
    Gradients,
    Options,
    Pull,
    Pullback,
    Solution,
    advice,
    check_options,
    locates,
)
from hybridwater.engines.embedded import adjoint, recordwise
from hybridwater.engines.embedded.adaptive import AdaptiveRecords
from hybridwater.engines.embedded.equations import equations
from hybridwater.engines.embedded.interpolation import coefficients
from hybridwater.engines.embedded.pointwise import pointwise, rates_of, slopes_of
from hybridwater.engines.embedded.recordwise import Inputs, Sweep
from hybridwater.engines.embedded.thresholds import Switches, located_map
from hybridwater.engines.shapes import check_inputs, check_shape
from hybridwater.engines.unsolved import name_unsolved
from hybridwater.ude.model import UDE
from hybridwater.ude.switching import switched

Array = jax.Array
#: Growth of sensitivities, from the end of a run to its beginning, that no store of water has.
_GROWN = 1e20


class EmbeddedSolver:
    """A model compiled with JAX; see :class:`hybridwater.engines.base.Solver`."""

    def __init__(self, ude: UDE, options: Options) -> None:
        check_options("embedded", options)
        self.ude = ude
        self.options = options
        self.flux_names = options.resolve_fluxes(ude)
        self._f = equations(ude.program, self.flux_names)
        self._switches = self._located() if locates(ude, options) else None
        self._dtype = np.dtype(options.precision)
        self._fixed: dict[int, Array] = {}
        self._solve = jax.jit(self._sweep_of_lanes)
        self._forward = jax.jit(self._sweep)
        self._backward = jax.jit(self._adjoint, static_argnames="forcing_gradient")
        self._pointwise = pointwise(self._f, ude.program)
        self._evaluate = jax.jit(self._pointwise)
        self._evaluate_back = jax.jit(self._pointwise_adjoint)
        self._rates = rates_of(self._f, ude.program)
        self._linearize = jax.jit(slopes_of(self._rates))
        self._linearize_back = jax.jit(self._rates_adjoint)

    @property
    def _substeps(self) -> int:
        return self.options.substeps if self.options.method in FIXED_STEP else 1

    def _advance(self, step: Array) -> recordwise.Advance:
        o = self.options
        program, instantaneous = self.ude.program, o.output == "instantaneous"
        if self._switches is not None:
            return located_map(self._switches, o.method, o.substeps, step, instantaneous)
        return recordwise.substep_map(self._f, program, o.method, o.substeps, step, instantaneous)

    def _located(self) -> Switches | None:
        """Return the equations with switches; none if there is no threshold to locate."""
        varies = self.options.interpolation != "constant"
        with_switches = switched(self.ude.program, forcing_varies=varies)
        if not with_switches.levels:
            return None
        f = equations(with_switches.program, (*self.flux_names, *with_switches.levels))
        counts = (len(with_switches.thresholds), len(with_switches.events))
        return Switches(f, len(self.flux_names), *counts, with_switches.depth)

    @property
    def _adaptive(self) -> AdaptiveRecords:
        return AdaptiveRecords(self._f, self.ude.program, self.options, self._switches)

    def _inputs(
        self, parameters: Array, weights: Array, forcing: Array, initial_state: Array
    ) -> Inputs:
        coefs = coefficients(forcing, self.options.interpolation)
        return Inputs(initial_state.T, coefs, parameters.T, weights)

    def _sweep(
        self, parameters: Array, weights: Array, forcing: Array, initial: Array, step: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Solve; results are (batch, time, variable), and the substeps' starts, for the adjoint."""
        sweep = self._swept(self._inputs(parameters, weights, forcing, initial), step)
        states = sweep.starts[:, 0]
        if self.options.output == "mean":
            states = jnp.concatenate([states[1:], sweep.final[None]])
        fluxes = sweep.outputs.transpose(2, 0, 1)
        return states.transpose(2, 0, 1), fluxes, sweep.final.T, sweep.starts

    def _sweep_of_lanes(
        self, parameters: Array, weights: Array, forcing: Array, initial: Array, step: Array
    ) -> tuple[Array, Array, Array]:
        """Solve where the batch is the last axis of arrays and results, as it is in a sweep.

        Of states, those at the start of records are returned, but for the first if that is known.
        """
        coefs = coefficients(jnp.moveaxis(forcing, -1, 0), self.options.interpolation)
        sweep = self._swept(Inputs(initial, coefs, parameters, weights), step)
        first = 1 if self.options.output == "mean" else 0
        return sweep.starts[first:, 0], sweep.outputs, sweep.final

    def _swept(self, x: Inputs, step: Array) -> Sweep:
        if self.options.method in FIXED_STEP:
            return recordwise.forward(self._advance(step), self.ude.program, self._substeps, x)
        return self._adaptive.forward(x, step)

    def _adjoint(
        self,
        parameters: Array,
        weights: Array,
        forcing: Array,
        initial: Array,
        step: Array,
        starts: Array,
        fluxes_bar: Array,
        states_bar: Array,
        *,
        forcing_gradient: bool,
    ) -> tuple[Array, Array, Array, Array]:
        program, n = self.ude.program, self._substeps
        x, pull_coefficients = jax.vjp(
            lambda u: self._inputs(parameters, weights, u, initial), forcing
        )
        o_bar = fluxes_bar.transpose(1, 2, 0)
        s_bar = states_bar.transpose(1, 2, 0)
        first_bar = jnp.zeros_like(s_bar[0])
        if self.options.output == "instantaneous":
            # states are those at the start of each record: the end of the record before
            first_bar, s_bar = s_bar[0], jnp.concatenate([s_bar[1:], jnp.zeros_like(s_bar[:1])])
        if self.options.method not in FIXED_STEP:
            bars = self._adaptive.backward(
                x, step, starts, o_bar, s_bar, forcing_gradient=forcing_gradient
            )
        elif adjoint.parallel_pays(program.n_states, len(forcing), weights.ndim == 1):
            bars = adjoint.parallel(
                self._advance(step),
                program,
                n,
                x,
                starts,
                o_bar,
                s_bar,
                forcing_gradient=forcing_gradient,
            )
        else:
            bars = adjoint.sequential(
                adjoint.record_of(self._advance(step), program, n),
                x,
                starts[:, 0],
                o_bar,
                s_bar,
                forcing_gradient=forcing_gradient,
            )
        if forcing_gradient:
            zero = jax.tree.map(jnp.zeros_like, x)
            (forcing_bar,) = pull_coefficients(zero._replace(forcing=bars.forcing))
        else:
            forcing_bar = jnp.zeros((), starts.dtype)
        return bars.parameters.T, bars.weights, (bars.start + first_bar).T, forcing_bar

    def _arrays(self, *arrays: Any) -> tuple[Array, ...]:
        return tuple(jnp.asarray(np.asarray(a, dtype=self._dtype)) for a in arrays)

    def _passed(self, given: Any, *, lanes: bool = True) -> Array | np.ndarray:
        """Return numbers for a call whose end is waited for: what JAX need not copy is not.

        An array that cannot change is brought to JAX once, not in every step. The batch of lanes
        becomes the last axis; entries that lie side by side in memory already are not copied.
        """
        fixed = isinstance(given, np.ndarray) and given.flags.owndata and not given.flags.writeable
        known = self._fixed.get(id(given)) if fixed else None
        if known is not None:
            return known
        turned = _turned(given) if lanes else given
        numbers = np.asarray(turned, dtype=self._dtype, order="C")
        if fixed:
            numbers = self._fixed[id(given)] = jnp.asarray(numbers)
            weakref.finalize(given, self._fixed.pop, id(given), None)
        return numbers

    def solve(
        self,
        parameters: np.ndarray,
        weights: np.ndarray,
        forcing: np.ndarray,
        initial_state: np.ndarray,
        step: float = 1.0,
    ) -> Solution:
        """Solve; shapes as in :meth:`hybridwater.engines.base.Solver.solve`.

        Where entries of the batch lie side by side in ``forcing``, which then is not C-contiguous,
        they do so in the results, and nothing is turned.
        """
        given = {"forcing": (forcing, 3), "initial_state": (initial_state, 2)}
        check_inputs(self.ude, parameters, weights, **given)
        order = "C" if np.asarray(forcing).flags.c_contiguous else "K"
        with jax.enable_x64(True):
            found = self._solve(
                self._passed(parameters),
                self._passed(weights, lanes=False),
                self._passed(forcing),
                self._passed(initial_state),
                self._passed(step, lanes=False),
            )
            states, fluxes, final = (np.asarray(a) for a in found)
            if self.options.output == "mean":
                last = final[None]
                states = np.concatenate([states, last]) if len(states) else last
            states, fluxes, final = (
                np.asarray(_turned_back(a), order=order) for a in (states, fluxes, final)
            )
            solution = self._solution(states, fluxes, final, initial_state)
        return name_unsolved(self, solution, parameters, weights, forcing)

    def solve_with_pullback(
        self,
        parameters: np.ndarray,
        weights: np.ndarray,
        forcing: np.ndarray,
        initial_state: np.ndarray,
        step: float = 1.0,
        *,
        forcing_gradient: bool = False,
    ) -> tuple[Solution, Pullback]:
        """Solve and return the pullback; see the Solver contract.

        The gradients of an entry that failed are zero, and it has no part in those of weights that
        the batch shares.
        """
        given = {"forcing": (forcing, 3), "initial_state": (initial_state, 2)}
        check_inputs(self.ude, parameters, weights, **given)
        with jax.enable_x64(True):
            arrays = self._arrays(parameters, weights, forcing, initial_state, step)
            states, fluxes, final, starts = self._forward(*arrays)
            solution = self._solution(states, fluxes, final, initial_state)
            failed = np.array([f.batch for f in solution.failures], dtype=int)
            if failed.size:
                arrays, starts = self._without(failed, arrays, starts)
        solution = name_unsolved(self, solution, parameters, weights, forcing)

        def pullback(fluxes_bar: np.ndarray, states_bar: np.ndarray | None = None) -> Gradients:
            if states_bar is None:
                states_bar = np.zeros(solution.states.shape, self._dtype)
            check_shape("fluxes_bar", fluxes_bar, solution.fluxes.shape)
            check_shape("states_bar", states_bar, solution.states.shape)
            with jax.enable_x64(True):
                if failed.size:
                    fluxes_bar, states_bar = np.array(fluxes_bar), np.array(states_bar)
                    fluxes_bar[failed], states_bar[failed] = 0.0, 0.0
                bars = self._backward(
                    *arrays,
                    starts,
                    *self._arrays(fluxes_bar, states_bar),
                    forcing_gradient=forcing_gradient,
                )
                p, w, s, u = (np.asarray(b, dtype=np.float64) for b in bars)
            _warn_of_growth(self.options.method, s, fluxes_bar, states_bar)
            if failed.size == len(p):
                p, w, s, u = (np.zeros_like(b) for b in (p, w, s, u))
            return Gradients(p, w, s, u if forcing_gradient else None)

        return solution, pullback

    @staticmethod
    def _without(
        failed: np.ndarray, arrays: tuple[Array, ...], starts: Array
    ) -> tuple[tuple[Array, ...], Array]:
        """Let an entry that did not fail stand in for those that did.

        Their cotangents are zero; zero times a slope at what they failed by may not be a number.
        """
        places = np.arange(starts.shape[-1])
        if failed.size < places.size:
            places[failed] = np.setdiff1d(places, failed)[0]
        parameters, weights, forcing, initial, step = arrays
        weights = weights[places] if weights.ndim == 2 else weights
        given = (parameters[places], weights, forcing[places], initial[places], step)
        return given, starts[..., places]

    def evaluate(
        self,
        parameters: np.ndarray,
        weights: np.ndarray,
        forcing: np.ndarray,
        states: np.ndarray,
    ) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]:
        """Evaluate the fluxes at given states; see the Solver contract."""
        check_inputs(self.ude, parameters, weights, forcing=(forcing, 3), states=(states, 3))
        with jax.enable_x64(True):
            arrays = self._arrays(parameters, weights, forcing, states)
            fluxes = np.asarray(self._evaluate(*arrays), dtype=np.float64)

        def pullback(fluxes_bar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            check_shape("fluxes_bar", fluxes_bar, fluxes.shape)
            with jax.enable_x64(True):
                bars = self._evaluate_back(*arrays, *self._arrays(fluxes_bar))
                p_bar, w_bar = (np.asarray(b, dtype=np.float64) for b in bars)
            return p_bar, w_bar

        return fluxes, pullback

    def linearize(
        self,
        parameters: np.ndarray,
        weights: np.ndarray,
        forcing: np.ndarray,
        states: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, Pull]:
        """Evaluate the derivatives of the states and their slopes; see the Solver contract."""
        check_inputs(self.ude, parameters, weights, forcing=(forcing, 2), states=(states, 2))
        with jax.enable_x64(True):
            arrays = self._arrays(parameters, weights, forcing, states)
            found = self._linearize(*arrays)
            rates, slopes = (np.asarray(a, dtype=np.float64) for a in found)

        def pullback(rates_bar: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            check_shape("rates_bar", rates_bar, rates.shape)
            with jax.enable_x64(True):
                bars = self._linearize_back(*arrays, *self._arrays(rates_bar))
                p, w, x = (np.asarray(b, dtype=np.float64) for b in bars)
            return p, w, x

        return rates, slopes, pullback

    def _rates_adjoint(
        self, parameters: Array, weights: Array, forcing: Array, states: Array, bar: Array
    ) -> tuple[Array, Array, Array]:
        inputs = (parameters, weights, forcing)
        _, pull = jax.vjp(lambda p, w, x: self._rates(p, w, x, states), *inputs)
        return pull(bar)

    def _pointwise_adjoint(
        self, parameters: Array, weights: Array, forcing: Array, states: Array, bar: Array
    ) -> tuple[Array, Array]:
        _, pull = jax.vjp(lambda p, w: self._pointwise(p, w, forcing, states), parameters, weights)
        return pull(bar)

    def _solution(
        self,
        states: Array | np.ndarray,
        fluxes: Array | np.ndarray,
        final: Array | np.ndarray,
        initial_state: np.ndarray,
    ) -> Solution:
        states_, fluxes_, final_ = (
            np.asarray(a, dtype=np.float64) for a in (states, fluxes, final)
        )
        sizes = self.ude.program.sizes(self.flux_names)
        if np.isfinite(states_.sum() + fluxes_.sum()):  # as only finite numbers have
            return Solution(states_, fluxes_, final_, self.flux_names, (), sizes)
        finite = np.concatenate([np.isfinite(states_), np.isfinite(fluxes_)], axis=-1)
        ok: np.ndarray = np.all(finite, axis=-1)
        failures = []
        for batch in np.flatnonzero(~ok.all(axis=-1)):
            record = int(np.argmin(ok[batch]))
            before = states_[batch, record - 1] if record else np.asarray(initial_state)[batch]
            said = (self.options.unsolved, advice("embedded", self.options))
            failures.append(Failure(int(batch), record, before.copy(), *said))
        if failures:
            states_, fluxes_, final_ = states_.copy(), fluxes_.copy(), final_.copy()
            for failure in failures:
                states_[failure.batch, failure.record :] = np.nan
                fluxes_[failure.batch, failure.record :] = np.nan
                final_[failure.batch] = np.nan
        return Solution(states_, fluxes_, final_, self.flux_names, tuple(failures), sizes)


def _turned(given: Any) -> np.ndarray:
    """Return a view with the first axis as the last, at once; `numpy.moveaxis` looks longer."""
    array = np.asarray(given)
    return array.transpose(*range(1, array.ndim), 0)


def _turned_back(array: np.ndarray) -> np.ndarray:
    return array.transpose(-1, *range(array.ndim - 1))


def _warn_of_growth(method: str, initial_state_bar: np.ndarray, *bars: np.ndarray) -> None:
    """Say so if sensitivities grew on the way back as only those of unstable steps do."""
    largest = max(np.abs(bar).max(initial=0.0) for bar in bars)
    finite = initial_state_bar[np.isfinite(initial_state_bar)]  # the slope of a root may not be
    if np.abs(finite).max(initial=0.0) > _GROWN * largest:
        warnings.warn(
            f"Sensitivities to the initial states are more than {_GROWN:.0e} times those at the "
            f"end: the steps of '{method}' are unstable, and neither gradients nor the solution "
            "are of use. Take another method or more substeps.",
            RuntimeWarning,
            stacklevel=3,
        )


class EmbeddedEngine:
    """Engine that needs nothing but Python packages."""

    name = "embedded"
    methods = METHODS["embedded"]

    def __init__(self) -> None:
        if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore
            directory = settings.current().cache_dir / "jax"
            jax.config.update("jax_compilation_cache_dir", str(directory))
        # every call is waited for, so none need go to a thread of its own
        jax.config.update("jax_cpu_enable_async_dispatch", False)
        self.compile = functools.lru_cache(maxsize=64)(EmbeddedSolver)
