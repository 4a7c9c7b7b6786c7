"""The Delaware River Basin as a coupled case: its discharge beside what was observed at gages."""

from __future__ import annotations

import importlib.resources
from typing import TYPE_CHECKING

from hybridwater.coupling.outputs import at_cells
from hybridwater.report.hydrographs import hydrograph
from hybridwater.report.page import Section, Table
from hybridwater.report.skill import skill_map

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from hybridwater.cases.coupled import CoupledCase
    from hybridwater.coupling import CoupledModel

DISCHARGE = "water_volume_transport_in_river_channel"
"""Output of the channel that is compared."""

LEAST_DAYS = 700
"""Observed days of the two years that a gage must have to be compared."""


def gage_discharge(model: CoupledModel, channel: str = "channel") -> xr.Dataset:
    """Return simulated and observed discharge at the gages of the Delaware case.

    Parameters
    ----------
    model : CoupledModel
        After it has run, with the discharge of all segments, or of those with a gage, among its
        outputs.
    channel : str
        Name of the channel.

    Returns
    -------
    xarray.Dataset
        Dimensions (gage, time): ``simulated`` and ``observed`` [m3 s-1], NaN where nothing was
        observed; (gage): ``latitude``, ``longitude``, ``name`` and ``segment``, the index of its
        river segment. Gages observed on at least `LEAST_DAYS` days.

    Raises
    ------
    MissingDependency
        If pywatershed is not installed.
    CouplingError
        If the discharge of a segment was not kept.
    """
    from hybridwater.data import read_delaware

    gages = read_delaware().observed
    gages = gages.isel(gage=(gages["discharge"].notnull().sum("time") >= LEAST_DAYS).values)
    flow = model.output(channel)[DISCHARGE].load()
    at_gages = at_cells(flow, gages["gage_segment"].values).values.T
    found = gages[["latitude", "longitude", "name", "gage_segment"]]
    found = found.rename(gage_segment="segment")
    found["observed"] = gages["discharge"].sel(time=flow["time"])
    found["simulated"] = found["observed"].copy(data=at_gages)
    found["simulated"].attrs["long_name"] = "simulated discharge, daily mean"
    return found


def gage_skill(discharge: xr.Dataset) -> pd.DataFrame:
    """Return NSE, KGE and bias at each gage.

    Parameters
    ----------
    discharge : xarray.Dataset
        As of `gage_discharge`.
    """
    import pandas as pd

    from hybridwater import scores

    pair = discharge["simulated"], discharge["observed"]
    mean = discharge["observed"].mean("time")
    bias = (discharge["simulated"] - discharge["observed"]).mean("time") / mean
    frame = pd.DataFrame(
        {
            "NSE": scores.nse(*pair).values,
            "KGE": scores.kge(*pair).values,
            "bias": 100 * bias.values,
        },
        index=pd.Index(discharge["gage"].values, name="gage"),
    )
    frame.attrs["units"] = {"NSE": "1", "KGE": "1", "bias": "percent"}
    return frame


def gage_section(discharge: xr.Dataset) -> Section:
    """Return the part of a report that compares discharge with observations.

    Parameters
    ----------
    discharge : xarray.Dataset
        As of `gage_discharge`.
    """
    skill = gage_skill(discharge)
    nse = discharge["latitude"].copy(data=skill["NSE"].values)
    nse.attrs = {"units": "1", "long_name": "NSE"}
    where = discharge["latitude"], discharge["longitude"]
    median = skill["NSE"].sort_values().index[len(skill) // 2]
    shown = {"of median skill": median, "of best skill": skill["NSE"].idxmax()}
    figures = [skill_map(*where, nse, vmin=-0.2, vmax=1.0)]
    for what, gage in shown.items():
        one = discharge.sel(gage=[gage]).rename(gage="basin")
        figure = hydrograph({"coupled run": one["simulated"]}, one["observed"])
        name = str(one["name"].values[0])
        figure.caption = f"The gage {what}, {gage}, {name}. {figure.caption}"
        figures.append(figure)
    return Section(
        "Discharge",
        f"Observed by the USGS at {len(skill)} gages on at least {LEAST_DAYS} days. Median NSE "
        f"{skill['NSE'].median():.3f}, median KGE {skill['KGE'].median():.3f}. Reservoirs and "
        "diversions of the basin are not in the model.",
        figures,
        [Table(skill, "Skill at the gages")],
    )


def learned_section(baseline: xr.Dataset, learned: xr.Dataset, since: str) -> Section:
    """Return the part of a report that compares a learned exchange with what it is built on.

    Parameters
    ----------
    baseline, learned : xarray.Dataset
        As of `gage_discharge`, of runs without and with it.
    since : str
        First day that counts, which the exchange did not learn from.
    """
    import pandas as pd

    runs = {"conservative": baseline, "learned": learned}
    skill = {name: gage_skill(run.sel(time=slice(since, None))) for name, run in runs.items()}
    tables = [
        Table(pd.DataFrame({name: s[score] for name, s in skill.items()}), f"{score} at the gages")
        for score in ("NSE", "KGE")
    ]
    medians = ", ".join(
        f"median NSE {s['NSE'].median():.3f} and KGE {s['KGE'].median():.3f} ({name})"
        for name, s in skill.items()
    )
    return Section(
        "Learned exchange",
        f"The same run with a learned exchange between land and rivers. Since {since}, of which it "
        f"learned nothing: {medians}.",
        tables=tables,
    )


def delaware_case(*, learned: bool = False) -> CoupledCase:
    """Return a case that ``hybridwater init --delaware`` writes.

    Parameters
    ----------
    learned : bool
        Whether a learned exchange stands between land and rivers.
    """
    from hybridwater.cases.coupled_reading import load_coupled

    templates = importlib.resources.files("hybridwater.cases") / "templates"
    name = "delaware-learned.toml" if learned else "delaware.toml"
    with importlib.resources.as_file(templates / name) as path:
        return load_coupled(path)
