"""What benchmarks of learned dynamics share: options, and a training that says how it went."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hybridwater.mgn import Dynamics, Episode, Lesson, train_dynamics


def read_arguments(description: str | None, *, peer: bool = False) -> argparse.Namespace:
    """Read the options, and make what follows repeatable on one thread.

    Parameters
    ----------
    description : str, optional
        What the script does.
    peer : bool
        Whether PhysicsNeMo's network can be asked for.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the training")
    parser.add_argument("--seed", type=int, default=0, help="of weights, windows and noise")
    if peer:
        parser.add_argument(
            "--peer", action="store_true", help="beside PhysicsNeMo's MeshGraphNet (mgn_peer.py)"
        )
    arguments = parser.parse_args()
    if peer and arguments.peer and arguments.directory:
        parser.error("--peer needs all seconds of our training in this run: omit --directory")
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    return arguments


def train_and_tell(
    dynamics: Dynamics,
    episodes: Sequence[Episode],
    lessons: Sequence[Lesson],
    directory: Path | None,
    **choices: Any,
) -> float:
    """Train, or go on with it, and print losses of the first and last iterations and seconds.

    Returns
    -------
    float
        Seconds of processor time now.
    """
    begun, worked = time.perf_counter(), time.process_time()
    table = train_dynamics(dynamics, episodes, lessons, directory=directory, resume=True, **choices)
    worked = time.process_time() - worked
    print(
        f"{dynamics.network.size} weights, loss {table.loss[:20].mean():.3g} -> "
        f"{table.loss[-20:].mean():.3g}, {table.seconds.max():.0f} s "
        f"({time.perf_counter() - begun:.0f} s now, {worked:.0f} s of the processor)",
        flush=True,
    )
    return worked
