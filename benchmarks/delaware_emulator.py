"""PRMS groundwater of the Delaware case, emulated by learned models: 765 HRUs, 1979-1980, daily.

PRMS's land runs first; its recharge drives PRMS's groundwater, whose storages and outflows of 1979
are what the models are trained on. Then each model runs freely from the first day of 1979 through
1980, the test year, as a component that is fed recharge and nothing else. Three models:

- written: a linear reservoir whose rate is calibrated in every HRU. PRMS's equation is one, too, in
  discrete time, so this is the answer written down, but for what happens within a day.
- learned: the share of a day's water that leaves is a neural network of that water, of recharge and
  of four codes; the codes come from static attributes through a second network, and from an offset
  of each HRU. It is stepped as PRMS is, once a day.
- attributes: the same without offsets, so that nothing but attributes tells HRUs apart.

Prints per model: NSE of the mean over the basin, median NSE of the HRUs, the share of HRUs above
0.99, bias and RMSE of outflow and storage; closure of the water balance; and times per step.

With --couple it also runs PRMS's land, groundwater and channel coupled, once as they are and once
with the model in the place of groundwater from 1980-01-01 on, and prints how that changes skill at
the gages, and whether the ledger closes over the change.

    python benchmarks/delaware_emulator.py [--models learned ...] [--epochs 40] [--out FOLDER]
                                           [--couple]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

import hybridwater as hw
from hybridwater.components import Component, get_component
from hybridwater.components.emulation import Emulation, emulate
from hybridwater.components.recording import record
from hybridwater.coupling import CoupledModel, Exchange
from hybridwater.data.packages import package_folder
from hybridwater.ude import functions

WEATHER = {
    "lwe_precipitation_rate": "prcp",
    "minimum_air_temperature": "tmin",
    "maximum_air_temperature": "tmax",
}
DISCHARGE = "water_volume_transport_in_river_channel"
RECHARGE = "groundwater_recharge_flux"
PORTS = {
    RECHARGE: "recharge",
    "groundwater_discharge_flux": "discharge",
    "groundwater_sink_flux": 0.0,  # gwsink_coef is zero in every HRU
    "groundwater_amount": "storage",
}
ATTRIBUTES = (
    *("elevation", "latitude", "longitude", "slope", "impervious_frac", "depression_frac"),
    *("cover_summer", "cover_winter", "forest_frac", "sand_frac"),
)


def recharge() -> xr.Dataset:
    """Return the recharge of PRMS's land over the two years, dims (basin, time)."""
    land = get_component("prms-land")()
    land.initialize("")
    return record(land, read_weather(land)).dataset()[[RECHARGE]]


def read_weather(land: Component) -> xr.Dataset:
    """Return the weather of the two years in the units of PRMS's land, dims (time, basin)."""
    folder = package_folder("pywatershed", "data", "drb_2yr")
    weather = xr.Dataset()
    for port, name in WEATHER.items():
        data = xr.load_dataset(folder / f"{name}.nc")[name].astype(float)
        values = data.rename({data.dims[1]: "basin"}).drop_vars("nhm_id", errors="ignore")
        weather[port] = values.assign_attrs(units=land.variable(port).units)
    return weather


def written() -> hw.UDE:
    """Return a linear reservoir, its rate to be calibrated."""

    @hw.model(name="written")
    def declare(m: hw.Declaration) -> None:
        inflow = m.forcing("recharge", "mm d-1")
        rate = m.parameter("rate", "d-1", (1e-6, 1), 0.02, log=True)
        storage = m.state("storage", "mm", initial=50)
        outflow = m.flux("discharge", rate * storage, "mm d-1")
        m.derivative(storage, inflow - outflow)

    return declare


def learned(codes: int = 4) -> hw.UDE:
    """Return a reservoir whose outflow per water of the day is a network."""

    @hw.model(name="learned")
    def declare(m: hw.Declaration) -> None:
        inflow = m.forcing("recharge", "mm d-1")
        storage = m.state("storage", "mm", initial=50)
        depth, day = m.constant("depth", 10.0, "mm"), m.constant("day", 1.0, "d")
        known = [m.parameter(f"code{k}", "1", (-1, 1), 0) for k in range(1, codes + 1)]
        water = m.flux("water", functions.maximum(storage, 0) + inflow * day, "mm")
        rate = m.network(
            "rate",
            {
                functions.log(1 + water / depth): (0, 3),
                inflow: (0, 20),
                **dict.fromkeys(known, (-1, 1)),
            },
            "d-1",
            hidden=(16,),
            bounds=(0, 0.5),
            description="outflow per water of the day",
        )
        outflow = m.flux("discharge", rate * water, "mm d-1")
        m.derivative(storage, inflow - outflow)

    return declare


def run(name: str, inputs: xr.Dataset, epochs: int, out: Path | None) -> Emulation:
    """Emulate PRMS's groundwater with one of the models."""
    stages = [
        hw.Stage("joint", epochs, rate, rate / 3, window=30) for rate in (0.05, 0.02, 0.007, 0.002)
    ]
    daily = {"method": "euler", "substeps": 1, "schedule": stages, "assess_every": 10}
    regional = daily | {"attributes": static(), "dropout": 0.0}
    options = {
        "written": {"schedule": [hw.Stage("joint", epochs, r, window=30) for r in (0.1, 0.01)]},
        "learned": regional | {"basin_offsets": True},
        "attributes": regional,
    }
    return emulate(
        get_component("prms-groundwater")(),
        written() if name == "written" else learned(),
        inputs,
        ports=PORTS,
        train=("1979-01-01", "1979-12-31"),
        test=("1980-01-01", "1980-12-31"),
        area=area(),
        directory=None if out is None else out / name,
        engine="embedded",
        **options[name],
    )


def couple(surrogate: Component | None) -> tuple[float, float]:
    """Return the median NSE at the gages in 1980, and the largest gap of the ledger.

    Groundwater is PRMS's, or PRMS's in 1979 and the surrogate's in 1980.
    """
    land, groundwater, channel = (
        get_component(f"prms-{n}")() for n in ("land", "groundwater", "channel")
    )
    weather = {"weather": get_component("forcing")(data=read_weather(land))}
    model = CoupledModel(
        weather | {"land": land, "groundwater": groundwater, "channel": channel},
        [
            *(Exchange(f"weather.{port}", "land") for port in WEATHER),
            Exchange(f"land.{RECHARGE}", "groundwater"),
            Exchange("land.surface_runoff_flux", "channel"),
            Exchange("land.subsurface_runoff_flux", "channel"),
            Exchange("groundwater.groundwater_discharge_flux", "channel"),
        ],
        outputs={"channel": [DISCHARGE]},
    )
    model.run("365 d")
    if surrogate is not None:
        model.replace("groundwater", surrogate)
    model.run("366 d")
    ledger = model.ledger()
    handled = abs(ledger["boundary_flux"]).sum("flux") + abs(ledger["storage"]).sum("component")
    gap = float((abs(ledger["residual"]) / handled).max())
    return skill(model.output("channel")[DISCHARGE].values), gap


def skill(flows: np.ndarray) -> float:
    """Return the median NSE in 1980 at the gages with at least 360 observed days in that year."""
    observed = hw.data.read_delaware().observed.sel(time="1980")
    enough = observed["discharge"].notnull().sum("time") >= 360
    observed = observed.isel(gage=enough.values)
    simulated = xr.DataArray(
        flows[365:, observed["gage_segment"].values].T,
        {"gage": observed["gage"], "time": observed["time"]},
        ("gage", "time"),
        attrs={"units": "m3 s-1"},
    )
    return float(hw.scores.nse(simulated, observed["discharge"]).median())


def static() -> xr.Dataset:
    """Return static attributes of the HRUs; none of them was calibrated on discharge."""
    return hw.data.read_delaware().forcing[list(ATTRIBUTES)]


def area() -> np.ndarray:
    """Return the area of each HRU [m2] as PRMS's groundwater books it."""
    groundwater = get_component("prms-groundwater")()
    groundwater.initialize("")
    stored = groundwater.storage()["groundwater"]
    return stored / groundwater.get_value_ptr("groundwater_amount")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["written", "learned", "attributes"])
    parser.add_argument("--epochs", type=int, default=40, help="per stage")
    parser.add_argument("--out", type=Path, help="folder of the run directories")
    parser.add_argument("--couple", action="store_true", help="run coupled, too")
    parser.add_argument("--inputs", type=Path, help="NetCDF file to keep the recharge in")
    arguments = parser.parse_args()
    if arguments.inputs is not None and arguments.inputs.is_file():
        driven = xr.load_dataset(arguments.inputs)
    else:
        driven = recharge()
        if arguments.inputs is not None:
            driven.to_netcdf(arguments.inputs)
    for model in arguments.models:
        print(f"--- {model}")
        emulated = run(model, driven, arguments.epochs, arguments.out)
        print(emulated.summary(), flush=True)
        if arguments.couple:
            surrogate = emulated.as_component(engine="embedded", start="1979-01-01")
            for name, replacing in (("as it is", None), (f"with '{model}' in 1980", surrogate)):
                nse, gap = couple(replacing)
                print(f"coupled run {name}: median NSE {nse:.4f}, ledger closes to {gap:.1e}")
