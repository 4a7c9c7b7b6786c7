"""Shallow flow over land with local inertia, from landlab."""

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
        "rainfall_flux",
        _DAILY,
        "in",
        "rate",
        "water that reaches the surface",
        standard_name="rainfall_flux",
        typical=240.0,
    ),
    Variable(
        "lateral_surface_water_flux",
        _DAILY,
        "out",
        "rate",
        "net surface water from neighbouring cells and across open edges",
    ),
    Variable(
        "film_error_flux",
        _DAILY,
        "out",
        "rate",
        "water that landlab makes up where a cell would fall below its film",
    ),
    Variable(
        "surface_water_amount",
        "kg m-2",
        "out",
        "state",
        "water on the surface",
        standard_name="surface_water_amount",
    ),
)


class LandlabOverland(LandlabRaster):
    """Landlab's OverlandFlow (local inertia) over a raster.

    Source: de Almeida, Bates, Freer and Souvignet (2012), doi:10.1029/2011WR011570; Adams et al.
    (2017), doi:10.5194/gmd-10-1645-2017. Within a step landlab takes as many substeps as stability
    needs.

    Parameters
    ----------
    shape, spacing, open_edges, step, start, inputs, mesh
        As in :class:`hybridwater.components.landlab_raster.LandlabRaster`; ``step`` in hours.
    elevation : float or array_like
        Elevation of the surface [m].
    depth : float or array_like
        Water on the surface at the start [m]; landlab adds a film of 0.01 mm.
    roughness : float
        Manning's roughness [s m-1/3].
    """

    name = "landlab-overland"
    title = "overland flow with local inertia over a raster (landlab)"
    variables = VARIABLES
    time_units = "h"

    def __init__(
        self,
        *,
        shape: Collection[int] = (8, 10),
        spacing: Collection[float] = (20.0, 20.0),
        elevation: Any = 1.0,
        depth: Any = 0.0,
        roughness: float = 0.03,
        open_edges: Collection[str] = ("bottom",),
        step: float = 0.25,
        start: str | dt.date | None = None,
        inputs: Mapping[str, Any] | None = None,
        mesh: Any = None,
    ) -> None:
        super().__init__(
            shape=shape,
            spacing=spacing,
            fields={"topographic__elevation": elevation, "surface_water__depth": depth},
            open_edges=open_edges,
            step=step,
            start=start,
            inputs=inputs,
            mesh=mesh,
        )
        if (self._fields["surface_water__depth"] < 0).any() or not roughness > 0:
            raise ComponentError(
                "Depths and roughness must not be negative.", f"component '{self.name}'"
            )
        self._roughness = float(roughness)

    def _configuration(self) -> dict[str, Any]:
        return {**super()._configuration(), "roughness": self._roughness}

    def _reset(self) -> None:
        from landlab.components import OverlandFlow

        grid = self._landlab_grid()
        self._model = OverlandFlow(grid, mannings_n=self._roughness, steep_slopes=True)
        self._grid_of_landlab = grid
        self._show()

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {**self._field_arrays(self._grid_of_landlab), "h_links": self._model._h_links}

    def _amount(self) -> np.ndarray:
        return self._grid_of_landlab.at_node["surface_water__depth"][self._core] * 1000.0

    def _show(self) -> None:
        self._values["surface_water_amount"][:] = self._amount()

    def _advance_in_one_thread(self) -> None:
        rain = self._values["rainfall_flux"]
        if (rain < 0).any():
            raise ComponentError(
                f"The rainfall is {rain.min():g} kg m-2 d-1.",
                f"{self._place('rainfall_flux')}, cell {int(rain.argmin())}",
            )
        grid, model = self._grid_of_landlab, self._model
        model.rainfall_intensity = self._to_nodes(rain / METRE_PER_SECOND)
        before = self._amount()
        divergence = np.zeros(grid.number_of_nodes)
        remaining = self._step * 3600.0
        while remaining > 0:
            substep = min(model.calc_time_step(), remaining)
            model.overland_flow(dt=substep)
            flow = grid.at_link["surface_water__discharge"]
            divergence += grid.calc_flux_div_at_node(flow) * substep
            remaining -= substep
        days = self._step / 24.0
        lateral = -divergence[self._core] * 1000.0 / days
        self._values["lateral_surface_water_flux"][:] = lateral
        self._values["film_error_flux"][:] = (self._amount() - before) / days - rain - lateral
        self._show()

    def storage(self) -> dict[str, np.ndarray]:
        """Return the water on the surface [kg], shape (cell,)."""
        return {"surface": self._amount() * self._cell_area}

    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return what crossed the boundary of each cell in the last step [kg], shape (cell,)."""
        if not self._steps:
            return {}
        per_flux = self._cell_area * self._step / 24.0
        return {name: self._values[name] * per_flux for name in self._values if "_flux" in name}
