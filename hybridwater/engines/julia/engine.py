"""The Julia engine behind the Engine contract."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from hybridwater import _julia
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
from hybridwater.engines.julia import loops, source
from hybridwater.engines.shapes import check_inputs, check_shape
from hybridwater.engines.unsolved import name_unsolved
from hybridwater.errors import DeclarationError, MissingDependency
from hybridwater.ude.model import UDE
from hybridwater.ude.switching import switched

#: Methods whose steps can be differentiated.
DIFFERENTIABLE = ("euler", "heun", "rk4", "tsit5", "rodas5p", "auto")
#: Up to how many parameters, weights and states forward mode is chosen for other methods: three
#: passes of eight directions.
FEW = 24
#: What an adaptive method counts, in the order of the Julia package.
COUNTED = ("steps", "rejected", "evaluations", "jacobians", "factorizations")


class JuliaSolver:
    """A model compiled by Julia; see :class:`hybridwater.engines.base.Solver`."""

    def __init__(self, ude: UDE, options: Options) -> None:
        check_options("julia", options)
        self.ude = ude
        self.options = options
        self.flux_names = options.resolve_fluxes(ude)
        self._plain = _compiled(ude, self.flux_names)
        self._model = self._plain
        self._located = locates(ude, options)
        if self._located:
            varies = options.interpolation != "constant"
            self._model = _compiled(ude, self.flux_names, located=True, forcing_varies=varies)

    def solve(
        self,
        parameters: np.ndarray,
        weights: np.ndarray,
        forcing: np.ndarray,
        initial_state: np.ndarray,
        step: float = 1.0,
    ) -> Solution:
        """Solve; shapes as in :meth:`hybridwater.engines.base.Solver.solve`."""
        return self._solve(parameters, weights, forcing, initial_state, step, keep=False)[0]

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

        Raises
        ------
        DeclarationError
            If the method has no discrete adjoint and that is asked for.
        MissingDependency
            If an adjoint equation is asked for and the Julia project has no SciMLSensitivity.
        SolveFailed
            By the pullback, if a record cannot be solved again for its gradient.
        """
        gradient = self._gradient()
        solution, failed, record = self._solve(
            parameters, weights, forcing, initial_state, step, keep=True
        )
        shared = np.ndim(weights) == 1

        def pullback(fluxes_bar: np.ndarray, states_bar: np.ndarray | None = None) -> Gradients:
            if states_bar is None:
                states_bar = np.zeros(solution.states.shape)
            check_shape("fluxes_bar", fluxes_bar, solution.fluxes.shape)
            check_shape("states_bar", states_bar, solution.states.shape)
            p, w, s, x = _julia.call(
                "pull",
                record,
                _array(fluxes_bar),
                _array(states_bar),
                failed,
                forcing_gradient,
                gradient,
            )
            return Gradients(p, w[0] if shared else w, s, x if forcing_gradient else None)

        return solution, pullback

    def _gradient(self) -> str:
        """Choose how gradients are found."""
        chosen, method = self.options.gradient, self.options.method
        if chosen == "discrete" and method not in DIFFERENTIABLE:
            raise DeclarationError(
                f"The method '{method}' has no discrete adjoint.",
                "engine 'julia'",
                f"Use one of {', '.join(DIFFERENTIABLE)}, or leave gradient='discrete' out",
            )
        if chosen == "auto":
            program = self.ude.program
            directions = program.n_states + len(program.parameters) + program.n_weights
            chosen = "forward" if directions <= FEW else "gauss"
            if method in DIFFERENTIABLE:
                chosen = "discrete"
        if chosen != "discrete" and (self.ude.columns or self._located):
            what = f"The method '{method}' has no gradient "
            fix = f"Train with one of {', '.join(DIFFERENTIABLE)}; simulate with any"
            if method in DIFFERENTIABLE:  # it has one, but another was asked for
                what = f"The gradient '{chosen}' is none "
                fix = f"Leave gradient='{chosen}' out"
            raise DeclarationError(
                what + ("across thresholds." if self._located else "of columns."),
                f"engine 'julia', model '{self.ude.name}'",
                fix,
            )
        if chosen not in ("discrete", "forward") and not _adjoints():
            raise MissingDependency(
                f"The gradient '{chosen}' of method '{method}' needs the Julia package "
                "SciMLSensitivity",
                "engine 'julia'",
                "Run 'hybridwater julia install --adjoints', or choose gradient='forward' or one "
                f"of the methods {', '.join(DIFFERENTIABLE)}",
            )
        return chosen

    def _solve(
        self,
        parameters: np.ndarray,
        weights: np.ndarray,
        forcing: np.ndarray,
        initial_state: np.ndarray,
        step: float,
        *,
        keep: bool,
    ) -> tuple[Solution, np.ndarray, Any]:
        given = {"forcing": (forcing, 3), "initial_state": (initial_state, 2)}
        check_inputs(self.ude, parameters, weights, **given)
        o = self.options
        states, fluxes, final, failed, record, counts = _julia.call(
            "solve",
            self._model,
            _array(parameters),
            _array(weights),
            _array(forcing),
            _array(initial_state),
            (o.method, o.substeps, o.rtol, o.atol, o.max_steps, o.interpolation),
            o.output == "mean",
            float(step),
            keep,
        )
        failures = []
        for batch in np.flatnonzero(failed):
            first = int(failed[batch]) - 1
            before = states[batch, first - 1] if first else np.asarray(initial_state)[batch]
            said = (o.unsolved, advice("julia", o))
            failures.append(Failure(int(batch), first, np.array(before, float), *said))
        sizes = self.ude.program.sizes(self.flux_names)
        counted = _statistics(o, counts)
        solution = Solution(states, fluxes, final, self.flux_names, tuple(failures), sizes, counted)
        return name_unsolved(self, solution, parameters, weights, forcing), failed, record

    def linearize(
        self,
        parameters: np.ndarray,
        weights: np.ndarray,
        forcing: np.ndarray,
        states: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, Pull]:
        """Evaluate the derivatives of the states and their slopes; see the Solver contract."""
        check_inputs(self.ude, parameters, weights, forcing=(forcing, 2), states=(states, 2))
        arrays = tuple(map(_array, (parameters, weights, forcing, states)))
        shared = np.ndim(weights) == 1

        def pullback(rates_bar: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            check_shape("rates_bar", rates_bar, rates.shape)
            p, w, x = _julia.call("pull_linearize", self._plain, *arrays, _array(rates_bar))
            return p, w[0] if shared else w, x

        rates, slopes = _julia.call("linearize", self._plain, *arrays)
        return rates, slopes, pullback

    def evaluate(
        self,
        parameters: np.ndarray,
        weights: np.ndarray,
        forcing: np.ndarray,
        states: np.ndarray,
    ) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]:
        """Evaluate the fluxes at given states; see the Solver contract."""
        check_inputs(self.ude, parameters, weights, forcing=(forcing, 3), states=(states, 3))
        arrays = tuple(map(_array, (parameters, weights, forcing, states)))
        shared = np.ndim(weights) == 1

        def pullback(fluxes_bar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            check_shape("fluxes_bar", fluxes_bar, fluxes.shape)
            p, w = _julia.call("pull_evaluate", self._plain, *arrays, _array(fluxes_bar))
            return p, w[0] if shared else w

        fluxes = _julia.call("evaluate", self._plain, *arrays)
        return fluxes, pullback


def _statistics(options: Options, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Name what an adaptive method counted."""
    if options.method in FIXED_STEP:
        return {}
    return dict(zip(COUNTED, counts.T, strict=True))


class JuliaEngine:
    """Engine that calls Julia; compiled models are kept for the life of the process."""

    name = "julia"
    methods = METHODS["julia"]

    def __init__(self) -> None:
        self.compile = functools.lru_cache(maxsize=64)(JuliaSolver)


@functools.lru_cache(maxsize=64)
def _compiled(
    ude: UDE, fluxes: tuple[str, ...], *, located: bool = False, forcing_varies: bool = False
) -> Any:
    """Compile a model in Julia once, whatever it will be solved with."""
    program, watched, counts = ude.program, (), (0, 0, 0)
    if located:
        found = switched(program, forcing_varies=forcing_varies)
        program, watched = found.program, found.levels
        counts = (len(found.thresholds), len(found.events), found.depth)
    write = loops.write_source if program.places else source.write_source
    text = write(program, fluxes)
    levels = ("", "")
    if watched:
        written = source.write_source(dataclasses.replace(program, derivatives=()), watched)
        levels = (written.rates, written.pullback)
    signs = np.zeros(program.n_weights)
    for layout in program.networks:
        for (w, _, _), sign in zip(layout.layers, layout.signs, strict=True):
            signs[w] = sign.ravel()
    sizes = (program.n_states, len(program.forcings), len(program.parameters))
    return _julia.call(
        "compile",
        (text.rates, text.pullback, text.jacobian, *levels),
        (*sizes, sum(program.sizes(fluxes)), program.n_weights, *counts),
        tuple((layout.sizes, layout.activation, layout.offset) for layout in program.networks),
        signs,
        np.array(text.pattern, dtype=np.int64).reshape(-1, 2) + 1,
        np.array(text.colours, dtype=np.int64) + 1,
        np.concatenate([*program.geometry.values(), np.zeros(0)]),
    )


@functools.cache
def _adjoints() -> bool:
    """Load SciMLSensitivity, once; say whether it is there."""
    return _julia.call("load_package", *_julia.ADJOINTS)


def _array(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float64)
