"""Remaps in and out of NetCDF, in the layout of ESMF and SCRIP weight files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import MeshError, WeightsError
from hybridwater.files import open_netcdf, write_netcdf
from hybridwater.meshes.gradient import Reconstruction
from hybridwater.meshes.remap import Remap

if TYPE_CHECKING:
    import xarray as xr
    from scipy.sparse import csr_array

_NEEDED = ("S", "row", "col", "share", "area_a", "area_b", "frac_b")


def remap_to_dataset(remap: Remap) -> xr.Dataset:
    """Describe a remap with the names of ESMF weight files (``a`` is the source, ``b`` the target).

    ``S``, ``row`` and ``col`` (counted from one) are the first-order weights of area means (of
    amounts, where targets are lines), in the layout of ESMF weight files; ``share`` is the share
    of the source cell that goes to the target.

    Parameters
    ----------
    remap : Remap
        Any order. What second order needs is stored beside the first-order weights.

    Returns
    -------
    xarray.Dataset
    """
    import xarray as xr

    shares = remap.shares
    rows = np.repeat(np.arange(shares.shape[0]), np.diff(shares.indptr))
    data = xr.Dataset(
        attrs={
            "title": f"hybridwater remap from '{remap.source}' to '{remap.target}'",
            "map_method": "Conservative remapping",
            "method": remap.method,
            "normalization": {"destination_area": "destarea", "fraction_area": "fracarea"}[
                remap.normalisation
            ],
            "conventions": "NCAR-CSM",
            "domain_a": remap.source,
            "domain_b": remap.target,
        }
    )
    lines = not np.isfinite(remap.target_areas).all()
    weights = shares.data if lines else remap.weights.data
    meaning = "amount" if lines else "mean"
    links = {
        "S": (weights, "1", f"weight of the source {meaning} in the target {meaning}"),
        "share": (shares.data, "1", "share of the source cell that goes to the target cell"),
    }
    for name, (values, unit, meaning) in links.items():
        data[name] = ("n_s", values, {"units": unit, "long_name": meaning})
    data["row"] = ("n_s", rows.astype(np.int32) + 1, {"long_name": "target cell, from one"})
    data["col"] = (
        "n_s",
        shares.indices.astype(np.int32) + 1,
        {"long_name": "source cell, from one"},
    )
    sides = (
        ("a", remap.source_areas, remap.source_fraction, remap.source_centroids),
        ("b", remap.target_areas, remap.target_fraction, remap.target_centroids),
    )
    for side, areas, fraction, centroids in sides:
        cells = f"n_{side}"
        data[f"area_{side}"] = (cells, areas, {"units": "m2", "standard_name": "cell_area"})
        data[f"frac_{side}"] = (cells, fraction, {"units": "1"})
        if len(centroids) == len(areas):
            data[f"xc_{side}"] = (cells, centroids[:, 0])
            data[f"yc_{side}"] = (cells, centroids[:, 1])
    if remap.reconstruction is not None:
        data = data.merge(_second_order(remap.reconstruction), combine_attrs="override")
    return data


def write_remap(remap: Remap, path: str | Path) -> Path:
    """Write a remap to a NetCDF file, under a temporary name first.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    MeshError
        If the file cannot be written.
    """
    return write_netcdf(remap_to_dataset(remap), path, error=WeightsError)


def read_remap(data: xr.Dataset | str | Path) -> Remap:
    """Read a remap that :func:`write_remap` has written.

    Parameters
    ----------
    data : xarray.Dataset or path-like
        A dataset or a file.

    Returns
    -------
    Remap
        The same to the last bit.

    Raises
    ------
    WeightsError
        If the file has not what is needed, or its indices are out of range.
    MeshError
        If there is no such file.
    """
    data = open_netcdf(data, MeshError)
    label = data.attrs.get("title", "the dataset")
    missing = [name for name in _NEEDED if name not in data]
    if missing:
        raise WeightsError(
            f"The variables {', '.join(missing)} are missing.",
            where=str(label),
            fix="Read files of write_remap; for others, build a Remap from their matrix",
        )
    shape = (data.sizes["n_b"], data.sizes["n_a"])
    row, column = data["row"].values.astype(int) - 1, data["col"].values.astype(int) - 1
    sorted_rows = bool((np.diff(row * shape[1] + column) > 0).all()) if len(row) else True
    inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    if not inside.all() or not sorted_rows or not np.isfinite(data["share"].values).all():
        raise WeightsError(
            "The links are out of range, out of order or not finite.",
            where=f"{label}, {shape[1]} source and {shape[0]} target cells",
            fix="The file is damaged or of another program: make the remap again",
        )
    centroids = [
        np.stack([data[f"xc_{side}"].values, data[f"yc_{side}"].values], axis=1)
        if f"xc_{side}" in data
        else np.zeros((0, 2))
        for side in "ab"
    ]
    fracarea = data.attrs.get("normalization") == "fracarea"
    return Remap(
        _matrix(data["share"].values, row, column, shape),
        data["area_a"].values,
        data["area_b"].values,
        data["frac_b"].values,
        "fraction_area" if fracarea else "destination_area",
        _reconstruction(data, column) if "offset" in data else None,
        str(data.attrs.get("domain_a", "source")),
        str(data.attrs.get("domain_b", "target")),
        str(data.attrs.get("method", "")),
        *centroids,
    )


def _second_order(linear: Reconstruction) -> xr.Dataset:
    import xarray as xr

    data = xr.Dataset()
    data["offset"] = (
        ("n_s", "axis"),
        linear.offsets,
        {"units": "m", "long_name": "from the covered source cell to the overlap"},
    )
    near = linear.neighbours
    rows = np.repeat(np.arange(near.shape[0]), np.diff(near.indptr))
    data["near_row"] = ("n_near", rows.astype(np.int32) + 1)
    data["near_col"] = ("n_near", near.indices.astype(np.int32) + 1)
    values = [_at(operator, rows, near.indices) for operator in linear.gradient]
    data["gradient"] = (
        ("n_near", "axis"),
        np.stack(values, axis=1),
        {"units": "m-1", "long_name": "weight of the neighbour in the gradient"},
    )
    return data


def _at(matrix: csr_array, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Entries of a matrix at given places, which hold all that it has."""
    return np.asarray(matrix[rows, columns]).reshape(-1)


def _reconstruction(data: xr.Dataset, column: np.ndarray) -> Reconstruction:
    size = data.sizes["n_a"]
    rows, columns = data["near_row"].values - 1, data["near_col"].values - 1
    gradient = tuple(_matrix(g, rows, columns, (size, size)) for g in data["gradient"].values.T)
    near = _matrix(np.ones(len(rows)), rows, columns, (size, size))
    return Reconstruction(gradient, near, column, data["offset"].values)


def _matrix(
    values: np.ndarray, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]
) -> csr_array:
    from scipy.sparse import csr_array

    return csr_array((values, (rows, columns)), shape=shape)
