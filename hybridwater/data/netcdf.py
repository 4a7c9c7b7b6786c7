"""Writing datasets to NetCDF, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from pathlib import Path

import xarray as xr

from hybridwater.errors import DataError


def write_netcdf(dataset: xr.Dataset, path: str | Path) -> Path:
    """Write a dataset under a temporary name in its folder, then give it its name.

    Parameters
    ----------
    dataset : xarray.Dataset
        What to write; attributes are kept.
    path : str or pathlib.Path
        Where to write; missing folders are made, an existing file is replaced as a whole.

    Returns
    -------
    pathlib.Path
        The path written.

    Raises
    ------
    DataError
        If the file cannot be written, for example because the disk is full; nothing is left.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.to_netcdf(part, engine="netcdf4")
        part.replace(path)
    except (OSError, RuntimeError) as error:  # the NetCDF library reports a full disk as the latter
        raise DataError(
            f"'{path.name}' could not be written ({_reason(error, path.parent, dataset.nbytes)}).",
            where=str(path),
            fix="Free some space, or write where you have permission",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def _reason(error: OSError | RuntimeError, folder: Path, needed: int) -> str:
    """Say why; of a full disk the NetCDF library may say that there is no permission."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(folder).free < needed:
            return os.strerror(errno.ENOSPC)
    return getattr(error, "strerror", None) or str(error)
