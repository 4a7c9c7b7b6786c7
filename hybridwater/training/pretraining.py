"""Pre-training: networks learn the conceptual fluxes that they replace."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hybridwater.training import bridge
from hybridwater.training.objective import Objective
from hybridwater.training.sharing import columns
from hybridwater.ude.model import UDE

#: Records per basin that networks are pre-trained on, evenly spread over what counts in training.
SAMPLES = 1000


class Pretraining:
    """Regression of networks on the skeleton's fluxes at the states that it visits.

    Parameters
    ----------
    objective : Objective
        The fit.
    ude : UDE
        A model whose networks all have conceptual equations.
    """

    def __init__(self, objective: Objective, ude: UDE) -> None:
        self.objective = objective
        self.ude = ude
        self.names = tuple(n.name for n in ude.networks)
        entries = torch.arange(objective.n_entries)
        problem = objective.problem
        skeleton = ude.conceptual()
        with torch.no_grad():
            values, _ = objective.values(entries)
            self.parameters = columns(ude, values)
            forcing = problem.forcing[objective.basin_of, problem.run]
            _, states = objective.simulate(skeleton, entries, problem.run)
            count = states.shape[1]
            first = problem.scored["train"].start - problem.run.start  # stores fill before
            kept = np.linspace(first, count - 1, min(SAMPLES, count - first)).astype(int)
            self.states, self.forcing = states[:, kept], forcing[:, kept]
            self.targets = bridge.evaluate(
                objective.solver(skeleton, fluxes=self.names),
                columns(skeleton, values),
                torch.zeros(0, dtype=torch.float64),
                self.forcing,
                self.states,
            )
        usable = torch.isfinite(self.targets).all(-1) & torch.isfinite(self.states).all(-1)
        self.usable = usable[..., None]
        safe = torch.where(self.usable, self.targets, torch.nan)
        mean = torch.nanmean(safe, dim=1, keepdim=True)
        std = torch.sqrt(torch.nanmean((safe - mean) ** 2, dim=1, keepdim=True))
        std = torch.maximum(std, 1e-3 * mean.abs())  # a flux that does not vary
        self.scale = torch.where(std > 0, std, 1.0)
        self.targets = torch.where(self.usable, self.targets, 0.0)
        self.states = torch.where(self.usable, self.states, 0.0)

    def loss(self) -> Tensor:
        """Return the mean squared error over the target's variance, shape (entries,)."""
        _, weights = self.objective.values(torch.arange(self.objective.n_entries))
        solver = self.objective.solver(self.ude, fluxes=self.names)
        learned = bridge.evaluate(solver, self.parameters, weights, self.forcing, self.states)
        error = torch.where(self.usable, (learned - self.targets) / self.scale, 0.0)
        return (error**2).mean(dim=(1, 2))
