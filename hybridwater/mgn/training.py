"""Training dynamics: noise, push-forward, rollouts that grow, interruption and resumption."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hybridwater import settings
from hybridwater.errors import SettingsError, WeightsError
from hybridwater.files import write_files
from hybridwater.interruption import deferred_interrupt
from hybridwater.mgn import parallel
from hybridwater.mgn.dynamics import Dynamics
from hybridwater.mgn.episodes import Episode
from hybridwater.training.rundir import read_checkpoint, write_checkpoint

if TYPE_CHECKING:
    import pandas as pd

WEIGHTS, LOSSES = "dynamics.safetensors", "losses.csv"


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
    SettingsError
        If a lesson is longer than all episodes, or there is another run in the directory.
    WeightsError
        If a checkpoint is damaged or nothing can be written.
    """
    course = _Course(dynamics, episodes, lessons, seed)
    folder = None
    if directory is not None:
        folder = Path(directory)
        parallel.open_together(folder, course.configuration(), resume)
        read_checkpoint(folder, course.restore)
        folder = folder if parallel.rank() == 0 else None
    try:
        course.run(folder, checkpoint_every, progress)
    except KeyboardInterrupt:
        if folder is not None:
            course.keep(folder)
    else:
        if folder is not None:
            course.finish(folder)
    dynamics.eval()
    return course.table()


class _Course:
    """A training under way."""

    def __init__(
        self,
        dynamics: Dynamics,
        episodes: Sequence[Episode],
        lessons: Sequence[Lesson],
        seed: int,
    ) -> None:
        self.dynamics, self.episodes, self.lessons = dynamics, list(episodes), list(lessons)
        self.seed = seed
        for k, lesson in enumerate(self.lessons):
            parallel.refuse_uneven(lesson.batch)
            if not self._long_enough(lesson):
                raise SettingsError(
                    f"The lesson needs {lesson.reach + 1} times; no episode has as many.",
                    f"lesson {k}",
                    "Shorten its rollout, push or spans, or give longer episodes",
                )
        self.random = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.lesson, self.iteration, self.seconds = 0, 0, 0.0
        self.optimiser = torch.optim.Adam(dynamics.parameters())
        self.losses: list[tuple[int, int, float, float]] = []

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

    def run(self, folder: Path | None, every: int, progress: bool | None) -> None:
        """Go through what is left of the lessons."""
        from rich.progress import Progress

        shown = settings.current().progress if progress is None else progress
        shown &= parallel.rank() == 0
        with deferred_interrupt() as interrupt, Progress(disable=not shown) as bar:
            for k in range(self.lesson, len(self.lessons)):
                lesson = self.lessons[k]
                task = bar.add_task(f"lesson {k + 1}", total=lesson.iterations)
                while self.iteration < lesson.iterations:
                    self._step(lesson)
                    bar.update(task, completed=self.iteration)
                    if folder is not None and self.iteration % every == 0:
                        self.keep(folder)
                    if parallel.mean(interrupt.asked):
                        raise KeyboardInterrupt
                self.lesson, self.iteration = k + 1, 0

    def _step(self, lesson: Lesson) -> None:
        begun = time.perf_counter()
        episode, starts, span = self._draw(lesson)
        done = self.iteration / lesson.iterations
        for group in self.optimiser.param_groups:
            group["lr"] = lesson.rate * 0.1**done
        self.dynamics.train()
        self.optimiser.zero_grad()
        with parallel.together(self.dynamics):
            loss = self._loss(lesson, episode, starts, span)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.dynamics.parameters(), 1.0)
        self.optimiser.step()
        self.iteration += 1
        self.seconds += time.perf_counter() - begun
        self.losses.append((self.lesson, self.iteration, parallel.mean(loss.item()), self.seconds))

    def _draw(self, lesson: Lesson) -> tuple[Episode, np.ndarray, int]:
        choices = self._long_enough(lesson)
        episode = choices[self.random.integers(len(choices))]
        span = lesson.spans[self.random.integers(len(lesson.spans))]
        last = len(episode.states) - (lesson.push + lesson.rollout) * span
        return episode, self.random.integers(last, size=lesson.batch), span

    def _loss(self, lesson: Lesson, episode: Episode, starts: np.ndarray, span: int) -> Tensor:
        begin = parallel.part(torch.from_numpy(starts))
        states = episode.states[begin]
        # states and, with inertia, their changes
        spread = self.dynamics.spread.repeat(states.shape[-1] // len(self.dynamics.spread))
        if lesson.noise:
            shape = (lesson.batch, *states.shape[1:])
            noise = torch.randn(shape, generator=self.generator, dtype=torch.float64)
            states = states + lesson.noise * spread * parallel.part(noise)
            least, most = (getattr(self.dynamics, n, None) for n in ("least", "most"))
            if least is not None or most is not None:
                states = states.clamp(least, most)
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

    def keep(self, folder: Path) -> None:
        """Write everything that is needed to go on."""
        state = {
            "dynamics": self.dynamics.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "lesson": self.lesson,
            "iteration": self.iteration,
            "seconds": self.seconds,
            "losses": json.dumps(self.losses),
            "random": json.dumps(self.random.bit_generator.state),
            "generator": self.generator.get_state(),
        }
        write_checkpoint(folder, state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.dynamics.load_state_dict(state["dynamics"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.lesson, self.iteration = state["lesson"], state["iteration"]
        self.seconds = state["seconds"]
        self.losses = [tuple(row) for row in json.loads(state["losses"])]
        self.random.bit_generator.state = json.loads(state["random"])
        self.generator.set_state(state["generator"])

    def finish(self, folder: Path) -> None:
        """Write the result. The checkpoint stays: a finished run that is resumed is this one."""
        self.keep(folder)
        self.dynamics.eval().save(folder / WEIGHTS)
        text = self.table().to_csv(index=False).encode()
        write_files({folder / LOSSES: text}, error=WeightsError)

    def table(self) -> pd.DataFrame:
        """Return the losses."""
        import pandas as pd

        return pd.DataFrame(self.losses, columns=["lesson", "iteration", "loss", "seconds"])
