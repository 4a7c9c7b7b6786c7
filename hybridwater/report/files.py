"""Write report files whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hybridwater.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write a file under a temporary name in its folder, then give it its name.

    Whoever looks sees the old file or the whole new one. Missing folders are made.

    Parameters
    ----------
    path : path-like
        Where to write.
    content : bytes
        The whole file.

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
        with part.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        raise DataError(
            f"'{path.name}' could not be written ({error.strerror or error}).",
            where=str(path),
            fix=_FIXES.get(error.errno or 0, "Check that folder, or write elsewhere"),
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def png_bytes(figure: Figure) -> bytes:
    """Draw a figure as PNG; the same figure gives the same bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=figure.dpi, metadata={"Software": None})
    return stream.getvalue()


def save_figures(directory: str | os.PathLike[str], figures: Mapping[str, Figure]) -> list[Path]:
    """Write figures as PNG files, each whole or not at all.

    Parameters
    ----------
    directory : path-like
        Folder to write into; made if missing.
    figures : mapping of str to matplotlib.figure.Figure
        Figures by file name without ".png".

    Returns
    -------
    list of pathlib.Path
        The files written, in order.

    Raises
    ------
    DataError
        If a name is not a plain file name, or a file cannot be written. All figures are drawn
        before the first one is written.
    """
    for name in figures:
        if not name or name.startswith(".") or set(name) & set('/\\:*?"<>|\0'):
            raise DataError(
                f"The figure name {name!r} is not a plain file name.",
                where=str(directory),
                fix="Use letters, digits, '-' and '_', for example 'hydrograph_03604000'",
            )
    drawn = {name: png_bytes(figure) for name, figure in figures.items()}
    return [write_bytes(Path(directory) / f"{name}.png", png) for name, png in drawn.items()]
