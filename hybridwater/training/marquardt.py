"""Nonlinear least squares: the method of Levenberg (1944) and Marquardt (1963), entry by entry.

Constants of equations lie in narrow, curved valleys (the amplitude and the rate of an exponential
say nearly the same), along which first-order methods creep. A few dozen constants have a Jacobian
that costs as many simulations, and with it a handful of steps is enough. The library methods (SciPy
``least_squares``) run one problem to its end; here entries move side by side, epoch by epoch, so
that a fit can be watched, interrupted and resumed as with the other optimisers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridwater.training.objective import Objective
from hybridwater.training.sharing import Regional
from hybridwater.ude.model import UDE

#: Step of the differences, in free numbers of parameters and in weights.
_STEP = 1e-4
#: First and least damping, as shares of the largest curvature.
_FIRST, _LEAST = 1e-3, 1e-9
#: Dampings tried in one epoch.
_TRIALS = 10
#: An entry has arrived when a step gains less than this share of its loss, with a damping below
#: that share of the largest curvature: under a heavy one a step is short and its gain is no sign.
_ARRIVED, _LIGHT = 1e-5, 1e-6
#: Slopes beyond this are not of the model: a neighbour overflows, or cannot be solved.
_STEEPEST = 1e100


class LevenbergMarquardt:
    """Moves parameters and weights of each entry to a minimum of a sum of squares.

    Damping after Nielsen (1999), as in Madsen, Nielsen and Tingleff (2004), Methods for non-linear
    least squares problems, algorithm 3.16.

    Parameters
    ----------
    objective : Objective
        With a loss that is a sum of squares; what is trained has a row per entry.
    ude : UDE
        The model, or its skeleton.
    """

    def __init__(self, objective: Objective, ude: UDE) -> None:
        assert not isinstance(objective.module, Regional)
        self.objective, self.ude, self.module = objective, ude, objective.module
        names = self.module.bounded.names
        self.used = [k for k, name in enumerate(names) if name in ude.used_parameters]
        n = objective.n_entries
        self.damping = torch.full((n,), math.nan, dtype=torch.float64)  # not begun
        self.growth = torch.full((n,), 2.0, dtype=torch.float64)
        self.arrived = torch.zeros(n, dtype=torch.bool)
        self.losses = torch.full((n,), math.nan, dtype=torch.float64)  # where they were last

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        names = ("damping", "growth", "arrived", "losses")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        for name, values in state.items():
            setattr(self, name, values.clone())

    @torch.no_grad()
    def step(self) -> float:
        """Move each entry that has not arrived; return the mean loss where all of them were.

        An entry that cannot be solved stays where it is, and does not count.
        """
        for k, arrived in enumerate(self.arrived.tolist()):
            if not arrived:
                self.losses[k] = self._move(k)
        return float(self.losses[torch.isfinite(self.losses)].mean())

    def _move(self, entry: int) -> float:
        here = self._here(entry)
        steps = torch.cat([torch.zeros(1, len(here)), _STEP * torch.eye(len(here))]).double()
        runs = self._residuals(entry, here + steps)
        r, loss = runs[0], _square(runs[0])
        if not math.isfinite(loss):
            self.arrived[entry] = True
            return loss
        jacobian = (runs[1:] - r).T / _STEP
        jacobian[:, ~(np.abs(jacobian) < _STEEPEST).all(axis=0)] = 0.0
        slope = jacobian.T @ r
        largest = float((jacobian**2).sum(0).max(initial=0.0))
        if largest == 0.0:
            self.arrived[entry] = True
            return loss
        if torch.isnan(self.damping[entry]):
            self.damping[entry] = _FIRST * largest
        for _ in range(_TRIALS):
            damping = max(float(self.damping[entry]), _LEAST * largest)
            step = _damped(jacobian, r, damping)
            there = here + torch.from_numpy(step)
            gain = loss - _square(self._residuals(entry, there[None])[0])
            if gain > 0:
                ratio = gain / float(step @ (damping * step - slope))
                self.damping[entry] = damping * max(1 / 3, 1 - (2 * ratio - 1) ** 3)
                self.growth[entry] = 2.0
                self._put(entry, there)
                self.arrived[entry] = gain < _ARRIVED * loss and damping < _LIGHT * largest
                return loss
            self.damping[entry] = damping * self.growth[entry]
            self.growth[entry] *= 2
        self.arrived[entry] = True
        return loss

    def _here(self, entry: int) -> Tensor:
        free, weights = self.module.free[entry, self.used], self._weights(entry)
        return torch.cat([free, weights]) if self.ude.networks else free.clone()

    def _weights(self, entry: int) -> Tensor:
        weights = self.module.weights
        return weights[entry] if weights.ndim == 2 else weights

    def _put(self, entry: int, x: Tensor) -> None:
        self.module.free[entry, self.used] = x[: len(self.used)]
        if self.ude.networks:
            self.module.weights[entry] = x[len(self.used) :]

    def _residuals(self, entry: int, x: Tensor) -> np.ndarray:
        """Return the residuals of an entry at places (n, size), shape (n, residuals)."""
        free = self.module.free[entry].repeat(len(x), 1)
        free[:, self.used] = x[:, : len(self.used)]
        weights = x[:, len(self.used) :] if self.ude.networks else self._weights(entry)
        entries = torch.full((len(x),), entry)
        values = (self.module.bounded.constrain(free), weights)
        return self.objective.residuals(self.ude, entries, values).numpy()


def _square(values: np.ndarray) -> float:
    return float((values**2).sum())


def _damped(jacobian: np.ndarray, r: np.ndarray, damping: float) -> np.ndarray:
    """Solve ``min |J s + r|^2 + damping |s|^2`` for the step.

    With NumPy: torch's LAPACK rounds by where arrays lie, and a resumed fit ends elsewhere.
    """
    n = jacobian.shape[1]
    rows = np.concatenate([jacobian, math.sqrt(damping) * np.eye(n)])
    return np.linalg.lstsq(rows, np.concatenate([-r, np.zeros(n)]))[0]
