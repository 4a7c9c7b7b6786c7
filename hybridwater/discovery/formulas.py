"""Expressions of any form: programs in postfix order, and the units of their constants.

Dimensional consistency is a set of linear equations. The unit of a node is known, or known but for
the units of the constants in it; what is added has one unit, what is exponentiated has none, and
the root has the unit of the term. If the equations have a solution the expression is consistent,
and the solution is the units of its constants.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from hybridwater import units
from hybridwater.discovery.drafting import Draft, Place, difference, is_offset
from hybridwater.discovery.forms import DRY, Visited
from hybridwater.ude.terms import Equation


@dataclass(frozen=True)
class Operator:
    """A function that a program may use.

    Parameters
    ----------
    name : str
        What the Julia side calls it.
    inputs : int
        How many arguments it takes.
    values : callable
        With numpy arrays.
    expression : callable
        With SymPy expressions.
    """

    name: str
    inputs: int
    values: Callable[..., Any]
    expression: Callable[..., sympy.Expr]


#: ``power`` is relative to the unit of its base, so that its value has none.
OPERATORS = (
    Operator("exp", 1, np.exp, sympy.exp),
    Operator("tanh", 1, np.tanh, sympy.tanh),
    Operator("positive", 1, lambda a: np.maximum(a, 0.0), lambda a: sympy.Max(a, 0)),
    Operator("+", 2, np.add, lambda a, b: a + b),
    Operator("-", 2, np.subtract, lambda a, b: a - b),
    Operator("*", 2, np.multiply, lambda a, b: a * b),
    Operator("/", 2, np.divide, lambda a, b: a / b),
    Operator("smaller", 2, np.minimum, sympy.Min),
    Operator(
        "power",
        2,
        lambda a, b: np.maximum(a, DRY) ** b,
        lambda a, b: sympy.Max(a, sympy.Float(DRY)) ** b,
    ),
)

#: Tokens: 0 is the next constant, k the k-th input, -k the k-th operator.
Program = tuple[int, ...]


def fold(
    program: Program, constants: Iterable[Any], inputs: Sequence[Any], apply: Callable[..., Any]
) -> Any:
    """Evaluate a program with values of any kind: ``apply(operator, *arguments)``."""
    stack: list[Any] = []
    left = iter(constants)
    for token in program:
        if token == 0:
            stack.append(next(left))
        elif token > 0:
            stack.append(inputs[token - 1])
        else:
            operator = OPERATORS[-token - 1]
            arguments = stack[-operator.inputs :]
            del stack[-operator.inputs :]
            stack.append(apply(operator, *arguments))
    return stack.pop()


@dataclass(frozen=True, eq=False)
class System:
    """Units in which the inputs of a term, and the term, have sizes near one.

    Parameters
    ----------
    place : Place
        The term.
    names : tuple of str
        Units that the units of inputs and term are products of, for example millimetre and day.
    inputs : numpy.ndarray
        Their powers in each input, shape (input, name).
    term : numpy.ndarray
        Their powers in the term, shape (name,).
    sizes : numpy.ndarray
        Size of the new unit that takes the place of each, shape (name,).
    """

    place: Place
    names: tuple[str, ...]
    inputs: np.ndarray
    term: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, place: Place, x: np.ndarray, y: np.ndarray) -> System:
        """Choose units for samples: inputs of shape (sample, input), and values of the term."""
        spelled = [difference(u) for u in place.input_units]
        powers = [_powers(u) for u in (*spelled, place.network.unit)]
        names = tuple(sorted({n for p in powers for n in p}))
        table = np.array([[p.get(n, 0.0) for n in names] for p in powers]).reshape(-1, len(names))
        typical = np.sqrt(np.mean(np.column_stack([x, y]) ** 2, axis=0))
        logarithm = np.log(np.where(typical > 0, typical, 1.0))
        sizes = np.exp(np.linalg.lstsq(table, logarithm, rcond=None)[0])
        return cls(place, names, table[:-1], table[-1], sizes)

    def size(self, powers: np.ndarray) -> float:
        """Return the size of the unit with these powers in the units of the model."""
        return float(np.prod(self.sizes ** powers.astype(float)))

    def unit(self, powers: np.ndarray) -> str:
        """Spell the unit with these powers."""
        unit = units.parse("1")
        for name, power in zip(self.names, powers, strict=True):
            if power:
                exponent = int(power) if power == int(power) else float(power)
                unit = unit * units.registry().Unit(name) ** exponent
        spelled = units.spell(unit)
        # A constant in K is a temperature: it cannot stand beside one in degC.
        celsius = any(units.parse(u) == units.parse("degC") for u in self.place.input_units)
        return "delta_degC" if celsius and spelled == "K" else spelled

    def scaled(self, x: np.ndarray) -> np.ndarray:
        """Bring inputs to these units."""
        return x / np.array([self.size(p) for p in self.inputs])


def _powers(unit: str) -> dict[str, float]:
    items = units.registry().Quantity(1.0, units.parse(unit)).unit_items()
    return {str(name): float(np.real(power)) for name, power in items}


@dataclass(frozen=True, eq=False)
class Formula:
    """A program with numbers for its constants.

    Parameters
    ----------
    program : tuple of int
        Tokens in postfix order.
    constants : numpy.ndarray
        In order, in the units of the system.
    powers : numpy.ndarray
        Powers of its units in each constant, shape (constant, name).
    system : System
        The units.
    gated : bool
        Whether it is multiplied by the gate of an empty store.
    """

    program: Program
    constants: np.ndarray
    powers: np.ndarray
    system: System
    gated: bool = False

    @classmethod
    def of(cls, program: Program, constants: np.ndarray, system: System) -> Formula | None:
        """Find the units of the constants; ``None`` if the program is not consistent."""
        powers = _solve(program, len(constants), system)
        return None if powers is None else cls(program, constants, powers, system)

    def values(
        self, x: np.ndarray, visited: Sequence[Visited] = (), gate: np.ndarray | float = 1.0
    ) -> np.ndarray:
        """Evaluate at inputs of shape (sample, input); shape (sample,)."""
        columns = list(self.system.scaled(x).T)
        with np.errstate(all="ignore"):
            value = fold(self.program, self.constants, columns, lambda f, *given: f.values(*given))
        value = np.broadcast_to(value, len(x)) * self.system.size(self.system.term)
        return value * gate if self.gated else value

    def write(self, *, gated: bool = True) -> Equation:
        """Return the equation, whose units have been checked; with its gate, or without."""
        draft = _Text(self)
        expression = draft.expression()
        if gated and self.gated:
            expression *= draft.gate()
        return draft.finish(expression)

    def describe(self) -> str:
        """Return the expression as text."""
        return str(self.write(gated=False))


@dataclass(frozen=True, eq=False)
class _Unit:
    """Powers of units: those that are known, plus so much of each constant's."""

    known: np.ndarray
    of: np.ndarray
    constant: bool = False

    def __add__(self, other: _Unit) -> _Unit:
        return _Unit(self.known + other.known, self.of + other.of)

    def __sub__(self, other: _Unit) -> _Unit:
        return _Unit(self.known - other.known, self.of - other.of)


class _Algebra:
    """Gathers what must vanish for an expression to be consistent."""

    def __init__(self) -> None:
        self.rows: list[_Unit] = []
        self.fine = True

    def apply(self, operator: Operator, a: _Unit, b: _Unit | None = None) -> _Unit:
        if operator.name in ("exp", "tanh"):
            self.rows.append(a)
            return a - a
        if b is None:
            return dataclasses.replace(a, constant=False)
        if operator.name == "*":
            return a + b
        if operator.name == "/":
            return a - b
        if operator.name == "power":
            self.fine &= b.constant
            self.rows.append(b)
            return a - a
        self.rows.append(a - b)
        return dataclasses.replace(a, constant=False)


def _solve(program: Program, count: int, system: System) -> np.ndarray | None:
    """Return powers of units, shape (constant, name), as rational numbers."""
    exact = np.vectorize(lambda v: sympy.Rational(v).limit_denominator(12), otypes=[object])
    none = np.full(len(system.names), sympy.Integer(0))
    inputs = [_Unit(exact(p), np.full(count, sympy.Integer(0))) for p in system.inputs]
    constants = [
        _Unit(none, np.array([sympy.Integer(int(j == k)) for j in range(count)]), constant=True)
        for k in range(count)
    ]
    algebra = _Algebra()
    root = fold(program, constants, inputs, algebra.apply)
    algebra.rows.append(root - _Unit(exact(system.term), np.full(count, sympy.Integer(0))))
    if not algebra.fine:
        return None
    matrix = sympy.Matrix([[*row.of, *(-row.known)] for row in algebra.rows])
    reduced, pivots = matrix.rref()
    if any(p >= count for p in pivots):
        return None
    powers = np.full((count, len(system.names)), sympy.Integer(0))
    for row, pivot in enumerate(pivots):
        powers[pivot] = reduced[row, count:]
    return powers


class _Text(Draft):
    def __init__(self, formula: Formula) -> None:
        super().__init__(formula.system.place)
        self.formula, self.system = formula, formula.system

    def expression(self) -> sympy.Expr:
        """Walk the program with pairs of expression and powers of units."""
        constants = [
            (self._parameter(number, powers), powers)
            for number, powers in zip(self.formula.constants, self.formula.powers, strict=True)
        ]
        rows = enumerate(self.place.network.inputs)
        inputs = [(self._input(k, i.expression), self.system.inputs[k]) for k, i in rows]
        return fold(self.formula.program, constants, inputs, self._apply)[0]

    def _parameter(self, number: float, powers: np.ndarray) -> sympy.Expr:
        return self.signed(
            "constant", self.system.unit(powers), float(number) * self.system.size(powers)
        )

    def _input(self, k: int, x: sympy.Expr) -> sympy.Expr:
        unit = self.place.input_units[k]
        return x - self.reference(x, 0.0, unit) if is_offset(unit) else x

    def _apply(
        self, operator: Operator, *given: tuple[sympy.Expr, np.ndarray]
    ) -> tuple[sympy.Expr, np.ndarray]:
        (a, powers), *rest = given
        others = [b for b, _ in rest]
        if operator.name == "power":
            if any(powers):
                a = a / self.reference(a, self.system.size(powers), self.system.unit(powers))
            powers = 0 * powers
        elif operator.name == "*":
            powers = powers + rest[0][1]
        elif operator.name == "/":
            powers = powers - rest[0][1]
        elif operator.name in ("exp", "tanh"):
            powers = 0 * powers
        return operator.expression(a, *others), powers
