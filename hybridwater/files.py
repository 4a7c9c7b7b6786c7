"""Files are written whole or not at all, and the reason is said when one cannot be used."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hybridwater.errors import DataError, HybridwaterError

if TYPE_CHECKING:
    import xarray as xr

_FIXES = {
    errno.ENOSPC: "Free some space on that disk, or write elsewhere",
    errno.EDQUOT: "Free some of your quota, or write elsewhere",
    errno.EFBIG: "Raise the limit on file sizes, or write elsewhere",
    errno.EROFS: "That disk is read-only; write elsewhere",
    errno.EACCES: "Write where you have permission",
    errno.EPERM: "Write where you have permission",
    errno.ENOTDIR: "A part of that path is a file, not a folder; write elsewhere",
    errno.EEXIST: "A part of that path is a file, not a folder; write elsewhere",
    errno.EISDIR: "That path is a folder; give the path of a file",
}


@contextlib.contextmanager
def whole(
    *paths: Path, error: type[HybridwaterError] = DataError, size: int = 0
) -> Iterator[tuple[Path, ...]]:
    """Give a temporary name beside each path, and the paths their names when the block ends.

    Whoever looks sees the old files or the whole new ones. Missing folders are made.

    Parameters
    ----------
    *paths : pathlib.Path
        What is to be written.
    error : type
        Error to raise.
    size : int
        How much will be written [byte], if known: a library may give another reason than a full
        disk.

    Yields
    ------
    tuple of pathlib.Path
        Where to write, in the order of ``paths``.

    Raises
    ------
    HybridwaterError
        The ``error``, if one cannot be written; nothing is left, and old files are as they were.
    """
    parts = tuple(p.with_name(f".{p.name}.{secrets.token_hex(4)}.part") for p in paths)
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield parts
        for path, part in zip(paths, parts, strict=True):
            part.replace(path)
    except (OSError, RuntimeError) as failure:  # the NetCDF library reports some as the latter
        path = next((p for p, t in zip(paths, parts, strict=True) if not t.exists()), paths[-1])
        number, reason = _reason(failure, path.parent, size)
        raise error(
            f"'{path.name}' could not be written ({reason}).",
            str(path),
            _FIXES.get(number, "Check that folder, or write elsewhere"),
        ) from failure
    finally:
        for part in parts:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def write_files(files: Mapping[Path, bytes], error: type[HybridwaterError] = DataError) -> None:
    """Write files together, all or none; errors as in `whole`."""
    with whole(*files, error=error) as parts:
        for part, content in zip(parts, files.values(), strict=True):
            with part.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write one file and return its path; errors as in `whole`."""
    path = Path(path)
    write_files({path: content})
    return path


def write_netcdf(
    dataset: xr.Dataset, path: str | os.PathLike[str], error: type[HybridwaterError] = DataError
) -> Path:
    """Write a dataset as NetCDF and return the path; errors as in `whole`."""
    path = Path(path)
    with whole(path, error=error, size=dataset.nbytes) as (part,):
        dataset.to_netcdf(part, engine="netcdf4")
    return path


def open_netcdf(
    data: xr.Dataset | str | os.PathLike[str],
    error: type[HybridwaterError] = DataError,
    *,
    lazy: bool = False,
) -> xr.Dataset:
    """Return a dataset as it is, or read the NetCDF file that is named.

    Parameters
    ----------
    data : xarray.Dataset or path-like
        The dataset or the file.
    error : type
        Error to raise.
    lazy : bool
        Whether values are read when they are used, and the file stays open.

    Raises
    ------
    HybridwaterError
        The ``error``, if there is no such file or it is no NetCDF file.
    """
    import xarray as xr

    if isinstance(data, xr.Dataset):
        return data
    path = Path(data)
    if not path.is_file():
        raise error("The file does not exist.", str(path), "Correct the name or the folder")
    read = xr.open_dataset if lazy else xr.load_dataset
    try:
        return read(path, engine="netcdf4")
    except (OSError, ValueError) as failure:
        raise error(
            f"The file cannot be read ({getattr(failure, 'strerror', None) or failure}).",
            str(path),
            "Give a NetCDF file; if it is one, it is damaged: make or fetch it again",
        ) from failure


def _reason(failure: OSError | RuntimeError, folder: Path, size: int) -> tuple[int, str]:
    """Return the number and the name of the reason."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(folder).free < size:
            return errno.ENOSPC, os.strerror(errno.ENOSPC)
    return getattr(failure, "errno", None) or 0, getattr(failure, "strerror", None) or str(failure)
