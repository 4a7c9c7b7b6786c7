"""Training in several processes: each takes its part of every batch, and gradients are averaged.

All begin with the weights of the first process.

Where `torch.distributed` has been initialized, such as by `begin` under ``torchrun``, trainings
share their work; otherwise they run alone. Every process draws the same random numbers, and takes
its part of them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from hybridwater.errors import SettingsError
from hybridwater.mgn.normaliser import Normaliser
from hybridwater.training.rundir import open_run


def begin() -> torch.device:
    """Meet the other processes that ``torchrun`` started, and return the device of this one.

    Over nccl where the machine has graphics cards, one for each process; over gloo, on processors,
    where it has none. What is trained has to be moved to that device.

    Raises
    ------
    SettingsError
        If this process was not started by ``torchrun``, or there are cards, but too few.
    """
    if not distributed.is_torchelastic_launched():
        raise SettingsError(
            "This process was not started by torchrun.",
            fix="Start it so: torchrun --nproc-per-node 2 script.py",
        )
    local, here = (int(os.environ[name]) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    backend, device = choose(local, here, torch.cuda.device_count())
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group(backend)
    return device


def choose(local: int, here: int, cards: int) -> tuple[str, torch.device]:
    """Choose how processes talk, and the device of one of them.

    Parameters
    ----------
    local : int
        Which of the processes on this machine it is.
    here : int
        How many of them there are.
    cards : int
        Graphics cards of this machine.

    Raises
    ------
    SettingsError
        If there are cards, but fewer than processes: nccl takes no two processes on one.
    """
    if not cards:
        return "gloo", torch.device("cpu")
    if here > cards:
        raise SettingsError(
            f"There are {here} processes on this machine and {cards} graphics cards.",
            fix=f"torchrun --nproc-per-node {cards}, or hide the cards: CUDA_VISIBLE_DEVICES=''",
        )
    return "nccl", torch.device("cuda", local)


def rank() -> int:
    """Return which of the processes this is; 0 where there is one."""
    return distributed.get_rank() if _shared() else 0


def processes() -> int:
    """Return how many there are."""
    return distributed.get_world_size() if _shared() else 1


def _shared() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def part(rows: Tensor) -> Tensor:
    """Return what this process has of a batch, by its first dimension."""
    return rows[rank() :: processes()]


def refuse_uneven(batch: int) -> None:
    """Refuse a batch of which processes would have parts of different sizes.

    Raises
    ------
    SettingsError
        If it is one.
    """
    if batch % processes():
        raise SettingsError(
            f"A batch of {batch} cannot be shared by {processes()} processes.",
            fix="Give a batch that is a multiple of their number",
        )


def wait() -> None:
    """Wait until all processes are here."""
    if _shared():
        distributed.barrier()


def open_together(folder: Path, configuration: dict[str, Any], resume: bool) -> None:
    """Open a run directory, which the first process alone writes to; the others wait for it.

    Raises
    ------
    SettingsError, WeightsError
        As :func:`hybridwater.training.rundir.open_run`.
    """
    if rank() == 0:
        open_run(folder, configuration, resume)
    wait()


def share(module: nn.Module) -> None:
    """Give all processes the weights of the first, however each of them began."""
    if _shared():
        for tensor in (*module.parameters(), *module.buffers()):
            distributed.broadcast(tensor.data, src=0)


def mean(value: float, device: torch.device) -> float:
    """Return the mean of a number over all processes, sent from where the module lies.

    Nccl takes nothing that lies elsewhere.
    """
    if not _shared():
        return value
    sent = torch.tensor(value, dtype=torch.float64, device=device)
    distributed.all_reduce(sent)
    return float(sent) / processes()


@contextlib.contextmanager
def together(module: nn.Module) -> Iterator[None]:
    """Make gradients, and what normalisers have seen, those of all processes.

    Around a forward and a backward pass. In the first passes, normalisers know their own part of
    the batch alone.
    """
    if not _shared():
        yield
        return
    seen = [m for m in module.modules() if isinstance(m, Normaliser)]
    before = [[b.clone() for b in m.buffers()] for m in seen]
    yield
    for parameter in module.parameters():
        if parameter.grad is not None:
            distributed.all_reduce(parameter.grad)
            parameter.grad /= processes()
    for normaliser, old in zip(seen, before, strict=True):
        for now, was in zip(normaliser.buffers(), old, strict=True):
            change = now - was
            distributed.all_reduce(change)
            now.copy_(was + change)
