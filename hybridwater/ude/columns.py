"""Columns: rows of cells on which states live, and where in them an expression has its values."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sympy

from hybridwater.errors import DeclarationError, nearest
from hybridwater.ude.functions import symbol
from hybridwater.ude.staggered import Staggered, above, below, ends
from hybridwater.ude.text import print_expression

if TYPE_CHECKING:
    from hybridwater.ude.model import UDE

MAX_CELLS = 100_000


@dataclass(frozen=True)
class Column:
    """A row of cells, numbered from the top down.

    Three quantities belong to it and may stand in equations: ``{name}_thickness`` of each cell,
    ``{name}_depth`` of the middle of each cell below the top, and ``{name}_distance``, on faces,
    between the middles of the cells on both sides (half a thickness at the top and at the bottom).

    Parameters
    ----------
    name, unit : str
        Name of the dimension in equations and datasets; unit of length.
    thicknesses : tuple of float
        Of every cell, in ``unit``.
    description : str
        One line for people.
    """

    name: str
    unit: str
    thicknesses: tuple[float, ...]
    description: str = ""

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.thicknesses)

    @property
    def thickness(self) -> sympy.Symbol:
        """Thickness of each cell."""
        return symbol(f"{self.name}_thickness")

    @property
    def depth(self) -> sympy.Symbol:
        """Depth of the middle of each cell."""
        return symbol(f"{self.name}_depth")

    @property
    def distance(self) -> sympy.Symbol:
        """Distance between the middles of the cells on both sides of each face."""
        return symbol(f"{self.name}_distance")

    @functools.cached_property
    def cells(self) -> Place:
        """The cells as a place."""
        return Place(self.name, False, self.count)

    @functools.cached_property
    def faces(self) -> Place:
        """The faces as a place."""
        return Place(self.name, True, self.count + 1)

    @functools.cached_property
    def face_depths(self) -> np.ndarray:
        """Depth of each face, shape (count + 1,)."""
        return np.concatenate([[0.0], np.cumsum(self.thicknesses)])

    @functools.cached_property
    def geometry(self) -> dict[str, tuple[Place, np.ndarray]]:
        """Place and values of each quantity that belongs to the column."""
        thickness = np.array(self.thicknesses)
        faces = self.face_depths
        depth = (faces[1:] + faces[:-1]) / 2
        distance = np.diff(np.concatenate([faces[:1], depth, faces[-1:]]))
        return {
            str(self.thickness): (self.cells, thickness),
            str(self.depth): (self.cells, depth),
            str(self.distance): (self.faces, distance),
        }


def cells(thickness: float | Sequence[float], count: int | None, where: str) -> tuple[float, ...]:
    """Return the thickness of every cell, given one number and a count, or one number per cell.

    Raises
    ------
    DeclarationError
        If these do not fit together.
    """
    each = () if isinstance(thickness, float | int) else tuple(float(t) for t in thickness)
    if count is None and each:
        return each
    whole = isinstance(count, int) and 1 <= count <= MAX_CELLS
    if not whole or (each and len(each) != count):
        given = f"{len(each)} thicknesses are given" if each else "One thickness is given"
        raise DeclarationError(
            f"{given} for {count} cells.",
            where,
            f"Give one thickness with a count of 1 to {MAX_CELLS}, or one thickness per cell",
        )
    return each or (float(thickness),) * count  # type: ignore[arg-type]


@dataclass(frozen=True)
class Place:
    """Where a quantity has its values: the cells of a column, or its faces."""

    column: str
    at_faces: bool
    size: int

    @property
    def dimension(self) -> str:
        """Name of the dimension in a dataset."""
        return f"{self.column}_face" if self.at_faces else self.column

    @property
    def across(self) -> Place:
        """Faces if these are cells, cells if these are faces."""
        return Place(self.column, not self.at_faces, self.size + (-1 if self.at_faces else 1))

    def __str__(self) -> str:
        return f"the {'faces' if self.at_faces else 'cells'} of '{self.column}'"


#: Place of each name; those that are one number are left out.
Places = Mapping[str, Place]


def place_of(expression: sympy.Basic, places: Places, where: str = "an equation") -> Place | None:
    """Find where an expression has its values; ``None`` if it is one number.

    Raises
    ------
    DeclarationError
        If quantities of different places stand side by side, or a function of a column gets a
        quantity that it has no meaning for.
    """
    if expression.is_Symbol:
        return places.get(str(expression))
    if isinstance(expression, Staggered):
        return _moved(expression, places, where)
    found: Place | None = None
    for part in expression.args:
        other = place_of(part, places, where)
        if found is not None and other is not None and other != found:
            raise DeclarationError(
                f"'{print_expression(expression)}' has values on {found} and on {other} side by "
                "side.",
                where,
                "Bring one to the other with above(...) or below(...)",
            )
        found = found or other
    return found


def _moved(e: Staggered, places: Places, where: str) -> Place | None:
    name, text = type(e).__name__, print_expression(e)
    place, *others = (place_of(a, places, where) for a in e.args)
    if place is None:
        raise DeclarationError(
            f"'{text}' takes what is the same in all cells.",
            where,
            f"Give {name}(...) a quantity on the cells or faces of a column",
        )
    if any(others):
        raise DeclarationError(
            f"'{text}' has values on {next(filter(None, others))} at an end of the column.",
            where,
            "Give one number there: uppermost(...), lowermost(...) or column_sum(...) make one",
        )
    if isinstance(e, ends):
        return place
    if not isinstance(e, above | below):
        return None
    if place.at_faces and others:
        raise DeclarationError(
            f"'{text}' has a boundary value, but every cell has a face above and below.",
            where,
            f"Write {name}({print_expression(e.args[0])})",
        )
    return place.across


def check_columns(ude: UDE) -> None:
    """Check the cells of columns, and that states are on columns that there are."""
    known = {c.name: c for c in ude.columns}
    if ude.columns and (ude.unknowns or ude.events):
        kind, terms = ("unknown", ude.unknowns) if ude.unknowns else ("event", ude.events)
        raise DeclarationError(
            f"A model with columns has no {kind}s.",
            f"model '{ude.name}', {kind} '{terms[0].name}'",
            "Write it as a flux",
        )
    for column in ude.columns:
        where = f"column '{column.name}' of model '{ude.name}'"
        if not 1 <= column.count <= MAX_CELLS:
            raise DeclarationError(
                f"The column has {column.count} cells.", where, f"Give it 1 to {MAX_CELLS}"
            )
        for k, thickness in enumerate(column.thicknesses):
            if not (math.isfinite(thickness) and thickness > 0):
                raise DeclarationError(
                    f"The thickness of cell {k} is {thickness}.", where, "Give a positive number"
                )
    for state in ude.states:
        where = f"state '{state.name}' of model '{ude.name}'"
        if state.on and state.on not in known:
            raise DeclarationError(
                f"There is no column '{state.on}' ({nearest(state.on, known)}).", where
            )
        if isinstance(state.initial, tuple):
            count = known[state.on].count if state.on else 1
            if not state.on or len(state.initial) != count:
                raise DeclarationError(
                    f"There are {len(state.initial)} initial values for {count} cell(s).",
                    where,
                    "Give one number, one per cell, or the name of a parameter",
                )


def find_places(ude: UDE, order: Iterable[str]) -> dict[str, Place]:
    """Return the place of each name that has more than one value, and check every equation.

    Parameters
    ----------
    ude : UDE
        The model.
    order : iterable of str
        Fluxes and networks, each after those that it needs.

    Raises
    ------
    DeclarationError
        If an equation mixes places, or the derivative of a state has values where the state has
        none.
    """
    if not ude.columns:
        return {}
    columns = {c.name: c for c in ude.columns}
    places = {n: place for c in ude.columns for n, (place, _) in c.geometry.items()}
    places |= {s.name: columns[s.on].cells for s in ude.states if s.on}
    fluxes = {f.name: f for f in ude.fluxes}
    networks = {n.name: n for n in ude.networks}
    for name in order:
        where = f"the equation of '{name}' of model '{ude.name}'"
        if name in fluxes:
            place = place_of(fluxes[name].expression, places, where)
        else:
            network = networks[name]
            seen = [i.expression for i in network.inputs]
            if network.zero_when_empty is not None:
                seen.append(symbol(network.zero_when_empty))
            place = place_of(sympy.Tuple(*seen), places, where)
            if network.conceptual is not None:
                place_of(network.conceptual, places, where)
        if place is not None:
            places[name] = place
    for state in ude.states:
        where = f"the derivative of '{state.name}' of model '{ude.name}'"
        place = place_of(ude.derivatives[state.name], places, where)
        if place is not None and place != places.get(state.name):
            raise DeclarationError(
                f"The derivative has values on {place}, the state "
                + (f"on {places[state.name]}." if state.on else "is one number."),
                where,
                "The balance of a cell is above(q) - below(q) of the flux q through its faces; "
                "column_sum(...) makes one number of many",
            )
    return places
