"""The sign that a search for equations is under way, and for how long."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from hybridwater import settings


@contextlib.contextmanager
def searching(what: str, show: bool | None) -> Iterator[None]:
    """Show a running clock while the block runs; how long a search takes is not known before.

    Parameters
    ----------
    what : str
        What is searched for.
    show : bool, optional
        As in the settings if left out.
    """
    if not settings.shows_progress(show):
        yield
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns) as bar:
        task = bar.add_task(f"equations of {what}", total=None)
        yield
        bar.update(task, total=1, completed=1)
