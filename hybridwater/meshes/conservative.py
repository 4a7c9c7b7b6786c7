"""Conservative remaps from the overlaps of two meshes, of first and of bounded second order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import MeshError
from hybridwater.meshes.gradient import reconstruction
from hybridwater.meshes.overlap import overlap_areas
from hybridwater.meshes.remap import Normalisation, Remap

if TYPE_CHECKING:
    from hybridwater.meshes.mesh import Mesh

_COVERED = 1e-7
"""A cell that is covered but for this fraction is covered: the rest is rounding of coordinates, in
which a cell of a metre on the Earth is uncertain by this much."""


def conservative_remap(
    source: Mesh,
    target: Mesh,
    *,
    order: int = 1,
    normalisation: Normalisation = "destination_area",
    source_mask: np.ndarray | None = None,
    target_mask: np.ndarray | None = None,
) -> Remap:
    """Make the conservative remap between two meshes that overlap.

    First order takes the field as constant in each source cell (Jones 1999,
    doi:10.1175/1520-0493(1999)127<2204:FASOCR>2.0.CO;2). Second order takes it as linear, with a
    least-squares gradient that is limited so that no value leaves the range of the source cells
    around it; what moves between cells of a source is the same in sum, so both conserve.

    Parameters
    ----------
    source, target : Mesh
        Both planar (in one coordinate system) or both spherical.
    order : int
        1 or 2. Main argument besides the meshes.
    normalisation : str
        ``"destination_area"`` or ``"fraction_area"``, see :class:`Remap`.
    source_mask, target_mask : array_like of bool, optional
        Shape (n_cells,), True where a cell takes part. Masked source cells give nothing, masked
        target cells get nothing.

    Returns
    -------
    Remap

    Raises
    ------
    MeshError
        If the meshes do not overlap (with the masks), are of different kinds, or an argument is
        not one of those above.

    Examples
    --------
    >>> fine = latlon_mesh(np.arange(0, 11.0), np.arange(0, 11.0), name="fine")
    >>> coarse = latlon_mesh(np.arange(0, 11, 5.0), np.arange(0, 11, 5.0), name="coarse")
    >>> conservative_remap(fine, coarse).means(np.ones(100)).round(12)
    array([1., 1., 1., 1.])
    """
    _check_choices(order, normalisation)
    gives = _mask(source_mask, source, "source")
    takes = _mask(target_mask, target, "target")
    found = overlap_areas(source, target, centroids=order == 2)
    use = gives[found.source] & takes[found.target]
    if not use.any():
        raise MeshError(
            f"No active cell of '{source.name}' overlaps one of '{target.name}'.",
            where=f"masks of '{source.name}' and '{target.name}'",
            fix="A mask is True where a cell takes part; see whether it is the wrong way round",
        )
    out, into, areas = found.source[use], found.target[use], found.areas[use]
    covered = np.bincount(found.source, found.areas, source.size) / source.measured_areas
    # Cells that the target covers give everything, without the rounding of many small areas.
    whole = np.where(np.abs(covered - 1.0) < _COVERED, covered, 1.0)
    share = areas / (source.measured_areas * whole)[out]
    from scipy.sparse import csr_array

    shares = csr_array((share, (into, out)), shape=(target.size, source.size))
    fraction = np.bincount(into, areas, target.size) / target.measured_areas
    fraction = np.where(np.abs(fraction - 1.0) < _COVERED, 1.0, np.minimum(fraction, 1.0))
    linear = None
    if order == 2 and found.centroids is not None:
        linear = reconstruction(source, out, share, found.centroids[use], gives)
    return Remap(
        shares,
        source.areas,
        target.areas,
        fraction,
        normalisation,
        linear,
        source.name,
        target.name,
        "conservative, first order" if order == 1 else "conservative, bounded second order",
        source.centroids,
        target.centroids,
    )


def _check_choices(order: int, normalisation: str) -> None:
    if order not in (1, 2):
        raise MeshError(
            f"There is no remap of order {order!r}.", where="order", fix="Choose 1 or 2"
        )
    if normalisation not in ("destination_area", "fraction_area"):
        from hybridwater.errors import nearest

        hint = nearest(str(normalisation), ["destination_area", "fraction_area"])
        raise MeshError(
            f"The normalisation '{normalisation}' is not known: {hint}",
            where="normalisation",
            fix="Choose 'destination_area' (what arrives over the whole cell) or "
            "'fraction_area' (over its covered part)",
        )


def _mask(mask: np.ndarray | None, mesh: Mesh, which: str) -> np.ndarray:
    if mask is None:
        return np.ones(mesh.size, dtype=bool)
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != (mesh.size,):
        raise MeshError(
            f"The {which} mask has the type {mask.dtype} and the shape {mask.shape}.",
            where=f"mesh '{mesh.name}', {mesh.size} cells",
            fix="Give True where a cell takes part and False elsewhere, one per cell",
        )
    return mask
