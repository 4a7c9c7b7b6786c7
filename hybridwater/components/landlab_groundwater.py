"""Groundwater after Dupuit and Forchheimer over an aquifer of variable thickness, from landlab."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from hybridwater.components.base import Variable
from hybridwater.components.landlab_raster import METRE_PER_SECOND, LandlabRaster
from hybridwater.errors import ComponentError

_DAILY = "kg m-2 d-1"

VARIABLES = (
    Variable(
        "groundwater_recharge_flux", _DAILY, "in", "rate", "recharge of the aquifer", typical=1.0
    ),
    Variable("seepage_flux", _DAILY, "out", "rate", "groundwater that comes out at the surface"),
    Variable(
        "lateral_groundwater_flux",
        _DAILY,
        "out",
        "rate",
        "net groundwater from neighbouring cells and across open edges",
    ),
    Variable(
        "drying_error_flux",
        _DAILY,
        "out",
        "rate",
        "water that landlab makes up where a cell falls dry",
    ),
    Variable("water_table_elevation", "m", "out", "state", "elevation of the water table"),
    Variable("groundwater_amount", "kg m-2", "out", "state", "drainable water in the aquifer"),
)


class LandlabGroundwater(LandlabRaster):
    """Landlab's GroundwaterDupuitPercolator over a raster.

    Source: Litwin, Tucker, Barnhart and Harman (2020), doi:10.21105/joss.01935. Within a step
    landlab takes as many substeps as stability needs. Seepage is what leaves the aquifer by its
    water balance, which landlab's own diagnostic meets only approximately.

    Parameters
    ----------
    shape, spacing, open_edges, step, start, inputs, mesh
        As in :class:`hybridwater.components.landlab_raster.LandlabRaster`; ``step`` in days. Open
        edges keep the water table that the cells beside them have at the start.
    elevation, base, water_table : float or array_like
        Elevation of surface, aquifer base, and water table at the start [m]; base < water table
        <= surface.
    conductivity : float
        Hydraulic conductivity [m s-1].
    porosity : float
        Drainable porosity [1].
    """

    name = "landlab-groundwater"
    title = "Dupuit groundwater over a raster (landlab)"
    variables = VARIABLES

    def __init__(
        self,
        *,
        shape: Collection[int] = (8, 10),
        spacing: Collection[float] = (50.0, 50.0),
        elevation: Any = 10.0,
        base: Any = 0.0,
        water_table: Any = 8.0,
        conductivity: float = 1e-3,
        porosity: float = 0.2,
        open_edges: Collection[str] = ("bottom",),
        step: float = 1.0,
        start: str | dt.date | None = None,
        inputs: Mapping[str, Any] | None = None,
        mesh: Any = None,
    ) -> None:
        super().__init__(
            shape=shape,
            spacing=spacing,
            fields={
                "topographic__elevation": elevation,
                "aquifer_base__elevation": base,
                "water_table__elevation": water_table,
            },
            open_edges=open_edges,
            step=step,
            start=start,
            inputs=inputs,
            mesh=mesh,
        )
        surface, bottom, table = self._fields.values()
        if not ((bottom < table) & (table <= surface)).all():
            raise ComponentError(
                "The water table is not between base and surface everywhere.",
                f"component '{self.name}'",
                "Give base < water_table <= elevation",
            )
        if not (conductivity > 0 and 0 < porosity <= 1):
            raise ComponentError(
                f"Conductivity {conductivity:g} or porosity {porosity:g} cannot be.",
                f"component '{self.name}'",
            )
        self._conductivity, self._porosity = float(conductivity), float(porosity)

    def _configuration(self) -> dict[str, Any]:
        soil = {"conductivity": self._conductivity, "porosity": self._porosity}
        return {**super()._configuration(), **soil}

    def _reset(self) -> None:
        from landlab.components import GroundwaterDupuitPercolator

        grid = self._landlab_grid()
        self._recharge = grid.add_zeros("recharge__rate", at="node")
        self._divergence = np.zeros(grid.number_of_nodes)
        self._model = GroundwaterDupuitPercolator(
            grid,
            hydraulic_conductivity=self._conductivity,
            porosity=self._porosity,
            recharge_rate="recharge__rate",
            callback_fun=self._collect,
        )
        self._grid_of_landlab = grid
        self._show()

    def _collect(self, grid: Any, _: np.ndarray, substep: float) -> None:
        """Add what flowed between cells in a substep [m]."""
        flow = grid.at_link["groundwater__specific_discharge"]
        self._divergence += grid.calc_flux_div_at_node(flow) * substep

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return self._field_arrays(self._grid_of_landlab)

    def _show(self) -> None:
        at_node = self._grid_of_landlab.at_node
        self._values["water_table_elevation"][:] = at_node["water_table__elevation"][self._core]
        self._values["groundwater_amount"][:] = self._amount()

    def _amount(self) -> np.ndarray:
        thickness = self._grid_of_landlab.at_node["aquifer__thickness"][self._core]
        return thickness * self._porosity * 1000.0

    def _advance_in_one_thread(self) -> None:
        values, seconds = self._values, self._step * 86400.0
        recharge = values["groundwater_recharge_flux"]
        if (recharge < 0).any():
            raise ComponentError(
                f"The recharge is {recharge.min():g} kg m-2 d-1, but landlab's aquifer has no "
                "uptake.",
                f"{self._place('groundwater_recharge_flux')}, cell {int(recharge.argmin())}",
            )
        self._recharge[:] = self._to_nodes(recharge / METRE_PER_SECOND)
        before = self._amount()
        self._divergence[:] = 0
        self._model.run_with_adaptive_time_step_solver(seconds)
        lateral = -self._divergence[self._core] * 1000.0 / self._step
        left = recharge + lateral - (self._amount() - before) / self._step
        values["lateral_groundwater_flux"][:] = lateral
        values["seepage_flux"][:] = np.maximum(left, 0)
        values["drying_error_flux"][:] = np.maximum(-left, 0)
        self._show()

    def storage(self) -> dict[str, np.ndarray]:
        """Return the drainable water in the aquifer [kg], shape (cell,)."""
        return {"aquifer": self._amount() * self._cell_area}

    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return what crossed the boundary of each cell in the last step [kg], shape (cell,)."""
        if not self._steps:
            return {}
        values, per_flux = self._values, self._cell_area * self._step
        return {
            "groundwater_recharge_flux": values["groundwater_recharge_flux"] * per_flux,
            "lateral_groundwater_flux": values["lateral_groundwater_flux"] * per_flux,
            "seepage_flux": -values["seepage_flux"] * per_flux,
            "drying_error_flux": values["drying_error_flux"] * per_flux,
        }
