"""Training learned remaps on what was given and what arrived: windows, errors, resumption."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hybridwater.errors import DataError, SettingsError
from hybridwater.meshes import Remap
from hybridwater.mgn import parallel
from hybridwater.mgn.correction import ENDS
from hybridwater.mgn.course import Course

if TYPE_CHECKING:
    import pandas as pd

    from hybridwater.mgn.remap import LearnedRemap

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Study:
    """How a learned remap is trained.

    Parameters
    ----------
    iterations : int
        Steps of Adam.
    batch : int
        Windows in each, drawn at random.
    rate : float
        Learning rate at the beginning; it falls to a tenth.
    window : int
        Samples that follow one another, through which it remembers.
    warmup : int
        Samples at the beginning of a window that do not count, for what is remembered to settle.
    noise : float
        Standard deviation of the errors of what arrived, relative to the mean that arrives: against
        which the prior of an unobserved flux is weighed.
    seed : int
        Of the windows.

    Raises
    ------
    SettingsError
        If a number is not possible.
    """

    iterations: int = 300
    batch: int = 8
    rate: float = 3e-3
    window: int = 1
    warmup: int = 0
    noise: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("iterations", "batch", "window"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name}={getattr(self, name)} is less than 1.")
        if not self.rate > 0.0 or not 0 <= self.warmup < self.window:
            raise SettingsError("rate is not positive, or warmup not less than window.")
        if not self.noise > 0.0:
            raise SettingsError(f"noise={self.noise} is not positive.")


class Samples:
    """What was given, what arrived and the states of both ends, at times that follow one another.

    Parameters
    ----------
    remap : LearnedRemap
        Whose baseline is computed here.
    given : array_like
        Shape (samples, n_source), amounts.
    arrived : array_like
        Shape (samples, n_target), amounts.
    states : mapping of str to array_like
        Per end, shape (samples, n_cells, n_states).

    Raises
    ------
    DataError
        If shapes do not fit or a value is not finite.
    """

    def __init__(
        self,
        remap: LearnedRemap,
        given: np.ndarray,
        arrived: np.ndarray,
        states: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        given, arrived = np.asarray(given, dtype=float), np.asarray(arrived, dtype=float)
        shapes = [(len(given), n) for n in remap.shares.shape[::-1]]
        if [given.shape, arrived.shape] != shapes or not len(given):
            raise DataError(
                f"Given and arrived have the shapes {given.shape} and {arrived.shape}, not "
                f"{shapes[0]} and {shapes[1]}."
            )
        now = {}
        for name, (_, count) in zip(ENDS, shapes, strict=True):
            names = remap.states[name]
            if not names:
                continue
            shape = (len(given), count, len(names))
            now[name] = np.asarray((states or {}).get(name, np.zeros(0)), dtype=float)
            if now[name].shape != shape:
                raise DataError(
                    f"The states {', '.join(names)} of the {name} have the shape "
                    f"{now[name].shape}, not {shape}."
                )
        if not all(np.isfinite(v).all() for v in (given, arrived, *now.values())):
            raise DataError("An amount or a state is not finite.", fix="Leave such samples out")
        self.remap = remap
        device = remap.correction.device
        base = Remap.amounts(remap, given)
        self.given, self.arrived, self.base = (
            torch.from_numpy(values).to(device) for values in (given, arrived, base)
        )
        self.states = {name: torch.from_numpy(values).to(device) for name, values in now.items()}
        share = remap.correction.graph["target"].measure
        self.share = share / share.sum()

    def __len__(self) -> int:
        return len(self.given)

    def digest(self) -> str:
        """Return what tells these samples from others."""
        found = hashlib.sha256()
        for values in (self.given, self.arrived, *self.states.values()):
            found.update(np.ascontiguousarray(values.cpu().numpy()).tobytes())
        return found.hexdigest()

    def error(self, rows: Tensor, moved: Tensor) -> Tensor:
        """Return the squared error per measure, relative to the mean that arrives, (samples,)."""
        mean = self.base[rows].abs().sum(dim=1, keepdim=True)
        # A sample in which nothing arrives says nothing.
        wet = mean > 0.0
        error = torch.where(wet, (moved - self.arrived[rows]) / torch.where(wet, mean, 1.0), 0.0)
        return (error**2 / self.share).sum(dim=1)


def fit_remap(
    remap: LearnedRemap,
    given: np.ndarray,
    arrived: np.ndarray,
    *,
    states: Mapping[str, np.ndarray] | None = None,
    others: Sequence[Samples] = (),
    directory: str | Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
    checkpoint_every: int = 50,
    **choices: Any,
) -> pd.DataFrame:
    """Train the correction of a learned remap; Ctrl-C ends it with what there is.

    Parameters
    ----------
    remap : LearnedRemap
        Trained in place.
    given : array_like
        Shape (samples, n_source), amounts or their rates.
    arrived : array_like
        Shape (samples, n_target).
    states : mapping of str to array_like, optional
        Per end, shape (samples, n_cells, n_states), where it reads states.
    others : sequence of Samples
        Of other meshes, whose remaps have the same weights (``LearnedRemap.of(weights=remap)``).
        Each step learns from one of all, drawn at random.
    directory : path-like, optional
        Run directory: configuration, versions, checkpoint, and in the end ``remap.safetensors`` and
        ``losses.csv``.
    resume : bool
        Whether to go on with a run in that directory. It ends as if it had not been interrupted.
    progress : bool, optional
        Whether to show a bar; as in the settings if left out.
    checkpoint_every : int
        Iterations between checkpoints.
    **choices
        Of :class:`~hybridwater.mgn.fitting.Study`.

    Returns
    -------
    pandas.DataFrame
        ``iteration``, ``loss`` (mean squared error per measure, relative to the mean that arrives)
        and ``seconds``.

    Raises
    ------
    DataError
        If shapes do not fit or a value is not finite.
    SettingsError
        If a choice is not possible, or there is another run in the directory.
    WeightsError
        If the training diverges, a checkpoint is damaged, or nothing can be written.
    """
    samples = [Samples(remap, given, arrived, states), *others]
    course = _Course(samples, Study(**choices))
    return course.conduct(directory, resume, checkpoint_every, progress)


def assess_remap(remap: LearnedRemap, samples: Samples, warmup: int = 0) -> dict[str, float]:
    """Return the errors of the baseline and of a learned remap, one sample after another.

    Parameters
    ----------
    remap : LearnedRemap
        Trained.
    samples : Samples
        What is true.
    warmup : int
        Samples at the beginning that do not count.

    Returns
    -------
    dict of str to float
        ``baseline`` and ``learned``, mean squared errors as in `fit_remap`; ``reduction``, the
        share of the first that is gone; ``fallbacks``, the share of samples out of range.
    """
    memory: dict[str, Tensor] = {}
    moved, known = [], []
    with torch.no_grad():
        for k in range(len(samples)):
            row = torch.tensor([k])
            now = {n: v[row] for n, v in samples.states.items()}
            found = remap.correction(samples.given[row], samples.base[row], now, memory)
            inside = bool(found.known.all())
            memory = found.memory if inside else memory
            moved.append(found.amounts if inside else samples.base[row])
            known.append(inside)
    rows = torch.arange(warmup, len(samples))
    base = float(samples.error(rows, samples.base[rows]).mean())
    learned = float(samples.error(rows, torch.cat(moved)[rows]).mean())
    return {
        "baseline": base,
        "learned": learned,
        "reduction": 1.0 - learned / base if base > 0.0 else float("nan"),
        "fallbacks": 1.0 - float(np.mean(known)),
    }


class _Course(Course):
    title, weights = "learned remap", "remap.safetensors"

    def __init__(self, samples: Sequence[Samples], study: Study) -> None:
        shortest = min(map(len, samples))
        if shortest < study.window:
            raise SettingsError(
                f"A window of {study.window} samples is longer than the {shortest} there are."
            )
        self.remap = remap = samples[0].remap
        correction = remap.correction
        if any(s.remap.correction.network is not correction.network for s in samples):
            raise SettingsError(
                "Samples are of a remap with other weights.",
                "others",
                "Make it with LearnedRemap.of(..., weights=remap)",
            )
        parallel.refuse_uneven(study.batch)
        self.samples, self.study = samples, study
        optimiser = torch.optim.Adam(correction.parameters())
        super().__init__(correction, optimiser, study.iterations, study.seed)

    def configuration(self) -> dict[str, Any]:
        """Return what makes this run this run."""
        return {
            "architecture": self.remap.correction.network.architecture.to_dict(),
            "states": {n: dict(names) for n, names in self.remap.states.items()},
            "study": dataclasses.asdict(self.study),
            "samples": [samples.digest() for samples in self.samples],
        }

    def _rates(self) -> list[float]:
        return [self.study.rate * 0.1 ** (len(self.losses) / self.iterations)]

    def _loss(self) -> Tensor:
        which = int(self.random.integers(len(self.samples))) if len(self.samples) > 1 else 0
        samples = self.samples[which]
        last = len(samples) - self.study.window + 1
        begin = torch.from_numpy(self.random.integers(last, size=self.study.batch))
        begin = parallel.part(begin)
        total = samples.base.new_zeros(())
        memory: dict[str, Tensor] = {}
        for k in range(self.study.window):
            rows = begin + k
            now = {n: v[rows] for n, v in samples.states.items()}
            correction = samples.remap.correction
            found = correction(samples.given[rows], samples.base[rows], now, memory)
            memory = found.memory
            if k >= self.study.warmup:
                # Minus the log posterior, times 2 noise^2 over the number of cells.
                prior = 2.0 * self.study.noise**2 / len(samples.share) * found.surprise
                total = total + (samples.error(rows, found.amounts) + prior).mean()
        return total / (self.study.window - self.study.warmup)

    def _save(self, path: Path) -> None:
        self.remap.save(path)
