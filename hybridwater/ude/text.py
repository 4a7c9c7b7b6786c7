"""Equation text: a whitelisting parser and the printer that it understands.

Text is never evaluated: it is parsed to a syntax tree of which only arithmetic, comparisons
and calls of the functions in :data:`hybridwater.ude.functions.FUNCTIONS` are accepted.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable

import sympy
from sympy.printing.str import StrPrinter

from hybridwater.errors import DeclarationError, nearest
from hybridwater.ude.functions import CONSTANTS, FUNCTIONS, symbol

MAX_LENGTH = 20_000
_UNREADABLE = (SyntaxError, ValueError, TypeError, OverflowError, RecursionError, MemoryError)
MAX_EXPONENT = 64
_LARGEST = 700.0  # of the logarithm of a number
_HUGE = 1e300
# A number right before a bracket would be multiplied into it when the text is read back.
_DISTRIBUTED = re.compile(r"^-\(|(?<!\w)[\d.]+(e[+-]?\d+)?\*\(")
_NOT_FINITE = (sympy.zoo, sympy.nan, sympy.oo, -sympy.oo, sympy.I)

_BINARY = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}
_COMPARE = {ast.Lt: sympy.Lt, ast.LtE: sympy.Le, ast.Gt: sympy.Gt, ast.GtE: sympy.Ge}


def parse_expression(text: str, known: Iterable[str], where: str = "an equation") -> sympy.Expr:
    """Parse equation text to a SymPy expression.

    Parameters
    ----------
    text : str
        For example ``"k * max(soil - capacity, 0)"``.
    known : iterable of str
        Names that the text may use.
    where : str
        What the text belongs to, for errors.

    Returns
    -------
    sympy.Expr

    Raises
    ------
    DeclarationError
        If the text is not arithmetic of known names and functions.
    """
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_LENGTH:
        raise DeclarationError(
            f"The equation is empty, not text, or longer than {MAX_LENGTH} characters.", where
        )
    if not text.isascii():
        raise DeclarationError(
            f"The equation text '{text[:80]}' has a letter that is not ASCII.",
            where,
            "Write names with the letters a to z, digits and underscores",
        )
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        expression = _Reader(frozenset(known), where).read(tree)
    except _UNREADABLE as error:
        raise DeclarationError(
            f"The equation text '{text[:80]}' cannot be read ({error}).",
            where,
            "Write plain arithmetic, for example 'k * max(soil - 10, 0)'",
        ) from error
    require_finite(expression, where)
    return expression


def require_finite(expression: sympy.Expr, where: str) -> None:
    """Raise :class:`DeclarationError` if a number in an expression is no real double."""
    floats = expression.atoms(sympy.Float)
    beyond = any(not 1 / _HUGE < abs(a) < _HUGE for a in floats if not a.is_zero)
    if beyond or expression.has(*_NOT_FINITE):
        raise DeclarationError(
            f"The equation '{str(expression)[:80]}' has a number that is infinite, not real, or "
            "beyond the range of a double.",
            where,
            "Look for a division by zero, or the log or root of a negative number",
        )


class _Reader:
    def __init__(self, known: frozenset[str], where: str) -> None:
        self.known = known
        self.where = where

    def read(self, node: ast.AST) -> sympy.Expr:
        match node:
            case ast.Constant(value=bool()):
                raise self.refuse(node)
            case ast.Constant(value=int(value)):
                return sympy.Integer(value)
            case ast.Constant(value=float(value)) if math.isfinite(value):
                return sympy.Float(value)
            case ast.Name(id=name):
                return self.name(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.read(operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.read(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return self.binary(type(op), left, right)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self.call(name, args)
            case ast.BinOp(op=ast.BitXor()):
                raise DeclarationError("'^' is not a power here.", self.where, "Write '**'")
            case _:
                raise self.refuse(node)

    def binary(self, op: type, left: ast.AST, right: ast.AST) -> sympy.Expr:
        a, b = self.read(left), self.read(right)
        if op is ast.Pow and b.is_number:
            if not b.is_extended_real:
                raise self.refuse(right)
            size = abs(float(b))
            if a.is_number and a.is_finite and not a.is_zero:
                size = max(size, size * abs(float(sympy.log(abs(a)))) * MAX_EXPONENT / _LARGEST)
            if size > MAX_EXPONENT:
                text = f"{ast.unparse(left)[:40]} ** {ast.unparse(right)[:40]}"
                raise DeclarationError(f"The power '{text}' is too large.", self.where)
        return _BINARY[op](a, b)

    def condition(self, node: ast.AST) -> sympy.Basic:
        match node:
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return _COMPARE[type(op)](self.read(left), self.read(right))
            case _:
                raise DeclarationError(
                    f"'{ast.unparse(node)[:60]}' is not a condition.",
                    self.where,
                    "Compare two quantities with <, <=, > or >=; nest where(...) for 'and'",
                )

    def name(self, name: str) -> sympy.Symbol:
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name not in self.known:
            raise DeclarationError(
                f"The name '{name}' is not declared ({nearest(name, sorted(self.known))}).",
                self.where,
                f"Declare '{name}' as state, forcing, parameter, constant, flux or network",
            )
        return symbol(name)

    def call(self, name: str, args: list[ast.expr]) -> sympy.Expr:
        if name not in FUNCTIONS:
            raise DeclarationError(
                f"The function '{name}' may not be used in an equation "
                f"({nearest(name, FUNCTIONS)}).",
                self.where,
                f"Use one of {', '.join(FUNCTIONS)}",
            )
        function, counts = FUNCTIONS[name]
        if len(args) not in counts:
            raise DeclarationError(
                f"The function '{name}' takes {counts[0]} argument(s), not {len(args)}.", self.where
            )
        if name == "where":
            return function(self.condition(args[0]), *(self.read(a) for a in args[1:]))
        values = [self.read(a) for a in args]
        if name == "exp" and values[0].is_number and abs(values[0]) > _LARGEST:
            raise DeclarationError(f"'exp({str(values[0])[:40]})' is too large.", self.where)
        return function(*values)

    def refuse(self, node: ast.AST) -> DeclarationError:
        return DeclarationError(
            f"The equation has something that is not arithmetic: '{ast.unparse(node)[:60]}'.",
            self.where,
            "Use + - * / **, comparisons inside where(...), declared names and "
            f"the functions {', '.join(FUNCTIONS)}",
        )


class _TextPrinter(StrPrinter):
    """Prints what :func:`parse_expression` reads back to the same expression."""

    def _print_Float(self, expr: sympy.Float) -> str:  # noqa: N802
        return repr(float(expr))

    def _print_Mul(self, expr: sympy.Mul) -> str:  # noqa: N802
        text = super()._print_Mul(expr)
        coefficient, rest = expr.as_coeff_Mul()
        if coefficient == 1 or not _DISTRIBUTED.search(text):
            return text
        return f"{self._print(rest)}*({self._print(coefficient)})"

    def _print_Exp1(self, expr: sympy.Expr) -> str:  # noqa: N802
        return "exp(1)"

    def _print_Min(self, expr: sympy.Min) -> str:  # noqa: N802
        return f"min({self.stringify(expr.args, ', ')})"

    def _print_Max(self, expr: sympy.Max) -> str:  # noqa: N802
        return f"max({self.stringify(expr.args, ', ')})"

    def _print_Abs(self, expr: sympy.Abs) -> str:  # noqa: N802
        return f"abs({self._print(expr.args[0])})"

    def _print_Piecewise(self, expr: sympy.Piecewise) -> str:  # noqa: N802
        text = self._print(expr.args[-1].expr)
        for branch in reversed(expr.args[:-1]):
            text = f"where({self._print(branch.cond)}, {self._print(branch.expr)}, {text})"
        return text


def print_expression(expression: sympy.Expr) -> str:
    """Print an expression as text that :func:`parse_expression` reads back."""
    return _TextPrinter({"order": "lex"}).doprint(expression)


def expression_as_latex(expression: sympy.Expr) -> str:
    """Write an expression as LaTeX, with upright names."""
    names = {s: name_as_latex(str(s)) for s in expression.free_symbols}
    return sympy.latex(expression, symbol_names=names, mul_symbol=r"\,")


def name_as_latex(name: str) -> str:
    """Write a name as upright LaTeX."""
    return rf"\mathrm{{{escape_latex(name)}}}"


def escape_latex(name: str) -> str:
    """Escape the underscores of a name."""
    return name.replace("_", r"\_")
