"""Sums over a column: what one cell gives to the next cancels, and the two ends remain."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import sympy

from hybridwater.ude.columns import Places, place_of
from hybridwater.ude.functions import symbol
from hybridwater.ude.staggered import (
    Staggered,
    above,
    below,
    column_sum,
    ends,
    lowermost,
    uppermost,
)
from hybridwater.ude.terms import Flux

if TYPE_CHECKING:
    from hybridwater.ude.model import UDE


def telescoped(ude: UDE) -> tuple[list[sympy.Expr], list[Flux]]:
    """Return the derivatives of all storages and the definitions of fluxes, all one number each.

    Of a storage on a column it is the sum over the cells. In it ``above(q) - below(q)`` comes to
    ``uppermost(q) - lowermost(q)``, and the ends of a flux that is defined with ``ends(...)`` are
    the fluxes given there. What is the equation of a flux gets its name.
    """
    known = {f.name: f.expression for f in ude.fluxes}
    derivatives = [
        column_sum(ude.derivatives[s]) if s in ude.places else ude.derivatives[s]
        for s in ude.storages
    ]
    fluxes = [
        dataclasses.replace(f, expression=_simplified(f.expression, ude.places, known))
        for f in ude.fluxes
        if f.name not in ude.places
    ]
    names = {f.expression: symbol(f.name) for f in fluxes if f.expression.has(Staggered)}
    return [_simplified(e, ude.places, known).subs(names) for e in derivatives], fluxes


def _simplified(
    expression: sympy.Expr, places: Places, known: Mapping[str, sympy.Expr]
) -> sympy.Expr:
    def end(kind: type[Staggered], q: sympy.Expr) -> sympy.Expr:
        defined = known.get(str(q), q) if q.is_Symbol else q
        if isinstance(defined, ends):
            return defined.args[1 if kind is uppermost else 2]
        return kind(q)

    def summed(cells: sympy.Expr) -> sympy.Expr:
        return sympy.Add(*map(one, sympy.Add.make_args(sympy.expand_mul(cells))))

    def one(part: sympy.Expr) -> sympy.Expr:
        factors = sympy.Mul.make_args(part)
        there = [f for f in factors if place_of(f, places) is not None]
        numbers = sympy.Mul(*(f for f in factors if f not in there))
        if len(there) == 1 and isinstance(there[0], above | below) and len(there[0].args) == 1:
            q = there[0].args[0]
            place = place_of(q, places)
            if place is not None and place.at_faces:
                left = lowermost if isinstance(there[0], above) else uppermost
                return numbers * (column_sum(q) - end(left, q))
        return numbers * column_sum(sympy.Mul(*there)) if there else column_sum(part)

    found = expression.replace(column_sum, summed)
    for kind in (uppermost, lowermost):
        found = found.replace(kind, lambda q, kind=kind: end(kind, q))
    return found
