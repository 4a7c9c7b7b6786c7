"""The functions that an equation may use, and the smooth ones that hydrology needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy

from hybridwater.ude.staggered import above, below, column_sum, ends, lowermost, uppermost

if TYPE_CHECKING:
    from sympy.printing.latex import LatexPrinter


class smooth_step(sympy.Function):  # noqa: N801 - spelt as it is used in equations
    """Smooth step from 0 to 1: ``(tanh(x / width) + 1) / 2``.

    ``x`` and ``width`` have the same unit; the result is dimensionless. With ``width = 0.2`` it is
    the threshold function of EXP-Hydro in Höge et al. (2022), doi:10.5194/hess-26-5085-2022.
    """

    nargs = 2
    is_real = True

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """Return the partial derivative."""
        x, width = self.args
        slope = (1 - sympy.tanh(x / width) ** 2) / 2
        return slope / width if argindex == 1 else -slope * x / width**2

    def _eval_evalf(self, prec: int) -> sympy.Expr:
        x, width = self.args
        return ((sympy.tanh(x / width) + 1) / 2)._eval_evalf(prec)

    def _latex(self, printer: LatexPrinter) -> str:
        x, width = (printer.doprint(a) for a in self.args)
        return rf"\operatorname{{step}}_{{{width}}}\left({x}\right)"


class sigmoid(sympy.Function):  # noqa: N801
    """Logistic function ``1 / (1 + exp(-x))`` of a dimensionless argument."""

    nargs = 1
    is_real = True

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """Return the derivative."""
        return self * (1 - self)

    def _eval_evalf(self, prec: int) -> sympy.Expr:
        return (1 / (1 + sympy.exp(-self.args[0])))._eval_evalf(prec)


class softplus(sympy.Function):  # noqa: N801
    """Soft positive part ``log(1 + exp(x))`` of a dimensionless argument."""

    nargs = 1
    is_real = True

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """Return the derivative."""
        return sigmoid(self.args[0])

    def _eval_evalf(self, prec: int) -> sympy.Expr:
        return sympy.log(1 + sympy.exp(self.args[0]))._eval_evalf(prec)


def minimum(*values: sympy.Expr | float) -> sympy.Expr:
    """Smallest of several expressions of one unit."""
    return sympy.Min(*values)


def maximum(*values: sympy.Expr | float) -> sympy.Expr:
    """Largest of several expressions of one unit."""
    return sympy.Max(*values)


def where(
    condition: sympy.Basic, if_true: sympy.Expr | float, if_false: sympy.Expr | float
) -> sympy.Expr:
    """Return ``if_true`` where the condition holds, else ``if_false``."""
    return sympy.Piecewise((if_true, condition), (if_false, True))


exp, log, sqrt, tanh, sin, cos = (
    sympy.exp,
    sympy.log,
    sympy.sqrt,
    sympy.tanh,
    sympy.sin,
    sympy.cos,
)

#: Functions by the name that equation text uses, with the numbers of arguments they take.
FUNCTIONS = {
    "exp": (exp, (1,)),
    "log": (log, (1,)),
    "sqrt": (sqrt, (1,)),
    "tanh": (tanh, (1,)),
    "sin": (sin, (1,)),
    "cos": (cos, (1,)),
    "abs": (sympy.Abs, (1,)),
    "min": (minimum, (2, 3, 4, 5, 6)),
    "max": (maximum, (2, 3, 4, 5, 6)),
    "where": (where, (3,)),
    "smooth_step": (smooth_step, (2,)),
    "sigmoid": (sigmoid, (1,)),
    "softplus": (softplus, (1,)),
    "above": (above, (1, 2)),
    "below": (below, (1, 2)),
    "ends": (ends, (3,)),
    "uppermost": (uppermost, (1,)),
    "lowermost": (lowermost, (1,)),
    "column_sum": (column_sum, (1,)),
}


#: Numbers by the name that equation text uses.
CONSTANTS = {"pi": sympy.pi}


def symbol(name: str) -> sympy.Symbol:
    """Return the symbol that stands for a declared name in every equation."""
    return sympy.Symbol(name, real=True)
