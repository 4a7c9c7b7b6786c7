"""The graph of a coupled run: its components, and what they exchange."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from hybridwater.errors import DataError
from hybridwater.report import style
from hybridwater.report.layers import Layout, Place, layered

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LETTER = 0.085
"""Width of a letter in inches, on average."""

_LINE, _ROOM = 0.17, 0.34
"""Height of a line of text, and room above and below a row, in inches."""

_FACES = {"analytic": "#e3eef8", "surrogate": "#fdebd8", "records": "#f1f1f1"}


class Node(NamedTuple):
    """A component: its name, what it is, and how it is drawn."""

    name: str
    title: str
    kind: Literal["analytic", "surrogate", "records"]


class Edge(NamedTuple):
    """What one component gives another: variables, and whether the exchange is late or iterated."""

    source: str
    target: str
    labels: tuple[str, ...]
    late: bool


@style.styled
def coupling_graph(nodes: Sequence[Node], edges: Sequence[Edge]) -> style.ReportFigure:
    """Draw components from above to below, in the order of what flows.

    Parameters
    ----------
    nodes : sequence of Node
        Sources before targets.
    edges : sequence of Edge
        Between them, one per pair and direction.

    Returns
    -------
    ReportFigure
        A matplotlib figure with caption and alternative text.

    Raises
    ------
    DataError
        If there is no component.
    """
    if not nodes:
        raise DataError("There is no component to draw.", fix="Give at least one")
    widths: dict[str | int, float] = {n.name: _width((n.name, n.title)) + 0.3 for n in nodes}
    widths |= {i: _width(e.labels) for i, e in enumerate(edges)}
    layout = layered(
        [n.name for n in nodes], [(e.source, e.target, e.late) for e in edges], widths, gap=0.25
    )
    heights = [_height(row, edges) for row in layout.rows]
    y, below = {}, 0.0
    for row, height in zip(layout.rows, heights, strict=True):
        below -= height / 2 + _ROOM / 2
        y |= dict.fromkeys(row, below)
        below -= height / 2 + _ROOM / 2
    sides = [(layout.x[p], _place_width(p, layout, widths)) for row in layout.rows for p in row]
    left, right = min(x - w / 2 for x, w in sides), max(x + w / 2 for x, w in sides)
    wide = max(right - left + 0.3, 3.0)
    figure = style.new_figure(-below + 0.1)
    figure.set_size_inches(wide, -below + 0.1)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim((left + right - wide) / 2, (left + right + wide) / 2)
    axes.set_ylim(below - 0.05, 0.05)
    for edge, path in zip(edges, layout.paths, strict=True):
        _draw_edge(axes, edge, [(layout.x[p], y[p]) for p in path], widths)
    for node in nodes:
        _draw_node(axes, node, layout.x[node.name], y[node.name], widths[node.name])
    late = sum(e.late for e in edges)
    figure.caption = (
        f"{len(nodes)} components and {sum(len(e.labels) for e in edges)} exchanges: records in "
        "grey, analytic components in blue, surrogates in orange."
    )
    if late:
        figure.caption += " Dashed: exchanges that are late or iterated."
    figure.alt = f"{figure.caption} " + "; ".join(
        f"{e.source} gives {e.target} {', '.join(e.labels)}" for e in edges
    )
    return figure


def _width(lines: Sequence[str]) -> float:
    return _LETTER * max((len(line) for line in lines), default=0)


def _place_width(place: Place, layout: Layout, widths: dict[str | int, float]) -> float:
    if isinstance(place, str):
        return widths[place]
    path = layout.paths[place[0]]
    return widths[place[0]] if path[1] == place else 0.0


def _height(row: Sequence[Place], edges: Sequence[Edge]) -> float:
    lines = (2 if isinstance(p, str) else len(edges[p[0]].labels) for p in row)
    return _LINE * max(lines, default=1) + 0.08


def _draw_node(axes: Axes, node: Node, x: float, y: float, width: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    height = 2 * _LINE + 0.06
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2), width, height,
            boxstyle="round,pad=0.04,rounding_size=0.08",
            facecolor=_FACES[node.kind], edgecolor="#444444", linewidth=0.9, zorder=3,
        )
    )  # fmt: skip
    style_name = {"ha": "center", "va": "center", "zorder": 4}
    axes.text(x, y + 0.085, node.name, fontsize=10.5, fontweight="bold", **style_name)
    axes.text(x, y - 0.095, node.title, fontsize=8.5, color=style.MUTED, **style_name)


def _draw_edge(
    axes: Axes, edge: Edge, points: list[tuple[float, float]], widths: dict[str | int, float]
) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    half = _LINE + 0.07
    down = points[-1][1] < points[0][1]
    sign = -1 if down else 1
    ends = [
        (points[0][0], points[0][1] + sign * half),
        (points[-1][0], points[-1][1] - sign * half),
    ]
    ends = [
        _towards(ends[0], points[1], widths[edge.source]),
        _towards(ends[1], points[-2], widths[edge.target]),
    ]
    stops = [ends[0], *points[1:-1], ends[1]]
    vertices, codes = [stops[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in itertools.pairwise(stops):
        middle = (y0 + y1) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Path.CURVE4] * 3
    colour = style.MODELS[1] if not edge.late else style.MODELS[0]
    axes.add_patch(
        FancyArrowPatch(
            path=Path(vertices, codes), arrowstyle="-|>,head_length=5,head_width=2.5",
            color=colour, linewidth=1.2, linestyle="--" if edge.late else "-", zorder=1,
        )
    )  # fmt: skip
    x, y = points[1]
    axes.text(
        x, y, "\n".join(edge.labels), ha="center", va="center", fontsize=8.5, zorder=2,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def _towards(
    end: tuple[float, float], other: tuple[float, float], width: float
) -> tuple[float, float]:
    """Move the end of an edge along its box, so that edges of one box do not meet in one point."""
    reach = 0.35 * width
    return end[0] + min(max(other[0] - end[0], -reach), reach), end[1]
