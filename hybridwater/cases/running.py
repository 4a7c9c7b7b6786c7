"""What a coupled run shows: progress while it runs, and the ledger at the end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hybridwater import settings

if TYPE_CHECKING:
    import xarray as xr
    from rich.table import Table

_DAY = 86400.0
_REFRESH = 0.1


@contextlib.contextmanager
def progress(name: str, show: bool | None = None) -> Iterator[Callable[[float, float], None]]:
    """Show the simulated time, and how much of it passes in a second; yield what takes both.

    Parameters
    ----------
    name : str
        Name of the run.
    show : bool, optional
        As in the settings if left out.

    Yields
    ------
    callable
        The ``report`` of :meth:`hybridwater.coupling.CoupledModel.run`.
    """
    if not (settings.current().progress if show is None else show):
        yield lambda now, end: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[days]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[speed]}"),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(name, total=None, days="reading ...", speed="")
        began, first, shown = time.perf_counter(), None, 0.0

        def report(now: float, end: float) -> None:
            nonlocal began, first, shown
            clock = time.perf_counter()
            if first is None:  # the first step compiles, and says nothing about those to come
                began, first = clock, now
            elif clock - shown < _REFRESH and now < end:
                return
            shown = clock
            speed = (now - first) / (clock - began) if clock > began else 0.0
            bar.update(
                task,
                total=end,
                completed=now,
                days=f"{now / _DAY:,.1f} of {end / _DAY:,.1f} days",
                speed=f"{speed / _DAY:,.1f} simulated days per second" if speed else "",
            )

        yield report


def ledger_table(ledger: xr.Dataset) -> Table:
    """Return the totals of a ledger as a table for a terminal.

    Parameters
    ----------
    ledger : xarray.Dataset
        As of :meth:`hybridwater.coupling.CoupledModel.ledger`.
    """
    from rich.table import Table

    from hybridwater.cases.coupled_report import component_totals, exchange_totals
    from hybridwater.report.ledger import relative_residual
    from hybridwater.report.style import scientific

    table = Table(
        title="Water (hm3, million m3)", title_justify="left", caption_justify="left", box=None
    )
    for frame in (component_totals(ledger), exchange_totals(ledger)):
        if not table.columns:
            for head in ("", *frame.columns):
                table.add_column(head, justify="right" if head else "left")
        elif len(frame):
            table.add_row()
            table.add_row("", *(f"[bold]{head}[/]" for head in frame.columns))
        for name, row in frame.iterrows():
            table.add_row(str(name), *map(scientific, row))
    worst = float(relative_residual(ledger).max()) if ledger.sizes["time"] else 0.0
    table.caption = (
        f"Missing in a coupling step, relative to the water there is: {worst:.1e} at most"
    )
    return table
