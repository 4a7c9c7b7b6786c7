"""PRMS's groundwater reservoirs, one below every HRU."""

from __future__ import annotations

import numpy as np

from hybridwater.components.base import Variable
from hybridwater.components.prms_process import INCH, PrmsComponent, quietly

_DAILY = "kg m-2 d-1"

VARIABLES = (
    Variable(
        "groundwater_recharge_flux",
        _DAILY,
        "in",
        "rate",
        "drainage of soil and depressions to groundwater",
        typical=1.0,
    ),
    Variable(
        "groundwater_discharge_flux", _DAILY, "out", "rate", "outflow of groundwater to the channel"
    ),
    Variable("groundwater_sink_flux", _DAILY, "out", "rate", "water that leaves the basin below"),
    Variable("groundwater_amount", "kg m-2", "out", "state", "water in the reservoir"),
)


class PrmsGroundwater(PrmsComponent):
    """Groundwater of the Precipitation-Runoff Modeling System, wrapped from pywatershed.

    Source: Markstrom et al. (2015), doi:10.3133/tm6B7, module ``gwflow``: a linear reservoir whose
    outflow is a share of storage plus recharge of the day; pywatershed's PRMSGroundwater.

    Parameters
    ----------
    parameters, start, end, compile, inputs, mesh
        As in :class:`hybridwater.components.prms_process.PrmsComponent`.
    """

    name = "prms-groundwater"
    title = "PRMS groundwater reservoirs below HRUs (pywatershed)"
    variables = VARIABLES

    def _reset(self) -> None:
        with quietly():
            from pywatershed import PRMSGroundwater

            self._start_control()
            self._processes = {}
            self._store = self._add(PRMSGroundwater, self._all)
            self._recharge = np.zeros(self._area.size)
            nothing = np.zeros(self._area.size)
            self._connect(
                {
                    "soil_to_gw": self._recharge,
                    "ssr_to_gw": nothing,
                    "dprst_seep_hru": nothing.copy(),
                }
            )
        self._values["groundwater_amount"][:] = self._store.gwres_stor * INCH

    def _advance(self) -> None:
        values, store = self._values, self._store
        self._recharge[:] = values["groundwater_recharge_flux"] / INCH
        self._run()
        values["groundwater_discharge_flux"][:] = store.gwres_flow * INCH
        values["groundwater_sink_flux"][:] = store.gwres_sink * INCH
        values["groundwater_amount"][:] = store.gwres_stor * INCH

    def storage(self) -> dict[str, np.ndarray]:
        """Return the water in the reservoirs [kg], shape (hru,)."""
        return {"groundwater": self._store.gwres_stor * INCH * self._area}

    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return what crossed the boundary in the last day [kg], each of shape (hru,)."""
        if not self._steps:
            return {}
        values, area = self._values, self._area
        return {
            "groundwater_recharge_flux": values["groundwater_recharge_flux"] * area,
            "groundwater_discharge_flux": -values["groundwater_discharge_flux"] * area,
            "groundwater_sink_flux": -values["groundwater_sink_flux"] * area,
        }
