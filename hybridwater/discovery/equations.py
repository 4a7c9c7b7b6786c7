"""From a sum of products of forms to an equation of the model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import sympy

from hybridwater import units
from hybridwater.discovery.drafting import REACH, Draft, Place, difference
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
            amplitude = 1.0 if structure.plain else float(self.candidate.amplitudes[k])
            total += self.product(product, inner, amplitude, plain=structure.plain)
        return total

    def product(
        self, product: Product, inner: Iterator[float], amplitude: float, *, plain: bool
    ) -> sympy.Expr:
        value, moved = sympy.Integer(1), plain
        for factor in product:
            form, x = factor.form, self.place.network.inputs[factor.column].expression
            visited = self.visited[factor.column]
            unit = self.place.input_units[factor.column]
            numbers = [float(next(inner)) for _ in form.constants]
            origin = visited.origin(form)
            reference = sympy.Integer(0)
            if form.exponential and not moved:
                # to move an exponential is to multiply it: what is fitted is where it stands
                moved, per = True, self.amplitude_unit(product)
                alone = amplitude > 0 and units.parse(per) == units.parse("1")
                fixed = 1.0 if alone else rounded(amplitude, 1)
                shift = form.exponential * numbers[0] * math.log(amplitude / fixed)
                reference = self.inner("position", origin - shift, unit, x, visited)
                if not alone:
                    value *= self.constant("factor", fixed, per)
            elif form.reference and origin:
                reference = self.reference(x, origin, unit)
            symbols = [
                self.inner(kind, number, unit, x, visited)
                for kind, number in zip(form.constants, numbers, strict=True)
            ]
            value *= form.expression(x, reference, *symbols)
        if moved:
            return value
        return self.signed("factor", self.amplitude_unit(product), amplitude) * value

    def amplitude_unit(self, product: Product) -> str:
        spelled = self.place.network.unit
        for factor in product:
            if factor.form.power:
                per = units.parse(difference(self.place.input_units[factor.column]))
                spelled = str(units.parse(spelled) / per**factor.form.power)
        return units.spell(spelled)

    def inner(
        self, kind: str, number: float, unit: str, x: sympy.Expr, visited: Visited
    ) -> sympy.Expr:
        place = kind in ("threshold", "position")
        if place and visited.stored and visited.has_zero and number > 0:
            # where a store stands is not observed: its level may be another one altogether
            bounds = (number / REACH, REACH * max(number, visited.high))
            return self.parameter(kind, unit, bounds, number, log=True, of=x)
        if place:
            number = rounded(number)
            low, high = (rounded(b, 3) for b in visited.limits("threshold"))
            # an exponential that hardly grows may stand far beyond what was visited
            bounds = (min(low, number - visited.span), max(high, number + visited.span))
            return self.parameter(kind, unit, bounds, number, of=x)
        if kind == "exponent":
            return self.parameter(kind, "1", (0.1, 10.0), number, of=x)
        return self.signed(kind, unit if kind == "scale" else difference(unit), number, of=x)
