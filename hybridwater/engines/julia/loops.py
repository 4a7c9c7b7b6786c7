"""Julia source of models with columns: loops over cells and faces.

The steps of straight code are put in an order in which as many as possible of one place share a
loop. What is needed beyond its loop is kept in ``m``, memory that comes with the model's networks;
the geometry of columns lies in ``k``. Nothing is allocated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import sympy

from hybridwater.engines.julia.source import JuliaPrinter, Source, as_tuple, named, step_lines
from hybridwater.ude import derivatives
from hybridwater.ude.columns import Place, place_of
from hybridwater.ude.derivatives import Backpropagate, InputGradient, Step, Straight
from hybridwater.ude.functions import symbol
from hybridwater.ude.moves import Assign, Move
from hybridwater.ude.program import Perceptron, Program
from hybridwater.ude.sparsity import sparsity


def write_source(program: Program, outputs: Sequence[str]) -> Source:
    """Write a model with columns; see :func:`hybridwater.engines.julia.source.write_source`."""
    whole, n = (*program.states, *outputs), len(program.states)
    first = {"state": 0, "output": n}
    bars = _arrays("ys", whole, program)
    given = {f"bar__state{i}": array for i, array in enumerate(bars[:n])}
    given |= {f"bar__output{j}": array for j, array in enumerate(bars[n:])}
    rows = _arrays("y", whole, program)
    sums = {
        "state": _arrays("us", program.states, program),
        "forcing": _arrays("xs", program.forcings, program),
        "parameter": _arrays("ps", program.parameters, program),
    }
    value = derivatives.rates(program, outputs)
    back = derivatives.pullback(program, outputs)
    into = {(kind, i): (rows[first[kind] + i], "=") for kind, i in value.results}
    onto = {(kind, i): (sums[kind][i], "+=") for kind, i in back.results}
    pattern = sparsity(program, outputs)
    return Source(
        rates=_Writer(program, {}).function(value, "y, u, x, p, w, c", into),
        pullback=_Writer(program, given).function(back, "us, xs, ps, ws, u, x, p, w, ys, c", onto),
        jacobian="",
        pattern=tuple(zip(pattern.rows.tolist(), pattern.columns.tolist(), strict=True)),
        colours=tuple(pattern.colours.tolist()),
    )


@dataclass(frozen=True)
class _Array:
    """A quantity in an array of Julia: one number, or one per cell ``j`` of a place."""

    name: str
    start: int
    place: Place | None

    @property
    def text(self) -> str:
        return self.at("1" if self.place is None else "j")

    def at(self, index: str) -> str:
        if index.isdigit():
            return f"{self.name}[{self.start + int(index)}]"
        return f"{self.name}[{self.start} + {index}]"


def _arrays(array: str, names: Sequence[str], program: Program) -> list[_Array]:
    """Return where each of some names is in an array that holds all of them."""
    where = zip(names, program.slices(names), strict=True)
    return [_Array(array, s.start, program.places.get(name)) for name, s in where]


@dataclass
class _Task:
    """A step, or a result: what it needs, what it names, and where it has its values."""

    step: Step | None
    needs: set[str]
    names: tuple[str, ...]
    place: Place | None
    result: tuple[_Array, str, sympy.Expr] | None = None
    #: Names of which it reads other cells than its own.
    elsewhere: set[str] = field(default_factory=set)


class _Writer:
    def __init__(self, program: Program, given: dict[str, _Array]) -> None:
        self.program = program
        self.places = dict(program.places)
        self.arrays = dict(given)
        groups = {"u": program.states, "x": program.forcings, "p": program.parameters}
        for array, names in groups.items():
            self.arrays |= zip(names, _arrays(array, names, program), strict=True)
        at = 0
        for name, values in program.geometry.items():
            self.arrays[name] = _Array("k", at, program.places[name])
            at += len(values)
        for name, array in self.arrays.items():
            if array.place is not None:
                self.places[name] = array.place
        self.memory = 0
        self.printer = JuliaPrinter({symbol(n): a.text for n, a in self.arrays.items()})

    def function(self, straight: Straight, arguments: str, targets: dict) -> str:
        """Write straight code as an anonymous function."""
        tasks = self._tasks(straight, targets)
        loops = _fused(tasks, set(self.arrays))
        used_in: dict[str, set[int]] = {}
        for number, (_, loop) in enumerate(loops):
            for task in loop:
                for name in task.needs:
                    used_in.setdefault(name, set()).add(number)
        lines = []
        for number, (place, loop) in enumerate(loops):
            if place is None:
                lines += [line for task in loop for line in self._lines(task, ())]
                continue
            lines.append(f"for j in 1:{place.size}")
            for task in loop:
                kept = [n for n in task.names if used_in.get(n, set()) - {number}]
                for name in kept:
                    self.arrays[name] = _Array("m", self.memory, place)
                    self.memory += place.size
                lines += [f"    {line}" for line in self._lines(task, kept)]
            lines.append("end")
            for name in (name for task in loop for name in task.names):
                if name in self.arrays:  # beyond its loop it is found in memory
                    self.printer.names[symbol(name)] = self.arrays[name].text
        n = len(self.program.networks)
        head = [f"k = c[{n + 1}]", f"m = c[{n + 2}]"]
        head.append(f"length(m) < {self.memory} && resize!(m, {self.memory})")
        body = "\n".join(f"        {line}" for line in lines)
        opening = "\n".join(f"    {line}" for line in head)
        return (
            f"({arguments}) -> begin\n{opening}\n    @inbounds begin\n{body}\n    end\n"
            "    nothing\nend"
        )

    def _tasks(self, straight: Straight, targets: dict) -> list[_Task]:
        tasks = []
        last: dict[int, str] = {}
        for step in straight.steps:
            used = derivatives.expressions(step)
            needs = {str(s) for e in used for s in e.free_symbols}
            if isinstance(step, Assign):
                place = step.place or place_of(step.expression, self.places)
                names = (step.name,)
            elif isinstance(step, Move | Perceptron):
                place, names = step.place, (step.name,)
            else:
                assert isinstance(step, InputGradient | Backpropagate)
                place = step.place if isinstance(step, Backpropagate) else None
                names = step.names
                if place is None:
                    needs.add(last[step.index])
            if isinstance(step, Perceptron):
                last[step.index] = step.name
            for name in names:
                if place is not None:
                    self.places[name] = place
            task = _Task(step, needs, names, place)
            if isinstance(step, Move) and step.kind != "ends":
                task.elsewhere = {str(step.operands[0])} & needs
            tasks.append(task)
        for key, expression in straight.results.items():
            array, operator = targets[key]
            needs = {str(s) for s in expression.free_symbols}
            if expression != 0 or operator == "=":
                result = (array, operator, expression)
                tasks.append(_Task(None, needs, (), array.place, result))
        return tasks

    def _lines(self, task: _Task, kept: Iterable[str]) -> list[str]:
        step = task.step
        if task.result is not None:
            array, operator, expression = task.result
            return [f"{array.text} {operator} {self.printer.doprint(expression)}"]
        if isinstance(step, Move):
            lines = self._move(step)
        elif isinstance(step, Backpropagate) and step.place is not None:
            inputs = as_tuple(self.printer.doprint(e) for e in step.inputs)
            lines = [f"evaluate!(c[{step.index + 1}], w, {inputs})"]
            lines += step_lines(step, self.printer)
        else:
            assert step is not None
            lines = step_lines(step, self.printer)
        lines += [f"{self.arrays[n].text} = {self.printer.names[symbol(n)]}" for n in kept]
        return lines

    def _move(self, step: Move) -> list[str]:
        first, *edges = step.operands
        ends = [self.printer.doprint(e) for e in edges]
        here = self.printer.doprint(first)

        def at(index: str) -> str:
            """Return the first operand at another place than the loop's own."""
            return self.arrays[str(first)].at(index)

        last = step.source.size
        text = {
            "above": lambda: f"(j == 1 ? {ends[0]} : {at('j - 1')})" if ends else at("j"),
            "below": lambda: f"(j == {last + 1} ? {ends[0]} : {at('j')})" if ends else at("j + 1"),
            "ends": lambda: f"(j == 1 ? {ends[0]} : j == {last} ? {ends[1]} : {here})",
            "uppermost": lambda: at("1"),
            "lowermost": lambda: at(str(last)),
            "column_sum": lambda: "0.0",
        }[step.kind]()
        name = named(step.name, self.printer)
        if step.kind != "column_sum":
            return [f"{name} = {text}"]
        return [f"{name} = {at('1')}", f"for j in 2:{last}", f"    {name} += {at('j')}", "end"]


def _fused(tasks: list[_Task], given: Iterable[str]) -> list[tuple[Place | None, list[_Task]]]:
    """Order tasks so that many of one place stand side by side, and group them."""
    done, left = set(given), list(tasks)
    groups: list[tuple[Place | None, list[_Task]]] = []
    while left:
        best: list[_Task] = []
        where: Place | None = None
        for place in (None, *dict.fromkeys(t.place for t in left if t.place is not None)):
            reached, here, taken = set(done), set(), []
            for task in left:
                ready = task.place == place and task.needs <= reached
                if ready and not task.elsewhere & here:
                    taken.append(task)
                    reached |= set(task.names)
                    here |= set(task.names)
            if len(taken) > len(best):
                best, where = taken, place
            if place is None and taken:
                break  # numbers first: they are needed in loops
        assert best, "steps that need each other"
        for task in best:
            done |= set(task.names)
        chosen = {id(task) for task in best}
        left = [task for task in left if id(task) not in chosen]
        groups.append((where, best))
    return groups
