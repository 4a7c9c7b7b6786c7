"""Functions of columns as steps of a program: each is an assignment of its own.

What remains in the other steps is arithmetic at one place, cell by cell or face by face.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from hybridwater.ude.columns import Place, place_of
from hybridwater.ude.functions import symbol
from hybridwater.ude.staggered import Staggered, above, below, lowermost, uppermost


@dataclass(frozen=True)
class Assign:
    """``name = expression``, at every cell or face of a place if there is one."""

    name: str
    expression: sympy.Expr
    place: Place | None = None


@dataclass(frozen=True)
class Move:
    """``name = kind(operands)``: what a function of a column makes of a named quantity.

    Parameters
    ----------
    name : str
        Name of the result.
    kind : str
        Name of the function (see :mod:`hybridwater.ude.staggered`).
    operands : tuple of sympy.Expr
        A name, then expressions that are one number. ``above`` and ``below`` of cells always
        have their boundary value.
    source, place : Place or None
        Where the first operand and the result have their values.
    """

    name: str
    kind: str
    operands: tuple[sympy.Expr, ...]
    source: Place
    place: Place | None


class Unfolding:
    """Takes functions of columns out of expressions.

    Parameters
    ----------
    places : dict of str to Place
        Place of every name; those of new names are added.
    even : dict of sympy.Symbol to sympy.Float
        Quantities on columns that are the same number everywhere.
    """

    def __init__(self, places: dict[str, Place], even: dict[sympy.Symbol, sympy.Float]) -> None:
        self.places = places
        self.even = even
        self.steps: list[Assign | Move] = []  # of the expression in hand
        self._known: dict[sympy.Basic, sympy.Symbol] = {}
        self._count = 0

    def unfold(self, expression: sympy.Expr) -> tuple[list[Assign | Move], sympy.Expr]:
        """Return further steps that an expression needs, and what it is after them."""
        self.steps = []
        flat = self._flat(expression)
        return self.steps, flat.subs(self.even) if self.even else flat

    def _flat(self, expression: sympy.Basic) -> sympy.Basic:
        if not expression.has(Staggered):
            return expression
        if isinstance(expression, Staggered):
            return self._move(expression)
        return expression.func(*map(self._flat, expression.args))

    def _move(self, e: Staggered) -> sympy.Symbol:
        if e not in self._known:
            first, *others = map(self._flat, e.args)
            source = place_of(first, self.places)
            assert source is not None
            if not first.is_Symbol:
                first = self._named(first, source)
            if isinstance(e, above | below) and not source.at_faces and not others:
                edge = uppermost(first) if isinstance(e, above) else lowermost(first)
                others = [self._move(edge)]
            name = self._fresh()
            place = place_of(e.func(first, *others), self.places)
            operands = (first, *(o.subs(self.even) for o in others))
            self.steps.append(Move(name, e.func.__name__, operands, source, place))
            if place is not None:
                self.places[name] = place
            self._known[e] = symbol(name)
        return self._known[e]

    def _named(self, expression: sympy.Basic, place: Place) -> sympy.Symbol:
        if expression not in self._known:
            name = self._fresh()
            self.steps.append(Assign(name, expression.subs(self.even), place))
            self.places[name] = place
            self._known[expression] = symbol(name)
        return self._known[expression]

    def _fresh(self) -> str:
        self._count += 1
        return f"column__{self._count}"
