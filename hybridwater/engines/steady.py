"""States at which nothing changes, with derivatives by the implicit function theorem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hybridwater.engines.base import Gradients, Solver
from hybridwater.engines.records import Records
from hybridwater.errors import SolveFailed

MAX_ITERATIONS = 300
#: Newton step, relative to a state (or to `_SMALL`), at which one more is enough.
_TOLERANCE, _SMALL = 1e-8, 1e-3


@dataclass(frozen=True)
class Equilibrium:
    """States at which nothing changes.

    Parameters
    ----------
    states : numpy.ndarray
        Shape (batch, n_states); NaN where none was found.
    pullback : callable
        From the cotangent of ``states`` to :class:`Gradients`: that of the forcing has the shape
        (batch, n_forcings), and that of the initial state is zero.
    """

    states: np.ndarray
    pullback: Callable[[np.ndarray], Gradients]


def first_states(
    begin: str,
    solver: Solver,
    parameters: np.ndarray,
    weights: np.ndarray,
    records: Records,
    declared: np.ndarray,
) -> np.ndarray:
    """Return the declared initial states, or the equilibrium if ``begin`` is ``"steady"``."""
    if begin != "steady":
        return declared
    return steady_state(solver, parameters, weights, records, declared)


def steady_state(
    solver: Solver, parameters: np.ndarray, weights: np.ndarray, records: Records, guess: np.ndarray
) -> np.ndarray:
    """Return the equilibrium under the mean of all records, shape (batch, n_states).

    Parameters
    ----------
    solver, parameters, weights, guess
        As in `find_equilibrium`.
    records : Records
        Forcing.

    Raises
    ------
    SolveFailed
        If there is none: a store that only fills, such as snow in a mean winter.
    """
    found = find_equilibrium(solver, parameters, weights, records.values.mean(axis=1), guess)
    lost = np.flatnonzero(~np.isfinite(found.states).all(1))
    if lost.size:
        raise SolveFailed(
            f"The model '{solver.ude.name}' has no equilibrium under the mean of its forcing, or "
            "none was found.",
            records.entry(int(lost[0])),
            "Look for a store that only fills, such as snow where the mean year is cold, or begin "
            "at declared initial values and let the model warm up",
        )
    return found.states


def find_equilibrium(
    solver: Solver,
    parameters: np.ndarray,
    weights: np.ndarray,
    forcing: np.ndarray,
    guess: np.ndarray,
) -> Equilibrium:
    """Find the states at which nothing changes under a constant forcing.

    Pseudo-transient continuation (Kelley and Keyes, 1998, doi:10.1137/S0036142996304796): implicit
    Euler steps that double, grow more as the rates fall, and become Newton's. The search follows
    the model in time from the guess, so that of several equilibria it tends to the one that the
    model would. At the solution u of f(u, x) = 0 the slopes are du/dx = -(df/du)^-1 df/dx; the
    search itself is not differentiated.

    Parameters
    ----------
    solver : Solver
        A compiled model.
    parameters, weights
        As in :meth:`hybridwater.engines.base.Solver.solve`.
    forcing : numpy.ndarray
        Shape (batch, n_forcings).
    guess : numpy.ndarray
        Where the search begins, shape (batch, n_states).
    """
    states = np.array(guess, dtype=float)
    rates, slopes, _ = solver.linearize(parameters, weights, forcing, states)
    size, step = np.linalg.norm(rates, axis=1), np.ones(len(states))
    found: np.ndarray = np.zeros(len(states), dtype=bool)
    for _ in range(MAX_ITERATIONS):
        newton = _solve(-slopes, rates)
        small = np.abs(newton) <= _TOLERANCE * np.maximum(np.abs(states), _SMALL)
        found = found | np.asarray(small.all(1))
        if found.all():
            break
        shifted = np.eye(states.shape[1]) / step[:, None, None] - slopes
        trial = np.where(found[:, None], states, states + _solve(shifted, rates))
        there, slopes_there, _ = solver.linearize(parameters, weights, forcing, trial)
        good = np.asarray(np.isfinite(there).all(1) & np.isfinite(slopes_there).all((1, 2)))
        size_there = np.linalg.norm(there, axis=1)
        fallen = size / np.maximum(size_there, np.finfo(float).tiny)
        step = np.where(good, step * np.clip(2 * fallen, 0.2, 10), step / 10)
        states = np.where(good[:, None], trial, states)
        rates, size = np.where(good[:, None], there, rates), np.where(good, size_there, size)
        slopes = np.where(good[:, None, None], slopes_there, slopes)
    states = np.where(found[:, None], states + _solve(-slopes, rates), np.nan)
    return Equilibrium(states, _pullback(solver, parameters, weights, forcing, states))


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve one linear system per batch entry; NaN where it is singular."""
    try:
        return np.linalg.solve(matrix, right[..., None])[..., 0]
    except np.linalg.LinAlgError:
        if len(matrix) == 1:
            return np.full_like(right, np.nan)
        halves = zip(np.array_split(matrix, 2), np.array_split(right, 2), strict=True)
        return np.concatenate([_solve(*half) for half in halves])


def _pullback(
    solver: Solver,
    parameters: np.ndarray,
    weights: np.ndarray,
    forcing: np.ndarray,
    states: np.ndarray,
) -> Callable[[np.ndarray], Gradients]:
    found = np.asarray(np.isfinite(states).all(1))
    where = np.where(found[:, None], states, 0.0)

    def pullback(states_bar: np.ndarray) -> Gradients:
        _, slopes, pull = solver.linearize(parameters, weights, forcing, where)
        slopes = np.where(found[:, None, None], slopes, np.eye(where.shape[1]))
        bar = np.where(found[:, None], states_bar, 0.0)
        p, w, x = pull(-_solve(slopes.swapaxes(1, 2), bar))
        return Gradients(p, w, np.zeros(where.shape), x)

    return pullback
