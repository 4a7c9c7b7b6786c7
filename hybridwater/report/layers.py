"""Layout of a small directed graph in rows: nodes, and the labels of its edges between them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_SWEEPS = 12

#: A node, or where an edge passes a row: its number, and how many rows below its upper end.
Place = str | tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """Where everything is.

    Parameters
    ----------
    rows : list of list
        Places in each row, from above and from the left; nodes are in even rows.
    x : mapping
        Centre of each place.
    paths : list of list
        The places of each edge, in its direction; the second of them, or the last but one of an
        edge that goes up, has its label.
    """

    rows: list[list[Place]]
    x: Mapping[Place, float]
    paths: list[list[Place]]


def layered(
    nodes: Sequence[str],
    edges: Sequence[tuple[str, str, bool]],
    width: Mapping[str | int, float],
    gap: float,
) -> Layout:
    """Lay out a graph from above to below (Sugiyama, Tagawa and Toda, 1981).

    Parameters
    ----------
    nodes : sequence of str
        Sources before targets.
    edges : sequence of (str, str, bool)
        Source, target, and whether it closes a cycle, so that it may go up.
    width : mapping
        Width of each node, and of the label of each edge by its number.
    gap : float
        Least distance between two neighbours in a row.

    Returns
    -------
    Layout
    """
    rank = _ranks(nodes, edges)
    rows: list[list[Place]] = [[] for _ in range(2 * max(rank.values()) + 1)]
    for node in nodes:
        rows[2 * rank[node]].append(node)
    paths: list[list[Place]] = []
    widths: dict[Place, float] = {node: width[node] for node in nodes}
    for number, (source, target, _) in enumerate(edges):
        top, bottom = sorted((source, target), key=lambda n: rank[n])
        inner = range(2 * rank[top] + 1, 2 * rank[bottom])
        chain: list[Place] = [top, *((number, step) for step in range(1, len(inner) + 1)), bottom]
        labelled = 1 if top == source else len(inner)
        for step, row in enumerate(inner, start=1):
            rows[row].append((number, step))
            widths[number, step] = width[number] if step == labelled else 0.0
        paths.append(chain if top == source else chain[::-1])
    return Layout(rows, _spread(rows, paths, widths, gap), paths)


def _ranks(nodes: Sequence[str], edges: Sequence[tuple[str, str, bool]]) -> dict[str, int]:
    rank = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for source, target, closes in edges:
            if not closes:
                rank[target] = max(rank[target], rank[source] + 1)
    for source, target, closes in edges:  # the ends of an edge are never beside one another
        if closes and rank[source] == rank[target]:
            rank[source] += 1
    return rank


def _spread(
    rows: list[list[Place]],
    paths: list[list[Place]],
    widths: Mapping[Place, float],
    gap: float,
) -> dict[Place, float]:
    """Order each row by where its neighbours are, and give every place room."""
    beside: dict[Place, list[Place]] = {place: [] for row in rows for place in row}
    for path in paths:
        for one, other in itertools.pairwise(path):
            beside[one].append(other)
            beside[other].append(one)
    x: dict[Place, float] = {}
    for row in rows:
        for k, place in enumerate(row):
            x[place] = k - (len(row) - 1) / 2
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = {p: float(np.mean([x[o] for o in beside[p]] or [x[p]])) for p in row}
            row.sort(key=wanted.__getitem__)
            for place, at in _apart(row, wanted, widths, gap).items():
                x[place] = at
    return x


def _apart(
    row: list[Place], wanted: Mapping[Place, float], widths: Mapping[Place, float], gap: float
) -> dict[Place, float]:
    """Keep neighbours a gap apart, as close to where they are wanted as that lets them."""
    edge, at = -np.inf, {}
    for place in row:
        at[place] = max(wanted[place], edge + widths[place] / 2)
        edge = at[place] + widths[place] / 2 + gap
    shift = float(np.mean([wanted[p] - at[p] for p in row])) if row else 0.0
    return {place: value + shift for place, value in at.items()}
