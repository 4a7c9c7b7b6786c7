"""PRMS's land: weather, canopy, snow, runoff with depressions, and soil zone, over HRUs."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridwater.components.base import Variable
from hybridwater.components.prms_atmosphere import DailyAtmosphere
from hybridwater.components.prms_process import INCH, PrmsComponent, quietly

_DAILY = "kg m-2 d-1"
_AMOUNT = "kg m-2"


def _out(name: str, description: str, standard_name: str | None = None) -> Variable:
    return Variable(name, _DAILY, "out", "rate", description, standard_name=standard_name)


def _store(name: str, description: str, standard_name: str | None = None) -> Variable:
    return Variable(name, _AMOUNT, "out", "state", description, standard_name=standard_name)


# The weather has PRMS's own units: a conversion's rounding could turn rain on a threshold to snow.
VARIABLES = (
    Variable(
        "lwe_precipitation_rate",
        "inch d-1",
        "in",
        "rate",
        "precipitation as measured, before PRMS's monthly adjustment",
        standard_name="lwe_precipitation_rate",
        typical=0.3,
    ),
    Variable(
        "minimum_air_temperature",
        "degF",
        "in",
        "rate",
        "daily minimum of air temperature",
        standard_name="air_temperature",
        typical=28.0,
    ),
    Variable(
        "maximum_air_temperature",
        "degF",
        "in",
        "rate",
        "daily maximum of air temperature",
        standard_name="air_temperature",
        typical=48.0,
    ),
    _out("precipitation_flux", "precipitation after PRMS's adjustment", "precipitation_flux"),
    _out("precipitation_adjustment_flux", "what PRMS's monthly factors add to precipitation"),
    _out("water_evapotranspiration_flux", "evapotranspiration", "water_evapotranspiration_flux"),
    _out("surface_runoff_flux", "surface runoff to the channel", "surface_runoff_flux"),
    _out("subsurface_runoff_flux", "interflow to the channel", "subsurface_runoff_flux"),
    _out("groundwater_recharge_flux", "drainage of soil and depressions to groundwater"),
    _store("canopy_water_amount", "water on leaves", "canopy_water_amount"),
    _store("surface_snow_amount", "snow water equivalent", "surface_snow_amount"),
    _store("surface_water_amount", "water in depressions and on sealed ground"),
    _store("mass_content_of_water_in_soil", "soil", "mass_content_of_water_in_soil"),
)


class PrmsLand(PrmsComponent):
    """Land of the Precipitation-Runoff Modeling System, wrapped from pywatershed.

    Source: Markstrom et al. (2015), doi:10.3133/tm6B7; pywatershed's PRMSAtmosphere, PRMSCanopy,
    PRMSSnow, PRMSRunoff and PRMSSoilzone, in this order, once a day.

    Parameters
    ----------
    parameters, start, end, compile, inputs, mesh
        As in :class:`hybridwater.components.prms_process.PrmsComponent`. PRMS begins without snow
        at a date.
    """

    name = "prms-land"
    title = "PRMS canopy, snow, runoff and soil zone over HRUs (pywatershed)"
    variables = VARIABLES

    def _reset(self) -> None:
        with quietly():
            import pywatershed as pws

            self._start_control()
            self._processes = {}
            self._atmosphere = DailyAtmosphere(self._all, self._control.start_time)
            for process in (pws.PRMSCanopy, pws.PRMSSnow, pws.PRMSRunoff, pws.PRMSSoilzone):
                self._add(process, self._all)
            self._connect(self._atmosphere.current)
        self._show_stores()

    def _state_arrays(self) -> dict[str, np.ndarray]:
        weather = {f"weather.{k}": a for k, a in self._atmosphere.state_arrays().items()}
        return {**super()._state_arrays(), **weather}

    def _advance(self) -> None:
        given = self._values
        prcp = given["lwe_precipitation_rate"]
        day = np.datetime64(self.date(), "s")
        with quietly():
            self._atmosphere.step(
                day, prcp, given["minimum_air_temperature"], given["maximum_air_temperature"]
            )
            self._run()
        weather, snow, runoff, soil = self._atmosphere.current, *self._named()
        given["precipitation_flux"][:] = weather["hru_ppt"] * INCH
        given["precipitation_adjustment_flux"][:] = (weather["hru_ppt"] - prcp) * INCH
        evaporated = (
            snow.snow_evap
            + runoff.hru_impervevap
            + runoff.dprst_evap_hru
            + soil.perv_actet_hru
            + self._processes["PRMSCanopy"].hru_intcpevap
        )
        given["water_evapotranspiration_flux"][:] = evaporated * INCH
        given["surface_runoff_flux"][:] = runoff.sroff * INCH
        given["subsurface_runoff_flux"][:] = soil.ssres_flow * INCH
        drained = soil.soil_to_gw + soil.ssr_to_gw + runoff.dprst_seep_hru
        given["groundwater_recharge_flux"][:] = drained * INCH
        self._show_stores()

    def _named(self) -> tuple[Any, Any, Any]:
        return tuple(self._processes[f"PRMS{n}"] for n in ("Snow", "Runoff", "Soilzone"))

    def _stores(self) -> dict[str, np.ndarray]:
        """Return the stores [kg m-2]; soil is counted over the pervious part of an HRU."""
        snow, runoff, soil = self._named()
        canopy = self._processes["PRMSCanopy"]
        pervious = (soil.soil_rechr + soil.soil_lower) * soil.hru_frac_perv
        return {
            "canopy_water_amount": canopy.hru_intcpstor * INCH,
            "surface_snow_amount": snow.pkwater_equiv * INCH,  # ice and water apart lag behind it
            "surface_water_amount": (runoff.hru_impervstor + runoff.dprst_stor_hru) * INCH,
            "mass_content_of_water_in_soil": (pervious + soil.slow_stor + soil.pref_flow_stor)
            * INCH,
        }

    def _show_stores(self) -> None:
        for name, amount in self._stores().items():
            self._values[name][:] = amount

    def storage(self) -> dict[str, np.ndarray]:
        """Return the water in canopy, snow, surface and soil [kg], each of shape (hru,)."""
        return {name: amount * self._area for name, amount in self._stores().items()}

    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return what crossed the boundary in the last day [kg], each of shape (hru,)."""
        if not self._steps:
            return {}
        values, area = self._values, self._area
        measured = values["lwe_precipitation_rate"] * INCH * area
        leaving = (
            "water_evapotranspiration_flux",
            "surface_runoff_flux",
            "subsurface_runoff_flux",
            "groundwater_recharge_flux",
        )
        return {
            "lwe_precipitation_rate": measured,
            "precipitation_adjustment_flux": values["precipitation_adjustment_flux"] * area,
            **{name: -values[name] * area for name in leaving},
        }
