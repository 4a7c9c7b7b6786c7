"""The account of runs: their balanced steps, and what is in store at the end of the last one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.coupling import books
from hybridwater.coupling.balance import Balance, Plan
from hybridwater.coupling.books import Totals, fields
from hybridwater.coupling.records import Layout, Records

if TYPE_CHECKING:
    import datetime as dt

    import xarray as xr


class Account:
    """Rows of a ledger: those of a run, or of the runs of a batch, each balanced for itself.

    Parameters
    ----------
    plan : Plan
        What belongs to what.
    columns : sequence of (str, str)
        As in `hybridwater.coupling.books.fields`.
    origin : datetime or None
        Date of time zero.
    path : pathlib.Path or None
        File for the rows of one run; None keeps them in memory.
    copies : int
        How many runs there are.
    """

    def __init__(
        self,
        plan: Plan,
        columns: Sequence[tuple[str, str]],
        origin: dt.datetime | None,
        path: Path | None,
        copies: int,
    ) -> None:
        self._plan, self._columns = plan, columns
        self.totals = Totals(copies, len(columns))
        layout = Layout(fields(columns), origin, "ledger of a coupled run", "coupling step")
        self._records = [Records(layout, path) for _ in range(copies)]

    @property
    def records(self) -> Records:
        """The rows; in a batch, those of the first run."""
        return self._records[0]

    def begin(self, stored: np.ndarray, transit: np.ndarray) -> None:
        """Begin with what is in components and on its way in exchanges [kg], (copy, number)."""
        self._stored, self._transit = stored, transit

    def settle(
        self, times: Sequence[tuple[float, float]], rows: np.ndarray, tolerance: float
    ) -> Iterator[tuple[int, int, list[str]]]:
        """Balance coupling steps and add their rows; return what `Balance.faults` does.

        Parameters
        ----------
        times : sequence of (float, float)
            Begin and end of each step [s].
        rows : numpy.ndarray
            Numbers of each step, shape (copy, step, number).
        tolerance : float
            Relative to the water in store and moved.
        """
        balance = Balance(self._plan, rows, self._stored, self._transit)
        self.begin(balance.stored[:, -1].copy(), balance.transit[:, -1].copy())
        table = balance.table()
        self.totals.add(table)
        for records, own in zip(self._records, table, strict=True):
            records.extend(times, list(own))
        return balance.faults(tolerance)

    def to_dataset(self) -> xr.Dataset:
        """Return all rows as a dataset; see `CoupledModel.ledger`.

        Rows of several runs are in memory.
        """
        first, totals = self.records, self.totals.values
        if len(self._records) == 1:
            return books.to_dataset(first.to_dataset(), self._columns, totals[0])
        rows = np.stack([records.rows for records in self._records])
        made = first.layout.to_dataset(first.times, rows, of=("copy",))
        return books.to_dataset(made, self._columns, totals, of=("copy",))
