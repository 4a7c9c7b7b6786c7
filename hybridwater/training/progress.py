"""The progress bar of a fit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from hybridwater import settings
from hybridwater.training.schedule import Stage
from hybridwater.training.trainer import Report, Trainer


@contextlib.contextmanager
def progress(stages: Sequence[Stage], trainer: Trainer, show: bool | None) -> Iterator[Report]:
    """Show epochs, current loss and skill while training; yield what takes the metrics.

    Parameters
    ----------
    stages : sequence of Stage
        The schedule.
    trainer : Trainer
        Where a resumed run stands.
    show : bool, optional
        As in the settings if left out.
    """
    if not settings.shows_progress(show):
        yield lambda stage, row: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[skill]}"),
    )
    with Progress(*columns) as bar:
        tasks = {}

        def report(stage: Stage, row: dict[str, Any]) -> None:
            index = trainer.stage_index
            if index not in tasks:
                tasks[index] = bar.add_task(stage.kind, total=stage.epochs, skill="")
            parts = [f"loss {row['loss']:.4f}"]
            parts += [
                f"{name.removesuffix('_nse')} NSE {row[name]:.3f}"
                for name in ("train_nse", "validation_nse")
                if name in row
            ]
            bar.update(tasks[index], completed=row["epoch"], skill=", ".join(parts))

        yield report
