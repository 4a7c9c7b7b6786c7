"""Training in several processes: each takes its part of every batch, and gradients are averaged.

All begin with the weights of the first process.

Nothing is set up here. Where `torch.distributed` has been initialized (``torchrun``, gloo on
processors, nccl on graphics cards), trainings share their work; otherwise they run alone. Every
process draws the same random numbers, and takes its part of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from hybridwater.errors import SettingsError
from hybridwater.mgn.normaliser import Normaliser
from hybridwater.training.rundir import open_run


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
