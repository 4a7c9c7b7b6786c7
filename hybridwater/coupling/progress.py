"""The progress bar of a coupled run: simulated time, and how fast it goes by."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator

from hybridwater import settings
from hybridwater.coupling.clock import moment

_DAY = 86400.0


@contextlib.contextmanager
def progress(
    begin: float, end: float, origin: dt.datetime | None, show: bool | None
) -> Iterator[Callable[[float], None]]:
    """Show how far a run is; yield what takes its time.

    Parameters
    ----------
    begin, end : float
        Of the run [s].
    origin : datetime or None
        Date of time zero.
    show : bool, optional
        As in the settings if left out.
    """
    if not settings.shows_progress(show):
        yield lambda now: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[speed]}"),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(moment(begin, origin), total=end - begin, speed="")
        began = time.perf_counter()
        last = began

        def report(now: float) -> None:
            nonlocal last
            clock = time.perf_counter()
            if clock - last < 0.1 and now < end:
                return
            last = clock
            rate = (now - begin) / _DAY / max(clock - began, 1e-9)
            bar.update(
                task,
                completed=now - begin,
                description=moment(now, origin),
                speed=f"{rate:.3g} simulated days per second",
            )

        yield report
