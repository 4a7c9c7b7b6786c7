"""PRMS in three components against pywatershed's own coupled run, over the Delaware case.

Two years, 765 HRUs, 456 segments: land, groundwater and channel are stepped by hand, each day land
-> groundwater -> channel. Prints the largest relative difference of discharge at any segment and
day, the closure of each component's water balance, the median NSE at the usable gages (at least 700
observed days), and the time that each component took.

    python benchmarks/delaware_prms.py [--days 731] [--no-compile]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import xarray as xr

from hybridwater import scores
from hybridwater.components import Component, get_component
from hybridwater.components.prms_process import quietly, read_parameters
from hybridwater.data import read_delaware
from hybridwater.data.packages import package_folder

CUBIC_FOOT = 0.3048**3
WEATHER = {
    "lwe_precipitation_rate": "prcp",
    "minimum_air_temperature": "tmin",
    "maximum_air_temperature": "tmax",
}
DISCHARGE = "water_volume_transport_in_river_channel"


def theirs(days: int, compile: bool) -> np.ndarray:
    """Return discharge [m3 s-1] of pywatershed's own run, shape (day, segment)."""
    with quietly():
        import pywatershed as pws

        folder = package_folder("pywatershed", "data", "drb_2yr")
        control = pws.Control.load_prms(folder / "nhm.control", warn_unused_options=False)
        control.options = {
            "input_dir": folder,
            "budget_type": None,
            "calc_method": "numba" if compile else "numpy",
        }
        names = ("SolarGeometry", "Atmosphere", "Canopy", "Snow", "Runoff", "Soilzone")
        classes = [getattr(pws, f"PRMS{n}") for n in (*names, "Groundwater", "Channel")]
        model = pws.Model(classes, control=control, parameters=read_parameters(None))
        flows = []
        for _ in range(days):
            model.advance()
            model.calculate()
            flows.append(model.processes["PRMSChannel"].seg_outflow.copy())
    return np.array(flows) * CUBIC_FOOT


def ours(days: int, compile: bool) -> tuple[np.ndarray, dict[str, float], dict[str, float]]:
    """Return discharge, the worst gap of each water balance, and the seconds of each component."""
    folder = package_folder("pywatershed", "data", "drb_2yr")
    weather = {
        port: xr.load_dataset(folder / f"{name}.nc")[name].values.astype(float)
        for port, name in WEATHER.items()
    }
    land, groundwater, channel = components = [
        get_component(f"prms-{n}")(compile=compile) for n in ("land", "groundwater", "channel")
    ]
    for component in components:
        component.initialize("")
    gaps = {c.get_component_name(): 0.0 for c in components}
    seconds = dict(gaps)
    flows = []
    for day in range(days):
        before = [stored(c) for c in components]
        for port, values in weather.items():
            land.set_value(port, values[day])
        step(land, seconds)
        hand_over(land, groundwater, "groundwater_recharge_flux")
        step(groundwater, seconds)
        hand_over(land, channel, "surface_runoff_flux")
        hand_over(land, channel, "subsurface_runoff_flux")
        hand_over(groundwater, channel, "groundwater_discharge_flux")
        step(channel, seconds)
        flows.append(channel.get_value_ptr(DISCHARGE).copy())
        for component, earlier in zip(components, before, strict=True):
            name = component.get_component_name()
            gaps[name] = max(gaps[name], gap(component, earlier))
    return np.array(flows), gaps, seconds


def step(component: Component, seconds: dict[str, float]) -> None:
    began = time.perf_counter()
    component.update()
    seconds[component.get_component_name()] += time.perf_counter() - began


def hand_over(source: Component, target: Component, name: str) -> None:
    target.set_value(name, source.get_value_ptr(name))


def stored(component: Component) -> float:
    return sum(float(store.sum()) for store in component.storage().values())


def gap(component: Component, before: float) -> float:
    """Return what the balance of the last step lacks, relative to the water that moved."""
    fluxes = component.boundary_fluxes().values()
    moved = sum(float(np.abs(f).sum()) for f in fluxes)
    return abs(stored(component) - before - sum(float(f.sum()) for f in fluxes)) / moved


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
    parser.add_argument("--no-compile", action="store_true")
    arguments = parser.parse_args()
    flows, gaps, seconds = ours(arguments.days, not arguments.no_compile)
    reference = theirs(arguments.days, not arguments.no_compile)
    relative = np.abs(flows - reference) / np.maximum(np.abs(reference), np.finfo(float).tiny)
    print(f"{arguments.days} days, {flows.shape[1]} segments")
    print(f"largest relative difference to pywatershed's own run: {relative.max():.1e}")
    for name, worst in gaps.items():
        print(f"{name}: balance closes to {worst:.1e}; {seconds[name]:.1f} s with compilation")
    if arguments.days == 731:
        median, count = skill(flows)
        print(f"median NSE at {count} gages: {median:.4f}")
