"""The progress bar of an ensemble."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from hybridwater import settings


@contextlib.contextmanager
def progress(members: int, kept: int, show: bool | None) -> Iterator[Callable[[int, int], None]]:
    """Show how many members are done; yield what takes how many more, and how many failed in all.

    Parameters
    ----------
    members, kept : int
        All, and those that an earlier run has done.
    show : bool, optional
        As in the settings if left out.
    """
    if not settings.shows_progress(show):
        yield lambda more, failed: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("members"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}"),
    )
    with Progress(*columns) as bar:
        task = bar.add_task("members", total=members, completed=kept, failed="")

        def report(more: int, failed: int) -> None:
            bar.update(task, advance=more, failed=f"{failed} failed" if failed else "")

        yield report
