"""The remap between two meshes: a sparse matrix that says where the water of each cell goes."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from hybridwater.errors import MeshError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from hybridwater.meshes.gradient import Reconstruction

Normalisation = Literal["destination_area", "fraction_area"]


@dataclass(frozen=True, eq=False, repr=False)
class Remap:
    """A conservative remap from source cells to target cells.

    Parameters
    ----------
    shares : scipy.sparse.csr_array
        Shape (n_target, n_source): which share of what a source cell holds goes to each target
        cell. A column sums to one, or to the covered fraction of the source cell.
    source_areas, target_areas : numpy.ndarray
        In m2. Target areas are NaN where targets are lines, such as reaches.
    target_fraction : numpy.ndarray
        Shape (n_target,), the fraction of each target cell that active source cells cover.
    normalisation : str
        What a mean over a partly covered target cell is: ``"destination_area"``, what arrives
        divided by the whole cell; ``"fraction_area"``, divided by the covered part.
    reconstruction : Reconstruction, optional
        For second order.
    source, target : str
        Names of the meshes.
    method : str
        How the shares were made, for people.
    """

    shares: csr_array
    source_areas: np.ndarray
    target_areas: np.ndarray
    target_fraction: np.ndarray
    normalisation: Normalisation = "destination_area"
    reconstruction: Reconstruction | None = None
    source: str = "source"
    target: str = "target"
    method: str = "conservative, first order"
    source_centroids: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    """Shape (n_source, 2), or empty; carried for files."""
    target_centroids: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    """Shape (n_target, 2), or empty; carried for files."""

    def __repr__(self) -> str:
        rows, columns = self.shares.shape
        return (
            f"<Remap '{self.source}' -> '{self.target}': {columns} -> {rows} cells, "
            f"{self.shares.nnz} overlaps, {self.method}, {self.normalisation}>"
        )

    @property
    def order(self) -> int:
        """One, or two if cell means are reconstructed by limited gradients."""
        return 1 if self.reconstruction is None else 2

    @functools.cached_property
    def source_fraction(self) -> np.ndarray:
        """Share of each source cell that arrives anywhere, shape (n_source,), 0 to 1."""
        return np.asarray(self.shares.sum(axis=0)).reshape(-1)

    @functools.cached_property
    def weights(self) -> csr_array:
        """First-order weights of area means, shape (n_target, n_source)."""
        from scipy.sparse import csr_array

        into = self.shares.indptr
        rows = np.repeat(np.arange(len(into) - 1), np.diff(into))
        data = self.shares.data * self.source_areas[self.shares.indices] / self._divisor[rows]
        return csr_array((data, self.shares.indices, into), shape=self.shares.shape)

    @functools.cached_property
    def _divisor(self) -> np.ndarray:
        """Area that arriving amounts are divided by, m2, shape (n_target,)."""
        if self.normalisation == "destination_area":
            return self.target_areas
        return self.target_areas * self.target_fraction

    @functools.cached_property
    def _overlaps(self) -> tuple[np.ndarray, np.ndarray]:
        """Target cell and area [m2] of each overlap, in the order of the reconstruction."""
        assert self.reconstruction is not None
        order, source = self.reconstruction.order, self.reconstruction.source
        target = np.repeat(np.arange(self.shares.shape[0]), np.diff(self.shares.indptr))
        return target[order], (self.shares.data * self.source_areas[source])[order]

    def amounts(self, values: np.ndarray) -> np.ndarray:
        """Move amounts (kg, m3) or their rates (kg s-1).

        Parameters
        ----------
        values : array_like
            Shape (..., n_source), one amount per cell.

        Returns
        -------
        numpy.ndarray
            Shape (..., n_target). The sum over targets is that over sources, times
            ``source_fraction`` of each.

        Raises
        ------
        MeshError
            If the last dimension is not that of the source.
        """
        values = self._checked(values)
        flat = values.reshape(-1, values.shape[-1])
        moved = (self.shares @ flat.T).T
        if self.reconstruction is not None:
            target, area = self._overlaps
            for row, value in zip(moved, flat, strict=True):
                extra = self.reconstruction.increments(value / self.source_areas)
                extra *= area
                row += np.bincount(target, extra, len(row))
        return moved.reshape(*values.shape[:-1], self.shares.shape[0])

    def means(self, values: np.ndarray) -> np.ndarray:
        """Move area means: fluxes per area (kg m-2 s-1), depths (mm), temperatures.

        Parameters
        ----------
        values : array_like
            Shape (..., n_source), one mean per cell.

        Returns
        -------
        numpy.ndarray
            Shape (..., n_target). Target cells that nothing covers get zero with
            ``"destination_area"`` and NaN with ``"fraction_area"``.

        Raises
        ------
        MeshError
            If the last dimension is not that of the source, or targets have no area.
        """
        values = self._checked(values)
        if not np.isfinite(self.target_areas).all():
            raise MeshError(
                f"The cells of '{self.target}' have no area, so there is no mean over them.",
                where=f"remap '{self.source}' to '{self.target}'",
                fix="Move amounts or their rates with Remap.amounts",
            )
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.amounts(values * self.source_areas) / self._divisor

    def imprint(self) -> list[np.ndarray]:
        """Return the arrays that tell one remap from another."""
        how = np.frombuffer(f"{self.order} {self.normalisation}".encode(), np.uint8)
        return [how, self.shares.data, self.shares.indices, self.shares.indptr]

    def imbalance(self, values: np.ndarray) -> float:
        """Return what a remap of amounts creates or loses, relative to what it should move.

        Parameters
        ----------
        values : array_like
            Shape (n_source,), amounts.

        Returns
        -------
        float
        """
        values = self._checked(values)
        given = values * self.source_fraction
        error = float(self.amounts(values).sum() - given.sum())
        return error / max(float(np.abs(given).sum()), np.finfo(float).tiny)

    def _checked(self, values: np.ndarray) -> np.ndarray:
        values = np.asarray(values, dtype=float)
        if values.ndim < 1 or values.shape[-1] != self.shares.shape[1]:
            raise MeshError(
                f"The values have the shape {values.shape}, but '{self.source}' has "
                f"{self.shares.shape[1]} cells, which are the last dimension.",
                where=f"remap '{self.source}' to '{self.target}'",
                fix="Give one value per source cell, in the order of its mesh",
            )
        return values
