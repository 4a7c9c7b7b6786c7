"""From a model to Julia source: three functions as text, compiled once by the Julia package.

No name of a user's model reaches the text: states, forcings and parameters are places in arguments
(``u[1]``, ``x[1]``, ``p[1]``), and what is computed has a number (``v9``). What remains are numbers
and the functions of :mod:`hybridwater.ude.functions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sympy
from sympy.printing.printer import Printer

from hybridwater.errors import DeclarationError
from hybridwater.ude import derivatives
from hybridwater.ude.derivatives import (
    TIME,
    Backpropagate,
    InputGradient,
    Iterate,
    LinearSystem,
    Step,
    Straight,
)
from hybridwater.ude.functions import sigmoid, smooth_step, softplus, symbol
from hybridwater.ude.moves import Assign, Move
from hybridwater.ude.program import Perceptron, Program

#: SymPy function to the name of its counterpart in the Julia package. Those of the package never
#: throw: outside its domain a function is NaN, as in the other engines.
_FUNCTIONS = {
    sympy.exp: "exp",
    sympy.log: "logarithm",
    sympy.tanh: "tanh",
    sympy.sin: "sine",
    sympy.cos: "cosine",
    sympy.Abs: "abs",
    sympy.sign: "sign",
    sympy.Min: "min",
    sympy.Max: "max",
    sympy.Heaviside: "heaviside",
    sigmoid: "sigmoid",
    softplus: "softplus",
    smooth_step: "smooth_step",
}
_RELATIONS = {sympy.Lt: "<", sympy.Le: "<=", sympy.Gt: ">", sympy.Ge: ">="}


class JuliaPrinter(Printer):
    """Prints expressions whose symbols are known, and refuses everything else.

    Parameters
    ----------
    names : dict of sympy.Symbol to str
        Julia's name of each symbol.
    """

    def __init__(self, names: dict[sympy.Symbol, str]) -> None:
        super().__init__()
        self.names = names

    def emptyPrinter(self, expr: object) -> str:  # noqa: N802 - SymPy's name
        """Refuse what there is no rule for."""
        raise DeclarationError(
            f"'{expr}' has no counterpart in Julia.",
            fix="Use the functions that equation text knows",
        )

    def _print_Symbol(self, expr: sympy.Symbol) -> str:  # noqa: N802
        return self.names[expr]

    def _print_Number(self, expr: sympy.Number) -> str:  # noqa: N802
        return _literal(expr)

    def _print_NumberSymbol(self, expr: sympy.Expr) -> str:  # noqa: N802
        return _literal(expr)

    def _print_Add(self, expr: sympy.Add) -> str:  # noqa: N802
        return f"({' + '.join(map(self._print, expr.args))})"

    def _print_Mul(self, expr: sympy.Mul) -> str:  # noqa: N802
        return f"({' * '.join(map(self._print, expr.args))})"

    def _print_Pow(self, expr: sympy.Pow) -> str:  # noqa: N802
        base = self._print(expr.base)
        if expr.exp == -1:
            return f"(1.0 / {base})"
        if expr.exp == sympy.Rational(1, 2):
            return f"root({base})"
        if expr.exp == -sympy.Rational(1, 2):
            return f"(1.0 / root({base}))"
        if expr.exp.is_Integer:
            return f"({base} ^ {int(expr.exp)})"
        return f"power({base}, {self._print(expr.exp)})"

    def _print_Function(self, expr: sympy.Function) -> str:  # noqa: N802
        if expr.func not in _FUNCTIONS:
            return self.emptyPrinter(expr)
        arguments = expr.args[:1] if expr.func is sympy.Heaviside else expr.args
        return f"{_FUNCTIONS[expr.func]}({', '.join(map(self._print, arguments))})"

    def _print_Min(self, expr: sympy.Min) -> str:  # noqa: N802
        return self._print_Function(expr)

    def _print_Max(self, expr: sympy.Max) -> str:  # noqa: N802
        return self._print_Function(expr)

    def _print_Relational(self, expr: sympy.Rel) -> str:  # noqa: N802
        left, right = self._print(expr.lhs), self._print(expr.rhs)
        return f"({left} {_RELATIONS[expr.func]} {right})"

    def _print_Piecewise(self, expr: sympy.Piecewise) -> str:  # noqa: N802
        *branches, last = expr.args
        text = self._print(last.expr)
        for branch in reversed(branches):
            text = f"ifelse({self._print(branch.cond)}, {self._print(branch.expr)}, {text})"
        return text


def _literal(number: sympy.Expr) -> str:
    return repr(float(number))


@dataclass(frozen=True)
class Source:
    """Julia source of a model.

    Parameters
    ----------
    rates : str
        ``f(y, u, x, p, w, c)``: derivatives and outputs into ``y``.
    pullback : str
        ``f(us, xs, ps, ws, u, x, p, w, ys, c)``: cotangents ``ys`` of derivatives and outputs,
        added up into those of states, forcings, parameters and weights.
    jacobian : str
        ``f(J, T, u, x, dx, p, w, c)``: slopes of derivatives and outputs (rows) with respect to
        states into ``J``, and along time into ``T``; what is always zero is left as it is.
    pattern : tuple of (int, int)
        Places of the Jacobian that are not always zero, counted from zero, without time.
    colours : tuple of int
        Empty, or one per state value of a model with columns, whose ``jacobian`` is empty: it comes
        from directional derivatives of ``rates``, one per colour.
    """

    rates: str
    pullback: str
    jacobian: str
    pattern: tuple[tuple[int, int], ...]
    colours: tuple[int, ...] = ()


def write_source(program: Program, outputs: Sequence[str]) -> Source:
    """Write a model in Julia.

    Parameters
    ----------
    program : Program
        The lowered model.
    outputs : sequence of str
        Fluxes, networks or forcings whose value is wanted beside the derivatives.

    Raises
    ------
    DeclarationError
        If an equation has a function that Julia does not get.
    """
    n = len(program.derivatives)
    ys = {symbol(f"bar__state{i}"): f"ys[{i + 1}]" for i in range(n)}
    ys |= {symbol(f"bar__output{j}"): f"ys[{n + j + 1}]" for j in range(len(outputs))}
    pace = {symbol(f"rate__{f}"): f"dx[{k + 1}]" for k, f in enumerate(program.forcings)}
    places = {"state": 0, "output": n}
    sums = {"state": "us", "forcing": "xs", "parameter": "ps"}
    value = derivatives.rates(program, outputs)
    back = derivatives.pullback(program, outputs)
    slope = derivatives.jacobian(program, outputs)
    return Source(
        rates=_function(
            program,
            value,
            "y, u, x, p, w, c",
            {},
            {key: f"y[{places[key[0]] + key[1] + 1}] =" for key in value.results},
        ),
        pullback=_function(
            program,
            back,
            "us, xs, ps, ws, u, x, p, w, ys, c",
            ys,
            {key: f"{sums[key[0]]}[{key[1] + 1}] +=" for key in back.results},
        ),
        jacobian=_function(
            program,
            slope,
            "J, T, u, x, dx, p, w, c",
            pace,
            {
                (row, column): f"T[{row + 1}] ="
                if column == TIME
                else f"J[{row + 1}, {column + 1}] ="
                for row, column in slope.results
            },
        ),
        pattern=tuple((row, column) for row, column in slope.results if column != TIME),
    )


def _function(
    program: Program,
    straight: Straight,
    arguments: str,
    given: dict[sympy.Symbol, str],
    targets: dict,
) -> str:
    """Write straight code as an anonymous function."""
    names = dict(given)
    groups = {"u": program.states, "x": program.forcings, "p": program.parameters}
    for array, group in groups.items():
        names |= {symbol(name): f"{array}[{k + 1}]" for k, name in enumerate(group)}
    printer = JuliaPrinter(names)
    lines = [line for step in straight.steps for line in step_lines(step, printer)]
    lines += [f"{targets[k]} {printer.doprint(e)}" for k, e in straight.results.items() if e != 0]
    body = "\n".join(f"        {line}" for line in lines)
    return f"({arguments}) -> begin\n    @inbounds begin\n{body}\n    end\n    nothing\nend"


def step_lines(step: Step, printer: JuliaPrinter) -> list[str]:
    """Write one step, but for functions of columns."""
    if isinstance(step, Assign):
        return [f"{named(step.name, printer)} = {printer.doprint(step.expression)}"]
    if isinstance(step, Iterate):
        return _loop(step, printer)
    if isinstance(step, LinearSystem):
        matrix, right = (as_tuple(map(printer.doprint, e)) for e in (step.matrix, step.right))
        names = as_tuple(named(n, printer) for n in step.names)
        return [f"{names} = solve_linear({matrix}, {right})"]
    assert not isinstance(step, Move)
    network = f"c[{step.index + 1}]"
    if isinstance(step, Perceptron):
        inputs = as_tuple(printer.doprint(e) for e in step.inputs)
        return [f"{named(step.name, printer)} = evaluate!({network}, w, {inputs})"]
    if isinstance(step, InputGradient):
        call = f"input_gradient!({network}, w)"
    else:
        assert isinstance(step, Backpropagate)
        call = f"backpropagate!(ws, {network}, w, {printer.doprint(step.bar)})"
    return [f"{as_tuple(named(n, printer) for n in step.names)} = {call}"]


def _loop(step: Iterate, printer: JuliaPrinter) -> list[str]:
    """Write a search: residuals and slopes at one place after the other, until it has finished."""
    found = [named(name, printer) for name in step.names]
    search = f"s{found[0][1:]}"
    inner = JuliaPrinter({**printer.names})
    inner.names |= {symbol(n): f"t{v[1:]}" for n, v in zip(step.names, found, strict=True)}
    lines = [line for body in step.body.steps for line in step_lines(body, inner)]
    results, size = step.body.results, range(len(step.names))
    residuals = as_tuple(inner.doprint(results["residual", i]) for i in size)
    slopes = as_tuple(
        inner.doprint(results.get((i, j), sympy.Integer(0))) for i in size for j in size
    )
    printer.names = inner.names | {symbol(n): v for n, v in zip(step.names, found, strict=True)}
    low, high = (as_tuple(map(repr, side)) for side in zip(*step.bounds, strict=True))
    return [
        f"local {', '.join(found)}",
        f"{search} = begin_search({as_tuple(map(repr, step.guesses))}, {low}, {high})",
        "while true",
        f"    {as_tuple(inner.names[symbol(n)] for n in step.names)} = place({search})",
        *(f"    {line}" for line in lines),
        f"    r{search} = {residuals}",
        f"    k{search} = {slopes}",
        f"    {search} = narrow({search}, r{search}, k{search})",
        f"    if finished({search})",
        f"        {as_tuple(found)} = settle({search}, r{search}, k{search})",
        "        break",
        "    end",
        "end",
    ]


def as_tuple(parts: Iterable[str]) -> str:
    """Write a tuple."""
    return f"({''.join(f'{part}, ' for part in parts)})"


def named(name: str, printer: JuliaPrinter) -> str:
    """Return the number of a computed quantity, a new one if it has none."""
    return printer.names.setdefault(symbol(name), f"v{len(printer.names)}")
