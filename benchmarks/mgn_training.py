"""What benchmarks of learned dynamics share: options, and a training that says how it went."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hybridwater.mgn import Dynamics, Episode, Lesson, train_dynamics


def read_arguments(description: str | None) -> argparse.Namespace:
    """Read the options, and make what follows repeatable on one thread."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the training")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return arguments


def train_and_tell(
    dynamics: Dynamics,
    episodes: Sequence[Episode],
    lessons: Sequence[Lesson],
    directory: Path | None,
    **choices: Any,
) -> None:
    """Train, or go on with it, and print losses of the first and last iterations and seconds."""
    begun = time.perf_counter()
    table = train_dynamics(dynamics, episodes, lessons, directory=directory, resume=True, **choices)
    print(
        f"{dynamics.network.size} weights, loss {table.loss[:20].mean():.3g} -> "
        f"{table.loss[-20:].mean():.3g}, {table.seconds.max():.0f} s "
        f"({time.perf_counter() - begun:.0f} s now)",
        flush=True,
    )
