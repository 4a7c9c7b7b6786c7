"""The misfit of a model on entries (basins and restarts) and records, differentiable by torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hybridwater.engines.base import Engine, Options, Solver
from hybridwater.training import bridge
from hybridwater.training.losses import Loss
from hybridwater.training.problem import Problem
from hybridwater.training.sharing import Local, Regional, Shared, columns, initial_state
from hybridwater.ude.model import UDE


@dataclass
class Objective:
    """Simulates and scores.

    Parameters
    ----------
    problem : Problem
        Data and periods.
    module : Local, Shared or Regional
        Parameters and weights.
    engine : Engine
        Who solves.
    options : Options
        How; the fluxes are chosen here.
    loss : callable
        See :mod:`hybridwater.training.losses`.
    basin_of : torch.Tensor
        Basin of each entry, shape (entries,).
    squared : callable, optional
        What is squared in the loss, if it is a sum of squares.
    """

    problem: Problem
    module: Local | Shared | Regional
    engine: Engine
    options: Options
    loss: Loss
    basin_of: Tensor
    squared: Loss | None = None

    @property
    def n_entries(self) -> int:
        """Basins times restarts."""
        return len(self.basin_of)

    def solver(self, ude: UDE, **changes: object) -> Solver:
        """Compile a model for the observed fluxes (compiled ones are kept)."""
        states = {s.name for s in ude.states}
        observed = tuple(n for n in self.problem.observed if n not in states)
        options = {"fluxes": observed, **changes}
        return self.engine.compile(ude, dataclasses.replace(self.options, **options))  # type: ignore[arg-type]

    def values(self, entries: Tensor) -> tuple[Tensor, Tensor]:
        """Return parameters (n, n_parameters) and weights of some entries."""
        return self.module(entries)

    def simulate(
        self,
        ude: UDE,
        entries: Tensor,
        records: slice,
        start: Tensor | None = None,
        tried: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Simulate what is observed (n, time, n_observed), and the states (n, time, n_states).

        The states are those at the start of each record; an observed state, that at its end.

        Parameters
        ----------
        ude : UDE
            The model or its skeleton.
        entries : torch.Tensor
            Which entries.
        records : slice
            Which records.
        start : torch.Tensor, optional
            States at the beginning, shape (n, n_states); if left out, those of ``problem.begin``.
        tried : (torch.Tensor, torch.Tensor), optional
            Parameters and weights in the place of those that :meth:`values` returns.
        """
        values, weights = tried or self.values(entries)
        if not ude.networks:
            weights = weights.new_zeros(0)
        forcing = self.problem.forcing[self.basin_of[entries], records]
        if start is not None:
            first = start
        elif self.problem.starts is not None:
            first = self.problem.starts[self.basin_of[entries], records.start]
        else:
            first = initial_state(ude, values)
        if start is None and self.problem.begin == "steady":
            mean = self.problem.forcing.mean(1)[self.basin_of[entries]]
            inputs = (columns(ude, values), weights, mean, first)
            first = bridge.equilibrium(self.solver(ude), *inputs)
        fluxes, states, _ = bridge.solve(
            self.solver(ude),
            columns(ude, values),
            weights,
            forcing,
            first,
            self.problem.records.step,
        )
        if self.options.output == "instantaneous":
            return self._observed(ude, fluxes, states), states
        starts = torch.cat([first[:, None], states[:, :-1]], dim=1)
        return self._observed(ude, fluxes, states), starts

    def _observed(self, ude: UDE, fluxes: Tensor, states: Tensor) -> Tensor:
        """Return fluxes and states in the order of the observations, (n, time, n_observed)."""
        names = ude.program.value_names  # of which those on columns are never observed
        states_of = dict(zip(names, states.unbind(-1), strict=True))
        rest = [n for n in self.problem.observed if n not in states_of]
        found = states_of | dict(zip(rest, fluxes.unbind(-1), strict=True))
        return torch.stack([found[n] for n in self.problem.observed], dim=-1)

    def score(self, fluxes: Tensor, entries: Tensor, offset: int, part: slice) -> Tensor:
        """Return the loss of each entry over the records of ``part``, shape (n,).

        Parameters
        ----------
        fluxes : torch.Tensor
            Simulated, shape (n, time, n_observed), beginning at record ``offset``.
        entries : torch.Tensor
            Which entries.
        offset : int
            Record at which ``fluxes`` begin.
        part : slice
            Records that count.
        """
        basins = self.basin_of[entries]
        total = torch.zeros(len(entries), dtype=torch.float64)
        for k, (flux, observed) in enumerate(self.problem.observed.items()):
            simulated = fluxes[:, part.start - offset : part.stop - offset, k]
            reference = self.problem.references[flux].select(basins)
            total = total + self.loss(simulated, observed[basins, part], reference)
        return total / len(self.problem.observed)

    @torch.no_grad()
    def residuals(self, ude: UDE, entries: Tensor, values: tuple[Tensor, Tensor]) -> Tensor:
        """Return what is squared in the loss of the training period, shape (n, n_residuals).

        Parameters
        ----------
        ude : UDE
            The model or its skeleton.
        entries : torch.Tensor
            Which entries.
        values : (torch.Tensor, torch.Tensor)
            Parameters and weights to try.
        """
        assert self.squared is not None
        run, part = self.problem.run, self.problem.scored["train"]
        fluxes, _ = self.simulate(ude, entries, run, tried=values)
        basins = self.basin_of[entries]
        inside = slice(part.start - run.start, part.stop - run.start)
        found = [
            self.squared(
                fluxes[:, inside, k],
                observed[basins, part],
                self.problem.references[flux].select(basins),
            )
            for k, (flux, observed) in enumerate(self.problem.observed.items())
        ]
        return torch.cat(found, dim=1) / len(found) ** 0.5

    @torch.no_grad()
    def assess(self, ude: UDE) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Tensor]:
        """Run through training and validation without gradients.

        Returns
        -------
        losses, skills : dict of str to numpy.ndarray
            Per part (``train``, ``validation``): the loss, and the NSE of the first observed
            flux, of each entry; NaN where the solve failed.
        starts : torch.Tensor
            States at the start of each record of the run, shape (entries, time, n_states).
        """
        run = self.problem.run
        parts = {n: s for n, s in self.problem.scored.items() if n != "test"}
        begin = self.problem.assessed.start
        entries = torch.arange(self.n_entries)
        fluxes, starts = self.simulate(ude, entries, self.problem.assessed)
        losses, skills = {}, {}
        observed = next(iter(self.problem.observed.values()))[self.basin_of]
        for name, part in parts.items():
            losses[name] = self.score(fluxes, entries, begin, part).numpy()
            simulated = fluxes[:, part.start - begin : part.stop - begin, 0]
            skills[name] = _nse(simulated, observed[:, part])
        return losses, skills, starts[:, run.start - begin : run.stop - begin]


def _nse(simulated: Tensor, observed: Tensor) -> np.ndarray:
    valid = ~torch.isnan(observed)
    obs = torch.where(valid, observed, 0.0)
    count = valid.sum(1)
    mean = (obs.sum(1) / count)[:, None]
    error = torch.where(valid, (simulated - obs) ** 2, 0.0).sum(1)
    spread = torch.where(valid, (obs - mean) ** 2, 0.0).sum(1)
    return (1 - error / spread).numpy()
