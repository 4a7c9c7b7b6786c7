"""The training loop: stages, windows, best so far, interruption, resumption."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridwater.errors import SolveFailed
from hybridwater.training.marquardt import LevenbergMarquardt
from hybridwater.training.objective import Objective
from hybridwater.training.pretraining import Pretraining
from hybridwater.training.schedule import Stage
from hybridwater.training.sharing import Local, Regional, Shared
from hybridwater.ude.model import UDE

logger = logging.getLogger(__name__)

#: What an entry that cannot be solved counts where entries are judged together.
_UNSOLVED = 1e6

#: Passes that L-BFGS may take to find the length of one step.
_LINE_SEARCH = 25

#: Steps that L-BFGS remembers: for a few hundred weights nearly all of BFGS.
_HISTORY = 100

#: What the first loss is for L-BFGS: torch ends a search, and forgets curvature, where differences
#: are smaller than 1e-9 or 1e-10, whatever the size of the loss.
_MAGNIFIED = 1e6

#: Called after every assessment with the row of the metrics table.
Report = Callable[[Stage, dict[str, Any]], None]


@dataclass
class Best:
    """The best parameters and weights so far, per entry if entries are independent.

    Parameters
    ----------
    loss : numpy.ndarray
        Shape (entries,), or (1,) where entries share what is trained.
    tensors : dict of str to torch.Tensor
        The module's state at that loss.
    stale : numpy.ndarray
        Assessments without improvement, same shape as ``loss``.
    """

    loss: np.ndarray
    tensors: dict[str, Tensor]
    stale: np.ndarray

    def offer(self, losses: np.ndarray, module: Local | Shared | Regional, patience: int) -> None:
        """Take what is better; an entry that has lost patience takes nothing any more."""
        state = module.state_dict()
        if not self.tensors:
            self.tensors = {k: v.clone() for k, v in state.items()}
        together = len(self.loss) < len(losses)
        if together:
            losses = np.array([np.mean(np.where(np.isfinite(losses), losses, _UNSOLVED))])
        better = np.where(np.isfinite(losses), losses, np.inf) < self.loss
        better &= self.stale < patience
        self.stale = np.where(better, 0, self.stale + 1)
        self.loss = np.where(better, losses, self.loss)
        rows = torch.from_numpy(better)
        for key, value in state.items():
            if len(losses) == 1 and better[0]:
                self.tensors[key] = value.clone()
            elif not together and key in module.rows:
                self.tensors[key][rows] = value[rows]


@dataclass
class Trainer:
    """Runs a schedule.

    Parameters
    ----------
    ude : UDE
        The model.
    objective : Objective
        Data, parameters, engine and loss.
    schedule : tuple of Stage
        What to do.
    seed : int
        Seed of windows and batches.
    assess_every : int
        Epochs between assessments on the training and validation periods.
    patience : int
        Assessments without improvement after which a stage ends, for each independent entry.
    report : callable
        Receives each row of metrics.
    checkpoint : callable, optional
        Receives this trainer after each assessment.
    """

    ude: UDE
    objective: Objective
    schedule: tuple[Stage, ...]
    seed: int = 0
    assess_every: int = 5
    patience: int = 20
    report: Report = lambda stage, row: None
    checkpoint: Callable[[Trainer], None] | None = None

    stage_index: int = 0
    epoch: int = 0
    metrics: list[dict[str, Any]] = field(default_factory=list)
    interrupted: bool = False

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.best = self._fresh_best()
        self.optimiser: torch.optim.Optimizer | LevenbergMarquardt | None = None
        self.objective.module.eval()  # dropout is for steps only
        self.seconds = 0.0
        self.skeleton: Tensor | None = None
        self._torch_rng: Tensor | None = None

    def _fresh_best(self) -> Best:
        count = self.objective.n_entries if self._independent else 1
        return Best(np.full(count, np.inf), {}, np.zeros(count, dtype=int))

    @property
    def _independent(self) -> bool:
        """Whether nothing that this stage trains is shared between entries."""
        module = self.objective.module
        if isinstance(module, Shared):
            return self.schedule[self.stage_index].kind == "skeleton"
        return isinstance(module, Local)

    def run(self) -> None:
        """Run all stages; Ctrl-C ends the run with the best so far."""
        with torch.random.fork_rng(devices=[]):
            if self._torch_rng is None:
                torch.manual_seed(self.seed)
                if self.checkpoint is not None:
                    self.checkpoint(self)
            else:
                torch.set_rng_state(self._torch_rng)
            try:
                while self.stage_index < len(self.schedule):
                    self._run_stage(self.schedule[self.stage_index])
                    self._end_stage()
            except KeyboardInterrupt:
                self.interrupted = True
                self._interrupt(self.schedule[min(self.stage_index, len(self.schedule) - 1)])

    def _interrupt(self, stage: Stage) -> None:
        self._take_best(stage)
        logger.warning(
            "Interrupted in stage '%s', epoch %d: the best parameters so far are kept.%s",
            stage.kind,
            self.epoch,
            "" if stage.kind == "joint" else " The networks are not trained yet.",
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint (see :mod:`hybridwater.training.rundir`)."""
        self.stage_index, self.epoch = state["stage_index"], state["epoch"]
        self.seconds = state["seconds"]
        self.objective.module.load_state_dict(state["module"])
        self.best = Best(
            state["best_loss"].numpy().copy(), state["best"], state["best_stale"].numpy().copy()
        )
        self.skeleton = state["skeleton"]
        self.rng.bit_generator.state = json.loads(state["rng"])
        self.metrics = json.loads(state["metrics"])
        self._torch_rng = state["torch_rng"]
        if state["optimiser"] is not None:
            self.optimiser = self._make_optimiser(self.schedule[self.stage_index])
            self.optimiser.load_state_dict(state["optimiser"])

    def _end_stage(self) -> None:
        """Go on from the best of a stage; compare stages only if they train the same model."""
        ended = self.schedule[self.stage_index]
        self._take_best(ended)
        self.stage_index += 1
        self.epoch, self.optimiser = 0, None
        following = self.schedule[self.stage_index : self.stage_index + 1]
        if following and following[0].kind != ended.kind:
            self.best = self._fresh_best()
        self.best.stale[:] = 0

    def _take_best(self, stage: Stage) -> None:
        self.objective.module.eval()
        if self.best.tensors:
            self.objective.module.load_state_dict(self.best.tensors)
        if stage.kind == "skeleton":
            with torch.no_grad():
                self.skeleton = self.objective.values(torch.arange(self.objective.n_entries))[0]

    def _model(self, stage: Stage) -> UDE:
        return self.ude.conceptual() if stage.kind == "skeleton" else self.ude

    def _run_stage(self, stage: Stage) -> None:
        ude = self._model(stage)
        if self.optimiser is None:
            self.optimiser = self._make_optimiser(stage)
        pretraining = Pretraining(self.objective, ude) if stage.kind == "pretrain" else None
        states = None
        everyone = torch.arange(self.objective.n_entries)
        if self.epoch == 0 and pretraining is None:
            states = self._assess(stage, ude)
        while self.epoch < stage.epochs and self._goes_on:
            begun = time.perf_counter()
            if isinstance(self.optimiser, LevenbergMarquardt):
                loss = self.optimiser.step()
            elif pretraining is not None:
                loss = self._step(lambda entries: pretraining.loss(), everyone)
            elif stage.window is None:
                loss = self._step(lambda entries: self._whole(ude, entries), everyone)
            else:
                if states is None:
                    _, _, states = self.objective.assess(ude)
                loss = self._window_epoch(stage, ude, states)
                states = None
            self.epoch += 1
            self.seconds += time.perf_counter() - begun
            last = self.epoch == stage.epochs or not self._goes_on
            if pretraining is not None:
                if last or self.epoch % self.assess_every == 0:
                    self._record(stage, {"loss": loss})
                    if self.checkpoint is not None:
                        self.checkpoint(self)
            elif last or self.epoch % self.assess_every == 0:
                states = self._assess(stage, ude, loss)

    @property
    def _goes_on(self) -> bool:
        """Whether an entry has patience left, and one has not arrived at its minimum."""
        if isinstance(self.optimiser, LevenbergMarquardt) and self.optimiser.arrived.all():
            return False
        return bool((self.best.stale < self.patience).any())

    def _make_optimiser(self, stage: Stage) -> torch.optim.Optimizer | LevenbergMarquardt:
        if stage.optimiser == "lm":
            return LevenbergMarquardt(self.objective, self._model(stage))
        module = self.objective.module
        weights = [module.weights] if stage.kind != "skeleton" else []
        others = [p for p in module.parameters() if p is not module.weights]
        if stage.kind == "pretrain":
            others = []
        if stage.optimiser == "lbfgs":
            return torch.optim.LBFGS(
                [*others, *weights],
                max_iter=1,
                max_eval=_LINE_SEARCH,  # the default would end the search after one
                history_size=_HISTORY,
                line_search_fn="strong_wolfe",
            )
        groups = [
            {"params": others, "lr": stage.learning_rate},
            {"params": weights, "lr": stage.network_rate},
        ]
        return torch.optim.Adam([g for g in groups if g["params"]])

    def _step(self, losses: Callable[[Tensor], Tensor], entries: Tensor) -> float:
        """Take one step; entries that could not be solved do not move the others."""
        optimiser, module = self.optimiser, self.objective.module
        assert isinstance(optimiser, torch.optim.Optimizer)
        line_search = isinstance(optimiser, torch.optim.LBFGS)
        counted: Tensor | None = None
        chosen, first = entries, math.nan

        def closure() -> Tensor:
            nonlocal counted, chosen, first
            optimiser.zero_grad()
            each = losses(chosen)
            if counted is None:
                counted = torch.isfinite(each)
                if not counted.all():
                    self._put_back(entries[~counted])
                if not counted.any():
                    return torch.tensor(math.inf)  # no gradient: the optimiser stands still
                if not counted.all() and (line_search or not self._independent):
                    # NaN would spread through what is shared: solve another in their place
                    chosen = torch.where(counted, entries, entries[counted][0])
                    each = losses(chosen)
                first = float(each.detach()[counted].mean())
            if line_search:  # must not gain by running into a failure
                each = each.nan_to_num(nan=math.inf)
            total = torch.where(counted, each, 0.0).sum()
            if not self._independent:
                total = total / counted.sum()
            if line_search:
                size = _MAGNIFIED / (float(total.detach()) or 1.0)
                total = total * optimiser.param_groups[0].setdefault("magnified", size)
            if total.requires_grad:
                total.backward()
            if not line_search:
                self._clip()
            return total.detach()

        module.train()
        optimiser.step(closure)  # type: ignore[arg-type]
        module.eval()
        return first

    def _clip(self) -> None:
        """Bound the gradients, entry by entry where entries are independent."""
        module = self.objective.module
        for p in module.parameters():
            if p.grad is not None:
                torch.nan_to_num_(p.grad, nan=0.0, posinf=0.0, neginf=0.0)
                if self._independent:
                    p.grad *= 10.0 / p.grad.norm(dim=1, keepdim=True).clamp(min=10.0)
        if not self._independent:
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)

    def _put_back(self, failed: Tensor) -> None:
        """Put what entries that cannot be solved do not share back to its best, at rest.

        If no entry can be solved, everything goes back.

        Raises
        ------
        SolveFailed
            If no entry could ever be solved.
        """
        if not self.best.tensors:
            return
        if not (self.best.loss < _UNSOLVED).any():
            raise SolveFailed(
                "No entry could be solved with the current parameters.",
                fix="Use a stiff method, more substeps, or narrower parameter bounds",
            )
        module, moments = self.objective.module, getattr(self.optimiser, "state", {})
        if len(failed) == self.objective.n_entries:
            module.load_state_dict(self.best.tensors)
            moments.clear()
            return
        with torch.no_grad():
            for key, tensor in module.named_parameters():
                if key in module.rows:
                    tensor[failed] = self.best.tensors[key][failed]
                    if "exp_avg" in moments.get(tensor, {}):
                        moments[tensor]["exp_avg"][failed] = 0.0

    def _whole(self, ude: UDE, entries: Tensor) -> Tensor:
        """Loss of entries over the whole training period."""
        problem = self.objective.problem
        fluxes, _ = self.objective.simulate(ude, entries, problem.run)
        return self.objective.score(fluxes, entries, problem.run.start, problem.scored["train"])

    def _window_epoch(self, stage: Stage, ude: UDE, states: Tensor) -> float:
        """Step over random windows until, on average, each record was seen once."""
        assert stage.window is not None
        problem, n = self.objective.problem, self.objective.n_entries
        scored, begin = problem.scored["train"], problem.run.start
        window = min(stage.window, scored.stop - scored.start)
        batch = min(stage.batch or n, n)
        steps = max(1, round((scored.stop - scored.start) * n / (window * batch)))
        total = []
        for _ in range(steps):
            chosen = self.rng.permutation(n)[:batch] if batch < n else np.arange(n)
            first = int(self.rng.integers(scored.start, scored.stop - window + 1))
            part = slice(first, first + window)

            def losses(entries: Tensor, part: slice = part) -> Tensor:
                warm = part.start > begin and problem.starts is None
                start = states[entries, part.start - begin] if warm else None
                fluxes, _ = self.objective.simulate(ude, entries, part, start)
                return self.objective.score(fluxes, entries, part.start, part)

            total.append(self._step(losses, torch.from_numpy(np.sort(chosen))))
        return float(np.mean(total))

    def _assess(self, stage: Stage, ude: UDE, loss: float | None = None) -> Tensor | None:
        """Judge the current parameters; return the states that they visit if all is well."""
        losses, skills, states = self.objective.assess(ude)
        judged = losses.get("validation", losses["train"])
        self.best.offer(judged, self.objective.module, self.patience)
        failed = ~np.isfinite(judged)
        if failed.any():
            self._put_back(torch.from_numpy(np.flatnonzero(failed)))
        row = {"loss": _mean(losses["train"]) if loss is None else loss}
        self._record(stage, row | {f"{n}_nse": _median(s) for n, s in skills.items()})
        if self.checkpoint is not None and self.epoch > 0:
            self.checkpoint(self)
        return None if failed.any() else states

    def _record(self, stage: Stage, row: dict[str, Any]) -> None:
        full = {"stage": stage.kind, "epoch": self.epoch, **row, "seconds": self.seconds}
        self.metrics.append(full)
        self.report(stage, full)


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else math.nan


def _median(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else math.nan
