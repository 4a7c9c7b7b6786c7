"""The report of an ensemble: what is uncertain, the forecast, its scores, and whose variance."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hybridwater import scores
from hybridwater.cases.coupled_simulator import LEDGER
from hybridwater.ensembles import variance_shares
from hybridwater.errors import EnsembleError
from hybridwater.report.ensembles import coverage_chart, fan_chart, pit_histogram, variance_chart
from hybridwater.report.page import Section, Table, write_report
from hybridwater.scores.pairs import there
from hybridwater.scores.probabilistic import central_interval, reach

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from hybridwater.cases.ensemble import EnsembleCase

_FEWEST = 150  # records that the test of a PIT histogram needs
_MANY = 10  # sites from which one is not enough to see how good the forecast is
_SHOWN = ("median", "high", "low")


def write_ensemble_report(case: EnsembleCase, members: xr.Dataset, path: Path) -> Path:
    """Write the report of an ensemble and return its path.

    Parameters
    ----------
    case : EnsembleCase
        What was run.
    members : xarray.Dataset
        What came out.
    path : pathlib.Path
        HTML file to write.
    """
    there = int((members["failure"] == "").sum())
    return write_report(
        path,
        title=f"{case.name}: ensemble",
        subtitle=f"{there} members, {case.ensemble.design.kind}, seed {case.ensemble.design.seed}",
        sections=ensemble_sections(case, members),
    )


def ensemble_sections(case: EnsembleCase, members: xr.Dataset) -> list[Section]:
    """Return the parts of the report of an ensemble.

    Parameters
    ----------
    case : EnsembleCase
        What was run.
    members : xarray.Dataset
        What came out.
    """
    skip = {"draw", "failure", LEDGER}
    names = [n for n in map(str, members.data_vars) if n not in skip]
    forecasts = [n for n in names if f"{n}_observable" not in names]
    return [_uncertain(case, members), *(_forecast(case, members, name) for name in forecasts)]


def scores_table(forecast: xr.DataArray, observed: xr.DataArray) -> pd.DataFrame:
    """Return scores of an ensemble at every site.

    Parameters
    ----------
    forecast : xarray.DataArray
        Shape (member, time), or with one more dimension of sites.
    observed : xarray.DataArray
        Shape (time,), or with that dimension.
    """
    import pandas as pd

    unit = str(forecast.attrs["units"])
    columns = {
        "CRPS": scores.crps(forecast, observed).mean("time"),
        "width of the central 90 %": _width(forecast),
        "within the central 50 %": 100 * scores.coverage(forecast, observed, level=0.5),
        "within the central 90 %": 100 * scores.coverage(forecast, observed, level=0.9),
        "NSE of the median": scores.nse(forecast.median("member", keep_attrs=True), observed),
    }
    sites = [d for d in forecast.dims if d not in ("member", "time")]
    index = forecast[sites[0]].values.astype(str) if sites else ["all"]
    frame = pd.DataFrame(
        {n: np.atleast_1d(v.values) for n, v in columns.items()},
        pd.Index(index, name=str(sites[0]) if sites else "site"),
    )
    frame.attrs["units"] = dict(zip(columns, (unit, unit, "percent", "percent", "1"), strict=True))
    return frame


def _width(forecast: xr.DataArray) -> xr.DataArray:
    lower, upper = central_interval(there(forecast), 0.9)
    return forecast.isel(member=0, drop=True).copy(data=upper - lower).mean("time")


def _uncertain(case: EnsembleCase, members: xr.Dataset) -> Section:
    import pandas as pd

    ensemble = case.ensemble
    switch = ["on" if n in ensemble.active else "off" for n in ensemble.sources]
    said = [str(s) for s in ensemble.sources.values()]
    index = pd.Index(list(ensemble.sources), name="source")
    tables = [Table(pd.DataFrame({"distribution": said, "switch": switch}, index))]
    text = "Every member has its own draw of every source that is switched on."
    failed = members["failure"].values != ""
    if failed.any():
        text += f" {failed.sum()} of {len(failed)} members failed and are left out."
        reasons = members["failure"].values[failed]
        number = pd.Index(np.flatnonzero(failed), name="member")
        tables.append(Table(pd.DataFrame({"why": reasons}, number), "Members that failed"))
    if LEDGER in members:
        worst = float(members[LEDGER].max())
        text += (
            f" Water missing in a coupling step of any member: {worst:.1e} of what moved and was "
            "in store, at most."
        )
    return Section("What is uncertain", text, tables=tables)


def _forecast(case: EnsembleCase, members: xr.Dataset, name: str) -> Section:
    output = name.removesuffix("_observable")
    forecast = members[name].isel(time=slice(case.table.warmup, None)).load()
    if not forecast.sizes["time"]:
        raise EnsembleError(
            f"A warmup of {case.table.warmup} records leaves none of {members.sizes['time']}.",
            case.table.table.where("warmup"),
            "Write a smaller one, and run again with --resume: members are kept",
        )
    sites = [str(d) for d in forecast.dims if d not in ("member", "time")]
    observed = case.observed.get(output)
    figures, tables, text = [], [], ""
    shown = [0]
    if observed is not None:
        table = scores_table(forecast, observed)
        tables.append(Table(table, "Scores"))
        ranked = np.argsort(table["NSE of the median"].fillna(-np.inf).values)
        shown = [int(ranked[len(ranked) // 2])]
        if len(ranked) >= _MANY:
            shown += [int(ranked[len(ranked) * k // 10]) for k in (9, 1)]
        inside = table["within the central 90 %"].median()
        text = (
            f"Median over {len(table)} sites: {inside:.0f} % of the observations lie within the "
            "central 90 % of the members."
        )
        few = reach(there(forecast).sizes["member"])
        if few < 0.9:
            text += f" So few members reach no further than the central {100 * few:.0f} %."
    short = textwrap.fill(output.rpartition(".")[2].replace("_", " "), 24)
    for index, what in zip(shown, _SHOWN, strict=False):
        one = forecast.isel({d: index for d in sites})
        seen = None if observed is None else observed.isel({d: index for d in sites})
        chart = fan_chart(one, seen, quantity=short)
        rank = f", {what} skill among {forecast.sizes[sites[0]]}" if len(shown) > 1 else ""
        chart.caption = f"{output}{_place(one, sites)}{rank}. {' '.join(chart.caption.split())}"
        figures.append(chart)
    if observed is not None:
        figures.append(coverage_chart(forecast, observed))
        places = scores.pit(forecast, observed)
        if int(places.notnull().any([d for d in places.dims if d != "time"]).sum()) >= _FEWEST:
            figures.append(pit_histogram(places))
    if case.ensemble.design.attribution:
        one = forecast.isel({d: shown[0] for d in sites})
        results = {
            "mean": one.mean("time", skipna=False),  # a member that failed stays missing
            "high (95th percentile)": one.quantile(0.95, "time", skipna=False),
        }
        shares = {n: variance_shares(v, members["draw"]) for n, v in results.items()}
        figures.append(variance_chart(shares, quantity=f"{output}{_place(one, sites)}"))
    return Section(f"Forecast of {output}", text, figures, tables)


def _place(one: xr.DataArray, sites: list[str]) -> str:
    return f" at {one[sites[0]].item()}" if sites and sites[0] in one.coords else ""
