"""Surrogates of all of PRMS over the Delaware, as a case of which members step together.

PRMS's land and groundwater run once over 1979-1980; models of them are fitted to 1979 and judged on
1980, which they have not seen. Routing is PRMS's own as one linear map a day. Records of the new
case are what PRMS's atmosphere makes of the weather of an HRU: precipitation after its monthly
factors, the part of it that is snow, potential evapotranspiration, temperature and the season of
transpiration. They depend on weather alone, so that members with other rain share all but that.

- land: snow by degree-days, one soil store, runoff from a contributing area that grows with
  moisture, interflow and recharge of what is above a threshold; parameters of each HRU are its own.
- groundwater: a linear reservoir stepped as PRMS's is, its rate calibrated in every HRU.

Prints, over 1980: NSE of each flux (of the mean over the basin, and the median of HRUs), then of
discharge of the coupled run against PRMS's in the segments and against what was observed at the
gages, beside PRMS's own skill there. Writes FOLDER/delaware-surrogates.toml with what it needs.

    python benchmarks/delaware_surrogates.py FOLDER [--epochs 30]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr
from delaware_emulator import DISCHARGE, RECHARGE, area, read_weather, skill

import hybridwater as hw
from hybridwater import scores
from hybridwater.cases import load_coupled, write_template
from hybridwater.components import get_component
from hybridwater.components.component_file import Description, write_description
from hybridwater.components.prms_atmosphere import DailyAtmosphere
from hybridwater.components.prms_process import INCH, quietly, read_parameters
from hybridwater.components.recording import record
from hybridwater.ude import functions

TRAIN, TEST = ("1979-01-01", "1979-12-31"), ("1980-01-01", "1980-12-31")
DAILY = {"method": "euler", "substeps": 1, "engine": "embedded"}
STORES = (
    "canopy_water_amount",
    "surface_water_amount",
    "mass_content_of_water_in_soil",
)
LAND = {
    "surface_runoff_flux": "quick",
    "subsurface_runoff_flux": "interflow",
    RECHARGE: "recharge",
    "water_evapotranspiration_flux": "evaporation",
    "surface_snow_amount": "snow",
    "mass_content_of_water_in_soil": "soil",
}
GROUNDWATER = {
    RECHARGE: "recharge",
    "groundwater_discharge_flux": "discharge",
    "groundwater_amount": "storage",
}
CASE = """
[run]
name = "Delaware River Basin, surrogates of PRMS"
start = 1979-01-01
end = 1981-01-01

[forcing.weather]
source = "netcdf"
path = "weather.nc"
variables = { precipitation = "precipitation", snowfall_share = "snowfall_share", \
potential = "potential", temperature = "temperature", season = "season" }

[components.land]
kind = "surrogate"
model = "land"

[components.groundwater]
kind = "surrogate"
model = "groundwater"

[components.channel]
kind = "prms-routing"
""" + "".join(
    f'\n[[exchange]]\nsource = "{source}"\ntarget = "{target}"\n{more}'
    for source, target, more in (
        ("weather.precipitation", "land", "water = true\n"),
        ("weather.snowfall_share", "land", ""),
        ("weather.potential", "land", "water = false\n"),
        ("weather.temperature", "land", ""),
        ("weather.season", "land", ""),
        (f"land.{RECHARGE}", "groundwater", ""),
        ("land.surface_runoff_flux", "channel", ""),
        ("land.subsurface_runoff_flux", "channel", ""),
        ("groundwater.groundwater_discharge_flux", "channel", ""),
    )
) + f"""
[output]
directory = "run"
variables = {{ channel = ["{DISCHARGE}"] }}
"""  # fmt: skip


def records(folder: Path) -> xr.Dataset:
    """Return what PRMS's atmosphere, land and groundwater gave in the two years, (basin, time)."""
    path = folder / "records.nc"
    if path.is_file():
        return xr.load_dataset(path)
    land, groundwater = (get_component(f"prms-{n}")() for n in ("land", "groundwater"))
    land.initialize("")
    weather = read_weather(land)
    given = record(land, weather).dataset()
    groundwater.initialize("")
    below = record(groundwater, given[[RECHARGE]]).dataset()
    found = given.merge(below.drop_vars(RECHARGE)).merge(_atmosphere(weather))
    found.to_netcdf(path)
    return found


def _atmosphere(weather: xr.Dataset) -> xr.Dataset:
    """Return what the land is driven by, in mm and degC, (basin, time)."""
    with quietly():
        atmosphere = DailyAtmosphere(read_parameters(None), weather["time"].values[0])
    names = ("hru_ppt", "hru_snow", "potet", "tavgc", "transp_on")
    rows: dict[str, list[np.ndarray]] = {n: [] for n in names}
    days = weather["time"].values
    for day, *inputs in zip(days, *(weather[n].values for n in weather), strict=True):
        with quietly():
            atmosphere.step(day.astype("datetime64[s]"), *inputs)
        for name, kept in rows.items():
            kept.append(np.array(atmosphere.current[name], float))
    all_, snow, potential, temperature, season = (np.stack(v, axis=1) for v in rows.values())
    share = np.divide(snow, all_, out=np.zeros_like(snow), where=all_ > 0)
    found = {
        "precipitation": (all_ * INCH, "mm d-1"),
        "snowfall_share": (share, "1"),
        "potential": (potential * INCH, "mm d-1"),
        "temperature": (temperature, "degC"),
        "season": (season, "1"),
    }
    data = {n: (("basin", "time"), v, {"units": u}) for n, (v, u) in found.items()}
    return xr.Dataset(data, {"time": days})


def land() -> hw.UDE:
    """Return the model of the land; every parameter is calibrated in every HRU."""

    @hw.model(name="land")
    def declare(m: hw.Declaration) -> None:
        rain_and_snow = m.forcing("precipitation", "mm d-1")
        share = m.forcing("snowfall_share", "1")
        potential = m.forcing("potential", "mm d-1")
        temperature = m.forcing("temperature", "degC")
        season = m.forcing("season", "1")
        snow, soil = m.state("snow", "mm", initial=0), m.state("soil", "mm", initial=60)
        day, degree = m.constant("day", 1.0, "d"), m.constant("degree", 1.0, "mm d-1 degC-1")
        millimetre = m.constant("millimetre", 1.0, "mm")
        most, least = functions.minimum, functions.maximum

        factor = m.parameter("melt_factor", "1", (0.2, 12), 2.5, log=True)
        melting = m.parameter("melt_temperature", "degC", (-4, 6), 0)
        into_snow = m.flux("snowfall", rain_and_snow * share, "mm d-1")
        could = factor * degree * least(temperature - melting, 0)
        melt = m.flux("melt", most(snow / day + into_snow, could), "mm d-1")
        drier = m.parameter("snow_evaporation", "1", (1e-3, 1), 0.2, log=True)
        sublimed = m.flux(
            "sublimation", most(snow / day + into_snow - melt, drier * potential), "mm d-1"
        )
        m.derivative(snow, into_snow - melt - sublimed)

        liquid = m.flux("liquid", rain_and_snow - into_snow + melt, "mm d-1")
        capacity = m.parameter("capacity", "mm", (5, 500), 100, log=True)
        sealed = m.parameter("sealed", "1", (1e-4, 0.9), 0.02, log=True)
        area = m.parameter("contributing", "1", (1e-5, 1), 0.02, log=True)
        growth = m.parameter("contributing_growth", "1", (0.1, 12), 3)
        wet = most(soil + liquid * day / 2, capacity * 1.5) / capacity
        runs = most(sealed + area * functions.exp(growth * wet - growth), 1)
        quick = m.flux("quick", liquid * runs, "mm d-1")
        into = liquid - quick

        wanted = m.parameter("evaporation_at_rest", "1", (0.01, 1.5), 0.3, log=True)
        more = m.parameter("evaporation_in_season", "1", (0.01, 1.5), 0.6, log=True)
        half = m.parameter("moisture_half", "1", (0.02, 2), 0.3, log=True)
        ratio = (soil / (half * capacity)) ** 2
        supply = soil / day + into
        evaporation = m.flux(
            "soil_evaporation",
            most(supply * 0.9, potential * (wanted + more * season) * ratio / (1 + ratio)),
            "mm d-1",
        )
        m.flux("evaporation", evaporation + sublimed, "mm d-1")

        left = (supply - evaporation) * day
        free = m.flux("free", least(left - capacity, 0), "mm")
        linear = m.parameter("interflow_linear", "d-1", (1e-4, 0.9), 0.05, log=True)
        square = m.parameter("interflow_square", "mm-1 d-1", (1e-6, 0.5), 0.002, log=True)
        fast = m.parameter("fast_share", "1", (1e-4, 0.9), 0.05, log=True)
        drain = m.parameter("drainage_linear", "d-1", (1e-4, 0.9), 0.05, log=True)
        limit = m.parameter("drainage_limit", "mm d-1", (1e-3, 20), 1.0, log=True)
        seep = m.parameter("seepage", "d-1", (1e-7, 0.05), 1e-4, log=True)
        reach = free / (free + millimetre)
        sideways = free * (linear + square * free) + fast * into * reach
        downwards = drain * free + limit * reach
        share_left = most(1, free / day / (sideways + downwards + millimetre / day * 1e-9))
        interflow = m.flux("interflow", sideways * share_left, "mm d-1")
        recharge = m.flux("recharge", downwards * share_left + seep * soil * 0.9, "mm d-1")
        m.derivative(soil, into - evaporation - interflow - recharge)

    return declare


def groundwater() -> hw.UDE:
    """Return PRMS's reservoir as it is stepped there, its rate to be calibrated."""

    @hw.model(name="groundwater")
    def declare(m: hw.Declaration) -> None:
        inflow = m.forcing("recharge", "mm d-1")
        rate = m.parameter("rate", "d-1", (1e-6, 1), 0.02, log=True)
        storage, day = m.state("storage", "mm", initial=50), m.constant("day", 1.0, "d")
        outflow = m.flux("discharge", rate * (storage + inflow * day), "mm d-1")
        m.derivative(storage, inflow - outflow)

    return declare


def emulated(
    folder: Path, ude: hw.UDE, data: xr.Dataset, ports: dict[str, str], epochs: int
) -> None:
    """Fit a model of a part of PRMS, and write what it takes to be a component."""
    states = {s.name for s in ude.states}
    drivers = [f.name for f in ude.forcings]
    outputs = {t: p for p, t in ports.items() if t not in drivers}
    observed = {t: p for t, p in outputs.items() if t not in states}
    observed |= {t: p for t, p in outputs.items() if t in states}
    if not (folder / "surrogate.json").is_file():
        hw.fit(
            ude,
            data[[*drivers, *observed.values()]],
            observed=observed,
            train=TRAIN,
            test=TEST,
            warmup=0,
            begin="observed",
            schedule=[hw.Stage("joint", epochs, r, window=30) for r in (0.1, 0.03, 0.01)],
            assess_every=10,
            directory=folder,
            **DAILY,
        )
    initial = {t: data[f"initial_{p}"].values for t, p in outputs.items() if t in states}
    write_description(folder, Description(ports=ports, area=area(), initial=initial))


def judged(folder: Path, data: xr.Dataset, ports: dict[str, str]) -> None:
    """Let a surrogate run freely over both years, and print how far it is off in the second."""
    component = get_component("surrogate")(model=folder, start="1979-01-01")
    component.initialize("")
    names = component.get_input_var_names()
    given = record(component, data[list(names)]).dataset()
    for port in ports:
        if port not in names:
            other = data[port].sel(time="1980")
            one = given[port].sel(time="1980").assign_attrs(other.attrs)
            each = scores.nse(one, other)
            mean = float(scores.nse(*(x.mean("basin", keep_attrs=True) for x in (one, other))))
            wrong = float(one.mean() / other.mean() - 1)
            middle = np.nanmedian(each)
            print(f"  {port}: {mean:.4f}, median of HRUs {middle:.4f}, bias {wrong:+.1%}")


def coupled(path: Path) -> np.ndarray:
    """Return the discharge of a case in its segments, (time, segment)."""
    model = load_coupled(path).build()
    model.run("731 d", progress=False)
    flows = model.output("channel")[DISCHARGE].values
    each = ", ".join(f"{n} {1e3 * s / 731:.3f}" for n, s in model.seconds.items())
    print(f"  ms per day: {each}")
    return flows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=30, help="per stage")
    arguments = parser.parse_args()
    out = arguments.folder
    out.mkdir(parents=True, exist_ok=True)
    known = records(out)
    stores = sum((known[n] for n in STORES[:2]), known[STORES[2]])
    first = sum((known[f"initial_{n}"] for n in STORES[:2]), known[f"initial_{STORES[2]}"])
    known["mass_content_of_water_in_soil"] = stores.assign_attrs(units="kg m-2")
    known["initial_mass_content_of_water_in_soil"] = first.assign_attrs(units="kg m-2")
    for values in known.data_vars.values():  # 1 kg m-2 of water is 1 mm
        values.attrs["units"] = values.attrs.get("units", "1").replace("kg m-2", "mm")
    for name, (model, ports) in {
        "groundwater": (groundwater(), GROUNDWATER),
        "land": (land(), LAND),
    }.items():
        used = {p: t for p, t in ports.items() if p in known}
        fed = known.rename({p: t for p, t in used.items() if t in {f.name for f in model.forcings}})
        emulated(out / name, model, fed, used, arguments.epochs)
        print(f"{name}, NSE in 1980 of the mean over the basin")
        judged(out / name, known, used)
    drivers = [f.name for f in land().forcings]
    places = hw.data.read_delaware().forcing[["latitude", "longitude"]].drop_vars("basin")
    known[drivers].merge(places).to_netcdf(out / "weather.nc")
    (out / "delaware-surrogates.toml").write_text(CASE.lstrip())
    flows = coupled(out / "delaware-surrogates.toml")
    with tempfile.TemporaryDirectory() as folder:
        prms = coupled(write_template(Path(folder), "delaware"))
    each = scores.nse(
        *(
            xr.DataArray(f, {"time": known["time"]}, ("time", "segment"), attrs={"units": "m3 s-1"})
            .sel(time="1980")
            for f in (flows, prms)
        )
    )  # fmt: skip
    print(f"discharge in 1980 against PRMS's, median NSE of segments {np.nanmedian(each):.4f}")
    print(f"median NSE at the gages in 1980: {skill(flows):.4f}, PRMS {skill(prms):.4f}")
