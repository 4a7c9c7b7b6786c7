"""The coupled run of the whole basin, beside what was observed at its gages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from hybridwater.report import Section


@dataclass(frozen=True)
class Coupled:
    """What the coupled run of the whole basin made.

    Parameters
    ----------
    skill : pandas.DataFrame
        One row per gage: NSE, KGE and bias.
    closure : float
        The most that was missing in a day, relative to the water that moved and was there.
    days : int
        How many days were run.
    sections : list of Section
        Its parts of the report.
    learned : pandas.DataFrame
        As ``skill``, of the run with a learned exchange, over the days that it did not learn from.
    baseline : pandas.DataFrame
        As ``skill``, over the same days.
    discharge : xarray.Dataset
        As of :func:`hybridwater.cases.delaware.gage_discharge`, of the run without it.
    """

    skill: pd.DataFrame
    closure: float
    days: int
    sections: list[Section]
    learned: pd.DataFrame
    baseline: pd.DataFrame
    discharge: xr.Dataset

    def summary(self) -> str:
        """Return it in a few lines."""
        nse = self.skill["NSE"]
        without, with_it = self.baseline["NSE"].median(), self.learned["NSE"].median()
        return (
            f"Coupled run of the whole basin (PRMS land, groundwater, channel), {self.days} days:\n"
            f"  median NSE {nse.median():.3f} at {len(nse)} gages; of the water, "
            f"{self.closure:.0e} was missing in a day at most.\n"
            f"  With the learned exchange from land to rivers, in days it did not learn from: "
            f"{with_it:.3f} (without: {without:.3f})."
        )


def run_coupled(
    out: str | Path,
    *,
    until: str | None = None,
    since: str = "1980-01-01",
    show_progress: bool | None = None,
) -> Coupled:
    """Run the coupled case of the Delaware River Basin, and compare it with observed discharge.

    It runs twice: with what land gives arriving in the rivers as it is, and through the learned
    exchange that comes with the package.

    Parameters
    ----------
    out : str or pathlib.Path
        Run directory.
    until : str, optional
        End, if another one than that of the case.
    since : str
        First day of the comparison with the learned exchange, which learned from 1979.
    show_progress : bool, optional
        As in the settings if left out.

    Returns
    -------
    Coupled

    Raises
    ------
    MissingDependency
        If pywatershed is not installed.
    """
    from hybridwater.cases.coupled_report import coupled_sections
    from hybridwater.cases.delaware import (
        delaware_case,
        gage_discharge,
        gage_section,
        gage_skill,
        learned_section,
    )
    from hybridwater.report.ledger import relative_residual

    out = Path(out)
    case = delaware_case()
    model = case.run(directory=out, until=until, progress=show_progress)
    ledger, discharge = model.ledger(), gage_discharge(model)
    more = delaware_case(learned=True).run(
        directory=out / "learned", until=until, progress=show_progress
    )
    learned = gage_discharge(more)
    sections = [
        gage_section(discharge),
        learned_section(discharge, learned, since),
        *coupled_sections(case, model),
    ]
    closure = max(float(relative_residual(m.ledger()).max()) for m in (model, more))
    model.close()
    more.close()
    later = slice(since, None)
    return Coupled(
        gage_skill(discharge),
        closure,
        ledger.sizes["time"],
        sections,
        gage_skill(learned.sel(time=later)),
        gage_skill(discharge.sel(time=later)),
        discharge,
    )
