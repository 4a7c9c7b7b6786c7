"""The Delaware weather, and pywatershed's own runs, for the tests of PRMS components."""

import functools

import xarray as xr

from hybridwater.components import get_component
from hybridwater.components.prms_process import quietly, read_parameters
from hybridwater.data.packages import package_folder

PORTS = {
    "lwe_precipitation_rate": "prcp",
    "minimum_air_temperature": "tmin",
    "maximum_air_temperature": "tmax",
}
PROCESSES = (
    "SolarGeometry",
    "Atmosphere",
    "Canopy",
    "Snow",
    "Runoff",
    "Soilzone",
    "Groundwater",
    "Channel",
)


@functools.cache
def weather():
    folder = package_folder("pywatershed", "data", "drb_2yr")
    return {
        port: xr.load_dataset(folder / f"{name}.nc")[name].values.astype(float)
        for port, name in PORTS.items()
    }


def own_model(method="numpy"):
    """Pywatershed's own coupled model of the Delaware."""
    with quietly():
        import pywatershed as pws

        folder = package_folder("pywatershed", "data", "drb_2yr")
        control = pws.Control.load_prms(folder / "nhm.control", warn_unused_options=False)
        control.options = {"input_dir": folder, "budget_type": None, "calc_method": method}
        classes = [getattr(pws, f"PRMS{n}") for n in PROCESSES]
        return pws.Model(classes, control=control, parameters=read_parameters(None))


def own_step(model):
    with quietly():
        model.advance()
        model.calculate()


def start(*names, **options):
    components = [get_component(f"prms-{n}")(**{"compile": False, **options}) for n in names]
    for component in components:
        component.initialize()
    return components


def step_land(land, day):
    for port, values in weather().items():
        land.set_value(port, values[day])
    land.update()


def hand_over(source, target, *names):
    for name in names:
        target.set_value(name, source.get_value_ptr(name))


def step_all(land, groundwater, channel, day):
    step_land(land, day)
    hand_over(land, groundwater, "groundwater_recharge_flux")
    groundwater.update()
    hand_over(land, channel, "surface_runoff_flux", "subsurface_runoff_flux")
    hand_over(groundwater, channel, "groundwater_discharge_flux")
    channel.update()
