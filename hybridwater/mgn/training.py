"""Training dynamics: noise, push-forward, rollouts that grow, interruption and resumption."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hybridwater.errors import SettingsError
from hybridwater.mgn import parallel
from hybridwater.mgn.course import Course
from hybridwater.mgn.dynamics import Dynamics
from hybridwater.mgn.episodes import Episode

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Lesson:
    """One part of a curriculum.

    Parameters
    ----------
    iterations : int
        Steps of the optimiser.
    rollout : int
        Steps of the network that the loss is the mean of.
    push : int
        Steps before these, of which no gradient is taken (push-forward, Brandstetter et al. 2022,
        arXiv:2202.03376): the network learns to go on from its own errors.
    noise : float
        Standard deviation of the noise on the first state, relative to the typical change in a
        step (Pfaff et al. 2021, appendix A.2.2).
    rate : float
        Learning rate of Adam at the beginning; it falls to a tenth.
    batch : int
        Windows in each step, drawn at random from one episode.
    spans : tuple of int
        Lengths of a step of the network, in steps of the episode; one is drawn for each batch.

    Raises
    ------
    SettingsError
        If a number is not possible.
    """

    iterations: int
    rollout: int = 1
    push: int = 0
    noise: float = 0.0
    rate: float = 1e-3
    batch: int = 4
    spans: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spans", tuple(self.spans))
        for name in ("iterations", "rollout", "batch"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name}={getattr(self, name)} is less than 1.", "lesson")
        if self.push < 0 or self.noise < 0.0 or not self.rate > 0.0:
            raise SettingsError("push or noise is negative, or rate not positive.", "lesson")
        if not self.spans or min(self.spans) < 1:
            raise SettingsError(f"spans={self.spans} are not whole numbers from 1.", "lesson")

    @property
    def reach(self) -> int:
        """Steps of an episode that the longest window needs."""
        return (self.push + self.rollout) * max(self.spans)


def train_dynamics(
    dynamics: Dynamics,
    episodes: Sequence[Episode],
    lessons: Sequence[Lesson],
    *,
    directory: str | Path | None = None,
    resume: bool = False,
    seed: int = 0,
    progress: bool | None = None,
    checkpoint_every: int = 50,
) -> pd.DataFrame:
    """Train dynamics on episodes; Ctrl-C ends the run with what there is.

    Parameters
    ----------
    dynamics : Dynamics
        Trained in place; in evaluation mode afterwards.
    episodes : sequence of Episode
        On one mesh or several.
    lessons : sequence of Lesson
        One after another.
    directory : path-like, optional
        Run directory: configuration, versions, checkpoint, and in the end ``dynamics.safetensors``
        and ``losses.csv``.
    resume : bool
        Whether to go on with a run in that directory. It ends as if it had not been interrupted.
    seed : int
        Of windows and noise.
    progress : bool, optional
        Whether to show a bar; as in the settings if left out.
    checkpoint_every : int
        Iterations between checkpoints.

    Returns
    -------
    pandas.DataFrame
        ``lesson``, ``iteration``, ``loss`` (mean squared error of the states, in typical changes
        of a step), ``seconds``.

    Raises
    ------
    DataError
        If an episode is not one of these dynamics, or a state leaves its bounds.
    SettingsError
        If a lesson is longer than all episodes, or there is another run in the directory.
    WeightsError
        If the training diverges, a checkpoint is damaged, or nothing can be written.
    """
    course = _Course(dynamics, episodes, lessons, seed)
    return course.conduct(directory, resume, checkpoint_every, progress)


class _Course(Course):
    title, weights = "learned dynamics", "dynamics.safetensors"
    columns = ("lesson", "iteration", "loss", "seconds")

    def __init__(
        self,
        dynamics: Dynamics,
        episodes: Sequence[Episode],
        lessons: Sequence[Lesson],
        seed: int,
    ) -> None:
        self.dynamics, self.lessons, self.seed = dynamics, list(lessons), seed
        for episode in episodes:
            dynamics.check_episode(episode)
        self.episodes = [episode.to(dynamics.device) for episode in episodes]
        for episode in self.episodes:
            dynamics.check_states(episode.states)
        for k, lesson in enumerate(self.lessons):
            parallel.refuse_uneven(lesson.batch)
            if not self._long_enough(lesson):
                raise SettingsError(
                    f"The lesson needs {lesson.reach + 1} times; no episode has as many.",
                    f"lesson {k}",
                    "Shorten its rollout, push or spans, or give longer episodes",
                )
        self.generator = torch.Generator().manual_seed(seed)
        total = sum(lesson.iterations for lesson in self.lessons)
        super().__init__(dynamics, torch.optim.Adam(dynamics.parameters()), total, seed)

    def _long_enough(self, lesson: Lesson) -> list[Episode]:
        return [e for e in self.episodes if len(e.states) > lesson.reach]

    def configuration(self) -> dict[str, Any]:
        """Return what makes this run this run."""
        return {
            "dynamics": self.dynamics.about(),
            "architecture": self.dynamics.network.architecture.to_dict(),
            "lessons": [dataclasses.asdict(lesson) for lesson in self.lessons],
            "episodes": [e.digest() for e in self.episodes],
            "seed": self.seed,
        }

    def _place(self) -> tuple[int, int]:
        """Return the lesson, and the iteration within it, from 1."""
        lesson, left = 0, len(self.losses)
        while left >= self.lessons[lesson].iterations:
            left -= self.lessons[lesson].iterations
            lesson += 1
        return lesson, left + 1

    def _rates(self) -> list[float]:
        number, iteration = self._place()
        lesson = self.lessons[number]
        return [lesson.rate * 0.1 ** ((iteration - 1) / lesson.iterations)]

    def _draw(self, lesson: Lesson) -> tuple[Episode, np.ndarray, int]:
        choices = self._long_enough(lesson)
        episode = choices[self.random.integers(len(choices))]
        span = lesson.spans[self.random.integers(len(lesson.spans))]
        last = len(episode.states) - (lesson.push + lesson.rollout) * span
        return episode, self.random.integers(last, size=lesson.batch), span

    def _loss(self) -> Tensor:
        lesson = self.lessons[self._place()[0]]
        episode, starts, span = self._draw(lesson)
        begin = parallel.part(torch.from_numpy(starts))
        states = episode.states[begin]
        # states and, with inertia, their changes
        spread = self.dynamics.spread.repeat(states.shape[-1] // len(self.dynamics.spread))
        if lesson.noise:
            shape = (lesson.batch, *states.shape[1:])
            noise = torch.randn(shape, generator=self.generator, dtype=torch.float64)
            noise = parallel.part(noise).to(states.device)
            states = self.dynamics.bounded(states + lesson.noise * spread * noise)
        total = states.new_zeros(())
        for k in range(lesson.push + lesson.rollout):
            at = begin + k * span
            forcing = torch.stack([episode.forcing[at + m] for m in range(span)]).mean(dim=0)
            with torch.set_grad_enabled(k >= lesson.push):
                states = self.dynamics(episode.graph, states, forcing, episode.static, float(span))
            if k >= lesson.push:
                error = (states - episode.states[at + span]) / spread
                total = total + (episode.weights[:, None] * error**2).mean()
            else:
                states = states.detach()
        return total / lesson.rollout

    def _own(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        super().restore(state)
        self.generator.set_state(state["generator"])

    def _save(self, path: Path) -> None:
        self.dynamics.save(path)
