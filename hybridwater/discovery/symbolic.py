"""Search by genetic programming: SymbolicRegression.jl, where Julia has been set up.

Expressions of any form are bred, mutated and selected by error and size (Cranmer 2023,
arXiv:2305.01582). The Julia package is called directly, in the Julia that solves the equations.
Its Python front end, PySR, would bring a project of packages of its own into the same process.

During the search the units of inputs and term count against what is not consistent; afterwards
nothing is taken whose constants cannot be given units.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from hybridwater import _julia
from hybridwater.discovery.formulas import OPERATORS, Formula, System
from hybridwater.discovery.polishing import Target
from hybridwater.discovery.problem import Problem
from hybridwater.errors import MissingDependency, UnitError
from hybridwater.ude.terms import Equation

#: Samples that the search looks at; constants are fitted to all afterwards.
_SEARCHED = 400
_EVALUATIONS = 80
_SMALLEST = 1e-9  # of a constant, relative to the units of the search


@dataclass(frozen=True)
class Breeding:
    """How much is searched.

    Parameters
    ----------
    populations : int
        Populations that exchange their best.
    members : int
        Expressions in each.
    iterations : int
        Rounds of all populations.
    kept : int
        Expressions of each size that are looked at in the end.
    """

    populations: int = 15
    members: int = 33
    iterations: int = 30
    kept: int = 8


@dataclass(frozen=True)
class SymbolicSearch:
    """The search for expressions of any form, for one term.

    Parameters
    ----------
    problem : Problem
        What is searched for.
    breeding : Breeding
        How much is searched.
    seed : int
        Seed of the search; the same seed gives the same expressions.
    """

    problem: Problem
    breeding: Breeding
    seed: int

    def write(self, candidate: Formula, *, gated: bool = True) -> Equation:
        """Return the equation of a candidate."""
        return candidate.write(gated=gated)

    def describe(self, candidate: Formula) -> str:
        """Return the expression as text."""
        return candidate.describe()

    def refit(self, candidate: Formula, target: Target) -> Formula | None:
        """Fit the constants of a candidate to other samples."""
        root = np.sqrt(target.weight / target.variance)

        def errors(constants: np.ndarray) -> np.ndarray:
            formula = dataclasses.replace(candidate, constants=constants)
            difference = formula.values(target.x, gate=target.gate) - target.y
            return np.nan_to_num(root * difference, nan=1e6, posinf=1e6, neginf=-1e6)

        if not len(candidate.constants):
            return candidate
        found = least_squares(errors, candidate.constants, x_scale="jac", max_nfev=_EVALUATIONS)
        if not np.all(np.abs(found.x) > _SMALLEST):
            return None
        return dataclasses.replace(candidate, constants=found.x)

    def search(self, target: Target) -> tuple[list[Formula], int]:
        """Find candidates.

        Parameters
        ----------
        target : Target
            What to explain.

        Returns
        -------
        candidates : list of Formula
            All that are consistent in their units and respect the physics.
        broken : int
            How many did not respect it.

        Raises
        ------
        MissingDependency
            If there is no Julia, or its project has no SymbolicRegression.
        KeyboardInterrupt
            After Ctrl-C, within a second or so.
        """
        system = System.of(self.problem.place, target.x, target.y)
        kept, broken = [], 0
        for program, constants in self._bred(target, system):
            formula = Formula.of(program, constants, system)
            formula = None if formula is None else self.refit(self._gated(formula, target), target)
            if formula is None or not _consistent(formula):
                continue
            if self.problem.physics.broken(formula):
                broken += 1
                continue
            kept.append(formula)
        return kept, broken

    def _gated(self, formula: Formula, target: Target) -> Formula:
        """Add the gate of an empty store to what does not vanish by itself."""
        if not self.problem.gate:
            return formula
        empty = target.x.copy()
        empty[:, list(self.problem.vanishing)] = 0.0
        left = np.abs(formula.values(empty))
        gated = not (self.problem.vanishing and left.max() <= 1e-9 * self.problem.physics.size)
        return dataclasses.replace(formula, gated=gated)

    def _bred(self, target: Target, system: System) -> list[tuple[tuple[int, ...], np.ndarray]]:
        """Ask Julia for programs and their constants."""
        package = _julia.SYMBOLIC_REGRESSION
        if not _julia.call("load_package", *package):
            raise MissingDependency(
                f"The Julia project has no package {package[0]}.",
                "method='symbolic'",
                "Run 'hybridwater julia install --discovery', or leave the method out",
            )
        rows = np.arange(0, len(target.y), max(1, len(target.y) // _SEARCHED))
        some, columns = target.part(rows), list(self.problem.columns)
        breeding = self.breeding
        tokens, lengths, constants = _julia.call(
            "breed",
            system.scaled(some.x)[:, columns],
            some.y / system.size(system.term),
            some.weight * len(rows),
            system.inputs[columns],
            system.term,
            tuple(o.name for o in OPERATORS if o.inputs == 1),
            tuple(o.name for o in OPERATORS if o.inputs == 2),
            (breeding.populations, breeding.members, breeding.iterations, breeding.kept),
            2 * self.problem.max_operations + 1,
            self.seed,
        )
        numbers = iter(constants)
        programs = []
        for part in np.split(tokens, np.cumsum(lengths)[:-1]):
            program = tuple(columns[t - 1] + 1 if t > 0 else int(t) for t in part)
            own = np.array([next(numbers) for _ in range(program.count(0))])
            programs.append((program, own))
        return programs


def _consistent(formula: Formula) -> bool:
    """Say whether a formula passes the check of units that every equation of a model does."""
    try:
        formula.write()
    except UnitError:
        return False
    return True
