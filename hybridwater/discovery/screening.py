"""Screening: which products of forms go together with a target, from matrix products alone.

Every form of every input is tabulated on a grid of its constants. The error of fitting one product
of two such columns to a target needs two inner products, so all pairs of columns of two inputs cost
two matrix multiplications; products of more inputs are grown from the best of those.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hybridwater.discovery.forms import FORMS, Form, Visited
from hybridwater.discovery.structures import Factor, Product, merged

_TINY = 1e-300
#: Share of a product's square that must be beside the columns that are there already.
_INDEPENDENT = 1e-4


@dataclass(frozen=True)
class Table:
    """Forms of one input on the grid of their constants.

    Parameters
    ----------
    column : int
        Number of the input.
    forms : tuple of Form
        Form of each table column.
    constants : tuple of tuple of float
        Its constants.
    values : numpy.ndarray
        Shape (sample, table column).
    """

    column: int
    forms: tuple[Form, ...]
    constants: tuple[tuple[float, ...], ...]
    values: np.ndarray


@dataclass(frozen=True)
class Start:
    """A product with constants to begin from, and the share of the target that it explains."""

    product: Product
    inner: tuple[float, ...]
    explained: float
    values: np.ndarray


def tabulate(column: int, x: np.ndarray, visited: Visited) -> Table:
    """Tabulate all forms of one input, shape (sample,)."""
    forms, constants, values = [], [], []
    for form in FORMS:
        if not visited.allows(form):
            continue
        for point in itertools.product(*(visited.grid(kind) for kind in form.constants)):
            column_values = form.values(x, visited.origin(form), *point)
            if np.ptp(column_values) > 0:
                forms.append(form)
                constants.append(tuple(map(float, point)))
                values.append(column_values)
    return Table(column, tuple(forms), tuple(constants), np.stack(values, axis=1))


def screen(
    tables: Sequence[Table],
    target: np.ndarray,
    root: np.ndarray,
    basis: np.ndarray,
    *,
    positive: bool = False,
    keep: int = 30,
) -> list[Start]:
    """Find the products that explain most of a target, the best first.

    Parameters
    ----------
    tables : sequence of Table
        One per input.
    target : numpy.ndarray
        Shape (sample,).
    root : numpy.ndarray
        Square root of the weight of each sample.
    basis : numpy.ndarray
        Columns that an equation has already, shape (sample, column): what counts is what a product
        explains beside them.
    positive : bool
        Whether amplitudes must be positive.
    keep : int
        How many products are kept, spread over their sizes (factors and constants).

    Returns
    -------
    list of Start
        One per product of forms, each with its best constants on the grid.
    """
    basis = np.linalg.qr(root[:, None] * basis)[0]
    target = target * root
    target = target - basis @ (basis.T @ target)
    if not target @ target > _TINY:
        return []
    every = on_grid(tables, root)
    found = [
        s for t in tables for s in _grow(t, [Start((), (), 0.0, root)], target, basis, positive)
    ]
    parents = every
    for _ in range(1, len(tables)):
        grown: dict[tuple, Start] = {}
        for table in tables:
            usable = [s for s in parents if all(f.column != table.column for f in s.product)]
            for start in _grow(table, usable, target, basis, positive):
                known = grown.setdefault(_key(start.product), start)
                if known.explained < start.explained:
                    grown[_key(start.product)] = start
        parents = _of_each_size(list(grown.values()), keep)
        found += parents
    return _of_each_size(found, keep)


def _of_each_size(starts: Sequence[Start], count: int) -> list[Start]:
    """Keep the best of each size, so that elaborate products do not crowd out simple ones."""
    groups: dict[int, list[Start]] = {}
    for start in sorted(starts, key=lambda s: -s.explained):
        groups.setdefault(_size(start.product), []).append(start)
    share = max(2, count // max(1, len(groups)))
    kept = [s for group in groups.values() for s in group[:share]]
    return sorted(kept, key=lambda s: -s.explained)


def on_grid(tables: Sequence[Table], root: np.ndarray) -> list[Start]:
    """Return every form of every input with all constants of its grid."""
    return [
        Start((Factor(t.column, form),), constants, 0.0, root * values)
        for t in tables
        for form, constants, values in zip(t.forms, t.constants, t.values.T, strict=True)
    ]


def screen_pairs(
    pool: Sequence[Start],
    target: np.ndarray,
    root: np.ndarray,
    *,
    positive: bool,
    keep: int,
    allowed: Callable[[Start, Start], bool],
) -> list[tuple[Start, Start]]:
    """Find the sums of two products that explain most of a target.

    All pairs of a pool are fitted at once, from the matrix of inner products of its columns.

    Parameters
    ----------
    pool : sequence of Start
        Products; the same one may be there with several constants.
    target, root, positive
        As in :func:`screen`.
    keep : int
        How many pairs of each size (factors and constants).
    allowed : callable
        Whether a pair may be kept at all, whatever its constants.

    Returns
    -------
    list of (Start, Start)
        One per pair of products of forms, each with its best constants in the pool.
    """
    pool = sorted(pool, key=lambda s: _key(s.product))
    target = target * root
    columns = np.stack([s.values for s in pool])
    columns = columns / np.maximum(np.linalg.norm(columns, axis=1, keepdims=True), _TINY)
    b, gram = columns @ target, columns @ columns.T
    beside = 1 - gram**2
    first = b[:, None] - b[None, :] * gram  # the amplitudes, times beside
    second = first.T
    explained = first * b[:, None] + second * b[None, :]
    fine = beside > _INDEPENDENT
    if positive:
        fine &= (first > 0) & (second > 0)
    explained = np.where(fine, explained / np.where(fine, beside, 1.0), -np.inf)
    keys = [_key(s.product) for s in pool]
    edges = [k for k in range(len(keys)) if k == 0 or keys[k] != keys[k - 1]]
    by_row = np.maximum.reduceat(explained, edges, axis=0)
    best = np.maximum.reduceat(by_row, edges, axis=1)
    stops = [*edges[1:], len(keys)]
    groups: dict[int, list[tuple[float, int, int]]] = {}
    for i, j in itertools.combinations(range(len(edges)), 2):
        if np.isfinite(best[i, j]):
            size = _size(pool[edges[i]].product) + _size(pool[edges[j]].product)
            groups.setdefault(size, []).append((float(best[i, j]), i, j))
    pairs = []
    for ranked in groups.values():
        short = (
            (i, j)
            for _, i, j in sorted(ranked, reverse=True)
            if allowed(pool[edges[i]], pool[edges[j]])
        )
        for i, j in itertools.islice(short, keep):
            part = explained[edges[i] : stops[i], edges[j] : stops[j]]
            row, column = np.unravel_index(int(np.argmax(part)), part.shape)
            pairs.append((pool[edges[i] + int(row)], pool[edges[j] + int(column)]))
    return pairs


def _size(product: Product) -> int:
    return 1 + sum(1 + len(f.form.constants) for f in product)


def _key(product: Product) -> tuple[tuple[int, str], ...]:
    return tuple((f.column, f.form.name) for f in product)


def _grow(
    table: Table,
    parents: Sequence[Start],
    target: np.ndarray,
    basis: np.ndarray,
    positive: bool,
) -> list[Start]:
    """Multiply products by each form of a further input, with the best constants on the grid."""
    if not parents:
        return []
    values = np.stack([p.values for p in parents])
    inner = (values * target) @ table.values
    if positive:
        inner = np.maximum(inner, 0.0)
    norms = (values**2) @ table.values**2
    beside = norms - sum(((values * q) @ table.values) ** 2 for q in basis.T)
    beside = np.where(beside > _INDEPENDENT * norms, beside, np.inf)
    explained = inner**2 / np.maximum(beside, _TINY) / float(target @ target)
    groups: dict[tuple, list[int]] = {}
    for row, parent in enumerate(parents):
        groups.setdefault(_key(parent.product), []).append(row)
    names = [f.name for f in table.forms]
    result = []
    for rows in groups.values():
        for name in dict.fromkeys(names):
            where = [k for k, n in enumerate(names) if n == name]
            part = explained[np.ix_(rows, where)]
            row, k = np.unravel_index(int(np.argmax(part)), part.shape)
            parent, column = parents[rows[row]], where[k]
            factor = Factor(table.column, table.forms[column])
            result.append(
                Start(
                    merged(parent.product, (factor,)),
                    _constants(parent, factor, table.constants[column]),
                    float(part[row, k]),
                    parent.values * table.values[:, column],
                )
            )
    return result


def _constants(parent: Start, factor: Factor, added: tuple[float, ...]) -> tuple[float, ...]:
    """Put the constants in the order of the merged product's factors."""
    parts, left = {factor.column: added}, iter(parent.inner)
    for f in parent.product:
        parts[f.column] = tuple(next(left) for _ in f.form.constants)
    return tuple(c for column in sorted(parts) for c in parts[column])
