"""From a sum of products of forms to an equation of the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy

from hybridwater import units
from hybridwater.discovery.drafting import Draft, Place, difference
from hybridwater.discovery.forms import Visited
from hybridwater.discovery.structures import Candidate, Product, rounded
from hybridwater.ude.terms import Equation


@dataclass(frozen=True)
class Writer:
    """Writes candidates as equations of one term.

    Parameters
    ----------
    place : Place
        The term.
    visited : tuple of Visited
        One per input.
    """

    place: Place
    visited: tuple[Visited, ...]

    def write(self, candidate: Candidate, *, gated: bool = True) -> Equation:
        """Return the equation, whose units have been checked; with its gate, or without."""
        draft = _Sum(self.place, self.visited, candidate)
        expression = draft.sum()
        if gated and candidate.structure.gated:
            expression *= draft.gate()
        return draft.finish(expression)


class _Sum(Draft):
    def __init__(self, place: Place, visited: tuple[Visited, ...], candidate: Candidate) -> None:
        super().__init__(place)
        self.visited, self.candidate = visited, candidate

    def sum(self) -> sympy.Expr:
        structure = self.candidate.structure
        inner = iter(self.candidate.inner)
        total = sympy.Integer(0)
        for k, product in enumerate(structure.products):
            value = self.product(product, inner)
            if not structure.plain:
                value = self.amplitude(product, float(self.candidate.amplitudes[k])) * value
            total += value
        return total

    def product(self, product: Product, inner: Iterator[float]) -> sympy.Expr:
        value = sympy.Integer(1)
        for factor in product:
            x = self.place.network.inputs[factor.column].expression
            visited = self.visited[factor.column]
            unit = self.place.input_units[factor.column]
            reference = sympy.Integer(0)
            if factor.form.reference:
                reference = self.reference(x, visited.reference, unit)
            symbols = []
            for kind in factor.form.constants:
                number = float(next(inner))
                symbols.append(self.inner(kind, number, unit, x, visited))
            value *= factor.form.expression(x, reference, *symbols)
        return value

    def amplitude(self, product: Product, number: float) -> sympy.Expr:
        spelled = self.place.network.unit
        for factor in product:
            if factor.form.power:
                per = units.parse(difference(self.place.input_units[factor.column]))
                spelled = str(units.parse(spelled) / per**factor.form.power)
        return self.signed("factor", units.spell(spelled), number)

    def inner(
        self, kind: str, number: float, unit: str, x: sympy.Expr, visited: Visited
    ) -> sympy.Expr:
        if kind == "threshold":
            number = rounded(number)
            low, high = (rounded(b, 3) for b in visited.limits("threshold"))
            return self.parameter(kind, unit, (min(low, number), max(high, number)), number, of=x)
        if kind == "exponent":
            return self.parameter(kind, "1", (0.1, 10.0), number, of=x)
        return self.signed(kind, unit if kind == "scale" else difference(unit), number, of=x)
