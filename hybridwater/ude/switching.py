"""Thresholds of a model: a program whose branches are chosen from outside.

``min``, ``max``, ``abs`` and ``where`` make equations that are smooth on either side of a threshold
and have a kink or a jump on it. Here each of them becomes a *switch*, a further forcing that is one
where its threshold (the difference of what is compared) is positive and else zero, so that a solver
may step within one smooth branch, find where a threshold is crossed, and only then change over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import sympy

from hybridwater.ude.functions import symbol
from hybridwater.ude.moves import Assign
from hybridwater.ude.program import Implicit, Impulse, Perceptron, Program, ProgramStep, Root

_KINKS = (sympy.Min, sympy.Max, sympy.Abs, sympy.Piecewise)


@dataclass(frozen=True)
class Switched:
    """A program with switches.

    Parameters
    ----------
    program : Program
        Its last forcings are the switches, and after them the fluxes of events.
    thresholds : tuple of str
        What each switch goes by, a quantity of the program: on where positive.
    events : tuple of (str, str)
        Per event, quantities of the program: what is positive where it happens, and how much it
        moves.
    depth : int
        How often thresholds must be evaluated, one after the other, until all switches are set:
        a threshold may depend on switches before it.
    """

    program: Program
    thresholds: tuple[str, ...]
    events: tuple[tuple[str, str], ...]
    depth: int

    @property
    def levels(self) -> tuple[str, ...]:
        """What a solver watches, thresholds and then events; and the amounts of events."""
        return (*self.thresholds, *(w for w, _ in self.events), *(a for _, a in self.events))


def switched(program: Program, *, forcing_varies: bool) -> Switched:
    """Put switches in the places of thresholds that can be crossed within a record.

    Parameters
    ----------
    program : Program
        The lowered model.
    forcing_varies : bool
        Whether forcing changes within a record. If not, only thresholds that depend on a state
        can be crossed there.
    """
    return _Switching(program, forcing_varies).run()


class _Switching:
    def __init__(self, program: Program, forcing_varies: bool) -> None:
        self.program = program
        self.moving = set(program.states) | (set(program.forcings) if forcing_varies else set())
        self.steps: list[ProgramStep] = []
        self.switches: dict[sympy.Expr, sympy.Symbol] = {}  # by threshold
        self.depths: dict[str, int] = {}  # of names

    def run(self) -> Switched:
        sudden = {impulse.name for impulse in self.program.impulses}
        for step in self.program.steps:
            if isinstance(step, Assign) and step.name in sudden:
                continue  # given from outside, like a switch
            if isinstance(step, Root | Implicit):
                self.steps.append(step)
                moves = isinstance(step, Implicit) and self._moves(map(symbol, step.root.residuals))
                self.moving |= set(step.names) if moves or isinstance(step, Root) else set()
                continue
            if isinstance(step, Assign):
                new = Assign(step.name, self._smooth(step.expression))
                used: Sequence[sympy.Expr] = (new.expression,)
            else:
                assert isinstance(step, Perceptron)  # no thresholds are located on columns
                used = tuple(map(self._smooth, step.inputs))
                new = Perceptron(step.name, step.index, tuple(used))
            self.steps.append(new)
            if self._moves(s for e in used for s in e.free_symbols):
                self.moving.add(step.name)
            self.depths[step.name] = self._depth(used)
        derivatives = tuple(map(self._smooth, self.program.derivatives))
        events = tuple(map(self._watched, self.program.impulses))
        names = tuple(str(switch) for switch in self.switches.values())
        program = dataclasses.replace(
            self.program,
            forcings=(*self.program.forcings, *names, *(i.name for i in self.program.impulses)),
            steps=tuple(self.steps),
            derivatives=derivatives,
        )
        depth = max((self.depths[name] for name in names), default=0)
        return Switched(program, tuple(_threshold(name) for name in names), events, depth)

    def _watched(self, impulse: Impulse) -> tuple[str, str]:
        """Name what an event happens by, and its amount."""
        names = (f"when__{impulse.name}", f"amount__{impulse.name}")
        for name, expression in zip(names, (impulse.when, impulse.amount), strict=True):
            smooth = self._smooth(expression)
            self.steps.append(Assign(name, smooth))
        return names

    def _moves(self, symbols: object) -> bool:
        return not self.moving.isdisjoint(map(str, symbols))  # type: ignore[arg-type]

    def _depth(self, expressions: Sequence[sympy.Expr]) -> int:
        names = (str(s) for e in expressions for s in e.free_symbols)
        return max((self.depths.get(name, 0) for name in names), default=0)

    def _smooth(self, expression: sympy.Expr) -> sympy.Expr:
        """Return an expression with switches for its thresholds."""
        if not expression.has(*_KINKS):
            return expression
        if not isinstance(expression, _KINKS):
            return expression.func(*map(self._smooth, expression.args))
        if isinstance(expression, sympy.Piecewise):
            *branches, last = expression.args
            value = self._smooth(last.expr)
            for branch in reversed(branches):
                above, relation = self._smooth(branch.expr), branch.cond
                if isinstance(relation, sympy.Lt | sympy.Le):
                    above, value = value, above
                value = self._choose(relation.lhs - relation.rhs, above, value, relation)
            return value
        first, *others = map(self._smooth, expression.args)
        if isinstance(expression, sympy.Abs):
            return self._choose(first, first, -first, None)
        for other in others:
            above, below = (first, other) if expression.func is sympy.Max else (other, first)
            first = self._choose(first - other, above, below, None)
        return first

    def _choose(
        self,
        threshold: sympy.Expr,
        above: sympy.Expr,
        below: sympy.Expr,
        relation: sympy.Basic | None,
    ) -> sympy.Expr:
        threshold = self._smooth(threshold)
        if not self._moves(threshold.free_symbols):
            if relation is None:
                return sympy.Piecewise((above, threshold > 0), (below, True))
            on = relation.func(threshold, 0)
            down = isinstance(relation, sympy.Lt | sympy.Le)
            return sympy.Piecewise((below if down else above, on), (above if down else below, True))
        if threshold not in self.switches:
            switch = symbol(f"switch__{len(self.switches)}")
            self.switches[threshold] = switch
            self.steps.append(Assign(_threshold(str(switch)), threshold))
            self.depths[str(switch)] = self._depth((threshold,)) + 1
        switch = self.switches[threshold]
        return sympy.Piecewise((above, switch > sympy.Rational(1, 2)), (below, True))


def _threshold(switch: str) -> str:
    return f"threshold__{switch.removeprefix('switch__')}"
