"""The report of a coupled run: its graph, its water, and its time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hybridwater.report.graph import coupling_graph
from hybridwater.report.ledger import relative_residual, water_ledger
from hybridwater.report.page import Section, Table, write_report

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from rich.table import Table as Printed

    from hybridwater.cases.coupled import CoupledCase
    from hybridwater.coupling import CoupledModel


def coupled_sections(case: CoupledCase, model: CoupledModel) -> list[Section]:
    """Return the parts of the report of a coupled run.

    Parameters
    ----------
    case : CoupledCase
        The case.
    model : CoupledModel
        After it has run.
    """
    ledger = model.ledger()
    return [
        Section(
            "Components and exchanges",
            "What runs, and what one gives the other.",
            [coupling_graph(*case.graph())],
        ),
        Section(
            "Water",
            "Every kilogram is booked where it leaves, on its way, and where it arrives. What was "
            "missing in a coupling step is at most "
            f"{float(relative_residual(ledger).max()):.1e} of the water that moved and was there.",
            [water_ledger(ledger)],
            [
                Table(component_totals(ledger), "Components, over the whole run"),
                Table(exchange_totals(ledger), "Exchanges, over the whole run"),
                *_fallbacks(model),
            ],
        ),
        Section("Time", "Time on this computer.", tables=[_seconds(model)]),
    ]


def write_coupled_report(case: CoupledCase, model: CoupledModel, folder: Path) -> Path:
    """Write ``report.html`` into a run directory, and return its path."""
    return write_report(
        folder / "report.html",
        title=case.name,
        subtitle=f"Coupled run of {len(case.components)} components until {model.time}",
        sections=coupled_sections(case, model),
    )


def _fallbacks(model: CoupledModel) -> list[Table]:
    """Return how often learned exchanges were out of the range of their training."""
    import pandas as pd

    if not model.fallbacks:
        return []
    frame = pd.DataFrame(model.fallbacks, index=["as the baseline", "all"]).T
    frame.index.name = "exchange"
    return [Table(frame, "Learned exchanges: steps out of the range of the training")]


_HM3 = 1e9  # kg in a cubic hectometre, a million m3


def component_totals(ledger: xr.Dataset) -> pd.DataFrame:
    """Return what came in, went out, stayed and is missing in each component [hm3]."""
    columns = {
        "in": "total_inflow",
        "out": "total_outflow",
        "change of storage": "total_storage_change",
        "missing": "total_component_residual",
    }
    return _totals(ledger, "component", columns)


def exchange_totals(ledger: xr.Dataset) -> pd.DataFrame:
    """Return what each exchange took, added of its own if any did, delivered and lost [hm3]."""
    columns = {
        "given": "total_given",
        **({"added": "total_added"} if ledger["total_added"].any() else {}),
        "delivered": "total_delivered",
        "to nowhere": "total_unmapped",
        "missing": "total_exchange_residual",
    }
    return _totals(ledger, "exchange", columns)


def _totals(ledger: xr.Dataset, dimension: str, columns: dict[str, str]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(
        {name: ledger[variable].values / _HM3 for name, variable in columns.items()},
        index=pd.Index(ledger[dimension].values.astype(str), name=dimension),
    )
    frame.attrs["units"] = dict.fromkeys(columns, "hm3")
    return frame


def ledger_table(ledger: xr.Dataset) -> Printed:
    """Return the totals of a ledger as a table for a terminal.

    Parameters
    ----------
    ledger : xarray.Dataset
        As of :meth:`hybridwater.coupling.CoupledModel.ledger`.
    """
    from rich.table import Table as Printed

    from hybridwater.report.style import scientific

    table = Printed(
        title="Water (hm3, million m3)", title_justify="left", caption_justify="left", box=None
    )
    components, exchanges = component_totals(ledger), exchange_totals(ledger)
    blank = [""] * (exchanges.shape[1] - components.shape[1])
    for i, head in enumerate(("", *components.columns, *blank)):
        table.add_column(head, justify="right" if i else "left")
    for frame in (components, exchanges):
        if frame is exchanges and len(frame):
            table.add_row()
            table.add_row("", *(f"[bold]{head}[/]" for head in frame.columns))
        for name, row in frame.iterrows():
            table.add_row(str(name), *map(scientific, row))
    worst = float(relative_residual(ledger).max()) if ledger.sizes["time"] else 0.0
    table.caption = (
        f"Missing in a coupling step, relative to the water there is: {worst:.1e} at most"
    )
    return table


def _seconds(model: CoupledModel) -> pd.DataFrame:
    import pandas as pd

    spent = pd.Series(model.seconds)
    frame = pd.DataFrame({"time": spent, "share": 100 * spent / max(spent.sum(), 1e-9)})
    frame.index.name = "component"
    frame.attrs["units"] = {"time": "s", "share": "percent"}
    return frame
