"""From a candidate to an equation of the model: names, units and bounds of its constants."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import sympy

from hybridwater import units
from hybridwater.discovery.forms import Visited
from hybridwater.discovery.structures import Candidate, Product, rounded
from hybridwater.ude.dimensions import require_unit
from hybridwater.ude.functions import symbol
from hybridwater.ude.terms import Constant, Equation, Network, Parameter

#: How far a constant may go from its value when the model is fitted again, as a factor.
_REACH = 20.0

_DIFFERENCES = {"degree_Celsius": "K", "degree_Fahrenheit": "delta_degF"}

_DESCRIPTIONS = {
    "factor": "amplitude",
    "scale": "scale",
    "folding": "difference that makes a factor of e",
    "threshold": "threshold",
    "width": "width of a smooth threshold",
    "exponent": "exponent",
}


@dataclass(frozen=True)
class Writer:
    """Writes candidates as equations of one term.

    Parameters
    ----------
    network : Network
        The term.
    declared : dict of str to str
        Unit of every name of the model.
    input_units : tuple of str
        Unit of each input.
    visited : tuple of Visited
        One per input.
    """

    network: Network
    declared: dict[str, str]
    input_units: tuple[str, ...]
    visited: tuple[Visited, ...]

    def write(self, candidate: Candidate) -> Equation:
        """Return the equation, whose units have been checked."""
        draft = _Draft(self, candidate)
        expression = draft.sum()
        known = self.declared | {t.name: t.unit for t in (*draft.parameters, *draft.constants)}
        require_unit(expression, self.network.unit, known, f"a candidate for '{self.network.name}'")
        return Equation(expression, tuple(draft.parameters), tuple(draft.constants))

    def complexity(self, candidate: Candidate) -> int:
        """Count the operations and the fitted constants of what was found.

        The gate of an empty store is not counted: it was declared.
        """
        open_gate = dataclasses.replace(candidate.structure, gated=False)
        equation = self.write(dataclasses.replace(candidate, structure=open_gate))
        return operations(equation) + len(equation.parameters)


class _Draft:
    def __init__(self, writer: Writer, candidate: Candidate) -> None:
        self.writer, self.candidate = writer, candidate
        self.term = writer.network.name
        self.parameters: list[Parameter] = []
        self.constants: list[Constant] = []
        self.taken = set(writer.declared)

    def sum(self) -> sympy.Expr:
        structure = self.candidate.structure
        inner = iter(self.candidate.inner)
        total = sympy.Integer(0)
        for k, product in enumerate(structure.products):
            value = self.product(product, inner)
            if not structure.plain:
                value = self.amplitude(product, float(self.candidate.amplitudes[k])) * value
            total += value
        if structure.gated:
            network = self.writer.network
            assert network.zero_when_empty is not None
            assert network.empty_scale is not None
            stored = sympy.Max(symbol(network.zero_when_empty), 0)
            unit = self.writer.declared[network.zero_when_empty]
            total *= stored / (stored + self.constant("empty", network.empty_scale, unit))
        return total

    def product(self, product: Product, inner: Iterator[float]) -> sympy.Expr:
        value = sympy.Integer(1)
        for factor in product:
            x = self.writer.network.inputs[factor.column].expression
            visited, unit = (
                self.writer.visited[factor.column],
                self.writer.input_units[factor.column],
            )
            reference = sympy.Integer(0)
            if factor.form.reference:
                reference = self.constant(f"reference_{_short(x)}", visited.reference, unit)
            symbols = []
            for kind in factor.form.constants:
                number = float(next(inner))
                symbols.append(self.inner(kind, number, unit, x, visited))
            value *= factor.form.expression(x, reference, *symbols)
        return value

    def amplitude(self, product: Product, number: float) -> sympy.Symbol:
        spelled = self.writer.network.unit
        for factor in product:
            if factor.form.power:
                per = units.parse(difference(self.writer.input_units[factor.column]))
                spelled = str(units.parse(spelled) / per**factor.form.power)
        number = rounded(number)
        signed = not self.writer.network.positive and self.writer.network.bounds is None
        reach = sorted((number / _REACH, number * _REACH))
        bounds = (-abs(reach[1]), abs(reach[1])) if number > 0 else (reach[0], -reach[0])
        log = not signed and number > 0
        if log:
            bounds = (reach[0], reach[1])
        name = self.name("factor")
        return self.parameter(name, units.spell(spelled), bounds, number, log, "factor")

    def inner(
        self, kind: str, number: float, unit: str, x: sympy.Expr, visited: Visited
    ) -> sympy.Symbol:
        number = rounded(number)
        name = self.name(f"{kind}_{_short(x)}")
        if kind == "threshold":
            low, high = (rounded(b, 3) for b in visited.limits("threshold"))
            return self.parameter(
                name, unit, (min(low, number), max(high, number)), number, False, kind
            )
        if kind == "exponent":
            return self.parameter(name, "1", (0.1, 10.0), number, False, kind)
        bounds = (number / _REACH, number * _REACH)
        spelled = unit if kind == "scale" else difference(unit)
        return self.parameter(name, spelled, bounds, number, True, kind)

    def parameter(
        self,
        name: str,
        unit: str,
        bounds: tuple[float, float],
        number: float,
        log: bool,
        kind: str,
    ) -> sympy.Symbol:
        low, high = (rounded(b, 4) for b in bounds)
        description = f"{_DESCRIPTIONS[kind]} in the equation of {self.term}"
        self.parameters.append(
            Parameter(name, unit, (low, high), number, log, "discovered", description)
        )
        return symbol(name)

    def constant(self, kind: str, number: float, unit: str) -> sympy.Symbol:
        name = f"{self.term}_{kind}"
        same = [c for c in self.constants if c.name == name]
        if not same:
            name = self.name(kind)
            self.constants.append(Constant(name, unit, rounded(number), "discovered"))
        return symbol(name)

    def name(self, kind: str) -> str:
        name, number = f"{self.term}_{kind}", 1
        while name in self.taken:
            number += 1
            name = f"{self.term}_{kind}{number}"
        self.taken.add(name)
        return name


def difference(unit: str) -> str:
    """Return the unit of a difference of two values: ``K`` for temperatures in degC."""
    return _DIFFERENCES.get(str(units.parse(unit)), unit)


def is_offset(unit: str) -> bool:
    """Say whether a unit measures temperature on a scale, which has no zero of its own."""
    return units.parse(unit).dimensionality == units.parse("kelvin").dimensionality


def _short(x: sympy.Expr) -> str:
    """Return the name of an input, or of the first name in it."""
    return "_".join(sorted(map(str, x.free_symbols))[:1]) or "input"


def operations(equation: Equation) -> int:
    """Count the operations of an equation: sums, products, powers, functions."""
    return int(sympy.count_ops(equation.expression))
