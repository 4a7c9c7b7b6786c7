"""PRMS in three components against pywatershed's own coupled run, over the Delaware case.

Two years, 765 HRUs, 456 segments: a CoupledModel of weather, land, groundwater and channel. Prints
the largest relative difference of discharge at any segment and day, the closure of the ledger, the
median NSE at the usable gages (at least 700 observed days), the time that each component took, and
the share of all else, the coupling, in each of several runs: its median is changed least by other
work on the machine. The first day, in which numba compiles, is left out of them.

    python benchmarks/delaware_prms.py [--days 731] [--runs 9] [--no-compile]
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hybridwater import scores
from hybridwater.components import get_component
from hybridwater.components.prms_process import (
    COMPILED,
    quietly,
    read_parameters,
    share_compiled,
)
from hybridwater.coupling import CoupledModel, Exchange
from hybridwater.data import delaware_weather, read_delaware
from hybridwater.data.packages import package_folder

CUBIC_FOOT = 0.3048**3
WEATHER = {
    "lwe_precipitation_rate": "prcp",
    "minimum_air_temperature": "tmin",
    "maximum_air_temperature": "tmax",
}
DISCHARGE = "water_volume_transport_in_river_channel"


def their_model(compile: bool) -> Any:
    """Return pywatershed's own coupled model, not begun; compiled functions are shared by all."""
    with quietly():
        import pywatershed as pws

        folder = package_folder("pywatershed", "data", "drb_2yr")
        control = pws.Control.load_prms(folder / "nhm.control", warn_unused_options=False)
        control.options = {
            "input_dir": folder,
            "budget_type": None,
            "calc_method": "numba" if compile and not COMPILED else "numpy",
        }
        names = ("SolarGeometry", "Atmosphere", "Canopy", "Snow", "Runoff", "Soilzone")
        classes = [getattr(pws, f"PRMS{n}") for n in (*names, "Groundwater", "Channel")]
        model = pws.Model(classes, control=control, parameters=read_parameters(None))
    for process in model.processes.values():
        share_compiled(process, type(process).__name__, compile)
    return model


def theirs(days: int, compile: bool) -> np.ndarray:
    """Return discharge [m3 s-1] of pywatershed's own run, shape (day, segment)."""
    model, flows = their_model(compile), []
    with quietly():
        for _ in range(days):
            model.advance()
            model.calculate()
            flows.append(model.processes["PRMSChannel"].seg_outflow.copy())
    return np.array(flows) * CUBIC_FOOT


def ours(days: int, compile: bool) -> tuple[np.ndarray, xr.Dataset, dict[str, float]]:
    """Return discharge, the ledger, and the seconds of components and coupling."""
    land, groundwater, channel = (
        get_component(f"prms-{n}")(compile=compile) for n in ("land", "groundwater", "channel")
    )
    model = CoupledModel(
        {
            "weather": get_component("forcing")(data=delaware_weather(), variables=WEATHER),
            "land": land,
            "groundwater": groundwater,
            "channel": channel,
        },
        [
            *(Exchange(f"weather.{name}", "land") for name in WEATHER),
            Exchange("land.groundwater_recharge_flux", "groundwater"),
            Exchange("land.surface_runoff_flux", "channel"),
            Exchange("land.subsurface_runoff_flux", "channel"),
            Exchange("groundwater.groundwater_discharge_flux", "channel"),
        ],
        outputs={"channel": [DISCHARGE]},
    )
    model.run("1 d", progress=False)  # compiles
    first = model.seconds
    model.run(f"{days - 1} d", progress=False)
    seconds = {name: spent - first[name] for name, spent in model.seconds.items()}
    return model.output("channel")[DISCHARGE].values, model.ledger(), seconds


def skill(flows: np.ndarray) -> tuple[float, int]:
    """Return the median NSE at the gages with at least 700 observed days, and their number."""
    observed = read_delaware().observed
    observed = observed.isel(gage=(observed["discharge"].notnull().sum("time") >= 700).values)
    simulated = xr.DataArray(
        flows[:, observed["gage_segment"].values].T,
        {"gage": observed["gage"], "time": observed["time"]},
        ("gage", "time"),
        attrs={"units": "m3 s-1"},
    )
    values = scores.nse(simulated, observed["discharge"])
    return float(values.median()), int(values.size)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=731)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--no-compile", action="store_true")
    arguments = parser.parse_args()
    runs = [ours(arguments.days, not arguments.no_compile) for _ in range(arguments.runs)]
    flows, ledger, _ = runs[0]
    seconds = pd.DataFrame([spent for *_, spent in runs])
    reference = theirs(arguments.days, not arguments.no_compile)
    relative = np.abs(flows - reference) / np.maximum(np.abs(reference), np.finfo(float).tiny)
    print(f"{arguments.days} days, {flows.shape[1]} segments")
    print(f"largest relative difference to pywatershed's own run: {relative.max():.1e}")
    throughput = abs(ledger["boundary_flux"]).sum("flux") + abs(ledger["storage"]).sum("component")
    print(f"largest residual of a day: {float((abs(ledger['residual']) / throughput).max()):.1e}")
    total = float(abs(ledger["total_residual"]) / ledger["total_inflow"].sum())
    print(f"residual of the whole run, relative to what came in: {total:.1e}")
    for name, spent in seconds.items():
        print(f"{name}: {1e6 * spent.median() / (arguments.days - 1):.0f} us of a day")
    share = seconds["coupling"] / seconds.sum(axis=1)
    print("overhead of coupling: " + " ".join(f"{x:.2%}" for x in share))
    print(f"overhead of coupling, median: {share.median():.2%}")
    if arguments.days == 731:
        median, count = skill(flows)
        print(f"median NSE at {count} gages: {median:.4f}")
