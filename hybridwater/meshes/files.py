"""NetCDF files of meshes and weights, opened with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hybridwater.errors import MeshError

if TYPE_CHECKING:
    import xarray as xr


def load(data: xr.Dataset | str | Path) -> xr.Dataset:
    """Return a dataset as it is, or read the file that is named.

    Raises
    ------
    MeshError
        If there is no such file or it is no NetCDF file.
    """
    import xarray as xr

    if isinstance(data, xr.Dataset):
        return data
    path = Path(data)
    if not path.is_file():
        raise MeshError(
            "There is no such file.", where=f"file '{path}'", fix="Correct the name or the folder"
        )
    try:
        return xr.load_dataset(path, engine="netcdf4")
    except (OSError, ValueError) as error:
        raise MeshError(
            f"The file cannot be read ({getattr(error, 'strerror', None) or error}).",
            where=f"file '{path}'",
            fix="Give a NetCDF file; if it is one, it is damaged: make or fetch it again",
        ) from error
