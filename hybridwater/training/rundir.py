"""The run directory: everything about a fit that is needed to repeat it or go on with it.

``configuration.json`` (model, data, periods, schedule, solver), ``environment.json`` (versions),
``checkpoint.pt`` (while training), ``metrics.csv``, ``surrogate.json`` and
``surrogate.safetensors`` (the result).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import hybridwater
from hybridwater.errors import SettingsError, WeightsError
from hybridwater.files import write_files
from hybridwater.training.problem import Problem
from hybridwater.training.storage import DOCUMENT
from hybridwater.training.surrogate import Surrogate
from hybridwater.training.trainer import Trainer

_PACKAGES = ("numpy", "torch", "jax", "jaxlib", "diffrax", "xarray", "sympy", "juliacall")
_CONFIGURATION, _ENVIRONMENT, _CHECKPOINT = (
    "configuration.json",
    "environment.json",
    "checkpoint.pt",
)


def describe_data(problem: Problem) -> dict[str, Any]:
    """Say what data a fit used: basins, time axis and a digest of the numbers."""
    digest = hashlib.sha256(problem.records.values.tobytes())
    for values in (*problem.observed.values(), problem.attributes):
        if values is not None:
            digest.update(np.ascontiguousarray(values.numpy()).tobytes())
    time = problem.records.time
    return {
        "basins": list(problem.records.basins),
        "time": [time[0].isoformat(), time[-1].isoformat()],
        "records": len(time),
        "sha256": digest.hexdigest(),
    }


def environment() -> dict[str, str]:
    """Return versions of what computes."""
    found = {"hybridwater": hybridwater.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        found[name] = importlib.metadata.version(name)
    return {**found, "platform": platform.platform()}


@dataclass(frozen=True)
class Run:
    """An open run directory."""

    directory: Path

    @property
    def finished(self) -> bool:
        """Whether there is a result and nothing to go on from."""
        there = [(self.directory / name).is_file() for name in (DOCUMENT, _CHECKPOINT)]
        return there == [True, False]

    def checkpoint(self, trainer: Trainer) -> None:
        """Write everything that is needed to go on."""
        state = {
            "stage_index": trainer.stage_index,
            "epoch": trainer.epoch,
            "seconds": trainer.seconds,
            "module": trainer.objective.module.state_dict(),
            "optimiser": None if trainer.optimiser is None else trainer.optimiser.state_dict(),
            "best_loss": torch.from_numpy(trainer.best.loss.copy()),
            "best": trainer.best.tensors,
            "best_stale": torch.from_numpy(trainer.best.stale.copy()),
            "skeleton": trainer.skeleton,
            "rng": json.dumps(trainer.rng.bit_generator.state),
            "torch_rng": torch.get_rng_state(),
            "metrics": json.dumps(trainer.metrics),
        }
        write_checkpoint(self.directory, state)

    def restore(self, trainer: Trainer) -> None:
        """Bring a trainer to where its last checkpoint was; to its beginning if there is none.

        Raises
        ------
        WeightsError
            If the checkpoint is damaged.
        """
        read_checkpoint(self.directory, trainer.restore)

    def finish(self, surrogate: Surrogate, trainer: Trainer) -> None:
        """Write the result; an interrupted run keeps its checkpoint."""
        surrogate.save(self.directory)
        if not trainer.interrupted:
            (self.directory / _CHECKPOINT).unlink(missing_ok=True)


def write_checkpoint(directory: Path, state: dict[str, Any]) -> None:
    """Write what a training needs to go on: tensors, numbers and texts."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_files({directory / _CHECKPOINT: buffer.getvalue()}, error=WeightsError)


def read_checkpoint(directory: Path, restore: Callable[[dict[str, Any]], None]) -> None:
    """Hand the last checkpoint to what restores a training; do nothing if there is none.

    Raises
    ------
    WeightsError
        If the checkpoint is damaged.
    """
    path = directory / _CHECKPOINT
    if not path.is_file():
        return
    try:
        restore(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise WeightsError(
            f"The checkpoint cannot be read ({type(error).__name__}).",
            str(path),
            "Remove the run directory to begin again",
        ) from error


def is_unfinished(directory: Path) -> bool:
    """Say whether a run directory holds a checkpoint to go on from."""
    return (directory / _CHECKPOINT).is_file()


def open_run(directory: Path, configuration: dict[str, Any], resume: bool) -> Run:
    """Make a run directory, or open one to go on.

    Raises
    ------
    SettingsError
        If there is a run already and ``resume`` is false, or it has another configuration.
    WeightsError
        If the configuration there is damaged, or nothing can be written.
    """
    path = directory / _CONFIGURATION
    text = json.dumps(configuration, indent=1)
    if path.is_file():
        if not resume:
            raise SettingsError(
                "There is a run in this directory already.",
                str(directory),
                "Choose another directory, or go on with resume=True",
            )
        now = json.loads(text)
        try:
            before = json.loads(path.read_text())
            changed = [k for k in now if before.get(k) != now[k]]
        except (ValueError, AttributeError) as error:
            raise WeightsError(
                f"The configuration of the run cannot be read ({error}).",
                str(path),
                "Remove the run directory to begin again",
            ) from error
        if changed:
            raise SettingsError(
                f"The run in this directory was made with another {', '.join(changed)}.",
                str(directory),
                "Resume with the same input, or choose another directory",
            )
        return Run(directory)
    versions = json.dumps(environment(), indent=1)
    write_files(
        {directory / _ENVIRONMENT: versions.encode(), path: text.encode()}, error=WeightsError
    )
    return Run(directory)
