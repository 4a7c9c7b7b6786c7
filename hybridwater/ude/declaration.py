"""Declaring a UDE as a Python function, traced with symbols."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

import sympy

from hybridwater.errors import DeclarationError, nearest
from hybridwater.ude.columns import Column, cells
from hybridwater.ude.functions import symbol
from hybridwater.ude.model import UDE
from hybridwater.ude.terms import (
    Constant,
    Event,
    Flux,
    Forcing,
    Network,
    NetworkInput,
    Parameter,
    State,
    Unknown,
)

Expression = sympy.Expr | float | int


def _expression(value: Any, where: str) -> sympy.Expr:
    """Return a number or an expression of symbols; text is not evaluated."""
    if isinstance(value, bool) or not isinstance(value, sympy.Expr | float | int):
        raise DeclarationError(
            f"{value!r} is not an expression.",
            where,
            "Write it with the symbols that the declaration returns; for text use UDE.from_dict",
        )
    return sympy.sympify(value)


class Declaration:
    """Collects what a model function declares; its methods return symbols to write equations with.

    Examples
    --------
    >>> import hybridwater as hw
    >>> @hw.model
    ... def bucket(m):
    ...     P = m.forcing("prcp", "mm d-1")
    ...     S = m.state("soil", "mm", initial=100)
    ...     k = m.parameter("k", "d-1", bounds=(1e-3, 1), default=0.05)
    ...     q = m.flux("q", k * S, "mm d-1")
    ...     m.derivative(S, P - q)
    """

    def __init__(self, name: str, time_unit: str = "d", description: str = "") -> None:
        self.name = name
        self.time_unit = time_unit
        self.description = description
        self._terms: dict[str, list[Any]] = {
            kind: []
            for kind in (
                *("states", "forcings", "parameters", "constants", "fluxes", "networks"),
                *("columns", "events"),
            )
        }
        self._derivatives: dict[str, sympy.Expr] = {}
        self._unknowns: dict[str, Callable[[sympy.Expr], Unknown]] = {}
        self._residuals: dict[str, sympy.Expr] = {}

    @classmethod
    def of(cls, ude: UDE, *, without: str) -> Declaration:
        """Begin from a model that lacks one flux or network."""
        self = cls(ude.name, ude.time_unit, ude.description)
        for kind, terms in self._terms.items():
            terms += [t for t in getattr(ude, kind) if t.name != without]
        self._derivatives = dict(ude.derivatives)
        for unknown in ude.unknowns:
            self._unknowns[unknown.name] = lambda residual, unknown=unknown: dataclasses.replace(
                unknown, residual=residual
            )
            self._residuals[unknown.name] = unknown.residual
        return self

    def __getitem__(self, name: str) -> sympy.Symbol:
        """Return the symbol of a name that is declared already."""
        known = [str(term.name) for terms in self._terms.values() for term in terms]
        known += self._unknowns
        if name not in known:
            raise DeclarationError(
                f"The name '{name}' is not declared ({nearest(name, known)}).",
                f"model '{self.name}'",
            )
        return symbol(name)

    def _add(self, kind: str, term: Any) -> sympy.Symbol:
        self._terms[kind].append(term)
        return symbol(str(term.name))

    def forcing(self, name: str, unit: str, description: str = "") -> sympy.Symbol:
        """Declare a forcing: a quantity given from outside, one record per interval."""
        return self._add("forcings", Forcing(name, unit, description))

    def column(
        self,
        name: str,
        thickness: float | Sequence[float],
        unit: str,
        count: int | None = None,
        description: str = "",
    ) -> Column:
        """Declare a column: a row of cells, from the top down, on which states may live.

        Parameters
        ----------
        name, unit : str
            Name of the dimension; unit of length.
        thickness : float or sequence of float
            Of each cell: one number with ``count``, or one per cell.
        count : int, optional
            Number of cells.

        Returns
        -------
        Column
            Its ``thickness``, ``depth`` and ``distance`` may stand in equations.
        """
        column = Column(name, unit, cells(thickness, count, f"column '{name}'"), description)
        self._terms["columns"].append(column)
        return column

    def state(
        self,
        name: str,
        unit: str,
        initial: float | sympy.Symbol | str | Sequence[float] = 0.0,
        description: str = "",
        *,
        on: Column | str = "",
    ) -> sympy.Symbol:
        """Declare a state, one number or one per cell of the column that it is ``on``.

        ``initial`` is a number in ``unit``, one per cell, or a parameter.
        """
        where = on.name if isinstance(on, Column) else on
        if isinstance(initial, str | sympy.Symbol):
            value = str(initial)
        elif isinstance(initial, float | int):
            value = float(initial)
        else:
            value = tuple(float(v) for v in initial)
        return self._add("states", State(name, unit, value, description, where))

    def parameter(
        self,
        name: str,
        unit: str,
        bounds: tuple[float, float],
        default: float | None = None,
        *,
        log: bool = False,
        citation: str = "",
        description: str = "",
    ) -> sympy.Symbol:
        """Declare a parameter that may be fitted within bounds (default: their middle)."""
        low, high = (float(b) for b in bounds)
        value = (low + high) / 2 if default is None else float(default)
        return self._add(
            "parameters", Parameter(name, unit, (low, high), value, log, citation, description)
        )

    def constant(
        self, name: str, value: float, unit: str, citation: str = "", description: str = ""
    ) -> sympy.Symbol:
        """Declare a number with a unit that is never fitted.

        The same constant may be declared again: processes that need it share it.
        """
        term = Constant(name, unit, float(value), citation, description)
        if term in self._terms["constants"]:
            return symbol(name)
        return self._add("constants", term)

    def flux(
        self, name: str, expression: Expression, unit: str, description: str = ""
    ) -> sympy.Symbol:
        """Name an expression: a flux between stores, or an intermediate quantity."""
        found = _expression(expression, f"the equation of '{name}'")
        return self._add("fluxes", Flux(name, unit, found, description))

    def network(
        self,
        name: str,
        inputs: Mapping[Expression, tuple[float, float]],
        unit: str,
        *,
        hidden: tuple[int, ...] = (16, 16),
        activation: str = "tanh",
        positive: bool | str = False,
        bounds: tuple[float, float] | None = None,
        monotone: Mapping[Expression, int] | None = None,
        zero_when_empty: sympy.Symbol | str | None = None,
        empty_scale: float | None = None,
        scale: float = 1.0,
        conceptual: Expression | None = None,
        description: str = "",
    ) -> sympy.Symbol:
        """Declare a neural term: a network in the place of an equation nobody knows.

        Parameters
        ----------
        name, unit : str
            Name of the term; unit of its value.
        inputs : mapping of expression to (low, high)
            What the network sees, with the typical range of each for scaling.
        hidden : tuple of int
            Widths of the hidden layers.
        activation : str
            ``tanh``, ``softplus`` or ``silu``.
        positive, bounds, monotone, zero_when_empty
            What physics the term must respect: a positive value (``True`` or ``"exp"`` for a flux
            over decades), a value between bounds in ``unit``, an effect of +1 (increasing) or -1
            (decreasing) per input, zero when a state is empty.
        empty_scale : float, optional
            Storage at which the empty-store gate is one half; 1 % of the state's range if left out.
        scale : float
            Typical magnitude in ``unit``.
        conceptual : expression, optional
            The equation that this term replaces: calibrated first, shown beside it.
        description : str
            One line for people.

        Returns
        -------
        sympy.Symbol
            The term, to be used in equations.
        """
        where = f"network '{name}' of '{self.name}'"
        effects = {_expression(k, where): v for k, v in (monotone or {}).items()}
        ranges = {_expression(e, where): limits for e, limits in inputs.items()}
        rows = tuple(
            NetworkInput(e, float(low), float(high), effects.pop(e, 0))
            for e, (low, high) in ranges.items()
        )
        for left in effects:
            raise DeclarationError(f"'{left}' is monotone but not an input.", where)
        network = Network(
            name,
            unit,
            rows,
            hidden=tuple(hidden),
            activation=activation,
            positive=positive,
            bounds=None if bounds is None else (float(bounds[0]), float(bounds[1])),
            zero_when_empty=None if zero_when_empty is None else str(zero_when_empty),
            empty_scale=empty_scale,
            scale=scale,
            conceptual=None if conceptual is None else _expression(conceptual, where),
            description=description,
        )
        return self._add("networks", network)

    def unknown(
        self,
        name: str,
        unit: str,
        bounds: tuple[float, float],
        guess: float | None = None,
        description: str = "",
    ) -> sympy.Symbol:
        """Declare a quantity that :meth:`residual` defines by an equation instead of a derivative.

        A surface temperature at which fluxes of energy balance, a water level that belongs to a
        discharge, a store so small that it is always at equilibrium. The equation is solved
        whenever the right-hand side is evaluated; gradients follow from the implicit function
        theorem. Unknowns whose equations need each other are solved together.

        Parameters
        ----------
        name, unit : str
            Name and unit.
        bounds : tuple of float
            Values between which the solution lies; it is never looked for outside. A single
            equation must have residuals of different sign at the two.
        guess : float, optional
            Where the search begins; the middle of the bounds if left out.
        description : str
            One line for people.

        Examples
        --------
        >>> import hybridwater as hw
        >>> @hw.model
        ... def ice(m):
        ...     R = m.forcing("radiation", "W m-2")
        ...     Ta = m.forcing("air", "K")
        ...     sigma = m.constant("sigma", 5.67e-8, "W m-2 K-4")
        ...     c = m.parameter("c", "W m-2 K-1", bounds=(1, 50))
        ...     heat = m.constant("heat", 3865, "W m-2 d mm-1")
        ...     S = m.state("ice", "mm", initial=500)
        ...     Ts = m.unknown("surface", "K", bounds=(200, 350))
        ...     m.residual(Ts, R - sigma * Ts**4 - c * (Ts - Ta))
        ...     m.derivative(S, -m.flux("cooling", c * (Ts - Ta) / heat, "mm d-1"))
        """
        low, high = (float(b) for b in bounds)
        start = (low + high) / 2 if guess is None else float(guess)
        if name in self._unknowns:
            raise DeclarationError(f"The name '{name}' is declared twice.", f"model '{self.name}'")
        self._unknowns[name] = lambda residual: Unknown(
            name, unit, (low, high), residual, start, description
        )
        return symbol(name)

    def residual(self, unknown: sympy.Symbol, expression: Expression) -> None:
        """Give the expression, of any unit, that is zero at every time at the unknown's value."""
        name = str(unknown)
        if name in self._residuals:
            raise DeclarationError(
                f"The equation of '{name}' is given twice.", f"model '{self.name}'"
            )
        self._residuals[name] = _expression(expression, f"the equation of '{name}'")

    def event(
        self,
        name: str,
        unit: str,
        *,
        when: Expression,
        amount: Expression,
        description: str = "",
    ) -> sympy.Symbol:
        """Declare an amount that moves at once, as soon as ``when`` is positive.

        A siphon, a tipping bucket, a gate that is opened. Use it in derivatives and fluxes like any
        other flux, so that what leaves one store enters another: a simulation then books its mean
        over each record.

        Parameters
        ----------
        name, unit : str
            Name, and unit as a flux.
        when : expression
            Positive where the event happens. The amount that moves must bring it back to zero or
            below; an event that happens endlessly is a failure.
        amount : expression
            How much moves, in ``unit`` times the time unit of the model.
        description : str
            One line for people.

        Examples
        --------
        >>> import hybridwater as hw
        >>> @hw.model
        ... def siphon(m):
        ...     P = m.forcing("prcp", "mm d-1")
        ...     S = m.state("storage", "mm")
        ...     crest = m.parameter("crest", "mm", bounds=(10, 100))
        ...     intake = m.parameter("intake", "mm", bounds=(0, 10))
        ...     q = m.event("q", "mm d-1", when=S - crest, amount=S - intake)
        ...     m.derivative(S, P - q)
        """
        where = f"the event '{name}'"
        term = Event(name, unit, _expression(when, where), _expression(amount, where), description)
        return self._add("events", term)

    def derivative(self, state: sympy.Symbol, expression: Expression) -> None:
        """Give the time derivative of a state, in its unit per time unit of the model."""
        name = str(state)
        if name in self._derivatives:
            raise DeclarationError(
                f"The derivative of '{name}' is given twice.", f"model '{self.name}'"
            )
        self._derivatives[name] = _expression(expression, f"the derivative of '{name}'")

    def build(self) -> UDE:
        """Return the declared model, checked."""
        for name in sorted(self._unknowns.keys() ^ self._residuals.keys()):
            what = "is not an unknown" if name in self._residuals else "has no equation"
            raise DeclarationError(
                f"'{name}' {what}.",
                f"model '{self.name}'",
                "Give every m.unknown(...) one m.residual(unknown, expression)",
            )
        return UDE(
            name=self.name,
            time_unit=self.time_unit,
            description=self.description,
            derivatives=dict(self._derivatives),
            unknowns=tuple(make(self._residuals[n]) for n, make in self._unknowns.items()),
            **{kind: tuple(terms) for kind, terms in self._terms.items()},
        )


@overload
def model(function: Callable[[Declaration], None], /) -> UDE: ...


@overload
def model(
    *, name: str | None = None, time_unit: str = "d"
) -> Callable[[Callable[[Declaration], None]], UDE]: ...


def model(
    function: Callable[[Declaration], None] | None = None,
    /,
    *,
    name: str | None = None,
    time_unit: str = "d",
) -> UDE | Callable[[Callable[[Declaration], None]], UDE]:
    """Turn a function that declares a model into a :class:`UDE`.

    Parameters
    ----------
    function : callable
        Takes one :class:`Declaration`; its docstring's first line becomes the description.
    name : str, optional
        Name of the model; the function's name if left out.
    time_unit : str
        Unit of time of all rates.

    Returns
    -------
    UDE
    """

    def build(declare: Callable[[Declaration], None]) -> UDE:
        summary = (declare.__doc__ or "").strip().splitlines()
        declaration = Declaration(
            name or declare.__name__, time_unit, summary[0] if summary else ""
        )
        declare(declaration)
        return declaration.build()

    return build if function is None else build(function)
