"""What all trainings of this package share: steps, run directory, interruption, resumption."""

from __future__ import annotations

import json
import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from hybridwater import settings
from hybridwater.errors import WeightsError
from hybridwater.files import write_files
from hybridwater.interruption import deferred_interrupt
from hybridwater.mgn import parallel
from hybridwater.training.rundir import read_checkpoint, write_checkpoint

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

LOSSES = "losses.csv"


class Course(ABC):
    """A training under way.

    Parameters
    ----------
    module : torch.nn.Module
        What is trained.
    optimiser : torch.optim.Optimizer
        Of its parameters.
    iterations : int
        Steps of the optimiser.
    seed : int
        Of all that is drawn.
    """

    title: ClassVar[str]
    weights: ClassVar[str]
    columns: ClassVar[Sequence[str]] = ("iteration", "loss", "seconds")

    def __init__(
        self, module: nn.Module, optimiser: torch.optim.Optimizer, iterations: int, seed: int
    ) -> None:
        self.module, self.optimiser, self.iterations = module, optimiser, iterations
        self.random = np.random.default_rng(seed)
        self.seconds = 0.0
        self.losses: list[tuple[float, ...]] = []

    @property
    def device(self) -> torch.device:
        """Where the module lies."""
        return next(self.module.parameters()).device

    @abstractmethod
    def configuration(self) -> dict[str, Any]:
        """Return what makes this run this run."""

    @abstractmethod
    def _rates(self) -> Sequence[float]:
        """Return the learning rate of each group of parameters in this step."""

    @abstractmethod
    def _loss(self) -> Tensor:
        """Draw what this step is about, and return its loss."""

    @abstractmethod
    def _save(self, path: Path) -> None:
        """Write the weights."""

    def _place(self) -> tuple[int, ...]:
        """Return where the step under way is, for the table of losses."""
        return (len(self.losses) + 1,)

    def _own(self) -> dict[str, Any]:
        """Return what a checkpoint needs besides."""
        return {}

    def conduct(
        self, directory: str | Path | None, resume: bool, every: int, progress: bool | None
    ) -> pd.DataFrame:
        """Do what is left; Ctrl-C ends it after the step under way.

        Parameters
        ----------
        directory : path-like, optional
            Run directory, for checkpoints, weights and losses.
        resume : bool
            Whether to go on with a run in it.
        every : int
            Iterations between checkpoints.
        progress : bool, optional
            Whether to show a bar; as in the settings if left out.

        Returns
        -------
        pandas.DataFrame
            The losses.

        Raises
        ------
        WeightsError
            If a loss or its gradient is not finite.
        """
        parallel.share(self.module)
        folder = None
        if directory is not None:
            folder = Path(directory)
            parallel.open_together(folder, self.configuration(), resume)
            read_checkpoint(folder, self.restore)
            folder = folder if parallel.rank() == 0 else None
        try:
            self._run(folder, every, progress)
        except KeyboardInterrupt:
            logger.warning(
                "Interrupted after %d of %d iterations.", len(self.losses), self.iterations
            )
            if folder is not None:
                self.keep(folder)
        else:
            if folder is not None:
                self._finish(folder)
        finally:
            self.module.eval()
        return self.table()

    def _run(self, folder: Path | None, every: int, progress: bool | None) -> None:
        from rich.progress import Progress

        shown = settings.shows_progress(progress)
        shown &= parallel.rank() == 0
        with deferred_interrupt() as interrupt, Progress(disable=not shown) as bar:
            task = bar.add_task(self.title, total=self.iterations)
            while len(self.losses) < self.iterations:
                self._step()
                bar.update(task, completed=len(self.losses))
                if folder is not None and len(self.losses) % every == 0:
                    self.keep(folder)
                if parallel.mean(interrupt.asked, self.device):
                    raise KeyboardInterrupt

    def _step(self) -> None:
        begun, place = time.perf_counter(), self._place()
        for group, rate in zip(self.optimiser.param_groups, self._rates(), strict=True):
            group["lr"] = rate
        self.module.train()
        self.optimiser.zero_grad()
        with parallel.together(self.module):
            loss = self._loss()
            loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        value = parallel.mean(loss.item(), self.device)
        # All processes have the same two numbers, and end together.
        if not (math.isfinite(value) and bool(torch.isfinite(norm))):
            raise WeightsError(
                f"The training diverged: the loss is {value:.3g}, its gradient {float(norm):.3g}.",
                f"{self.title}, iteration {len(self.losses) + 1}",
                "Train at a lower rate; the weights are still those of the iteration before",
            )
        self.optimiser.step()
        self.seconds += time.perf_counter() - begun
        self.losses.append((*place, value, self.seconds))

    def keep(self, folder: Path) -> None:
        """Write everything that is needed to go on."""
        state = {
            "module": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "seconds": self.seconds,
            "losses": json.dumps(self.losses),
            "random": json.dumps(self.random.bit_generator.state),
        }
        write_checkpoint(folder, {**state, **self._own()})

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.module.load_state_dict(state["module"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.seconds = state["seconds"]
        self.losses = [tuple(row) for row in json.loads(state["losses"])]
        self.random.bit_generator.state = json.loads(state["random"])

    def _finish(self, folder: Path) -> None:
        """Write the result. The checkpoint stays: a finished run that is resumed is this one."""
        self.keep(folder)
        self.module.eval()
        self._save(folder / self.weights)
        text = self.table().to_csv(index=False).encode()
        write_files({folder / LOSSES: text}, error=WeightsError)

    def table(self) -> pd.DataFrame:
        """Return the losses."""
        import pandas as pd

        return pd.DataFrame(self.losses, columns=list(self.columns))
