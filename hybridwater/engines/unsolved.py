"""What in a model may have been the reason that a solve failed."""

from __future__ import annotations

import dataclasses

import numpy as np

from hybridwater.engines.base import Failure, Options, Solution, Solver


def name_unsolved(
    solver: Solver,
    solution: Solution,
    parameters: np.ndarray,
    weights: np.ndarray,
    forcing: np.ndarray,
) -> Solution:
    """Give failures the reason that an unknown had no solution at the start of their record.

    Where the model has events, failures say that one may have happened endlessly.

    Parameters
    ----------
    solver : Solver
        What gave the solution; another of its kind evaluates the unknowns.
    solution : Solution
        With failures or without.
    parameters, weights, forcing : numpy.ndarray
        As in :meth:`hybridwater.engines.base.Solver.solve`.

    Returns
    -------
    Solution
        The same where there is nothing to say.
    """
    unknowns = solver.ude.unknowns
    if solver.ude.events:
        maybe = ", or an event happened endlessly."
        failures = (
            dataclasses.replace(f, reason=f.reason.rstrip(".") + maybe) for f in solution.failures
        )
        solution = dataclasses.replace(solution, failures=tuple(failures))
    if not (solution.failures and unknowns):
        return solution
    watch = type(solver)(solver.ude, Options(fluxes=tuple(u.name for u in unknowns)))  # type: ignore

    def named(failure: Failure) -> Failure:
        one = slice(failure.batch, failure.batch + 1)
        values, _ = watch.evaluate(
            np.asarray(parameters)[one],
            np.asarray(weights)[one] if np.ndim(weights) == 2 else weights,
            np.asarray(forcing)[one, failure.record : failure.record + 1],
            failure.state[None, None],
        )
        for unknown, value in zip(unknowns, values[0, 0], strict=True):
            if np.isnan(value):
                low, high = unknown.bounds
                reason = (
                    f"The equation of '{unknown.name}' has no solution between {low:g} and "
                    f"{high:g}."
                )
                return dataclasses.replace(failure, reason=reason)
        return failure

    return dataclasses.replace(solution, failures=tuple(map(named, solution.failures)))
