"""Routes: how the values of one component's cells become values of another's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hybridwater.coupling.quantities import Measure
from hybridwater.errors import CouplingError, HybridwaterError
from hybridwater.meshes import Mesh, Remap, conservative_remap, read_remap

_SAME_AREA = 1e-9
_ORDERS: dict[str, Literal[1, 2]] = {"conservative": 1, "second order": 2}


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells at one end of an exchange.

    Parameters
    ----------
    count : int
        Number of values.
    measure : Measure
        What the unit of the variable measures.
    mesh : Mesh, RiverNetwork or None
        Where they lie.
    """

    count: int
    measure: Measure
    mesh: Any = None

    @property
    def areas(self) -> np.ndarray | None:
        """Areas [m2], shape (cell,), or None where cells are lines or not known."""
        return self.mesh.areas if isinstance(self.mesh, Mesh) else None

    def kilograms(self, where: str) -> np.ndarray:
        """Return what turns values into kg s-1 or kg per cell, shape (cell,).

        Raises
        ------
        CouplingError
            If areas are needed and not known.
        """
        if not self.measure.per_area:
            return np.full(self.count, self.measure.factor)
        _need_areas(self, where)
        assert self.areas is not None
        return self.measure.factor * self.areas


def same_cells(source: Cells, target: Cells) -> tuple[Cells, Cells]:
    """Let the two ends of an identity know the same mesh, if only one of them has one."""
    if source.count == target.count:
        if source.mesh is None:
            source = dataclasses.replace(source, mesh=target.mesh)
        elif target.mesh is None:
            target = dataclasses.replace(target, mesh=source.mesh)
    return source, target


@dataclass(frozen=True, eq=False)
class Route:
    """A remap between two ends, with the conversion of units and areas.

    Parameters
    ----------
    move : callable
        Takes values of the source, of shape (..., n_source), in its units; returns those of the
        target in its units.
    fraction : numpy.ndarray or None
        Share of each source cell that arrives, shape (n_source,); None if all of it does.
    remap : Remap or None
        None for the identity.
    scale : float or numpy.ndarray
        What makes values of the target of amounts that the remap moved, shape (n_target,).
    passes : bool
        Whether values of the target are those of the source as they are, of which `move` returns a
        copy.
    """

    move: Callable[[np.ndarray], np.ndarray]
    fraction: np.ndarray | None
    remap: Remap | None
    scale: float | np.ndarray = 1.0
    passes: bool = False

    def imprint(self) -> list[np.ndarray]:
        """Return the arrays that tell one route from another."""
        if self.remap is None:
            return []
        return self.remap.imprint()


def make_route(
    rule: Any,
    source: Cells,
    target: Cells,
    conversion: tuple[float, float],
    *,
    share: float = 1.0,
    fill: float | None = None,
    masks: tuple[Any, Any] = (None, None),
    where: str = "",
) -> Route:
    """Make the route of an exchange.

    Parameters
    ----------
    rule
        As ``remap`` of :class:`hybridwater.coupling.Exchange`.
    source, target : Cells
        Its ends.
    conversion : tuple of float
        Slope and offset from the units of the source to those of the target, areas apart.
    share : float
        What is multiplied to everything.
    fill : float, optional
        For target cells that nothing covers, where means are moved.
    masks : tuple of array_like or None
        True where source and target cells take part; only for remaps by overlap.
    where : str
        The exchange, for errors.

    Raises
    ------
    CouplingError
        If the rule does not fit the cells, or areas are needed and not known.
    """
    _need_areas(source, f"source of {where}")
    _need_areas(target, f"target of {where}")
    remap = make_remap(rule, source, target, masks, where)
    slope, offset = conversion
    slope *= share
    counts = source.measure.form != "other"
    if not counts:
        return Route(_mean_of(remap, slope, offset, fill, where), None, remap)
    if remap is None:
        per_cell = _identity_factor(source, target, slope, where)
        fraction = None if share == 1.0 else np.full(source.count, share)
        return Route(_multiply(per_cell), fraction, None, passes=per_cell is None)
    fraction = np.asarray(remap.source_fraction) * share
    into = source.areas if source.measure.per_area else None
    out_of = target.areas if target.measure.per_area else None
    scale = slope if out_of is None else slope / out_of

    def move(values: np.ndarray) -> np.ndarray:
        moved = remap.amounts(values if into is None else values * into)
        moved *= scale
        return moved

    return Route(move, fraction, remap, scale)


def _need_areas(cells: Cells, where: str) -> None:
    if cells.measure.per_area and cells.areas is None:
        raise CouplingError(
            "Water per area is exchanged, but the areas of the cells are not known.",
            where,
            "Give it a mesh. If only areas are known: hybridwater.meshes.column_mesh(areas, "
            "centroids), or in a case file [meshes.NAME] with kind = 'columns', areas, lon and "
            "lat, and mesh = 'NAME' in its table",
        )
    if isinstance(cells.mesh, Mesh) and cells.mesh.size != cells.count:
        raise CouplingError(
            f"The mesh '{cells.mesh.name}' has {cells.mesh.size} cells, but the variable has "
            f"{cells.count} values.",
            where,
            "Give the component the mesh of its own cells",
        )


def _identity_factor(
    source: Cells, target: Cells, slope: float, where: str
) -> np.ndarray | float | None:
    one = source.areas if source.measure.per_area else None
    other = target.areas if target.measure.per_area else None
    if one is not None and other is not None:
        ratio = np.abs(one / other - 1.0)
        if (ratio > _SAME_AREA).any():
            cell = int(np.argmax(ratio))
            raise CouplingError(
                f"Cells of an identity have the areas {one[cell]:.9g} and {other[cell]:.9g} m2.",
                f"{where}, cell {cell}",
                "Correct one of the meshes, or remap by overlap or with a matrix",
            )
        one = other = None
    if one is not None:
        return slope * one
    if other is not None:
        return slope / other
    return None if slope == 1.0 else slope


def _multiply(factor: np.ndarray | float | None) -> Callable[[np.ndarray], np.ndarray]:
    if factor is None:
        return lambda values: np.array(values, float)
    return lambda values: values * factor


def _mean_of(
    remap: Remap | None, slope: float, offset: float, fill: float | None, where: str
) -> Callable[[np.ndarray], np.ndarray]:
    bare = slope == 1.0 and offset == 0.0
    empty = None
    if remap is not None:
        empty = np.flatnonzero(remap.target_fraction <= 0.0)
        if len(empty) and fill is None:
            raise CouplingError(
                f"{len(empty)} target cells are covered by no source cell, so they have no mean.",
                f"{where}, cell {empty[0]}",
                "Give the value that they get: fill = ...",
            )

    def move(values: np.ndarray) -> np.ndarray:
        moved = np.array(values, float) if remap is None else remap.means(values)
        if not bare:
            moved = moved * slope + offset
        if empty is not None and len(empty):
            moved[..., empty] = fill
        return moved

    return move


def make_remap(
    rule: Any, source: Cells, target: Cells, masks: tuple[Any, Any], where: str
) -> Remap | None:
    """Make the remap that a rule names, None for the identity; see `make_route`."""
    try:
        made = _made(rule, source, target, masks, where)
    except HybridwaterError as error:
        found = error.where or ""
        place = found if found.startswith(where) else f"{where}; {found}".strip("; ")
        raise type(error)(error.what, place, error.fix) from error
    shape = (target.count, source.count)
    have = shape if made is None and source.count == target.count else None
    if made is not None:
        have = made.shares.shape
    if have != shape:
        what = "cells" if made is None else f"cells, but the remap goes from {have[1]} to {have[0]}"  # type: ignore[index]
        raise CouplingError(
            f"The source has {source.count} and the target {target.count} {what}.",
            where,
            "Choose remap = 'conservative' between meshes that overlap, or give an index or a "
            "matrix of this size",
        )
    return made


def _made(
    rule: Any, source: Cells, target: Cells, masks: tuple[Any, Any], where: str
) -> Remap | None:
    overlap = isinstance(rule, str) and rule in _ORDERS
    if not overlap and any(mask is not None for mask in masks):
        raise CouplingError(
            "Masks are for remaps by overlap.",
            where,
            "Choose remap = 'conservative' or 'second order', or leave cells out of the index or "
            "matrix",
        )
    if isinstance(rule, Remap):
        return rule
    if isinstance(rule, str):
        return _by_name(rule, source, target, masks, where)
    from scipy.sparse import issparse

    if issparse(rule):
        return _from_matrix(rule.tocsr(), source, target, where)
    array = np.asarray(rule)
    if array.ndim == 1 and array.dtype.kind in "iu":
        return _from_index(array, source, target, where)
    if array.ndim == 2 and array.dtype.kind in "iuf":
        return _from_matrix(array.astype(float), source, target, where)
    raise CouplingError(
        f"A remap cannot be made of {array.dtype} numbers of the shape {array.shape}.",
        where,
        "Give a name, a Remap, whole numbers per source cell, or a matrix (n_target, n_source)",
    )


def _by_name(
    rule: str, source: Cells, target: Cells, masks: tuple[Any, Any], where: str
) -> Remap | None:
    from hybridwater.errors import nearest

    if rule == "identity":
        return None
    if rule.endswith(".nc"):
        return read_remap(rule)
    if rule not in _ORDERS:
        raise CouplingError(
            f"There is no remap '{rule}' ({nearest(rule, ['identity', *_ORDERS, 'learned'])}).",
            where,
        )
    for side, cells in (("source", source), ("target", target)):
        if not isinstance(cells.mesh, Mesh):
            raise CouplingError(
                f"The {side} has no mesh, so there is no overlap.",
                where,
                "Give the component a mesh, or remap with an index or a matrix",
            )
    whole = source.measure.form != "other"
    return conservative_remap(
        source.mesh,
        target.mesh,
        order=_ORDERS[rule],
        normalisation="destination_area" if whole else "fraction_area",
        source_mask=_as_mask(masks[0]),
        target_mask=_as_mask(masks[1]),
    )


def _as_mask(mask: Any) -> np.ndarray | None:
    return None if mask is None else np.asarray(mask)


def _from_index(index: np.ndarray, source: Cells, target: Cells, where: str) -> Remap:
    from scipy.sparse import csr_array

    if index.shape != (source.count,):
        raise CouplingError(
            f"The index has {index.size} entries for {source.count} source cells.", where
        )
    bad = (index < -1) | (index >= target.count)
    if bad.any():
        cell = int(np.argmax(bad))
        raise CouplingError(
            f"There is no target cell {index[cell]}: they are counted from 0 to "
            f"{target.count - 1}.",
            f"{where}, source cell {cell}",
            "Count from zero, -1 for cells that give to none",
        )
    used = np.flatnonzero(index >= 0)
    entries = (np.ones(len(used)), (index[used], used))
    return _from_matrix(csr_array(entries, (target.count, source.count)), source, target, where)


def _from_matrix(matrix: Any, source: Cells, target: Cells, where: str) -> Remap:
    from scipy.sparse import csr_array

    shares = csr_array(matrix)
    given = np.asarray(shares.sum(axis=0)).reshape(-1)
    counts = source.measure.form != "other"
    if not np.isfinite(shares.data).all() or (shares.data < 0).any():
        raise CouplingError("A share is negative or not finite.", where)
    if counts and (given > 1.0 + 1e-12).any():
        cell = int(np.argmax(given))
        raise CouplingError(
            f"The shares of a source cell add up to {given[cell]:.6g}.",
            f"{where}, source cell {cell}",
            "A cell cannot give more water than it has: columns of the matrix sum to at most 1",
        )
    nan = np.full(target.count, np.nan)
    weights = source.areas if source.areas is not None else np.ones(source.count)
    arriving = np.asarray(shares @ weights).reshape(-1)
    # Means are weighted by what arrives, so that they stay means whatever the target's area is.
    areas = arriving if not counts else (target.areas if target.areas is not None else nan)
    return Remap(
        shares,
        weights,
        areas,
        (arriving > 0).astype(float),
        "fraction_area",
        method="given matrix",
    )
