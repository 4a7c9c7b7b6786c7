"""The training loop: stages, windows, best so far, interruption, resumption."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridwater.errors import SolveFailed
from hybridwater.training.objective import Objective
from hybridwater.training.pretraining import Pretraining
from hybridwater.training.schedule import Stage
from hybridwater.training.sharing import Local
from hybridwater.ude.model import UDE

logger = logging.getLogger(__name__)

#: Called after every assessment with the row of the metrics table.
Report = Callable[[Stage, dict[str, Any]], None]


@dataclass
class Best:
    """The best parameters and weights so far, per entry if entries are independent.

    Parameters
    ----------
    loss : numpy.ndarray
        Shape (entries,), or (1,) where entries share weights.
    tensors : dict of str to torch.Tensor
        The module's state at that loss.
    """

    loss: np.ndarray
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, losses: np.ndarray, module: torch.nn.Module) -> bool:
        """Take what is better; return whether anything was."""
        state = module.state_dict()
        if not self.tensors:
            self.tensors = {k: v.clone() for k, v in state.items()}
        if len(self.loss) == 1:
            finite = losses[np.isfinite(losses)]
            total = np.array([np.mean(finite) if len(finite) == len(losses) else np.inf])
            better = total < self.loss
            if better[0]:
                self.loss, self.tensors = total, {k: v.clone() for k, v in state.items()}
            return bool(better[0])
        better = np.where(np.isfinite(losses), losses, np.inf) < self.loss
        rows = torch.from_numpy(better)
        self.loss = np.where(better, losses, self.loss)
        for key, value in state.items():
            self.tensors[key][rows] = value[rows]
        return bool(better.any())


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
        Assessments without improvement after which a stage ends.
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
        self.optimiser: torch.optim.Optimizer | None = None
        self.stale = 0
        self.seconds = 0.0
        self.skeleton: Tensor | None = None
        self._torch_rng: Tensor | None = None

    def _fresh_best(self) -> Best:
        count = self.objective.n_entries if isinstance(self.objective.module, Local) else 1
        return Best(np.full(count, np.inf))

    def run(self) -> None:
        """Run all stages; Ctrl-C ends the run with the best so far."""
        if self._torch_rng is None:
            torch.manual_seed(self.seed)
        else:
            torch.set_rng_state(self._torch_rng)
        try:
            while self.stage_index < len(self.schedule):
                self._run_stage(self.schedule[self.stage_index])
                self._end_stage()
        except KeyboardInterrupt:
            self.interrupted = True
            logger.warning("Interrupted: the best parameters so far are kept.")
        if self.best.tensors:
            self.objective.module.load_state_dict(self.best.tensors)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint (see :mod:`hybridwater.training.rundir`)."""
        self.stage_index, self.epoch = state["stage_index"], state["epoch"]
        self.stale, self.seconds = state["stale"], state["seconds"]
        self.objective.module.load_state_dict(state["module"])
        self.best = Best(state["best_loss"].numpy().copy(), state["best"])
        self.skeleton = state["skeleton"]
        self.rng.bit_generator.state = json.loads(state["rng"])
        self.metrics = json.loads(state["metrics"])
        self._torch_rng = state["torch_rng"]
        if state["optimiser"] is not None and self.stage_index < len(self.schedule):
            self.optimiser = self._make_optimiser(self.schedule[self.stage_index])
            self.optimiser.load_state_dict(state["optimiser"])

    def _end_stage(self) -> None:
        """Go on from the best of a stage; compare stages only if they train the same model."""
        if self.best.tensors:
            self.objective.module.load_state_dict(self.best.tensors)
        kind = self.schedule[self.stage_index].kind
        if kind == "skeleton":
            with torch.no_grad():
                self.skeleton = self.objective.values(torch.arange(self.objective.n_entries))[0]
        self.stage_index += 1
        self.epoch, self.optimiser, self.stale = 0, None, 0
        following = self.schedule[self.stage_index : self.stage_index + 1]
        if following and following[0].kind != kind:
            self.best = self._fresh_best()

    def _model(self, stage: Stage) -> UDE:
        return self.ude.conceptual() if stage.kind == "skeleton" else self.ude

    def _run_stage(self, stage: Stage) -> None:
        ude = self._model(stage)
        if self.optimiser is None:
            self.optimiser = self._make_optimiser(stage)
        pretraining = Pretraining(self.objective, ude) if stage.kind == "pretrain" else None
        states = None
        if self.epoch == 0 and pretraining is None:
            states = self._assess(stage, ude)
        while self.epoch < stage.epochs:
            begun = time.perf_counter()
            if pretraining is not None:
                loss = self._step(pretraining.loss)
            elif stage.optimiser == "lbfgs":
                loss = self._step(lambda: self._whole(ude))
            elif stage.window is None:
                loss = self._step(lambda: self._whole(ude))
            else:
                if states is None:
                    _, _, states = self.objective.assess(ude)
                loss = self._window_epoch(stage, ude, states)
                states = None
            self.epoch += 1
            self.seconds += time.perf_counter() - begun
            last = self.epoch == stage.epochs
            if pretraining is not None:
                if last or self.epoch % self.assess_every == 0:
                    self._record(stage, {"loss": loss})
                    if self.checkpoint is not None:
                        self.checkpoint(self)
            elif last or self.epoch % self.assess_every == 0:
                states = self._assess(stage, ude, loss)
                if self.stale >= self.patience:
                    return

    def _make_optimiser(self, stage: Stage) -> torch.optim.Optimizer:
        module = self.objective.module
        weights = [module.weights] if stage.kind != "skeleton" else []
        others = [p for p in module.parameters() if p is not module.weights]
        if stage.kind == "pretrain":
            others = []
        if stage.optimiser == "lbfgs":
            return torch.optim.LBFGS(
                [*others, *weights], max_iter=1, line_search_fn="strong_wolfe", history_size=20
            )
        groups = [
            {"params": others, "lr": stage.learning_rate},
            {"params": weights, "lr": stage.network_rate},
        ]
        return torch.optim.Adam([g for g in groups if g["params"]])

    def _step(self, losses: Callable[[], Tensor]) -> float:
        """Take one step; entries that could not be solved do not move the others."""
        assert self.optimiser is not None
        module = self.objective.module
        independent = isinstance(module, Local)
        value = torch.zeros(())

        def closure() -> Tensor:
            nonlocal value
            self.optimiser.zero_grad()  # type: ignore[union-attr]
            each = losses()
            solved = torch.isfinite(each)
            if not solved.any():
                raise SolveFailed(
                    "No entry could be solved with the current parameters.",
                    fix="Use a stiff method, more substeps, or narrower parameter bounds",
                )
            total = torch.where(solved, each, 0.0).sum()
            total = total if independent else total / solved.sum()
            if total.requires_grad:
                total.backward()
            for p in module.parameters():
                if p.grad is not None:
                    torch.nan_to_num_(p.grad, nan=0.0, posinf=0.0, neginf=0.0)
                    if independent:
                        norm = p.grad.norm(dim=1, keepdim=True)
                        p.grad *= (10.0 / norm.clamp(min=10.0)).where(norm > 0, torch.ones(()))
            if not independent:
                torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            value = torch.where(solved, each, 0.0).sum().detach() / solved.sum()
            return total.detach()

        self.optimiser.step(closure)  # type: ignore[arg-type]
        return float(value)

    def _whole(self, ude: UDE) -> Tensor:
        """Loss of every entry over the whole training period."""
        problem = self.objective.problem
        entries = torch.arange(self.objective.n_entries)
        fluxes, _ = self.objective.simulate(ude, entries, problem.run)
        return self.objective.score(fluxes, entries, problem.run.start, problem.scored["train"])

    def _window_epoch(self, stage: Stage, ude: UDE, states: Tensor) -> float:
        """Steps over random windows until, on average, each record was seen once."""
        assert stage.window is not None
        problem, n = self.objective.problem, self.objective.n_entries
        scored, begin = problem.scored["train"], problem.run.start
        window = min(stage.window, scored.stop - scored.start)
        batch = min(stage.batch or n, n)
        steps = max(1, round((scored.stop - scored.start) * n / (window * batch)))
        total = 0.0
        for _ in range(steps):
            chosen = self.rng.permutation(n)[:batch]
            entries = torch.from_numpy(np.sort(chosen))
            first = int(self.rng.integers(scored.start, scored.stop - window + 1))
            part = slice(first, first + window)
            start = states[entries, first - begin - 1] if first > begin else None

            def losses(entries: Tensor = entries, part: slice = part, start: Any = start) -> Tensor:
                fluxes, _ = self.objective.simulate(ude, entries, part, start)
                return self.objective.score(fluxes, entries, part.start, part)

            total += self._step(losses)
        return total / steps

    def _assess(self, stage: Stage, ude: UDE, loss: float | None = None) -> Tensor:
        losses, skills, states = self.objective.assess(ude)
        judged = losses.get("validation", losses["train"])
        improved = self.best.offer(judged, self.objective.module)
        self.stale = 0 if improved else self.stale + 1
        row = {"loss": float(np.nanmean(losses["train"])) if loss is None else loss}
        row |= {f"{name}_nse": float(np.nanmedian(s)) for name, s in skills.items()}
        self._record(stage, row)
        self._reset_failed(judged)
        if self.checkpoint is not None:
            self.checkpoint(self)
        return states

    def _reset_failed(self, losses: np.ndarray) -> None:
        """Put independent entries that can no longer be solved back to their best."""
        failed = ~np.isfinite(losses)
        if isinstance(self.objective.module, Local) and failed.any() and self.best.tensors:
            rows = torch.from_numpy(failed)
            with torch.no_grad():
                for key, value in self.objective.module.state_dict().items():
                    value[rows] = self.best.tensors[key][rows]

    def _record(self, stage: Stage, row: dict[str, Any]) -> None:
        full = {"stage": stage.kind, "epoch": self.epoch, **row, "seconds": self.seconds}
        self.metrics.append(full)
        self.report(stage, full)
