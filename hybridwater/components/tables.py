"""The methods of BMI that only look things up in a declaration table, its grids and its values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hybridwater.components.base import Component, unknown_variable
from hybridwater.components.grids import Grid
from hybridwater.errors import ComponentError


class TableComponent(Component):
    """A component whose variables, grids and values are held in tables.

    Subclasses set ``_grids`` (identifier to grid), ``_values`` (name to array, kept for the life of
    the component, so that pointers stay valid) and ``_meshes``.
    """

    _grids: Mapping[int, Grid]
    _values: dict[str, np.ndarray]
    _meshes: dict[int, Any]

    # ---- variables

    def get_input_item_count(self) -> int:  # noqa: D102 - BMI documents its own methods
        return len(self.get_input_var_names())

    def get_output_item_count(self) -> int:  # noqa: D102
        return len(self.get_output_var_names())

    def get_input_var_names(self) -> tuple[str, ...]:  # noqa: D102
        return tuple(v.name for v in self.variables if v.is_input)

    def get_output_var_names(self) -> tuple[str, ...]:  # noqa: D102
        return tuple(v.name for v in self.variables if v.is_output)

    def get_var_grid(self, name: str) -> int:  # noqa: D102
        return self.variable(name).grid

    def get_var_type(self, name: str) -> str:  # noqa: D102
        return self.variable(name).dtype

    def get_var_units(self, name: str) -> str:  # noqa: D102
        return self.variable(name).units

    def get_var_itemsize(self, name: str) -> int:  # noqa: D102
        return np.dtype(self.variable(name).dtype).itemsize

    def get_var_nbytes(self, name: str) -> int:  # noqa: D102
        return self._array(name).nbytes

    def get_var_location(self, name: str) -> str:  # noqa: D102
        return self.variable(name).location

    # ---- values

    def get_value(self, name: str, dest: np.ndarray) -> np.ndarray:  # noqa: D102
        dest[:] = self._array(name)
        return dest

    def get_value_ptr(self, name: str) -> np.ndarray:  # noqa: D102
        return self._array(name)

    def get_value_at_indices(  # noqa: D102
        self, name: str, dest: np.ndarray, inds: np.ndarray
    ) -> np.ndarray:
        dest[:] = self._array(name)[self._indices(name, inds)]
        return dest

    def set_value(self, name: str, src: np.ndarray) -> None:
        """Set an input.

        Raises
        ------
        ComponentError
            If it is not an input, or the values have another size or are not finite.
        """
        target = self._input(name)
        values = np.asarray(src).reshape(-1)
        if values.shape != target.shape:
            raise ComponentError(
                f"'{name}' was given {values.size} values, but has {target.size}.",
                self._place(name),
                f"Give one value per {self.variable(name).location} of grid "
                f"{self.variable(name).grid}",
            )
        self._refuse_gaps(name, values)
        target[:] = values

    def set_value_at_indices(  # noqa: D102
        self, name: str, inds: np.ndarray, src: np.ndarray
    ) -> None:
        target, indices = self._input(name), self._indices(name, inds)
        values = np.asarray(src).reshape(-1)
        self._refuse_gaps(name, values)
        target[indices] = values

    def _array(self, name: str) -> np.ndarray:
        try:
            return self._values[name]
        except KeyError:
            raise unknown_variable(
                self.get_component_name(), name, [v.name for v in self.variables]
            ) from None

    def _input(self, name: str) -> np.ndarray:
        if not self.variable(name).is_input:
            raise ComponentError(
                f"'{name}' comes out of the component and cannot be set.",
                self._place(name),
                f"Set one of {', '.join(self.get_input_var_names())}",
            )
        return self._array(name)

    def _indices(self, name: str, inds: np.ndarray) -> np.ndarray:
        indices, size = np.asarray(inds), self._array(name).size
        if indices.size and not (0 <= indices.min() and indices.max() < size):
            raise ComponentError(
                f"'{name}' has the indices 0 to {size - 1}, not {indices.min()} to "
                f"{indices.max()}.",
                self._place(name),
            )
        return indices

    def _refuse_gaps(self, name: str, values: np.ndarray) -> None:
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            bad = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ComponentError(
                f"'{name}' was given {values[bad]}.",
                f"{self._place(name)}, cell {bad}",
                "Fill the gap before it reaches the component",
            )

    def _place(self, name: str | None = None) -> str:
        """Say where something is wrong: component, variable and time."""
        variable = "" if name is None else f", variable '{name}'"
        time = f", time {self.get_current_time():g} {self.get_time_units()}"
        return f"component '{self.get_component_name()}'{variable}{time}"

    # ---- grids

    def _grid(self, grid: int) -> Grid:
        try:
            return self._grids[grid]
        except KeyError:
            raise ComponentError(
                f"The component '{self.get_component_name()}' has no grid {grid}.",
                fix=f"Its grids are {', '.join(map(str, self._grids))}",
            ) from None

    def mesh(self, grid: int) -> Any | None:
        """Return the mesh that the component was made with, or None."""
        return self._meshes.get(grid)

    def get_grid_rank(self, grid: int) -> int:  # noqa: D102
        return self._grid(grid).rank

    def get_grid_size(self, grid: int) -> int:  # noqa: D102
        return self._grid(grid).size

    def get_grid_type(self, grid: int) -> str:  # noqa: D102
        return self._grid(grid).type

    def get_grid_shape(self, grid: int, shape: np.ndarray) -> np.ndarray:  # noqa: D102
        shape[:] = self._grid(grid).shape
        return shape

    def get_grid_spacing(self, grid: int, spacing: np.ndarray) -> np.ndarray:  # noqa: D102
        spacing[:] = self._grid(grid).spacing
        return spacing

    def get_grid_origin(self, grid: int, origin: np.ndarray) -> np.ndarray:  # noqa: D102
        origin[:] = self._grid(grid).origin
        return origin

    def get_grid_x(self, grid: int, x: np.ndarray) -> np.ndarray:  # noqa: D102
        return self._coordinate(grid, 0, x)

    def get_grid_y(self, grid: int, y: np.ndarray) -> np.ndarray:  # noqa: D102
        return self._coordinate(grid, 1, y)

    def get_grid_z(self, grid: int, z: np.ndarray) -> np.ndarray:  # noqa: D102
        return self._coordinate(grid, 2, z)

    def _coordinate(self, grid: int, axis: int, dest: np.ndarray) -> np.ndarray:
        coordinates = self._grid(grid).coordinates
        if axis >= len(coordinates):
            raise ComponentError(f"Grid {grid} has no coordinate {'xyz'[axis]}.", self._place())
        dest[:] = coordinates[axis]
        return dest

    def get_grid_node_count(self, grid: int) -> int:  # noqa: D102
        return self._grid(grid).size

    def get_grid_edge_count(self, grid: int) -> int:  # noqa: D102
        return self._grid(grid).edge_count

    def get_grid_face_count(self, grid: int) -> int:  # noqa: D102
        self._grid(grid)
        return 0  # polygons are in the mesh

    def get_grid_edge_nodes(self, grid: int, edge_nodes: np.ndarray) -> np.ndarray:  # noqa: D102
        edges = self._grid(grid).edges
        if edges is not None:
            edge_nodes[:] = edges.reshape(-1)
        return edge_nodes

    def get_grid_face_edges(self, grid: int, face_edges: np.ndarray) -> np.ndarray:  # noqa: D102
        return face_edges

    def get_grid_face_nodes(self, grid: int, face_nodes: np.ndarray) -> np.ndarray:  # noqa: D102
        return face_nodes

    def get_grid_nodes_per_face(  # noqa: D102
        self, grid: int, nodes_per_face: np.ndarray
    ) -> np.ndarray:
        return nodes_per_face
