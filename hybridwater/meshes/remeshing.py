"""Meshes of triangles made anew, finer where states change and coarser where they do not."""

from __future__ import annotations

import numpy as np

from hybridwater.errors import MeshError, MissingDependency
from hybridwater.meshes.gradient import gradient_operators, node_neighbours
from hybridwater.meshes.mesh import Mesh
from hybridwater.meshes.sizing import Sizing

_PER_AREA = 4.0 / np.sqrt(3.0)
"""Equilateral triangles of edge one in an area of one."""

_ATTEMPTS = 8
"""How often the number of cells that an estimate asks for is corrected by the number there is."""

_FULL = 0.9
"""A budget of cells is used where this share of it is."""

_STRAIGHT = 1e-9
"""Two edges of the outline that turn by this angle lie on one line."""


def remesh(mesh: Mesh, values: np.ndarray, sizing: Sizing) -> Mesh:
    """Make a mesh of triangles anew, as fine as the gradients of states ask for.

    Edges are split, collapsed and flipped and nodes moved by Mmg (Dobrzynski & Frey 2008,
    doi:10.1007/978-3-540-87921-3_4) until all have about unit length in the sizing field. The
    outline stays as it is: its corners are kept, nodes between them come and go. Move states
    with :func:`~hybridwater.meshes.conservative_remap`.

    Parameters
    ----------
    mesh : Mesh
        Planar, of triangles, with the areas of its polygons.
    values : array_like
        Shape (n_cells, n_states), or (n_cells,): means of cells.
    sizing : Sizing
        What sizes may be.

    Returns
    -------
    Mesh
        Of the same name and coordinates, with at most ``sizing.cells`` cells.

    Raises
    ------
    MeshError
        If the mesh is not one of these, or the outline needs more cells than there may be.
    DataError
        If states do not fit the mesh or are not finite.
    MissingDependency
        If mmgpy is not installed (``pip install "hybridwater[remeshing]"``).
    """
    faces = _triangles(mesh)
    table = sizing.columns(values, mesh.size, f"mesh '{mesh.name}'")
    raw, axes = np.linalg.eigh(_at_nodes(mesh, faces, _tensors(mesh, table)))
    most = np.inf if sizing.cells is None else float(sizing.cells)
    wanted, found = 0.95 * most, None
    for _ in range(_ATTEMPTS):
        factor = sizing.coarsening(
            lambda f: _estimate(mesh, faces, _bounded(raw, sizing, f)), wanted
        )
        made = _mmg(mesh, faces, _bounded(raw, sizing, factor), axes, sizing)
        if made.size <= most and (found is None or made.size > found.size):
            found = made
        if made.size <= most and (factor == 1.0 or made.size >= _FULL * most):
            break
        if not np.isfinite(factor) and made.size > most:
            break
        wanted *= 0.97 * most / made.size
    if found is None:
        raise MeshError(
            f"{sizing.cells} cells are too few for the outline and the largest size.",
            f"mesh '{mesh.name}', {mesh.size} cells",
            "Give more cells or a larger largest size",
        )
    return found


def quality(mesh: Mesh) -> np.ndarray:
    """Return how round triangles are: 4 sqrt(3) area / sum of squared edges.

    Parameters
    ----------
    mesh : Mesh
        Planar, of triangles.

    Returns
    -------
    numpy.ndarray
        Shape (n_cells,): 1 for an equilateral triangle, 0 for one without area (Bhatia & Lawrence
        1990, doi:10.1016/0045-7949(90)90129-O).

    Raises
    ------
    MeshError
        If the mesh is not one of these.
    """
    corners = mesh.nodes[_triangles(mesh)]
    edges = np.roll(corners, -1, axis=1) - corners
    return 4.0 * np.sqrt(3.0) * mesh.measured_areas / (edges**2).sum(axis=(1, 2))


def _triangles(mesh: Mesh) -> np.ndarray:
    """Return the nodes of cells, shape (n_cells, 3)."""
    where = f"mesh '{mesh.name}'"
    if mesh.geometry != "planar":
        raise MeshError(
            f"The mesh is {mesh.geometry}, not planar.",
            where,
            "Project its coordinates to metres in a plane",
        )
    corners = np.diff(mesh.rings)
    if len(corners) != mesh.size or (corners != 3).any():
        several = len(corners) != mesh.size
        cell = 0 if several else int(np.argmax(corners != 3))
        raise MeshError(
            "Only triangles can be made anew; "
            + ("cells have several rings." if several else f"a cell has {corners[cell]} corners."),
            where if several else f"{where}, cell '{mesh.cell_name(cell)}'",
            "Divide the cells into triangles before",
        )
    if not np.allclose(mesh.areas, mesh.measured_areas, rtol=1e-9):
        raise MeshError(
            "Areas were given that are not those of the triangles; those of new ones are not "
            "known then.",
            where,
            "Leave out areas=... when the mesh is made",
        )
    return mesh.corners.reshape(-1, 3)


def _tensors(mesh: Mesh, table: np.ndarray) -> np.ndarray:
    """Return the sizing tensor of each cell, shape (n_cells, 2, 2), in m-2."""
    near = node_neighbours(mesh, np.ones(mesh.size, dtype=bool))
    slope = np.stack([op @ table for op in gradient_operators(mesh, near)], axis=-1)
    return np.einsum("nki,nkj->nij", slope, slope)


def _at_nodes(mesh: Mesh, faces: np.ndarray, tensors: np.ndarray) -> np.ndarray:
    """Take the largest tensor of the cells around each node, shape (n_nodes, 2, 2)."""
    size = np.repeat(np.trace(tensors, axis1=1, axis2=2), 3)
    order = np.argsort(size, kind="stable")
    best = np.zeros(len(mesh.nodes), dtype=int)
    best[faces.ravel()[order]] = order // 3  # the last one written is the largest
    return tensors[best]


def _bounded(strength: np.ndarray, sizing: Sizing, factor: float) -> np.ndarray:
    """Keep sizes and their ratio within bounds; these are eigenvalues in m-2, ascending."""
    found = (strength / factor**2).clip(1.0 / sizing.largest**2, 1.0 / sizing.smallest**2)
    found[:, 0] = np.maximum(found[:, 0], found[:, 1] / sizing.stretch**2)
    return found


def _estimate(mesh: Mesh, faces: np.ndarray, strength: np.ndarray) -> float:
    """Return how many triangles of edge one there are in the metric."""
    density = np.sqrt(strength.prod(axis=1))
    return _PER_AREA * float(mesh.areas @ density[faces].mean(axis=1))


def _mmg(
    mesh: Mesh, faces: np.ndarray, strength: np.ndarray, axes: np.ndarray, sizing: Sizing
) -> Mesh:
    try:
        from mmgpy import MmgMesh2D
    except ImportError as error:
        raise MissingDependency(
            "mmgpy is not installed.",
            "remeshing of triangles",
            'Install it with pip install "hybridwater[remeshing]"',
        ) from error
    used, place = np.unique(faces, return_inverse=True)
    # numbers near one, where the tolerances of Mmg are what they were made for
    origin, scale = mesh.nodes[used].min(axis=0), sizing.largest
    work = MmgMesh2D((mesh.nodes[used] - origin) / scale, place.reshape(-1, 3).astype(np.int32))
    work.set_corners(_corners(mesh.nodes[used], place.reshape(-1, 3)).astype(np.int32))
    strength, axes = strength[used] * scale**2, axes[used]
    if sizing.stretch == 1.0:
        work.set_field("metric", 1.0 / np.sqrt(strength[:, 1:]))
    else:
        tensor = np.einsum("nik,nk,njk->nij", axes, strength, axes)
        work.set_field("tensor", np.ascontiguousarray(tensor[:, [0, 0, 1], [0, 1, 1]]))
    if work.remesh(hgrad=sizing.growth, verbose=-1)["return_code"]:
        raise MeshError(
            "Mmg could not make the mesh anew.",
            f"mesh '{mesh.name}', {mesh.size} cells",
            "Let sizes differ less (smallest, largest), grow less (growth), or stretch less",
        )
    return Mesh.from_faces(
        work.get_vertices() * scale + origin,
        work.get_triangles().astype(int),
        name=mesh.name,
        crs=mesh.crs,
    )


def _corners(nodes: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return nodes at which the outline turns, or meets itself."""
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    key = np.sort(ends, axis=1) @ np.array([len(nodes), 1])
    _, first, count = np.unique(key, return_index=True, return_counts=True)
    start, end = ends[first[count == 1]].T
    way = nodes[end] - nodes[start]
    way /= np.hypot(*way.T)[:, None]
    turn = np.zeros((len(nodes), 2))
    np.add.at(turn, start, way)
    np.subtract.at(turn, end, way)
    touches = np.bincount(np.concatenate([start, end]), minlength=len(nodes))
    return np.flatnonzero((np.hypot(*turn.T) > _STRAIGHT) | (touches > 2))
