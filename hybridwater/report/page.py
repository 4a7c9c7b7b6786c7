"""One self-contained HTML page of text, figures and tables."""

from __future__ import annotations

import base64
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from hybridwater.errors import DataError
from hybridwater.files import write_bytes
from hybridwater.report.files import png_bytes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Illustration:
    """A figure with its caption and the text for people who cannot see it.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    caption : str
        What it shows; by default the caption that a figure of this package carries.
    alt : str
        Alternative text; by default that of the figure, or else the caption.
    """

    figure: Figure
    caption: str = ""
    alt: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its caption and units.

    Attributes
    ----------
    frame : pandas.DataFrame
        Rows and columns; a named index becomes the first column.
    caption : str
        What it shows; by default ``frame.attrs["caption"]``.
    units : mapping of str to str
        Unit per column, UDUNITS spelling; by default ``frame.attrs["units"]``.
    digits : int
        Significant digits of the largest number in a column, at least; whole numbers are not cut.
    """

    frame: pd.DataFrame
    caption: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    digits: int = 3


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes
    ----------
    title : str
        Heading.
    text : str
        Plain text; blank lines separate paragraphs.
    figures : sequence of Illustration or matplotlib.figure.Figure
        Figures, each with a caption.
    tables : sequence of Table or pandas.DataFrame
        Tables.
    code : str
        Text shown as it is, in letters of one width, such as equations.
    """

    title: str
    text: str = ""
    figures: Sequence[Illustration | Figure] = ()
    tables: Sequence[Table | pd.DataFrame] = ()
    code: str = ""


def write_report(
    path: str | os.PathLike[str],
    *,
    title: str,
    sections: Sequence[Section],
    subtitle: str | None = None,
    attributes: Mapping[str, object] | None = None,
) -> Path:
    """Write a report as one HTML file that needs no other file, no network and no script.

    Parameters
    ----------
    path : path-like
        Where to write; missing folders are made, an existing file is replaced as a whole.
    title : str
        Title of the page.
    sections : sequence of Section
        Its parts, listed in the table of contents.
    subtitle : str, optional
        A line below the title.
    attributes : mapping of str to object, optional
        Facts about the run, such as versions and seeds, listed below the title.

    Returns
    -------
    pathlib.Path
        The path written.

    Raises
    ------
    DataError
        If there is no section, a figure has no caption, or the file cannot be written; nothing is
        left half.
    UnitError
        If the unit of a table column is unknown.
    """
    if not sections:
        raise DataError(
            "The report has no section.", where=str(path), fix="Give at least one Section"
        )
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hybridwater.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("report.html.j2").render(
        title=title,
        subtitle=subtitle,
        attributes={str(k): str(v) for k, v in (attributes or {}).items()},
        sections=[_section(section) for section in sections],
    )
    return write_bytes(path, html.encode(errors="replace"))


def _section(section: Section) -> dict[str, Any]:
    return {
        "title": section.title,
        "paragraphs": [p.strip() for p in section.text.split("\n\n") if p.strip()],
        "figures": [_figure(figure, section.title) for figure in section.figures],
        "tables": [_table(table) for table in section.tables],
        "code": section.code.strip("\n"),
    }


def _figure(item: Illustration | Figure, section: str) -> dict[str, Any]:
    shown = item if isinstance(item, Illustration) else Illustration(item)
    caption = shown.caption or getattr(shown.figure, "caption", "")
    if not caption:
        raise DataError(
            "A figure of the report has no caption.",
            where=f"section '{section}'",
            fix="Give it as Illustration(figure, caption='what it shows')",
        )
    width, height = shown.figure.get_size_inches() * shown.figure.dpi
    return {
        "caption": caption,
        "alt": shown.alt or getattr(shown.figure, "alt", "") or caption,
        "width": round(width),
        "height": round(height),
        "data": base64.b64encode(png_bytes(shown.figure)).decode(),
    }


def _table(item: Table | pd.DataFrame) -> dict[str, Any]:
    from hybridwater.report import style

    table = item if isinstance(item, Table) else Table(item)
    frame = table.frame
    known = table.units or frame.attrs.get("units", {})
    if any(name is not None for name in frame.index.names) or frame.index.dtype.kind not in "iu":
        frame = frame.reset_index()
    names = [" ".join(map(str, c)) if isinstance(c, tuple) else str(c) for c in frame.columns]
    columns = [frame.iloc[:, position] for position in range(len(names))]
    return {
        "caption": table.caption or frame.attrs.get("caption", ""),
        "head": [
            {
                "name": "" if name == "index" else name,
                "unit": style.unit_text(known[name]) if name in known else "",
                "number": column.dtype.kind in "fiu",
            }
            for name, column in zip(names, columns, strict=True)
        ],
        "rows": list(zip(*(_cells(column, table.digits) for column in columns), strict=True)),
    }


def _cells(column: pd.Series, digits: int) -> list[str]:
    """Write the cells of a column, numbers with as many decimals as the largest one deserves.

    Of the median two digits are shown at least: skills near one stay what they are beside -250.
    """
    from hybridwater.report import style

    if column.dtype.kind in "iu":
        return [style.number(value, 0) for value in column]
    if column.dtype.kind != "f":
        return ["–" if value is None or value != value else str(value) for value in column]  # noqa: RUF001
    finite = [abs(value) for value in column if math.isfinite(value) and value]
    largest, median = (_whole(pick(finite or [1.0])) for pick in (max, statistics.median))
    decimals = max(digits - max(largest, 1), 2 - max(median, 0), 0)
    smallest = 0.5 * 10**-decimals
    if finite and max(finite) < smallest:
        return [style.scientific(value) for value in column]
    return [
        style.scientific(value) if 0 < abs(value) < smallest else style.number(value, decimals)
        for value in column
    ]


def _whole(value: float) -> int:
    """Count the digits of a positive number before the point; not positive if it is below one."""
    return math.floor(math.log10(value)) + 1
