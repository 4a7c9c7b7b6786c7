"""Derivatives of a program, written out as further assignments.

An engine that differentiates by itself does not need them. One that compiles source code gets the
vector-Jacobian product (reverse accumulation, Griewank and Walther 2008, ch. 3.2) and the Jacobian
of a right-hand side as straight code: each assignment of the program is differentiated
symbolically, and the chain rule runs through their names. Of a network they need nothing but
the gradient of its one output.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sympy

from hybridwater.ude.functions import symbol
from hybridwater.ude.program import Assign, Perceptron, Program

#: Column of the Jacobian that holds derivatives along time, through the forcing.
TIME = "time"


@dataclass(frozen=True)
class InputGradient:
    """``names = dz/d(inputs)`` of the network ``index``, at the inputs of its last evaluation."""

    index: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Backpropagate:
    """``names = bar * dz/d(inputs)`` of the network ``index``; its weights get their share too."""

    index: int
    bar: sympy.Expr
    names: tuple[str, ...]


Step = Assign | Perceptron | InputGradient | Backpropagate


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
    return _shared(program.steps, results)


def pullback(program: Program, outputs: Sequence[str]) -> Straight:
    """Return the vector-Jacobian product of the right-hand side.

    Symbols beside those of the program: ``bar__state{i}`` and ``bar__output{j}``, the cotangents of
    derivatives and outputs. Results: ``("state", i)``, ``("forcing", k)``, ``("parameter", m)``;
    the weights get theirs in the steps :class:`Backpropagate`.
    """
    bars: defaultdict[str, list[sympy.Expr]] = defaultdict(list)

    def spread(expression: sympy.Expr, bar: sympy.Expr) -> None:
        for name in _names(expression):
            slope = expression.diff(symbol(name))
            if slope != 0:
                bars[name].append(bar * slope)

    for i, expression in enumerate(program.derivatives):
        spread(expression, symbol(f"bar__state{i}"))
    for j, name in enumerate(outputs):
        bars[name].append(symbol(f"bar__output{j}"))
    steps: list[Step] = list(program.steps)
    for step in reversed(program.steps):
        if step.name not in bars:
            continue
        bar = symbol(f"bar__{step.name}")
        steps.append(Assign(str(bar), sympy.Add(*bars.pop(step.name))))
        if isinstance(step, Assign):
            spread(step.expression, bar)
        else:
            names = tuple(f"{bar}__{k}" for k in range(len(step.inputs)))
            steps.append(Backpropagate(step.index, bar, names))
            for name, expression in zip(names, step.inputs, strict=True):
                spread(expression, symbol(name))
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
    the numbers of the states, and :data:`TIME`.
    """
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
        return [(expression.diff(symbol(name)), name) for name in _names(expression)]

    steps: list[Step] = []

    def keep(name: str, pushed: dict[int | str, sympy.Expr]) -> None:
        tangents[name] = {}
        for column, expression in pushed.items():
            if expression.free_symbols:
                steps.append(Assign(f"d__{name}__{column}", expression))
                expression = symbol(f"d__{name}__{column}")
            tangents[name][column] = expression

    for step in program.steps:
        steps.append(step)
        if isinstance(step, Assign):
            keep(step.name, push(slopes(step.expression)))
            continue
        names = tuple(f"d__{step.name}__input{k}" for k in range(len(step.inputs)))
        for name, expression in zip(names, step.inputs, strict=True):
            tangents[name] = push(slopes(expression))
        if any(tangents[name] for name in names):
            gradient = tuple(f"gradient__{name}" for name in names)
            steps.append(InputGradient(step.index, gradient))
            pairs = zip(map(symbol, gradient), names, strict=True)
            keep(step.name, push(pairs))
    rows = [push(slopes(e)) for e in program.derivatives] + [tangents.get(o, {}) for o in outputs]
    results = {(r, c): e for r, row in enumerate(rows) for c, e in row.items()}
    return _shared(steps, results)


def _names(expression: sympy.Expr) -> list[str]:
    return sorted(map(str, expression.free_symbols))


def _used(step: Step) -> list[sympy.Expr]:
    """Return the expressions that a step evaluates."""
    if isinstance(step, Assign):
        return [step.expression]
    if isinstance(step, Perceptron):
        return list(step.inputs)
    return [step.bar] if isinstance(step, Backpropagate) else []


def _shared(steps: Iterable[Step], results: dict) -> Straight:
    """Leave out what is not needed, and compute common sub-expressions once."""
    steps = _needed(steps, results.values())
    expressions = [e for step in steps for e in _used(step)]
    names = sympy.numbered_symbols("common__", real=True)
    replacements, reduced = sympy.cse([*expressions, *results.values()], names, order="none")
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
        taken = take(len(_used(step)))
        if isinstance(step, Assign):
            code.append(Assign(step.name, taken[0]))
        elif isinstance(step, Perceptron):
            code.append(Perceptron(step.name, step.index, tuple(taken)))
        elif isinstance(step, Backpropagate):
            code.append(Backpropagate(step.index, taken[0], step.names))
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
            networks.add(step.index)
        elif isinstance(step, InputGradient):
            if not wanted.intersection(step.names):
                continue
            networks.add(step.index)
        elif step.name not in wanted and not (
            isinstance(step, Perceptron) and step.index in networks
        ):
            continue
        wanted |= {name for e in _used(step) for name in _names(e)}
        kept.append(step)
    return kept[::-1]
