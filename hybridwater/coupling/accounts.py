"""The account of a run: its balanced coupling steps, and what is in store at the last one's end."""

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
    """Rows of a ledger: those of a run, or of one run of a batch.

    Parameters
    ----------
    plan : Plan
        What belongs to what.
    columns : sequence of (str, str)
        As in `hybridwater.coupling.books.fields`.
    origin : datetime or None
        Date of time zero.
    path : pathlib.Path or None
        File for the rows; None keeps them in memory.
    """

    def __init__(
        self,
        plan: Plan,
        columns: Sequence[tuple[str, str]],
        origin: dt.datetime | None,
        path: Path | None,
    ) -> None:
        self._plan, self.columns = plan, columns
        self.totals = Totals(len(columns))
        layout = Layout(fields(columns), origin, "ledger of a coupled run", "coupling step")
        self.records = Records(layout, path)

    def begin(self, stored: np.ndarray, transit: np.ndarray) -> None:
        """Begin with what is in each component and on its way in each exchange [kg]."""
        self._stored, self._transit = stored, transit

    def settle(
        self, times: Sequence[tuple[float, float]], rows: np.ndarray, tolerance: float
    ) -> Iterator[tuple[int, list[str]]]:
        """Balance coupling steps and add their rows; return what `Balance.faults` does.

        Parameters
        ----------
        times : sequence of (float, float)
            Begin and end of each step [s].
        rows : numpy.ndarray
            Numbers of each step, shape (step, number).
        tolerance : float
            Relative to the water in store and moved.
        """
        balance = Balance(self._plan, rows, self._stored, self._transit)
        self.begin(balance.stored[-1].copy(), balance.transit[-1].copy())
        table = balance.table()
        self.totals.add(table)
        self.records.extend(times, list(table))
        return balance.faults(tolerance)


def to_dataset(accounts: Sequence[Account]) -> xr.Dataset:
    """Return all rows of one account, or of several that run together, as a dataset.

    See `CoupledModel.ledger`; rows of several accounts are in memory.
    """
    first, *others = accounts
    if not others:
        return books.to_dataset(first.records.to_dataset(), first.columns, first.totals.values)
    rows = np.stack([a.records.rows for a in accounts])
    records = first.records.layout.to_dataset(first.records.times, rows, of=("copy",))
    totals = np.stack([a.totals.values for a in accounts])
    return books.to_dataset(records, first.columns, totals, of=("copy",))
