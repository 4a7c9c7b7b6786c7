"""Meshes of longitude and latitude."""

from __future__ import annotations

import numpy as np

from hybridwater.errors import MeshError
from hybridwater.meshes.mesh import Mesh


def latlon_mesh(lon_bounds: np.ndarray, lat_bounds: np.ndarray, *, name: str = "latlon") -> Mesh:
    """Make a mesh of meridians and parallels, regular or rectilinear.

    Parameters
    ----------
    lon_bounds : array_like
        Shape (n_lon + 1,), in degrees, strictly increasing, over at most 360 degrees.
    lat_bounds : array_like
        Shape (n_lat + 1,), in degrees, strictly increasing or decreasing.
    name : str
        Name of the mesh.

    Returns
    -------
    Mesh
        Spherical, n_lat * n_lon cells, longitude running fastest, in the given order of latitudes.
        Northern and southern edges are parallels: areas are R^2 d(lon) (sin(north) - sin(south)).

    Raises
    ------
    MeshError
        If bounds are not monotonic or not degrees, or a cell is 180 degrees wide or wider.

    Examples
    --------
    >>> latlon_mesh(np.arange(0, 361, 90.0), np.arange(-90, 91, 45.0))
    <Mesh 'latlon': 16 cells, spherical, 5.10066e+08 km2>
    """
    lon = strictly_monotonic(lon_bounds, "longitude", name, increasing=True)
    lat = strictly_monotonic(lat_bounds, "latitude", name, increasing=False)
    span = lon[-1] - lon[0]
    if span > 360.0 * (1.0 + 1e-12) or np.diff(lon).max() >= 180.0:
        raise MeshError(
            f"The longitudes span {span:g} degrees, in cells of up to {np.diff(lon).max():g}.",
            where=f"mesh '{name}'",
            fix="A mesh goes round the Earth once at most, in cells of less than 180 degrees",
        )
    if np.abs(np.diff(lat)).max() >= 180.0:
        raise MeshError(
            "A cell spans from pole to pole.",
            where=f"mesh '{name}'",
            fix="Divide it at the equator: lat_bounds = [-90, 0, 90]",
        )
    closed = span > 360.0 * (1.0 - 1e-12)
    columns = len(lon) - 1 if closed else len(lon)
    nodes = np.stack(np.meshgrid(lon[:columns], lat), axis=-1).reshape(-1, 2)
    row, column = np.divmod(np.arange((len(lat) - 1) * (len(lon) - 1)), len(lon) - 1)
    below, above = (row, row + 1) if lat[-1] > lat[0] else (row + 1, row)
    right = (column + 1) % columns
    corners = np.stack(
        [
            below * columns + column,
            below * columns + right,
            above * columns + right,
            above * columns + column,
        ],
        axis=1,
    )
    return Mesh.from_faces(
        nodes,
        corners,
        name=name,
        geometry="spherical",
        parallels=True,
        shape=(len(lat) - 1, len(lon) - 1),
    )


def bounds_of_centres(centres: np.ndarray, *, latitude: bool = False) -> np.ndarray:
    """Put the bounds of cells half-way between their centres.

    Parameters
    ----------
    centres : array_like
        Shape (n,), n > 1, monotonic, in degrees.
    latitude : bool
        Whether bounds end at the poles.

    Returns
    -------
    numpy.ndarray
        Shape (n + 1,).

    Raises
    ------
    MeshError
        If there are fewer than two centres or they are not monotonic.
    """
    centres = strictly_monotonic(
        centres, "latitude" if latitude else "longitude", "", increasing=False
    )
    middle = (centres[1:] + centres[:-1]) / 2.0
    first, last = 2.0 * centres[0] - middle[0], 2.0 * centres[-1] - middle[-1]
    bounds = np.concatenate([[first], middle, [last]])
    return np.clip(bounds, -90.0, 90.0) if latitude else bounds


def strictly_monotonic(values: np.ndarray, what: str, name: str, *, increasing: bool) -> np.ndarray:
    """Return bounds as floats, or refuse those that do not run one way.

    Raises
    ------
    MeshError
        If there are fewer than two, or they are not strictly monotonic (increasing).
    """
    values = np.asarray(values, dtype=float)
    steps = np.diff(values) if values.ndim == 1 else np.zeros(0)
    good = len(steps) > 0 and ((steps > 0).all() or (not increasing and (steps < 0).all()))
    if not good:
        raise MeshError(
            f"The {what}s {'do not increase' if increasing else 'are not monotonic'} strictly.",
            where=f"mesh '{name}'" if name else what,
            fix="Sort them, and let longitudes run on over 180 or 360 degrees (350, 360, 370)",
        )
    return values
