"""What the components that wrap landlab share: a raster of cells inside a ring of boundary nodes.

landlab (Barnhart et al., 2020, doi:10.5194/esurf-8-379-2020) keeps fields on the nodes of a grid;
the nodes of the outermost ring have no cell. Here the ring is landlab's own affair: values are
those of the cells inside. A landlab component can also be plugged in as it is, through the BMI that
landlab gives it (``hybridwater.components.bmi``), without state and storage.
"""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from hybridwater.components.declared import DeclaredComponent
from hybridwater.components.grids import Grid
from hybridwater.components.registry import require_package
from hybridwater.errors import ComponentError, nearest

#: kg m-2 d-1 in a metre of water per second.
METRE_PER_SECOND = 1000.0 * 86400.0
_EDGES = ("right", "top", "left", "bottom")  # the order of landlab


class LandlabRaster(DeclaredComponent):
    """A landlab model over a raster of cells.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of cells.
    spacing : tuple of float
        Distance of rows and of columns [m].
    fields : mapping of str to array_like
        Initial fields by landlab's name: a number, or an array of that shape, row 0 in the south.
        The ring gets the values of the cells beside it.
    open_edges : collection of str
        Edges that water may cross: of "left", "right", "top", "bottom".
    step, start, inputs, mesh
        As in `DeclaredComponent`.
    """

    def __init__(
        self,
        *,
        shape: Collection[int],
        spacing: Collection[float],
        fields: Mapping[str, Any],
        open_edges: Collection[str],
        step: float,
        start: str | dt.date | None,
        inputs: Mapping[str, Any] | None,
        mesh: Any,
    ) -> None:
        super().__init__(step=step, start=start, inputs=inputs, meshes={0: mesh})
        rows, columns = (int(n) for n in shape)
        self._shape, self._spacing = (rows, columns), tuple(float(s) for s in spacing)
        if rows < 1 or columns < 1 or min(self._spacing) <= 0:
            raise ComponentError(
                f"A raster of {rows} x {columns} cells with the spacing {self._spacing} was asked "
                "for.",
                f"component '{self.name}'",
                "Give at least one row and column, and a positive spacing [m]",
            )
        for edge in open_edges:
            if edge not in _EDGES:
                raise ComponentError(
                    f"There is no edge '{edge}' ({nearest(edge, _EDGES)}).",
                    f"component '{self.name}'",
                )
        self._threads: Any = None
        self._open = tuple(edge in open_edges for edge in _EDGES)
        self._fields = {name: self._on_cells(name, values) for name, values in fields.items()}

    def _on_cells(self, name: str, values: Any) -> np.ndarray:
        array = np.asarray(values, float)
        n = self._shape[0] * self._shape[1]
        if (array.ndim and array.size != n) or not np.isfinite(array).all():
            raise ComponentError(
                f"'{name}' has the shape {array.shape} or gaps, but there are {self._shape} cells.",
                f"component '{self.name}'",
                "Give one number, or one per cell",
            )
        return np.broadcast_to(array.reshape(self._shape if array.ndim else ()), self._shape).copy()

    def _configuration(self) -> dict[str, Any]:
        return {**self._fields, "spacing": self._spacing, "open": self._open}

    def _make_grids(self) -> dict[int, Grid]:
        rows, columns = self._shape
        grid = Grid(
            "uniform_rectilinear",
            rows * columns,
            shape=self._shape,
            spacing=self._spacing,
            origin=self._spacing,
        )
        return {0: grid}

    def _landlab_grid(self) -> Any:
        """Return a new landlab grid with the initial fields at its nodes."""
        from landlab import RasterModelGrid

        (rows, columns), (dy, dx) = self._shape, self._spacing
        grid = RasterModelGrid((rows + 2, columns + 2), xy_spacing=(dx, dy))
        grid.set_closed_boundaries_at_grid_edges(*(not is_open for is_open in self._open))
        for name, values in self._fields.items():
            grid.add_field(name, np.pad(values, 1, mode="edge").ravel(), at="node")
        self._core = grid.core_nodes
        self._cell_area = dx * dy
        return grid

    def _cell_areas(self, grid: int) -> np.ndarray:
        return np.full(self._grids[grid].size, self._spacing[0] * self._spacing[1])

    def _to_nodes(self, values: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Return values of cells on all nodes, a fill value on the ring."""
        rows, columns = self._shape
        return np.pad(values.reshape(rows, columns), 1, constant_values=fill).ravel()

    def _advance(self) -> None:
        """Do one step in one thread.

        landlab's loops are parallel (OpenMP). On rasters of some hundreds of cells threads only
        wait for each other, a hundred times longer than the work takes where processors are shared.
        """
        if self._threads is None:
            require_package("threadpoolctl", self.name)
            from threadpoolctl import ThreadpoolController

            self._threads = ThreadpoolController()
        with self._threads.limit(limits=1, user_api="openmp"):
            self._advance_in_one_thread()

    @abstractmethod
    def _advance_in_one_thread(self) -> None:
        """Do one step; see `_advance`."""

    def _field_arrays(self, grid: Any) -> dict[str, np.ndarray]:
        """Return the live fields of a landlab grid."""
        return {
            f"{at}/{name}": grid[at][name] for at in ("node", "link") for name in grid[at].keys()
        }
