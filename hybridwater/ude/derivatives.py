"""Derivatives of a program, written out as further assignments.

An engine that differentiates by itself does not need them. One that compiles source code gets the
vector-Jacobian product (reverse accumulation, Griewank and Walther 2008, ch. 3.2) and the Jacobian
of a right-hand side as straight code: each assignment of the program is differentiated
symbolically, and the chain rule runs through their names. Of a network they need nothing but
the gradient of its one output; of an unknown, that residuals stay zero. The transpose of a function
of a column is one or two of them: what a value gave to a face or a cell comes back from there.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sympy

from hybridwater.ude.columns import Place
from hybridwater.ude.functions import symbol
from hybridwater.ude.moves import Assign, Move
from hybridwater.ude.program import Implicit, Perceptron, Program, ProgramStep, Root, used

#: Column of the Jacobian that holds derivatives along time, through the forcing.
TIME = "time"

_ZERO = sympy.Integer(0)


@dataclass(frozen=True)
class InputGradient:
    """``names = dz/d(inputs)`` of the network ``index``, at the inputs of its last evaluation."""

    index: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Backpropagate:
    """``names = bar * dz/d(inputs)`` of the network ``index``; its weights get their share too.

    At a place, the network is evaluated again at each cell, with ``inputs``.
    """

    index: int
    bar: sympy.Expr
    names: tuple[str, ...]
    inputs: tuple[sympy.Expr, ...] = ()
    place: Place | None = None


@dataclass(frozen=True)
class Iterate:
    """``names`` = where residuals are zero, looked for from ``guesses`` on within ``bounds``.

    Results of ``body``: ``("residual", i)``, and ``(i, j)``, the slope of residual i with respect
    to ``names[j]`` where that is not zero.
    """

    names: tuple[str, ...]
    bounds: tuple[tuple[float, float], ...]
    guesses: tuple[float, ...]
    body: Straight


@dataclass(frozen=True)
class LinearSystem:
    """``names`` = the solution of a linear system; the matrix is given row after row."""

    names: tuple[str, ...]
    matrix: tuple[sympy.Expr, ...]
    right: tuple[sympy.Expr, ...]


Step = Assign | Perceptron | Move | InputGradient | Backpropagate | Iterate | LinearSystem


@dataclass(frozen=True)
class Straight:
    """Straight code: steps in order, then expressions of what they named.

    Parameters
    ----------
    steps : tuple
        Assignments, evaluations of networks and their gradients.
    results : dict
        What is wanted, by a key that depends on the function that made it.
    """

    steps: tuple[Step, ...]
    results: dict


def rates(program: Program, outputs: Sequence[str]) -> Straight:
    """Return the right-hand side itself.

    Results: ``("state", i)`` the derivative of state i, ``("output", j)`` output j.
    """
    results = {("state", i): e for i, e in enumerate(program.derivatives)}
    results |= {("output", j): symbol(name) for j, name in enumerate(outputs)}
    return _shared(_runnable(program.steps), results)


def pullback(program: Program, outputs: Sequence[str]) -> Straight:
    """Return the vector-Jacobian product of the right-hand side.

    Symbols beside those of the program: ``bar__state{i}`` and ``bar__output{j}``, the cotangents of
    derivatives and outputs. Results: ``("state", i)``, ``("forcing", k)``, ``("parameter", m)``;
    the weights get theirs in the steps :class:`Backpropagate`.
    """
    bars: defaultdict[str, list[sympy.Expr]] = defaultdict(list)
    steps: list[Step] = _runnable(program.steps)
    places = program.places

    def spread(expression: sympy.Expr, bar: sympy.Expr, place: Place | None) -> None:
        for name in _names(expression):
            slope = _slope(expression, name)
            if slope == 0:
                continue
            if place is None or name in places:
                bars[name].append(bar * slope)
                continue
            # one number that all cells share: its share is their sum
            share = f"share__{len(steps)}"
            steps.append(Assign(share, bar * slope, place))
            bars[name].append(moved("column_sum", symbol(share), source=place))

    def moved(kind: str, *operands: sympy.Expr, source: Place) -> sympy.Symbol:
        place = {"ends": source, "above": source.across, "below": source.across}.get(kind)
        name = f"moved__{len(steps)}"
        steps.append(Move(name, kind, operands, source, place))
        return symbol(name)

    def transpose(move: Move, bar: sympy.Symbol) -> None:
        """Give back what came from each operand (see :mod:`hybridwater.ude.staggered`)."""
        first, *edges = move.operands
        into, source, place = bars[str(first)], move.source, move.place
        if move.kind == "column_sum":
            into.append(bar)
        elif move.kind == "uppermost":
            into.append(moved("ends", _ZERO, bar, _ZERO, source=source))
        elif move.kind == "lowermost":
            into.append(moved("ends", _ZERO, _ZERO, bar, source=source))
        else:
            assert place is not None
            if move.kind == "ends":
                into.append(moved("ends", bar, _ZERO, _ZERO, source=place))
                taken = ("uppermost", "lowermost")
            else:
                other, end = ("below", "upper") if move.kind == "above" else ("above", "lower")
                outside = () if source.at_faces is False else (_ZERO,)
                into.append(moved(other, bar, *outside, source=place))
                taken = (f"{end}most",)
            for kind, edge in zip(taken, edges, strict=False):
                if edge.free_symbols:
                    spread(edge, moved(kind, bar, source=place), None)

    for i, expression in enumerate(program.derivatives):
        spread(expression, symbol(f"bar__state{i}"), places.get(program.states[i]))
    for j, name in enumerate(outputs):
        bars[name].append(symbol(f"bar__output{j}"))
    for step in reversed(program.steps):
        if isinstance(step, Root):
            continue
        if isinstance(step, Implicit):
            if any(name in bars for name in step.names):
                taken = [sympy.Add(*bars.pop(name, ())) for name in step.names]
                pulled, shares = _pull_implicit(step.root, taken)
                steps += pulled
                for name, share in zip(step.root.residuals, shares, strict=True):
                    bars[name].append(share)
            continue
        if step.name not in bars:
            continue
        bar = symbol(f"bar__{step.name}")
        steps.append(Assign(str(bar), sympy.Add(*bars.pop(step.name)), step.place))
        if isinstance(step, Assign):
            spread(step.expression, bar, step.place)
        elif isinstance(step, Move):
            transpose(step, bar)
        elif isinstance(step, Perceptron):
            names = tuple(f"{bar}__{k}" for k in range(len(step.inputs)))
            again = () if step.place is None else step.inputs
            steps.append(Backpropagate(step.index, bar, names, again, step.place))
            for name, expression in zip(names, step.inputs, strict=True):
                spread(expression, symbol(name), step.place)
    groups = (
        ("state", program.states),
        ("forcing", program.forcings),
        ("parameter", program.parameters),
    )
    results = {
        (kind, i): sympy.Add(*bars[name]) for kind, names in groups for i, name in enumerate(names)
    }
    return _shared(steps, results)


def jacobian(program: Program, outputs: Sequence[str]) -> Straight:
    """Return the Jacobian of the right-hand side with respect to states and time.

    Symbols beside those of the program: ``rate__{forcing}``, how fast a forcing changes. Results:
    ``(row, column)``, only where not zero; rows are the derivatives, then the outputs; columns are
    the numbers of the states, and :data:`TIME`. A program with columns has its own way, see
    :mod:`hybridwater.ude.sparsity`.
    """
    assert not program.places
    return _shared(*_jacobian(program, outputs))


def _jacobian(program: Program, outputs: Sequence[str]) -> tuple[list[Step], dict]:
    """Return the steps and results of :func:`jacobian` as they come."""
    tangents: dict[str, dict[int | str, sympy.Expr]] = {
        name: {i: sympy.Integer(1)} for i, name in enumerate(program.states)
    }
    tangents |= {name: {TIME: symbol(f"rate__{name}")} for name in program.forcings}

    def push(parts: Iterable[tuple[sympy.Expr, str]]) -> dict[int | str, sympy.Expr]:
        """Add up slopes times the tangents of names."""
        found: defaultdict[int | str, list[sympy.Expr]] = defaultdict(list)
        for slope, name in parts:
            for column, tangent in tangents.get(name, {}).items():
                found[column].append(slope * tangent)
        return {c: total for c, terms in found.items() if (total := sympy.Add(*terms)) != 0}

    def slopes(expression: sympy.Expr) -> list[tuple[sympy.Expr, str]]:
        return [(_slope(expression, name), name) for name in _names(expression)]

    steps: list[Step] = []

    def keep(name: str, pushed: dict[int | str, sympy.Expr]) -> None:
        tangents[name] = {}
        for column, expression in pushed.items():
            if expression.free_symbols:
                steps.append(Assign(f"d__{name}__{column}", expression))
                expression = symbol(f"d__{name}__{column}")
            tangents[name][column] = expression

    for step in program.steps:
        if isinstance(step, Root):
            steps.append(_iterate(step))
            tangents |= {name: {name: sympy.Integer(1)} for name in step.names}
            continue
        if isinstance(step, Implicit):
            rows = [tangents.get(name, {}) for name in step.root.residuals]
            pushed, found = _push_implicit(step, rows)
            steps += pushed
            tangents |= found
            continue
        steps.append(step)
        if isinstance(step, Assign):
            keep(step.name, push(slopes(step.expression)))
            continue
        assert isinstance(step, Perceptron)
        names = tuple(f"d__{step.name}__input{k}" for k in range(len(step.inputs)))
        for name, expression in zip(names, step.inputs, strict=True):
            tangents[name] = push(slopes(expression))
        if any(tangents[name] for name in names):
            gradient = tuple(f"gradient__{name}" for name in names)
            steps.append(InputGradient(step.index, gradient))
            pairs = zip(map(symbol, gradient), names, strict=True)
            keep(step.name, push(pairs))
    rows = [push(slopes(e)) for e in program.derivatives] + [tangents.get(o, {}) for o in outputs]
    return steps, {(r, c): e for r, row in enumerate(rows) for c, e in row.items()}


def _runnable(steps: Iterable[ProgramStep]) -> list[Step]:
    """Return the steps of a program as those of straight code."""
    code: list[Step] = []
    for step in steps:
        if isinstance(step, Root):
            code.append(_iterate(step))
        elif isinstance(step, Implicit):
            code += _renamed(step)
        else:
            code.append(step)
    return code


def _renamed(step: Implicit) -> list[Step]:
    values = map(symbol, step.root.names)
    return [Assign(name, value) for name, value in zip(step.names, values, strict=True)]


def _slopes(root: Root) -> tuple[list[Step], dict]:
    """Return steps to, and slopes of residuals (rows) with respect to the values (columns)."""
    inner = Program(root.names, (), (), root.body, (), (), 0)
    return _jacobian(inner, root.residuals)


def _iterate(root: Root) -> Iterate:
    steps, slopes = _slopes(root)
    values = {("residual", i): symbol(name) for i, name in enumerate(root.residuals)}
    body = _shared(steps, values | slopes, f"common__{root.names[0]}__")
    return Iterate(root.names, root.bounds, root.guesses, body)


def _pull_implicit(
    root: Root, bars: Sequence[sympy.Expr]
) -> tuple[list[Step], tuple[sympy.Symbol, ...]]:
    """Return cotangents of the residuals, ``-(dr/dz)^-T bars``, and the steps to them."""
    steps, slopes = _slopes(root)
    size = range(len(bars))
    transposed = tuple(slopes.get((i, j), sympy.Integer(0)) for j in size for i in size)
    names = tuple(f"share__{name}" for name in root.residuals)
    new = [step for step in steps if step not in root.body]
    system = LinearSystem(names, transposed, tuple(-bar for bar in bars))
    return [*new, system], tuple(map(symbol, names))


def _push_implicit(
    step: Implicit, rows: Sequence[dict[int | str, sympy.Expr]]
) -> tuple[list[Step], dict[str, dict[int | str, sympy.Expr]]]:
    """Return tangents of the unknowns, ``-(dr/dz)^-1 (dr/dx) dx``, and the steps to them.

    ``rows`` are the tangents of the residuals: with respect to the values z, by their names, and
    along all other columns.
    """
    values, zero = step.root.names, sympy.Integer(0)
    matrix = tuple(row.get(z, zero) for row in rows for z in values)
    steps = _renamed(step)
    tangents: dict[str, dict[int | str, sympy.Expr]] = {name: {} for name in step.names}
    for column in dict.fromkeys(c for row in rows for c in row if c not in values):
        names = tuple(f"d__{name}__{column}" for name in step.names)
        right = tuple(-row.get(column, zero) for row in rows)
        steps.append(LinearSystem(names, matrix, right))
        for name, tangent in zip(step.names, names, strict=True):
            tangents[name][column] = symbol(tangent)
    return steps, tangents


class _Power(sympy.Function):
    """A power with derivatives that also hold where the base is zero, as in an empty store.

    SymPy's are ``b x**b / x`` and ``x**b log(x)``: not a number there.
    """

    nargs = 2

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        base, exponent = self.args
        if argindex == 1:
            return exponent * base ** (exponent - 1)
        return base**exponent * sympy.log(sympy.Piecewise((base, sympy.Abs(base) > 0), (1, True)))


def _slope(expression: sympy.Expr, name: str) -> sympy.Expr:
    """Differentiate an expression with respect to a name."""
    found = expression.replace(
        lambda e: e.is_Pow and bool(e.exp.free_symbols), lambda e: _Power(*e.args)
    )
    return found.diff(symbol(name)).replace(_Power, sympy.Pow)


def _names(expression: sympy.Expr) -> list[str]:
    return sorted(map(str, expression.free_symbols))


def expressions(step: Step) -> list[sympy.Expr]:
    """Return the expressions that a step evaluates, but for those of an iteration."""
    if isinstance(step, Backpropagate):
        return [step.bar, *step.inputs]
    if isinstance(step, LinearSystem):
        return [*step.matrix, *step.right]
    return [] if isinstance(step, InputGradient | Iterate) else list(used(step))


def _defined(step: Step) -> tuple[str, ...]:
    return (step.name,) if isinstance(step, Assign | Perceptron | Move) else step.names


def _free(step: Step) -> set[str]:
    """Return the names that a step needs."""
    if not isinstance(step, Iterate):
        return {name for e in expressions(step) for name in _names(e)}
    needed = {name for e in step.body.results.values() for name in _names(e)}
    for inner in reversed(step.body.steps):
        needed = (needed - set(_defined(inner))) | _free(inner)
    return needed - set(step.names)


def _shared(steps: Iterable[Step], results: dict, prefix: str = "common__") -> Straight:
    """Leave out what is not needed, and compute common sub-expressions once."""
    steps = _needed(steps, results.values())
    evaluated = [e for step in steps for e in expressions(step)]
    names = sympy.numbered_symbols(prefix, real=True)
    replacements, reduced = sympy.cse([*evaluated, *results.values()], names, order="none")
    common = dict(replacements)
    remaining = iter(reduced)
    code: list[Step] = []

    def take(count: int) -> list[sympy.Expr]:
        """Take the next expressions, after the assignments of the common parts that they need."""
        taken = [next(remaining) for _ in range(count)]
        for expression in taken:
            define(expression)
        return taken

    def define(expression: sympy.Expr) -> None:
        for part in sorted(expression.free_symbols & common.keys(), key=str):
            if part in common:  # not defined meanwhile by a part before it
                inner = common.pop(part)
                define(inner)
                code.append(Assign(str(part), inner))

    for step in steps:
        taken = take(len(expressions(step)))
        if isinstance(step, Assign):
            code.append(dataclasses.replace(step, expression=taken[0]))
        elif isinstance(step, Perceptron):
            code.append(dataclasses.replace(step, inputs=tuple(taken)))
        elif isinstance(step, Move):
            code.append(dataclasses.replace(step, operands=tuple(taken)))
        elif isinstance(step, Backpropagate):
            bar, *inputs = taken
            code.append(dataclasses.replace(step, bar=bar, inputs=tuple(inputs)))
        elif isinstance(step, LinearSystem):
            size = len(step.matrix)
            code.append(LinearSystem(step.names, tuple(taken[:size]), tuple(taken[size:])))
        else:
            code.append(step)
    values = take(len(results))
    return Straight(tuple(code), dict(zip(results, values, strict=True)))


def _needed(steps: Iterable[Step], results: Iterable[sympy.Expr]) -> list[Step]:
    """Keep the steps that the results need, and all that give weights their share."""
    wanted = {name for e in results for name in _names(e)}
    networks: set[int] = set()
    kept: list[Step] = []
    for step in reversed(list(steps)):
        if isinstance(step, Backpropagate):
            if step.place is None:
                networks.add(step.index)
        elif not wanted.intersection(_defined(step)) and not (
            isinstance(step, Perceptron) and step.index in networks
        ):
            continue
        elif isinstance(step, InputGradient):
            networks.add(step.index)
        wanted |= _free(step)
        kept.append(step)
    return kept[::-1]
