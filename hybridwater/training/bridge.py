"""The one bridge between torch and the engines."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from hybridwater.engines.base import Solution, Solver
from hybridwater.engines.steady import find_equilibrium


class _Solve(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        parameters: Tensor,
        weights: Tensor,
        forcing: Tensor,
        initial_state: Tensor,
        solver: Solver,
        step: float,
        keep: list[Solution],
    ) -> tuple[Tensor, Tensor]:
        arrays = [_array(a) for a in (parameters, weights, forcing, initial_state)]
        if any(ctx.needs_input_grad[:4]):
            wants_forcing = ctx.needs_input_grad[2]
            solution, ctx.pullback = solver.solve_with_pullback(
                arrays[0], arrays[1], arrays[2], arrays[3], step, forcing_gradient=wants_forcing
            )
        else:
            solution = solver.solve(arrays[0], arrays[1], arrays[2], arrays[3], step)
        keep.append(solution)
        return _tensor(solution.fluxes), _tensor(solution.states)

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> tuple[Tensor | None, ...]:
        gradients = ctx.pullback(_array(bars[0]), _array(bars[1]))
        forcing = None if gradients.forcing is None else _tensor(gradients.forcing)
        return (
            _tensor(gradients.parameters),
            _tensor(gradients.weights),
            forcing,
            _tensor(gradients.initial_state),
            None,
            None,
            None,
        )


class _Evaluate(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        parameters: Tensor,
        weights: Tensor,
        forcing: Tensor,
        states: Tensor,
        solver: Solver,
    ) -> Tensor:
        fluxes, ctx.pullback = solver.evaluate(
            *(_array(a) for a in (parameters, weights, forcing, states))
        )
        return _tensor(fluxes)

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> tuple[Tensor | None, ...]:
        parameters, weights = ctx.pullback(_array(bars[0]))
        return _tensor(parameters), _tensor(weights), None, None, None


class _Equilibrium(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        parameters: Tensor,
        weights: Tensor,
        forcing: Tensor,
        guess: Tensor,
        solver: Solver,
    ) -> Tensor:
        parameters_, weights_, forcing_, guess_ = (
            _array(a) for a in (parameters, weights, forcing, guess)
        )
        found = find_equilibrium(solver, parameters_, weights_, forcing_, guess_)
        ctx.pullback = found.pullback
        return _tensor(found.states)

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> tuple[Tensor | None, ...]:
        found = ctx.pullback(_array(bars[0]))
        forcing = _tensor(found.forcing)
        return _tensor(found.parameters), _tensor(found.weights), forcing, None, None


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy())


def _tensor(array: np.ndarray) -> Tensor:
    """Copy: an engine may keep its arrays, and torch may write into its own."""
    return torch.tensor(array)


def solve(
    solver: Solver,
    parameters: Tensor,
    weights: Tensor,
    forcing: Tensor,
    initial_state: Tensor,
    step: float = 1.0,
) -> tuple[Tensor, Tensor, Solution]:
    """Solve a compiled model so that torch can differentiate it.

    Parameters
    ----------
    solver : Solver
        A model compiled by any engine.
    parameters : torch.Tensor
        Shape (batch, n_parameters), float64.
    weights : torch.Tensor
        Shape (n_weights,) or (batch, n_weights), float64.
    forcing : torch.Tensor
        Shape (batch, time, n_forcings), float64.
    initial_state : torch.Tensor
        Shape (batch, n_states), float64.
    step : float
        Length of a record in the time unit of the model.

    Returns
    -------
    fluxes : torch.Tensor
        Shape (batch, time, n_fluxes).
    states : torch.Tensor
        Shape (batch, time, n_states).
    solution : Solution
        With the failures, if any.
    """
    keep: list[Solution] = []
    if not torch.is_grad_enabled():
        parameters, weights = parameters.detach(), weights.detach()
        forcing, initial_state = forcing.detach(), initial_state.detach()
    result = _Solve.apply(parameters, weights, forcing, initial_state, solver, step, keep)
    fluxes, states = cast("tuple[Tensor, Tensor]", result)
    return fluxes, states, keep[0]


def evaluate(
    solver: Solver, parameters: Tensor, weights: Tensor, forcing: Tensor, states: Tensor
) -> Tensor:
    """Evaluate fluxes at given states so that torch can differentiate them.

    Shapes as in :func:`solve`; ``states`` is (batch, time, n_states) and has no gradient.
    """
    return cast("Tensor", _Evaluate.apply(parameters, weights, forcing, states, solver))


def equilibrium(
    solver: Solver, parameters: Tensor, weights: Tensor, forcing: Tensor, guess: Tensor
) -> Tensor:
    """Find the states at which nothing changes so that torch can differentiate them.

    Shapes as in :func:`hybridwater.engines.find_equilibrium`; ``guess`` has no gradient.
    """
    return cast("Tensor", _Equilibrium.apply(parameters, weights, forcing, guess, solver))
