"""STARFIT reservoirs: how people store and release water, inferred from records of operation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hybridwater.components.base import Variable
from hybridwater.components.configuration import per_cell, require_range
from hybridwater.components.grids import Grid, cells
from hybridwater.components.prms_process import PrmsComponent, quietly
from hybridwater.data.packages import package_folder
from hybridwater.errors import ComponentError
from hybridwater.files import open_netcdf

_MILLION_CUBIC_METRES = 1e9  # kg
_CUBIC_METRES_PER_SECOND = 86400.0 * 1000.0  # kg per day

VARIABLES = (
    Variable(
        "reservoir_inflow_water_volume_transport",
        "m3 s-1",
        "in",
        "rate",
        "inflow of the reservoirs",
        typical=5.0,
    ),
    Variable(
        "reservoir_outflow_water_volume_transport",
        "m3 s-1",
        "out",
        "rate",
        "release and spill of the reservoirs",
    ),
    Variable(
        "reservoir_spill_water_volume_transport",
        "m3 s-1",
        "out",
        "rate",
        "the part of the outflow that nobody decided on",
    ),
    Variable("reservoir_water_volume", "m3", "out", "state", "water in the reservoirs"),
)


class Starfit(PrmsComponent):
    """Reservoirs that keep to storage targets and release functions, wrapped from pywatershed.

    Source: Turner, Steyaert, Condon and Voisin (2021), doi:10.1016/j.jhydrol.2021.126843;
    pywatershed's Starfit, daily.

    Parameters
    ----------
    parameters : str or pathlib.Path, optional
        NetCDF file with the parameters of STARFIT along ``nreservoirs``, as pywatershed's
        StarfitParameters writes it; the Big Sandy Dike, which pywatershed carries, if left out.
    filling : float or array_like, optional
        Initial share of the capacity; the middle of the normal operating range if left out.
    start, end : str or date
        First day, and the day after the last.
    inputs : mapping, optional
        First values of inputs.
    mesh : Mesh, optional
        Mesh of the reservoirs.
    """

    name = "starfit"
    title = "STARFIT reservoirs with inferred storage targets and releases (pywatershed)"
    variables = VARIABLES

    def __init__(
        self,
        *,
        parameters: str | Path | None = None,
        filling: Any = None,
        start: str | dt.date = "1979-01-01",
        end: str | dt.date | None = None,
        inputs: Mapping[str, Any] | None = None,
        mesh: Any = None,
    ) -> None:
        super().__init__(
            parameters=parameters, start=start, end=end, compile=False, inputs=inputs, mesh=mesh
        )
        self._filling = filling

    def _make_grids(self) -> dict[int, Grid]:
        path = self._path
        with quietly():
            from pywatershed import Parameters

            if path is None:
                path = package_folder("pywatershed", "data") / "big_sandy_starfit_parameters.nc"
            self._all = Parameters.from_ds(open_netcdf(path, ComponentError))
        self._capacity = np.array(self._all.parameters["GRanD_CAP_MCM"], float)
        return {0: cells(self._capacity.size)}

    def _cell_areas(self, grid: int) -> None:
        """Reservoirs have volumes, no areas."""

    def _reset(self) -> None:
        with quietly():
            from pywatershed import Starfit as Process

            self._start_control()
            self._processes = {}
            self._lakes = self._add(Process, self._all, io_in_cfs=False)
            self._inflow = np.zeros(self._capacity.size)
            self._connect({"lake_inflow": self._inflow})
        self._lakes.lake_storage[:] = self._capacity * self._initial_filling()
        self._values["reservoir_water_volume"][:] = self._lakes.lake_storage * 1e6

    def _initial_filling(self) -> np.ndarray:
        if self._filling is not None:
            shape = np.zeros(self._capacity.size)
            filling = per_cell(self.name, filling=self._filling, reservoirs=shape)["filling"]
            require_range(self.name, "filling", filling, 0, 1)
            return filling
        from pywatershed.hydrology.starfit import max_nor, min_nor, omega

        week, lakes = self._control.current_epiweek, self._lakes
        low, high = (
            limit(*(getattr(lakes, f"NOR{side}_{p}") for p in names), omega, week)
            for limit, side, names in (
                (min_nor, "lo", ("max", "min", "alpha", "beta", "mu")),
                (max_nor, "hi", ("max", "min", "alpha", "beta", "mu")),
            )
        )
        return np.clip((low + high) / 2 / 100, 0, 1)

    def _configuration(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in super()._configuration().items()
            if value.dtype.kind in "biuf"
        }

    def _advance(self) -> None:
        inflow, values = self._values["reservoir_inflow_water_volume_transport"], self._values
        if (inflow < 0).any():
            raise ComponentError(
                f"The inflow of a reservoir is {inflow.min():g} m3 s-1.",
                f"{self._place()}, cell {int(inflow.argmin())}",
                "Take water out of a reservoir as a demand, not as a negative inflow",
            )
        self._inflow[:] = inflow
        with quietly():
            self._run()
        lakes = self._lakes
        values["reservoir_outflow_water_volume_transport"][:] = lakes.lake_outflow
        values["reservoir_spill_water_volume_transport"][:] = lakes.lake_spill
        values["reservoir_water_volume"][:] = lakes.lake_storage * 1e6

    def storage(self) -> dict[str, np.ndarray]:
        """Return the water in the reservoirs [kg], shape (reservoir,)."""
        return {"reservoirs": self._lakes.lake_storage * _MILLION_CUBIC_METRES}

    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return what crossed the boundary in the last day [kg], each of shape (reservoir,)."""
        if not self._steps:
            return {}
        values = self._values
        inflow = values["reservoir_inflow_water_volume_transport"]
        outflow = values["reservoir_outflow_water_volume_transport"]
        return {
            "reservoir_inflow_water_volume_transport": inflow * _CUBIC_METRES_PER_SECOND,
            "reservoir_outflow_water_volume_transport": -outflow * _CUBIC_METRES_PER_SECOND,
        }
