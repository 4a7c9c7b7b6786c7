"""UGRID 1.0 (https://ugrid-conventions.github.io): meshes in and out of NetCDF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import MeshError, nearest
from hybridwater.files import open_netcdf, write_netcdf
from hybridwater.meshes.mesh import Geometry, Mesh

if TYPE_CHECKING:
    import xarray as xr

_FILL = -1


def to_ugrid(mesh: Mesh) -> xr.Dataset:
    """Describe a mesh in the UGRID 1.0 conventions.

    Parameters
    ----------
    mesh : Mesh
        Planar or spherical, with one ring per cell.

    Returns
    -------
    xarray.Dataset
        Topology ``mesh2d``, node and face coordinates, areas ``mesh2d_area`` [m2] and, where cells
        have names, ``mesh2d_name``.

    Raises
    ------
    MeshError
        If cells have several parts, holes or no outline, which UGRID cannot describe.
    """
    import xarray as xr

    if mesh.geometry == "columns" or (np.diff(mesh.parts) > 1).any():
        cell = 0 if mesh.geometry == "columns" else int(np.argmax(np.diff(mesh.parts) > 1))
        raise MeshError(
            "UGRID cannot describe cells that have several parts, holes or no outline.",
            where=f"mesh '{mesh.name}', cell '{mesh.cell_name(cell)}'",
            fix="Divide such cells into simple polygons, or keep the polygons in their own file",
        )
    counts = np.diff(mesh.rings)
    column = np.arange(counts.max())
    used = column < counts[:, None]
    faces = np.full(used.shape, _FILL)
    faces[used] = mesh.corners
    data = xr.Dataset(attrs={"Conventions": "CF-1.11 UGRID-1.0"})
    data["mesh2d"] = (
        (),
        np.int32(0),
        {
            "cf_role": "mesh_topology",
            "long_name": mesh.name,
            "topology_dimension": 2,
            "node_coordinates": "mesh2d_node_x mesh2d_node_y",
            "face_coordinates": "mesh2d_face_x mesh2d_face_y",
            "face_node_connectivity": "mesh2d_face_nodes",
            "face_dimension": "mesh2d_nFaces",
            "node_dimension": "mesh2d_nNodes",
            "edge_geometry": "parallel" if mesh.parallels else "shortest",
            "cell_shape": [int(n) for n in mesh.shape],
            **({"crs": mesh.crs} if mesh.crs else {}),
        },
    )
    for place, points in (("node", mesh.nodes), ("face", mesh.centroids)):
        dimension = "mesh2d_nNodes" if place == "node" else "mesh2d_nFaces"
        for axis, attributes in zip("xy", _coordinate_attributes(mesh), strict=True):
            values = points[:, "xy".index(axis)]
            data.coords[f"mesh2d_{place}_{axis}"] = (dimension, values, attributes)
    data["mesh2d_face_nodes"] = (
        ("mesh2d_nFaces", "mesh2d_nMax_face_nodes"),
        faces.astype(np.int32 if len(mesh.nodes) < 2**31 else np.int64),
        {"cf_role": "face_node_connectivity", "start_index": 0},
    )
    data["mesh2d_face_nodes"].encoding["_FillValue"] = _FILL
    data["mesh2d_area"] = (
        "mesh2d_nFaces",
        mesh.areas,
        {
            "units": "m2",
            "standard_name": "cell_area",
            "mesh": "mesh2d",
            "location": "face",
        },
    )
    if mesh.names:
        data["mesh2d_name"] = (
            "mesh2d_nFaces",
            np.array(mesh.names, dtype=object),
            {"long_name": "name of the cell", "mesh": "mesh2d", "location": "face"},
        )
    return data


def write_ugrid(mesh: Mesh, path: str | Path) -> Path:
    """Write a mesh to a UGRID NetCDF file, under a temporary name first.

    Parameters
    ----------
    mesh : Mesh
        See :func:`to_ugrid`.
    path : path-like
        File to write; an existing one is replaced.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    MeshError
        As :func:`to_ugrid`, and if the file cannot be written.
    """
    return write_netcdf(to_ugrid(mesh), path, error=MeshError)


def read_ugrid(
    data: xr.Dataset | str | Path, *, topology: str | None = None, name: str = ""
) -> Mesh:
    """Read a two-dimensional UGRID mesh: triangles, quadrilaterals, polygons.

    Parameters
    ----------
    data : xarray.Dataset or path-like
        A dataset or a NetCDF file.
    topology : str, optional
        Name of the topology variable, if there are several.
    name : str, optional
        Name of the mesh; by default that in the file.

    Returns
    -------
    Mesh
        Spherical if the node coordinates are in degrees, otherwise planar.

    Raises
    ------
    MeshError
        If there is no such file or mesh, or it is not complete.
    """
    data = open_netcdf(data, MeshError)
    mesh = data[_topology(data, topology)]
    label = name or str(mesh.attrs.get("long_name") or mesh.name)
    names = str(_attribute(mesh, "node_coordinates")).split()
    x, y = (_variable(data, name, mesh.name) for name in names[:2])
    geographic = "degree" in str(x.attrs.get("units", "")) or "lon" in str(
        x.attrs.get("standard_name", "")
    )
    geometry: Geometry = "spherical" if geographic else "planar"
    connectivity = _variable(data, str(_attribute(mesh, "face_node_connectivity")), mesh.name)
    face = mesh.attrs.get("face_dimension")
    if face in connectivity.dims:
        connectivity = connectivity.transpose(face, ...)
    faces = np.asarray(connectivity.values)
    fill = connectivity.attrs.get("_FillValue", connectivity.encoding.get("_FillValue", _FILL))
    missing = ~np.isfinite(faces) | (faces == fill) if faces.dtype.kind == "f" else faces == fill
    start = int(connectivity.attrs.get("start_index", 0))
    faces = np.where(missing, _FILL, np.where(missing, 0, faces).astype(int) - start)
    area, cells = data.get(f"{mesh.name}_area"), data.get(f"{mesh.name}_name")
    return Mesh.from_faces(
        np.stack([x.values, y.values], axis=1),
        faces,
        name=label,
        geometry=geometry,
        names=tuple(map(str, cells.values)) if cells is not None else (),
        areas=area.values if area is not None else None,
        crs=str(mesh.attrs.get("crs", "")),
        parallels=mesh.attrs.get("edge_geometry") == "parallel",
        shape=tuple(int(n) for n in np.atleast_1d(mesh.attrs.get("cell_shape", ()))),
    )


def _coordinate_attributes(mesh: Mesh) -> tuple[dict[str, str], dict[str, str]]:
    if mesh.geometry == "spherical":
        return (
            {"units": "degrees_east", "standard_name": "longitude"},
            {"units": "degrees_north", "standard_name": "latitude"},
        )
    return (
        {"units": "m", "standard_name": "projection_x_coordinate"},
        {"units": "m", "standard_name": "projection_y_coordinate"},
    )


def _topology(data: xr.Dataset, wanted: str | None) -> str:
    known = [
        str(name)
        for name, variable in data.variables.items()
        if variable.attrs.get("cf_role") == "mesh_topology"
        and int(variable.attrs.get("topology_dimension", 2)) == 2
    ]
    if wanted in known:
        return str(wanted)
    if wanted is not None or len(known) != 1:
        problem = (
            f"There is no mesh topology '{wanted}': {nearest(wanted, known)}"
            if wanted is not None
            else f"There are {len(known)} two-dimensional mesh topologies, not one."
        )
        raise MeshError(
            problem,
            where=f"variables with cf_role = 'mesh_topology': {', '.join(known) or 'none'}",
            fix="Name one with topology=...; a file without one is no UGRID file",
        )
    return known[0]


def _attribute(mesh: xr.DataArray, name: str) -> str:
    if name not in mesh.attrs:
        raise MeshError(
            f"The mesh topology has no attribute '{name}'.",
            where=f"variable '{mesh.name}'",
            fix=f"Add it: data['{mesh.name}'].attrs['{name}'] = name(s) of the variable(s)",
        )
    return mesh.attrs[name]


def _variable(data: xr.Dataset, name: str, mesh: object) -> xr.DataArray:
    if name not in data.variables:
        raise MeshError(
            f"The variable '{name}' of the mesh is missing: "
            f"{nearest(name, map(str, data.variables))}",
            where=f"mesh topology '{mesh}'",
            fix="Add the variable, or correct its name in the topology",
        )
    return data[name]
