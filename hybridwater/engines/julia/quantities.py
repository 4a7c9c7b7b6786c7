"""Names and units for the places of an array that has neither."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hybridwater import units
from hybridwater.errors import DeclarationError, nearest

#: A unit, or a unit and the place, or the places of all cells, counted from zero.
Place = str | tuple[str, int | Sequence[int]]


@dataclass(frozen=True, eq=False)
class Quantity:
    """One quantity of a problem.

    Parameters
    ----------
    name, unit : str
        Its name, and its unit as UDUNITS.
    places : numpy.ndarray
        Where its values are, shape (value,): one, or one per cell.
    """

    name: str
    unit: str
    places: np.ndarray


def name_places(
    kind: str, given: Mapping[str, Place], count: int, names: Sequence[str] = ()
) -> tuple[Quantity, ...]:
    """Name the places of an array.

    Parameters
    ----------
    kind : str
        What is named, for errors: ``"state"``, ``"parameter"`` or ``"flux"``.
    given : mapping of str to str or (str, int or sequence of int)
        Name to unit, or to unit and places. Without places, it is that of the same name in
        ``names``, or the one behind those named before.
    count : int
        How many places there are.
    names : sequence of str
        Names that the places have already.

    Raises
    ------
    DeclarationError
        If there is no such place or name, or none at all, or a place has two names.
    UnitError
        If a unit is not known.
    """
    if given and not count:
        raise DeclarationError(
            f"The problem has no {kind} that could have a name.",
            fix="Give a flux_function"
            if kind == "flux"
            else "Make it with numbers: one, a vector, a tuple or a named tuple",
        )
    found: list[Quantity] = []
    owner: dict[int, str] = {}
    for name, what in given.items():
        unit, places = (what, None) if isinstance(what, str) else what
        units.parse(unit)
        if places is None and names:
            if name not in names:
                raise DeclarationError(
                    f"The problem has no {kind} '{name}' ({nearest(name, names)})."
                )
            places = names.index(name)
        elif places is None:
            places = max(owner, default=-1) + 1
        values = np.atleast_1d(np.asarray(places, int))
        for place in values.tolist():
            if not 0 <= place < count:
                raise DeclarationError(
                    f"The {kind} '{name}' is at place {place}, but the problem has {count}.",
                    fix="Count places from zero, in the order of the problem",
                )
            if place in owner:
                raise DeclarationError(
                    f"Place {place} is both '{owner[place]}' and '{name}'.",
                    fix=f"Say where each {kind} is: '{name}': ('{unit}', place)",
                )
            owner[place] = name
        found.append(Quantity(name, unit, values))
    return tuple(found)
