"""The mesh of a component: cells with areas, centroids and neighbours."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from hybridwater.errors import MeshError
from hybridwater.meshes import measures
from hybridwater.meshes.checks import (
    as_numbers,
    check_areas,
    check_names,
    check_nodes,
    check_topology,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Geometry = Literal["planar", "spherical", "columns"]


@dataclass(frozen=True, eq=False, repr=False)
class Mesh:
    """Cells with areas, centroids and neighbours; nothing in it can be changed.

    A cell is one or more rings of nodes: outer rings run counter-clockwise, holes clockwise. Use
    the functions of `hybridwater.meshes` (`latlon_mesh`, `polygon_mesh`, `read_ugrid`, ...) or
    :meth:`from_faces` to make one.

    Parameters
    ----------
    name : str
        Name of the mesh, for messages and files.
    geometry : str
        ``"planar"`` (projected coordinates in m), ``"spherical"`` (longitude and latitude in
        degrees, edges are great circles) or ``"columns"`` (areas and centroids only).
    nodes : numpy.ndarray
        Shape (n_nodes, 2), in m or degrees.
    corners : numpy.ndarray
        Shape (n_corners,), node of each corner, ring after ring.
    rings : numpy.ndarray
        Shape (n_rings + 1,), first corner of each ring.
    parts : numpy.ndarray
        Shape (n_cells + 1,), first ring of each cell.
    areas : numpy.ndarray
        Shape (n_cells,), in m2. Those that the component books its water with; they may differ
        from the area of the polygons.
    centroids : numpy.ndarray
        Shape (n_cells, 2), in m or degrees.
    names : tuple of str
        One per cell, or empty: cells are then named by their index.
    parallels : bool
        Spherical meshes of cells (west, south), (east, south), (east, north), (west, north), whose
        northern and southern edges follow parallels, not great circles.
    crs : str
        Coordinate reference system of a planar mesh, or empty if not known.

    Raises
    ------
    MeshError
        If nodes, topology, areas or names are not well formed.
    """

    name: str
    geometry: Geometry
    nodes: np.ndarray
    corners: np.ndarray
    rings: np.ndarray
    parts: np.ndarray
    areas: np.ndarray
    centroids: np.ndarray
    names: tuple[str, ...] = ()
    parallels: bool = False
    crs: str = ""
    shape: tuple[int, ...] = field(default=())
    """Shape of the cells as an array, for meshes that have one (latitude, longitude)."""

    def __post_init__(self) -> None:
        arrays = {"nodes": float, "corners": int, "rings": int, "parts": int}
        for name, kind in {**arrays, "areas": float, "centroids": float}.items():
            value = as_numbers(getattr(self, name), kind, name, self.name)
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        object.__setattr__(self, "names", tuple(map(str, self.names)))
        object.__setattr__(self, "shape", tuple(self.shape) or (len(self.areas),))
        check_names(self)
        check_nodes(self)
        check_topology(self)
        check_areas(self)

    @classmethod
    def from_faces(
        cls,
        nodes: np.ndarray,
        faces: np.ndarray | Sequence[Sequence[int]],
        *,
        name: str = "mesh",
        geometry: Geometry = "planar",
        areas: np.ndarray | None = None,
        names: Sequence[str] = (),
        parallels: bool = False,
        crs: str = "",
        shape: tuple[int, ...] = (),
    ) -> Mesh:
        """Make a mesh whose cells are one ring each.

        Parameters
        ----------
        nodes : array_like
            Shape (n_nodes, 2): x and y in m, or longitude and latitude in degrees.
        faces : array_like or sequence of sequences
            Shape (n_cells, most_corners): nodes of each cell, padded with negative numbers; either
            sense of rotation.
        name, geometry, names, parallels, crs, shape
            As in the class.
        areas : array_like, optional
            Shape (n_cells,) in m2; those of the polygons by default.

        Returns
        -------
        Mesh

        Raises
        ------
        MeshError
            As the class.
        """
        corners, counts = _flattened(faces)
        rings = np.concatenate([[0], np.cumsum(counts)])
        return cls.from_rings(
            nodes,
            corners,
            rings,
            np.arange(len(counts) + 1),
            name=name,
            geometry=geometry,
            areas=areas,
            names=names,
            parallels=parallels,
            crs=crs,
            shape=shape,
        )

    @classmethod
    def from_rings(
        cls,
        nodes: np.ndarray,
        corners: np.ndarray,
        rings: np.ndarray,
        parts: np.ndarray,
        *,
        name: str = "mesh",
        geometry: Geometry = "planar",
        areas: np.ndarray | None = None,
        names: Sequence[str] = (),
        parallels: bool = False,
        crs: str = "",
        shape: tuple[int, ...] = (),
    ) -> Mesh:
        """Make a mesh from rings of nodes; areas and centroids are computed.

        Rings of cells that have only one are turned counter-clockwise; the others are taken as
        they are. Parameters are those of the class.

        Raises
        ------
        MeshError
            As the class.
        """
        count = len(parts) - 1
        draft = cls(
            name,
            geometry,
            nodes,
            corners,
            rings,
            parts,
            np.ones(count),
            np.zeros((count, 2)),
            tuple(names),
            parallels,
            crs,
            shape,
        )
        draft = dataclasses.replace(draft, corners=measures.turned(draft))
        measured, centroids = measures.cell_measures(draft)
        bad = ~(measured > 0.0)
        if bad.any():
            first = int(np.argmax(bad))
            raise MeshError(
                f"A cell has no area ({int(bad.sum())} such cells in all).",
                where=f"mesh '{name}', cell '{draft.cell_name(first)}'",
                fix="Remove cells whose corners lie on one line or coincide, and repair polygons "
                "that cross themselves (shapely.make_valid)",
            )
        given = measured if areas is None else areas
        return dataclasses.replace(draft, areas=given, centroids=centroids)

    @property
    def size(self) -> int:
        """Number of cells."""
        return len(self.areas)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return (
            f"<Mesh '{self.name}': {self.size} cells, {self.geometry}, "
            f"{self.areas.sum() / 1e6:.6g} km2>"
        )

    def cell_name(self, index: int) -> str:
        """Return the name of a cell, or its index in words."""
        return self.names[index] if self.names else str(index)

    @functools.cached_property
    def measured_areas(self) -> np.ndarray:
        """Areas of the polygons in m2, shape (n_cells,); the given areas of columns."""
        if self.geometry == "columns":
            return self.areas
        return measures.cell_measures(self)[0]

    @functools.cached_property
    def edges(self) -> measures.Edges:
        """Edges between neighbours, from nodes that cells have in common."""
        return measures.shared_edges(self)

    @functools.cached_property
    def adjacency(self) -> csr_array:
        """Length of the edges that two cells share, in m: symmetric, shape (n_cells, n_cells)."""
        from scipy.sparse import csr_array

        (i, j), length = self.edges.cells.T, self.edges.lengths
        entries = (np.concatenate([length, length]), (np.r_[i, j], np.r_[j, i]))
        return csr_array(entries, shape=(self.size, self.size))


def _flattened(faces: np.ndarray | Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Corners of all faces in a row and their number per face, without repeated corners."""
    if not isinstance(faces, np.ndarray):
        width = max((len(face) for face in faces), default=0)
        faces = np.array([[*face, *[-1] * (width - len(face))] for face in faces], dtype=int)
    faces = faces.astype(int).reshape(len(faces), faces.size // max(len(faces), 1))
    valid = faces >= 0
    # The last corner of a face is followed by its first one.
    counts = valid.sum(axis=1)
    packed = np.take_along_axis(faces, np.argsort(~valid, axis=1, kind="stable"), axis=1)
    column = np.arange(faces.shape[1])
    following = np.where(column + 1 < counts[:, None], np.roll(packed, -1, axis=1), packed[:, :1])
    keep = (column < counts[:, None]) & (packed != following)
    return packed[keep], keep.sum(axis=1)
