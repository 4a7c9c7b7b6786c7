"""What every equation that is found needs: names, units and bounds of its constants, its gate."""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from hybridwater import units
from hybridwater.discovery.structures import rounded
from hybridwater.ude.dimensions import require_unit
from hybridwater.ude.functions import symbol
from hybridwater.ude.terms import Constant, Equation, Network, Parameter

#: How far a constant may go from its value when the model is fitted again, as a factor.
REACH = 20.0

#: Name of the scale of a gate.
_EMPTY = "empty"

_DIFFERENCES = {"degree_Celsius": "K", "degree_Fahrenheit": "delta_degF"}

_DESCRIPTIONS = {
    "factor": "amplitude",
    "scale": "scale",
    "folding": "difference that makes a factor of e",
    "threshold": "threshold",
    "position": "position of an exponential",
    "width": "width of a smooth threshold",
    "exponent": "exponent",
    "constant": "constant",
}


@dataclass(frozen=True)
class Place:
    """The term that an equation is written for.

    Parameters
    ----------
    network : Network
        The term.
    declared : dict of str to str
        Unit of every name of the model.
    input_units : tuple of str
        Unit of each input.
    """

    network: Network
    declared: dict[str, str]
    input_units: tuple[str, ...]


class Draft:
    """An equation while it is written."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.term = place.network.name
        self.parameters: list[Parameter] = []
        self.constants: list[Constant] = []
        self._taken = set(place.declared)

    def finish(self, expression: sympy.Expr) -> Equation:
        """Return the equation, whose units have been checked.

        Raises
        ------
        UnitError
            If the expression does not have the unit of the term.
        """
        used = {str(s) for s in expression.free_symbols}
        parameters = tuple(p for p in self.parameters if p.name in used)
        constants = tuple(c for c in self.constants if c.name in used)
        known = {t.name: t.unit for t in (*parameters, *constants)}
        where = f"a candidate for '{self.term}'"
        require_unit(expression, self.place.network.unit, self.place.declared | known, where)
        return Equation(expression, parameters, constants)

    def gate(self) -> sympy.Expr:
        """Write the gate of an empty store: the term falls off in its last part.

        The network's own gate, ``S / (S + scale)``, never quite opens. This one does, so that above
        that part the law stands alone; and it has fewer operations.
        """
        network = self.place.network
        assert network.zero_when_empty is not None
        assert network.empty_scale is not None
        unit = self.place.declared[network.zero_when_empty]
        empty = self.constant(_EMPTY, network.empty_scale, unit)
        return sympy.Min(symbol(network.zero_when_empty) / empty, 1)

    def signed(
        self, kind: str, unit: str, number: float, *, of: sympy.Expr | None = None
    ) -> sympy.Expr:
        """Add a fitted constant that keeps its sign, which belongs to the form of an equation.

        A constant that may have either sign has a range so wide that a fit which begins at the
        right value leaves it in the first steps.
        """
        size = abs(number)
        known = self.parameter(kind, unit, (size / REACH, size * REACH), size, log=True, of=of)
        return known if number > 0 else -known

    def parameter(
        self,
        kind: str,
        unit: str,
        bounds: tuple[float, float],
        number: float,
        *,
        log: bool = False,
        of: sympy.Expr | None = None,
    ) -> sympy.Symbol:
        """Add a fitted constant of a kind, of one input or of none."""
        name = self._name(kind if of is None else f"{kind}_{_short(of)}")
        low, high = (rounded(b, 4) for b in bounds)
        description = f"{_DESCRIPTIONS[kind]} in the equation of {self.term}"
        self.parameters.append(
            Parameter(name, unit, (low, high), rounded(number), log, "discovered", description)
        )
        return symbol(name)

    def reference(self, x: sympy.Expr, number: float, unit: str) -> sympy.Symbol:
        """Add the fixed value of an input that a form is written relative to."""
        return self.constant(f"reference_{_short(x)}", number, unit)

    def constant(self, kind: str, number: float, unit: str) -> sympy.Symbol:
        """Add a fixed constant, unless an equal one is there."""
        number = rounded(number)
        for known in self.constants:
            if (known.value, known.unit) == (number, unit) and known.name.startswith(
                f"{self.term}_{kind}"
            ):
                return symbol(known.name)
        name = self._name(kind)
        self.constants.append(Constant(name, unit, number, "discovered"))
        return symbol(name)

    def _name(self, kind: str) -> str:
        name, number = f"{self.term}_{kind}", 1
        while name in self._taken:
            number += 1
            name = f"{self.term}_{kind}{number}"
        self._taken.add(name)
        return name


def ungated(expression: sympy.Expr, network: Network) -> sympy.Expr:
    """Return an equation without the gate that `Draft.gate` has written for a network."""
    if network.zero_when_empty is None:
        return expression
    store = symbol(network.zero_when_empty)
    scales = [s for s in expression.free_symbols if str(s).startswith(f"{network.name}_{_EMPTY}")]
    return expression.subs({sympy.Min(store / scale, 1): 1 for scale in scales})


def difference(unit: str) -> str:
    """Return the unit of a difference of two values: ``K`` for temperatures in degC."""
    return _DIFFERENCES.get(str(units.parse(unit)), unit)


def is_offset(unit: str) -> bool:
    """Say whether a unit measures temperature on a scale, which has no zero of its own."""
    return units.parse(unit).dimensionality == units.parse("kelvin").dimensionality


def operations(equation: Equation) -> int:
    """Count the operations of an equation: sums, products, powers, functions."""
    return int(sympy.count_ops(equation.expression))


def complexity(equation: Equation) -> int:
    """Count the operations and the fitted constants of an equation."""
    return operations(equation) + len(equation.parameters)


def _short(x: sympy.Expr) -> str:
    """Return the name of an input, or of the first name in it."""
    return "_".join(sorted(map(str, x.free_symbols))[:1]) or "input"
