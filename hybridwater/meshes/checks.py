"""The door for meshes: what is not well formed is refused here, with the cell named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater.errors import MeshError

if TYPE_CHECKING:
    from hybridwater.meshes.mesh import Mesh


def as_numbers(values: Any, kind: type, what: str, name: str) -> np.ndarray:
    """Return a copy of values as numbers, or refuse them."""
    try:
        return np.array(values, dtype=kind)
    except (TypeError, ValueError) as error:
        raise MeshError(
            f"The {what} are no numbers ({error}).",
            where=f"mesh '{name}'",
            fix="Give arrays of numbers, with one shape",
        ) from error


def check_names(mesh: Mesh) -> None:
    """Refuse an unknown geometry, and names that are not unique or not one per cell."""
    if mesh.geometry not in ("planar", "spherical", "columns"):
        raise MeshError(
            f"The geometry '{mesh.geometry}' is not known.",
            where=f"mesh '{mesh.name}'",
            fix="Choose 'planar' (m), 'spherical' (degrees) or 'columns' (areas only)",
        )
    if not mesh.names:
        return
    if len(mesh.names) != mesh.size:
        raise MeshError(
            f"There are {len(mesh.names)} names for {mesh.size} cells.",
            where=f"mesh '{mesh.name}'",
            fix="Give one name per cell, or none",
        )
    names, counts = np.unique(np.array(mesh.names), return_counts=True)
    if (counts > 1).any():
        raise MeshError(
            f"Two cells have the name '{names[np.argmax(counts > 1)]}'.",
            where=f"mesh '{mesh.name}'",
            fix="Give every cell a name of its own",
        )


def check_nodes(mesh: Mesh) -> None:
    """Refuse nodes that are not finite, or are no longitudes and latitudes."""
    for what, points in (("node", mesh.nodes), ("centroid", mesh.centroids)):
        if points.ndim != 2 or points.shape[1] != 2:
            raise MeshError(
                f"The {what}s have the shape {points.shape}, not (number of {what}s, 2).",
                where=f"mesh '{mesh.name}'",
                fix="Give x and y, or longitude and latitude, in the columns",
            )
        bad = ~np.isfinite(points).all(axis=1)
        if bad.any():
            raise MeshError(
                f"{int(bad.sum())} {what}s are not finite.",
                where=f"mesh '{mesh.name}', {what} {int(np.argmax(bad))}",
                fix="Replace missing coordinates, or remove the cells that use them",
            )
    if mesh.geometry == "spherical":
        bad = (np.abs(mesh.nodes[:, 1]) > 90.0) | (np.abs(mesh.nodes[:, 0]) > 720.0)
        if bad.any():
            first = int(np.argmax(bad))
            raise MeshError(
                f"A node lies at longitude {mesh.nodes[first, 0]:g}, latitude "
                f"{mesh.nodes[first, 1]:g}: these are no degrees.",
                where=f"mesh '{mesh.name}', node {first}",
                fix="Give longitude first, then latitude, in degrees; or geometry='planar' if "
                "these are projected coordinates in m",
            )


def check_topology(mesh: Mesh) -> None:
    """Refuse cells without corners, with too few, or with unknown nodes."""
    if mesh.geometry == "columns":
        return
    for offsets, end, what in (
        (mesh.rings, len(mesh.corners), "rings"),
        (mesh.parts, len(mesh.rings) - 1, "parts"),
    ):
        if offsets[0] != 0 or offsets[-1] != end or (np.diff(offsets) < 0).any():
            raise MeshError(
                f"The {what} do not run from 0 to {end} in increasing order.",
                where=f"mesh '{mesh.name}'",
                fix="Make the mesh with Mesh.from_faces or polygon_mesh",
            )
    cell_of_ring = np.repeat(np.arange(mesh.size), np.diff(mesh.parts))
    few = np.diff(mesh.rings) < 3
    empty = np.diff(mesh.parts) < 1
    if few.any() or empty.any():
        cell = int(cell_of_ring[np.argmax(few)] if few.any() else np.argmax(empty))
        raise MeshError(
            f"A cell has fewer than three corners ({int(few.sum() + empty.sum())} such cells).",
            where=f"mesh '{mesh.name}', cell '{mesh.cell_name(cell)}'",
            fix="Remove it, or give it three different nodes",
        )
    if mesh.parallels and (
        mesh.geometry != "spherical" or (np.diff(mesh.rings) != 4).any() or len(few) != mesh.size
    ):
        raise MeshError(
            "Only spherical cells of four corners have edges along parallels.",
            where=f"mesh '{mesh.name}'",
            fix="Leave parallels out: edges are then great circles",
        )
    bad = (mesh.corners < 0) | (mesh.corners >= len(mesh.nodes))
    if bad.any():
        corner = int(np.argmax(bad))
        cell = int(cell_of_ring[np.searchsorted(mesh.rings, corner, side="right") - 1])
        raise MeshError(
            f"A cell has the node {mesh.corners[corner]}, but there are {len(mesh.nodes)} nodes.",
            where=f"mesh '{mesh.name}', cell '{mesh.cell_name(cell)}'",
            fix="Count nodes from zero (start_index), and give all of them",
        )


def check_areas(mesh: Mesh) -> None:
    """Refuse areas that are not positive and finite, or not one per cell."""
    if mesh.areas.ndim != 1 or not mesh.size:
        raise MeshError(
            f"The areas have the shape {mesh.areas.shape}, not (number of cells,).",
            where=f"mesh '{mesh.name}'",
            fix="Give one area in m2 per cell, of at least one cell",
        )
    count = len(mesh.parts) - 1 if mesh.geometry != "columns" else mesh.size
    if not (mesh.size == count == len(mesh.centroids) == np.prod(mesh.shape)):
        raise MeshError(
            f"There are {mesh.size} areas and {len(mesh.centroids)} centroids for {count} cells.",
            where=f"mesh '{mesh.name}'",
            fix="Give one of each per cell",
        )
    bad = ~(np.isfinite(mesh.areas) & (mesh.areas > 0.0))
    if bad.any():
        first = int(np.argmax(bad))
        raise MeshError(
            f"The area of a cell is {mesh.areas[first]:g} m2 ({int(bad.sum())} such cells).",
            where=f"mesh '{mesh.name}', cell '{mesh.cell_name(first)}'",
            fix="Areas are positive: correct the sign or the unit, or leave the cell out",
        )
