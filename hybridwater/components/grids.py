"""Grids as BMI knows them: what a component tells other frameworks about its cells."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import ComponentError

if TYPE_CHECKING:
    from hybridwater.meshes import Mesh


@dataclass(frozen=True, eq=False)
class Grid:
    """One grid of a component.

    Parameters
    ----------
    type : str
        BMI grid type: ``"scalar"``, ``"unstructured"`` or ``"uniform_rectilinear"``.
    size : int
        Number of nodes.
    coordinates : tuple of numpy.ndarray
        x, y, z of the nodes, as many as the rank; each of shape (node,).
    edges : numpy.ndarray
        First and last node of every edge, shape (edge, 2).
    shape, spacing, origin : tuple
        Of a uniform rectilinear grid, in the order (z, y, x).
    """

    type: str
    size: int
    coordinates: tuple[np.ndarray, ...] = ()
    edges: np.ndarray | None = None
    shape: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    origin: tuple[float, ...] = ()

    @property
    def rank(self) -> int:
        """Number of dimensions of space."""
        return len(self.shape) or len(self.coordinates)

    @property
    def edge_count(self) -> int:
        """Number of edges."""
        return 0 if self.edges is None else len(self.edges)

    def count(self, location: str) -> int:
        """Return how many values a variable at a location has; a scalar has one.

        Raises
        ------
        ComponentError
            If the grid has no such elements.
        """
        counts = {"node": self.size, "edge": self.edge_count, "none": 1}
        if location not in counts:
            raise ComponentError(
                f"A grid of type '{self.type}' has no values at '{location}' here.",
                fix="Declare the variable at 'node', 'edge' or 'none'",
            )
        return counts[location]


def cells(n: int, x: np.ndarray | None = None, y: np.ndarray | None = None) -> Grid:
    """Make a grid of separate cells.

    Parameters
    ----------
    n : int
        Number of cells.
    x, y : numpy.ndarray, optional
        Coordinates, shape (cell,). Cells that have none are a scalar if there is one, and lie at
        0, 1, 2, ... otherwise.

    Raises
    ------
    ComponentError
        If there are no cells, or the coordinates are not one per cell.
    """
    if n < 1:
        raise ComponentError(
            "A component without cells was asked for.", fix="Give at least one cell"
        )
    if x is None or y is None:
        return (
            Grid("scalar", 1) if n == 1 else Grid("unstructured", n, (np.arange(n, dtype=float),))
        )
    coordinates = (_coordinate("x", x, n), _coordinate("y", y, n))
    return Grid("unstructured", n, coordinates)


def cells_of_mesh(n: int, mesh: Mesh | None) -> Grid:
    """Make a grid of separate cells that lie where those of a mesh do, if there is one."""
    return cells(n) if mesh is None else cells(n, *mesh.centroids.T)


def network(
    downstream: np.ndarray,
    x: np.ndarray | None = None,
    y: np.ndarray | None = None,
    *,
    copies: int = 1,
) -> Grid:
    """Make the grid of a river network: reaches are nodes, edges lead downstream.

    Parameters
    ----------
    downstream : numpy.ndarray
        Index of the next reach, -1 at an outlet, shape (reach,).
    x, y : numpy.ndarray, optional
        Coordinates of the reaches, shape (reach,); as in `cells`.
    copies : int
        How many such networks lie side by side, reaches of one after those of the other.
    """
    downstream = np.asarray(downstream)
    shift = np.arange(copies)[:, None] * downstream.size
    downstream = np.where(downstream < 0, -1, downstream + shift).reshape(-1)
    inner = np.flatnonzero(downstream >= 0)
    edges = np.stack([inner, downstream[inner]], axis=1).astype(np.int32)
    return dataclasses.replace(cells(len(downstream), x, y), edges=edges)


def _coordinate(name: str, values: np.ndarray, n: int) -> np.ndarray:
    values = np.array(values, float)
    if values.shape != (n,) or not np.isfinite(values).all():
        raise ComponentError(
            f"The coordinate '{name}' has the shape {values.shape} or gaps, but there are {n} "
            "cells.",
            fix="Give one finite coordinate per cell",
        )
    return values
