"""Figures as files, and as pictures in a page."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hybridwater.errors import DataError
from hybridwater.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hybridwater.report.style import ReportFigure


def png_bytes(figure: Figure) -> bytes:
    """Draw a figure as PNG; the same figure gives the same bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=figure.dpi, metadata={"Software": None})
    return stream.getvalue()


def as_image(figure: ReportFigure) -> str:
    """Return a figure as an HTML image that carries its own content."""
    data = base64.b64encode(png_bytes(figure)).decode()
    alt = html.escape(figure.alt, quote=True)
    return f'<img alt="{alt}" style="max-width:100%" src="data:image/png;base64,{data}">'


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure in the format that the ending of the path names.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    DataError
        If there is no such format, or the file cannot be written.
    """
    path = Path(path)
    form = path.suffix.casefold().removeprefix(".")
    known = ("png", "svg", "pdf")
    if form not in known:
        raise DataError(
            f"There is no picture format '{path.suffix}'.",
            str(path),
            f"End the name in {', '.join('.' + name for name in known)}",
        )
    if form == "png":
        return write_bytes(path, png_bytes(figure))
    stream = io.BytesIO()
    figure.savefig(stream, format=form, metadata={"Date": None} if form == "svg" else {})
    return write_bytes(path, stream.getvalue())


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
