"""How fine a mesh or a river network should be where, from the gradients of states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hybridwater.errors import DataError, SettingsError

_HALVINGS = 60
"""Of the interval in which the coarsening lies that a budget of cells asks for."""


@dataclass(frozen=True)
class Sizing:
    """What sizes may be, and what they follow from.

    An edge may be as long as a state changes by ``change`` along it. As a tensor this is
    S = sum of g g^T / change^2 over the gradients g of states: an edge u is too long where
    u^T S u > 1 (Narain et al. 2012, doi:10.1145/2366145.2366171; Pfaff et al. 2021,
    arXiv:2010.03409, appendix A.3).

    Parameters
    ----------
    smallest, largest : float
        Shortest and longest edge of a triangle, or length of a reach, that is wanted [m].
    change : float or tuple of float
        Change along an edge, in the unit of the state: of the one state, or of each of them.
        Infinite for states that sizes do not follow.
    cells : int, optional
        Cells at most. Where more would be needed, all changes are taken larger by one factor.
    growth : float
        How many times longer the next edge may be, at least 1.
    stretch : float
        How many times longer triangles may be along a front than across it, at least 1. Fluxes
        between two points, such as those of :class:`~hybridwater.mgn.FluxDynamics`, want 1.

    Raises
    ------
    SettingsError
        If a number is not possible.
    """

    smallest: float
    largest: float
    change: float | tuple[float, ...]
    cells: int | None = None
    growth: float = 1.3
    stretch: float = 1.0

    def __post_init__(self) -> None:
        changes = np.atleast_1d(np.asarray(self.change, dtype=float))
        object.__setattr__(self, "change", tuple(changes.tolist()))
        for name, value in (("smallest", self.smallest), ("largest", self.largest)):
            if not 0.0 < value < np.inf:
                raise SettingsError(f"The {name} size is {value}, not a positive length.", "sizing")
        if self.smallest > self.largest:
            raise SettingsError(
                f"The smallest size, {self.smallest:g} m, is above the largest, "
                f"{self.largest:g} m.",
                "sizing",
            )
        if not (changes > 0.0).all() or not np.isfinite(changes).any():
            raise SettingsError(
                f"The changes {self.change} are not positive, or none is finite.",
                "sizing",
                "Give the change of a state along an edge in its unit, inf for states to ignore",
            )
        for name, value in (("growth", self.growth), ("stretch", self.stretch)):
            if not 1.0 <= value < np.inf:
                raise SettingsError(f"{name}={value} is less than 1.", "sizing")
        if self.cells is not None and self.cells < 1:
            raise SettingsError(f"cells={self.cells} is less than 1.", "sizing")

    def columns(self, values: np.ndarray, size: int, where: str) -> np.ndarray:
        """Return states over their changes, without unit.

        Parameters
        ----------
        values : array_like
            Shape (n_cells, n_states), or (n_cells,) for one.
        size : int
            Number of cells.
        where : str
            What they lie on, for errors.

        Returns
        -------
        numpy.ndarray
            Shape (n_cells, n_followed).

        Raises
        ------
        DataError
            If shapes do not fit, or a value that sizes follow is not finite.
        """
        table = np.asarray(values, dtype=float)
        table = table[:, None] if table.ndim == 1 else table
        changes = np.array(self.change)
        if table.shape != (size, len(changes)):
            raise DataError(
                f"States of the shape {np.shape(values)} are not {len(changes)} of {size} cells.",
                where,
                "Give one column per change of the sizing",
            )
        followed = np.isfinite(changes)
        table = table[:, followed] / changes[followed]
        bad = ~np.isfinite(table).all(axis=1)
        if bad.any():
            raise DataError(
                f"The states of {int(bad.sum())} cells are not finite, first of cell "
                f"{int(np.argmax(bad))}.",
                where,
                "Fill gaps before the mesh is made anew",
            )
        return table

    def coarsening(self, count: Callable[[float], float], most: float) -> float:
        """Return the least factor of all changes with which there are few enough cells.

        Parameters
        ----------
        count : callable
            Factor to number of cells, which falls with it.
        most : float
            Cells at most.

        Returns
        -------
        float
            At least 1; infinite if no factor is enough.
        """
        if count(1.0) <= most:
            return 1.0
        if count(np.inf) > most:
            return np.inf
        low, high = 0.0, 1.0
        while count(np.exp(high)) > most and high < 700.0:
            low, high = high, 2.0 * high
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if count(np.exp(middle)) > most else (low, middle)
        return float(np.exp(high))
