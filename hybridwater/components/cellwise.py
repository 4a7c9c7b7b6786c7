"""Components whose cells stand side by side, each with its own parameters."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from hybridwater.components.configuration import per_cell, require_range, stacked_cells
from hybridwater.components.declared import DeclaredComponent
from hybridwater.components.grids import Grid, cells


class CellwiseComponent(DeclaredComponent):
    """Base class of components over separate cells, daily.

    Parameters
    ----------
    parameters : mapping of str to array_like
        Numbers, or one per cell, with the ``area`` [m2] among them; kept in ``self._p``.
    ranges : mapping of str to tuple
        Lowest and highest values of parameters.
    start, inputs
        As in `DeclaredComponent`.
    x, y : array_like, optional
        Coordinates of the cells.
    mesh : Mesh, optional
        Mesh of the cells.

    Raises
    ------
    ComponentError
        If a parameter has another length than the others, is not finite, or leaves its range.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any],
        ranges: Mapping[str, tuple[float, float]],
        *,
        start: str | dt.date | None,
        x: Any,
        y: Any,
        inputs: Mapping[str, Any] | None,
        mesh: Any,
    ) -> None:
        super().__init__(start=start, inputs=inputs, meshes={0: mesh})
        self._p, self._xy = per_cell(self.name, **parameters), (x, y)
        for name, (low, high) in ranges.items():
            require_range(self.name, name, self._p[name], low, high)

    def _make_grids(self) -> dict[int, Grid]:
        return {0: cells(self._p["area"].size, *self._xy)}

    def _stack(self, parts: Sequence[Self]) -> None:
        self._p = stacked_cells(self.name, [p._p for p in parts])
        self._xy = (None, None)

    def _configuration(self) -> dict[str, Any]:
        return self._p

    def _cell_areas(self, grid: int) -> np.ndarray:
        return self._p["area"]
