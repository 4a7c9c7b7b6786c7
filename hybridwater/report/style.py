"""The look that all figures share: colours, fonts, units in labels, captions.

Colours are those of Okabe and Ito (2008), "Color Universal Design", which remain distinct under
the common colour vision deficiencies; models also differ in line width or dashes where it helps.
"""

from __future__ import annotations

import functools
import io
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ParamSpec

import matplotlib.style
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from hybridwater import units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OBSERVED = "#1a1a1a"
RAIN = "#4a90c2"
MUTED = "#6b6b6b"
MODELS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
SHADES = ("#f4f4f4", "#e6eef6", "#fdf3e3", "#ebf5ef")

WIDTH = 8.0
"""Width of a figure in inches."""

RESOLUTION = 160
"""Pixels per inch of the PNG files."""

_RC = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#444444",
    "axes.labelcolor": "#222222",
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "date.converter": "concise",
    "figure.constrained_layout.use": True,
    "figure.dpi": RESOLUTION,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "grid.color": "#d9d9d9",
    "grid.linewidth": 0.6,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "text.parse_math": False,  # names may contain dollar signs
    "xtick.color": "#444444",
    "xtick.labelsize": 9.5,
    "ytick.color": "#444444",
    "ytick.labelsize": 9.5,
}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SPELLINGS = {
    "1": "–",  # noqa: RUF001
    "percent": "%",
    "degC": "°C",
    "degrees_north": "°N",
    "degrees_east": "°E",
}

Arguments = ParamSpec("Arguments")


class ReportFigure(Figure):
    """A matplotlib figure that knows its caption and its alternative text.

    Attributes
    ----------
    caption : str
        What the figure shows, one to three sentences.
    alt : str
        What it shows for somebody who cannot see it, with the main numbers.
    """

    caption: str = ""
    alt: str = ""

    def _repr_png_(self) -> bytes:
        """Show the figure in a notebook, without pyplot."""
        content = io.BytesIO()
        self.savefig(content, format="png")
        return content.getvalue()


def styled(draw: Callable[Arguments, ReportFigure]) -> Callable[Arguments, ReportFigure]:
    """Draw in the style of hybridwater, whatever style the caller has set, and restore that."""

    @functools.wraps(draw)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> ReportFigure:
        with matplotlib.style.context(["default", _RC]):
            return draw(*args, **kwargs)

    return wrapper


def new_figure(height: float) -> ReportFigure:
    """Make an empty figure of the common width and a height in inches."""
    return ReportFigure(figsize=(WIDTH, height))


def unit_text(unit: str) -> str:
    """Typeset a unit: ``mm d-1`` becomes ``mm d⁻¹``, a dimensionless one a dash.

    Raises
    ------
    UnitError
        If the unit is empty or unknown.
    """
    units.parse(unit)
    unit = unit.strip()
    text = _SPELLINGS.get(unit) or units.spell(unit)
    text = _SPELLINGS.get(text, text)
    return re.sub(r"(?<=[^\W\d_])(-?\d+)\b", lambda m: m[1].translate(_SUPERSCRIPT), text)


def labelled(quantity: str, unit: str, *, break_line: bool = False) -> str:
    """Write an axis label, ``quantity (unit)``, on two lines where the axis is short."""
    return f"{quantity}{chr(10) if break_line else ' '}({unit_text(unit)})"


def number(value: float, digits: int = 2) -> str:
    """Write a number for people, with a true minus sign and an n-dash for NaN."""
    if value != value:
        return "–"  # noqa: RUF001
    text = f"{value:.{digits}f}"
    if not text.strip("-0."):
        text = text.lstrip("-")
    return text.replace("-", "−")  # noqa: RUF001


def scientific(value: float) -> str:
    """Write a number of any magnitude with two significant digits, such as ``3.1 x 10⁻¹²``."""
    if not math.isfinite(value) or (abs(value) >= 100 and abs(value) < 10_000):
        return number(value, 0)
    if value == 0 or 0.01 <= abs(value) < 100:
        return f"{value:.2g}".replace("-", "−")  # noqa: RUF001
    mantissa, exponent = f"{value:.1e}".split("e")
    power = str(int(exponent)).translate(_SUPERSCRIPT)
    return f"{mantissa} × 10{power}".replace("-", "−")  # noqa: RUF001


def name_spans(
    axes: Axes, spans: Sequence[tuple[str, float, float]], low: float, high: float
) -> None:
    """Write names above the axes, centred on their spans, in a second row where they would touch.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Axes that span most of the width of the figure.
    spans : sequence of (name, left, right)
        In increasing order, in data coordinates.
    low, high : float
        Limits of the axes, in data coordinates.
    """
    letter = (high - low) * 0.0125
    ends: dict[int, float] = {}
    for name, left, right in spans:
        half = len(name) * letter / 2
        centre = min(max((left + right) / 2, low + half), high - half)
        row = next(r for r in range(len(spans)) if ends.get(r, low - half) <= centre - half)
        ends[row] = centre + half + letter
        axes.annotate(
            name,
            (centre, 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, 3 + 13 * row),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=9.5,
            color=MUTED,
            annotation_clip=False,
        )


def legend_below(figure: Figure, columns: int = 1) -> None:
    """Write the legend of all axes below them, with lines broken to fit the width."""
    legend = figure.legend(loc="outside lower left", alignment="left", ncols=columns)
    for text in legend.get_texts():
        wrapped = textwrap.fill(text.get_text(), 96 // columns, subsequent_indent="    ")
        text.set_text(wrapped)


def logarithmic(axes: Axes) -> None:
    """Make the y axis of a finished plot logarithmic, with plain numbers at its ticks."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def horizontal_grid(axes: Axes) -> None:
    """Draw faint horizontal lines to read values from."""
    axes.grid(axis="y")
    axes.tick_params(length=3)
