"""River networks from files of others: National Water Model, D8 rasters."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater.errors import MeshError, MissingDependency, nearest
from hybridwater.files import open_netcdf
from hybridwater.meshes import sphere
from hybridwater.meshes.columns import LONLAT
from hybridwater.meshes.rivers import RiverNetwork

if TYPE_CHECKING:
    import xarray as xr


def read_routelink(data: xr.Dataset | str | Path, *, name: str = "rivers") -> RiverNetwork:
    """Read the channel network of the National Water Model (``RouteLink.nc``).

    Parameters
    ----------
    data : xarray.Dataset or path-like
        With ``link``, ``to`` (0 at outlets), ``Length`` [m], ``lon`` and ``lat``.
    name : str
        Name of the network.

    Returns
    -------
    RiverNetwork
        Reaches named by their link, in the order of the file. Areas are not in the file.

    Raises
    ------
    MeshError
        If a variable is missing or the network is not well formed.
    """
    data = open_netcdf(data, MeshError)
    for needed in ("link", "to", "Length", "lon", "lat"):
        if needed not in data.variables:
            raise MeshError(
                f"The variable '{needed}' is missing: {nearest(needed, map(str, data.variables))}",
                where=f"river network '{name}'",
                fix="Give a RouteLink file of the National Water Model",
            )
    return RiverNetwork.from_pointers(
        data["link"].values,
        data["to"].values,
        data["Length"].values,
        points=np.stack([data["lon"].values, data["lat"].values], axis=1),
        name=name,
    )


def d8_network(
    directions: np.ndarray,
    transform: Any,
    *,
    scale: int = 1,
    least_area: float = 0.0,
    latlon: bool = True,
    name: str = "rivers",
) -> RiverNetwork:
    """Make a network from a raster of D8 flow directions, by pyflwdir, at any resolution.

    Parameters
    ----------
    directions : array_like of uint8
        Shape (rows, columns): 1 east, 2 southeast, 4 south, ... 128 northeast, 0 pit, 247 none.
    transform : affine.Affine
        Transform of the raster, for example of rasterio.
    scale : int
        Cells of the river network are this many times wider than those of the raster (iterative
        hydrography upscaling, Eilander et al. 2021, doi:10.5194/hess-25-5287-2021); lengths
        are those of the river in the fine raster.
    least_area : float
        Cells with a smaller upstream area [m2] are land, which drains into the reach below it.
    latlon : bool
        Whether the raster is in degrees.
    name : str
        Name of the network.

    Returns
    -------
    RiverNetwork
        A reach per river cell, with the area that drains directly into it, and its centre.

    Raises
    ------
    MissingDependency
        If pyflwdir is not installed.
    MeshError
        If directions are not valid, or no cell is a river.
    """
    try:
        import pyflwdir
    except ImportError as error:
        raise MissingDependency(
            "Networks from flow directions need the package 'pyflwdir'.",
            fix='pip install "hybridwater[components]"',
        ) from error
    try:
        fine = pyflwdir.from_array(
            np.asarray(directions, dtype=np.uint8),
            ftype="d8",
            transform=transform,
            latlon=latlon,
            check_ftype=True,
        )
    except ValueError as error:
        raise MeshError(
            f"The flow directions are not valid ({error}).",
            where=f"river network '{name}'",
            fix="Give D8 codes: 1 east, 2 southeast, 4 south, ..., 128 northeast, 0 pit, 247 none",
        ) from error
    if scale > 1:
        flow, outlet = fine.upscale(scale_factor=scale, method="ihu")
        area = fine.ucat_area(outlet, unit="m2")[1]
    else:
        flow, outlet = fine, np.arange(fine.size).reshape(fine.shape)
        area = fine.area
    length = _river_lengths(fine, np.ravel(outlet), latlon)
    crs = LONLAT if latlon else ""
    return _river_cells(flow, np.ravel(area), length, least_area, name, crs)


def _river_lengths(fine: Any, outlet: np.ndarray, latlon: bool) -> np.ndarray:
    """Length of the way from each outlet pixel to the next one, m; 0 where there is none.

    Distances between centres of pixels, added up along the fine directions.
    """
    target = np.asarray(fine.idxs_ds).ravel().astype(np.int64)
    valid = target >= 0
    pixels = np.arange(target.size)
    to = np.where(valid & (target != pixels), target, -1)
    centres = np.stack([np.ravel(c) for c in fine.xy(pixels)], axis=1)
    step = np.zeros(target.size)
    inner = to >= 0
    ends = centres[inner], centres[to[inner]]
    if latlon:
        vectors = [sphere.to_vectors(e) for e in ends]
        step[inner] = sphere.angle(*vectors) * sphere.EARTH_RADIUS
    else:
        step[inner] = np.hypot(*(ends[1] - ends[0]).T)
    used = outlet[outlet >= 0]
    stop = np.zeros(target.size, dtype=bool)
    stop[used] = True
    # Ways that end at the first outlet pixel; from an outlet pixel itself the way begins.
    ways = RiverNetwork(np.where(stop, -1, to), np.where(stop, 0.0, step)).distance
    length = np.zeros(outlet.size)
    length[outlet >= 0] = step[used] + np.where(to[used] >= 0, ways[to[used]], 0.0)
    return length


def _river_cells(
    flow: Any, area: np.ndarray, length: np.ndarray, least_area: float, name: str, crs: str
) -> RiverNetwork:
    """Keep the cells that are rivers, with the land that drains into each."""
    target = np.asarray(flow.idxs_ds).ravel()
    inside = np.flatnonzero(target >= 0)
    place = np.full(target.size, -1)
    place[inside] = np.arange(len(inside))
    to = np.where(target[inside] == inside, -1, place[target[inside]])
    x, y = flow.xy(inside)
    cells = RiverNetwork(
        to,
        length[inside],
        tuple(map(str, inside)),
        area[inside],
        np.stack([np.ravel(x), np.ravel(y)], axis=1),
        name,
        crs,
    )
    river = cells.upstream_areas >= least_area
    if not river.any():
        raise MeshError(
            f"No cell has an upstream area of {least_area:g} m2.",
            where=f"river network '{name}', largest area {cells.upstream_areas.max():g} m2",
            fix="Choose a smaller least_area",
        )
    # Land drains to the first river cell; from there on the network carries it.
    land = RiverNetwork(np.where(river, -1, to), cells.lengths).accumulate(cells.areas)
    kept = cells.select(river)
    return dataclasses.replace(kept, areas=land[river])
