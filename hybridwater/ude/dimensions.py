"""Unit inference: what unit an expression has, or why it has none.

Rules: terms that are added, compared or passed to ``min``/``max``/``where`` must have the same unit
(the same, not merely a convertible one: nothing is rescaled behind the reader's back); ``exp``,
``log``, ``tanh`` and the like take dimensionless arguments; the only bare numbers that may stand
beside a unit are factors, and zero. A temperature in degC and one in K are not added or compared,
although their differences have the same unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy

from hybridwater import units
from hybridwater.errors import UnitError
from hybridwater.ude.functions import sigmoid, smooth_step, softplus
from hybridwater.ude.staggered import Staggered
from hybridwater.ude.text import print_expression

if TYPE_CHECKING:
    import pint

#: Temperature scales, and the unit of a difference on each.
_TEMPERATURES = {
    "degree_Celsius": "delta_degree_Celsius",
    "degree_Fahrenheit": "delta_degree_Fahrenheit",
    "kelvin": "kelvin",
}
_COMPARISONS = (sympy.Lt, sympy.Le, sympy.Gt, sympy.Ge)
_DIMENSIONLESS = (sympy.exp, sympy.log, sympy.tanh, sympy.sin, sympy.cos, sigmoid, softplus)


@dataclass(frozen=True)
class _Unit:
    """A unit as a factor to SI base units, base dimensions, and the temperature scale if any."""

    unit: pint.Unit
    scale: str | None = None  # "degC", "K", ...: an absolute temperature
    any_unit: bool = False  # zero and infinity fit everywhere

    @property
    def text(self) -> str:
        return units.spell(self.unit)


def unit_of(expression: sympy.Expr, declared: Mapping[str, str], where: str) -> str | None:
    """Infer the unit of an expression.

    Parameters
    ----------
    expression : sympy.Expr
        The expression.
    declared : mapping of str to str
        Unit of every symbol.
    where : str
        What the expression belongs to, for errors.

    Returns
    -------
    str or None
        The unit; ``None`` if the expression fits any unit (zero).

    Raises
    ------
    UnitError
        If the expression is not consistent.
    """
    result = _Inference(declared, where).infer(expression)
    return None if result.any_unit else result.text


def require_unit(
    expression: sympy.Expr, unit: str, declared: Mapping[str, str], where: str
) -> None:
    """Raise :class:`UnitError` unless an expression has exactly the given unit."""
    found = _Inference(declared, where).infer(expression)
    wanted = _algebraic(unit)
    if not found.any_unit and not _same(found.unit, wanted.unit):
        raise UnitError(
            f"The equation has the unit '{found.text}' but '{units.spell(unit)}' is declared.",
            where,
            "Multiply by a constant with the missing unit, or correct the declared one",
        )


def _algebraic(unit: str) -> _Unit:
    """Return the unit for algebra: an offset temperature becomes a difference of known scale."""
    parsed = units.parse(unit)
    registry = units.registry()
    for scale, delta in _TEMPERATURES.items():
        if str(parsed) == scale:
            return _Unit(registry.Unit(delta), scale)
    return _Unit(parsed)


def _same(a: pint.Unit, b: pint.Unit) -> bool:
    if a == b:
        return True
    if a.dimensionality != b.dimensionality:
        return False
    ratio = units.registry().Quantity(1.0, a / b).to_base_units().magnitude
    return abs(ratio - 1.0) < 1e-9


class _Inference:
    def __init__(self, declared: Mapping[str, str], where: str) -> None:
        self.declared = declared
        self.where = where
        self.one = _Unit(units.parse("1"))

    def infer(self, e: sympy.Basic) -> _Unit:
        if e.is_Symbol:
            return _algebraic(self.declared[str(e)])
        if e.is_number:
            return _Unit(self.one.unit, any_unit=bool(e.is_zero or e.is_infinite))
        if isinstance(e, sympy.Add):
            return self.add(e)
        if isinstance(e, sympy.Mul):
            return self.multiply(e)
        if isinstance(e, sympy.Pow):
            return self.power(e)
        if isinstance(e, sympy.Min | sympy.Max | Staggered):
            return self.alike(e, e.args)
        if isinstance(e, sympy.Abs):
            return self.infer(e.args[0])
        if isinstance(e, sympy.Piecewise):
            for branch in e.args:
                if isinstance(branch.cond, _COMPARISONS):
                    self.alike(branch.cond, branch.cond.args)
                elif branch.cond is not sympy.true:
                    raise UnitError(
                        f"'{branch.cond}' is not a condition that equations may have.",
                        self.where,
                        "Compare two quantities with <, <=, > or >=; nest where(...) for 'and'",
                    )
            return self.alike(e, [branch.expr for branch in e.args])
        if isinstance(e, smooth_step):
            self.alike(e, e.args)
            return self.one
        if isinstance(e, _DIMENSIONLESS):
            self.dimensionless(e.args[0], f"The argument of '{e.func.__name__}'")
            return self.one
        raise UnitError(f"'{e}' is not an expression that equations may have.", self.where)

    def add(self, e: sympy.Add) -> _Unit:
        unit = self.alike(e, e.args)
        points = sum(
            (-1 if term.could_extract_minus_sign() else 1)
            for term in e.args
            if self.infer(term).scale or self.infer(-term).scale
        )
        return _Unit(unit.unit, unit.scale if points else None, unit.any_unit)

    def multiply(self, e: sympy.Mul) -> _Unit:
        parts = [self.infer(a) for a in e.args]
        unit = self.one.unit
        for part in parts:
            unit = unit * part.unit
        # -T keeps the temperature scale of T, any other product has none.
        scale = None
        if len(e.args) == 2 and e.args[0] == -1:
            scale = parts[1].scale
        return _Unit(unit, scale, any_unit=any(p.any_unit for p in parts))

    def power(self, e: sympy.Pow) -> _Unit:
        base, exponent = self.infer(e.base), e.exp
        if exponent.is_number:
            power = float(exponent)
            unit = base.unit ** (int(power) if power == int(power) else power)
            return _Unit(units.registry().Unit(unit))
        self.dimensionless(exponent, "The exponent")
        self.dimensionless(e.base, "A base with a variable exponent")
        return self.one

    def dimensionless(self, e: sympy.Basic, what: str) -> None:
        found = self.infer(e)
        if not found.any_unit and not _same(found.unit, self.one.unit):
            raise UnitError(
                f"{what} must be dimensionless, but '{print_expression(e)}' has the unit "
                f"'{found.text}'.",
                self.where,
                "Divide by a constant or parameter of the same unit",
            )

    def alike(self, e: sympy.Basic, terms: tuple | list) -> _Unit:
        found = [(term, self.infer(term)) for term in terms]
        fixed = [(t, u) for t, u in found if not u.any_unit]
        if not fixed:
            return found[0][1]
        first, unit = fixed[0]
        for term, other in fixed[1:]:
            if not _same(unit.unit, other.unit):
                raise UnitError(
                    f"'{print_expression(first)}' has the unit '{unit.text}' and "
                    f"'{print_expression(term)}' has '{other.text}', but they stand side by side in"
                    f" '{print_expression(e)}'.",
                    self.where,
                    "Bring both to one unit; a bare number needs a constant with a unit",
                )
            if unit.scale and other.scale and unit.scale != other.scale:
                raise UnitError(
                    f"'{print_expression(first)}' is in {unit.scale} and "
                    f"'{print_expression(term)}' in {other.scale}.",
                    self.where,
                    "Declare both temperatures on one scale",
                )
        return next((u for _, u in fixed if u.scale), unit)
