"""Terms of a declaration: states, forcings, parameters, constants, networks, fluxes, unknowns."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import sympy

from hybridwater.ude.text import expression_as_latex, print_expression

#: Activations that a network may use.
ACTIVATIONS = ("tanh", "softplus", "silu")


@dataclass(frozen=True)
class State:
    """A storage or other quantity with a time derivative.

    Parameters
    ----------
    name, unit : str
        Name in equations; unit of the state.
    initial : float, str or tuple of float
        Initial value in ``unit``, or the name of the parameter that is the initial value; a tuple
        has one number per cell.
    description : str
        One line for people.
    on : str
        Column in whose cells the state lives; empty if it is one number.
    """

    name: str
    unit: str
    initial: float | str | tuple[float, ...] = 0.0
    description: str = ""
    on: str = ""


@dataclass(frozen=True)
class Forcing:
    """A quantity given from outside, one record per interval."""

    name: str
    unit: str
    description: str = ""


@dataclass(frozen=True)
class Parameter:
    """A number that may be fitted, within bounds.

    Parameters
    ----------
    name, unit : str
        Name in equations; unit.
    bounds : tuple of float
        Lower and upper bound in ``unit``; both finite.
    default : float
        Value where nothing else is said, within the bounds.
    log : bool
        Whether the search between the bounds is on a logarithmic scale (both bounds positive).
    citation, description : str
        Source of bounds and default; one line for people.
    """

    name: str
    unit: str
    bounds: tuple[float, float]
    default: float
    log: bool = False
    citation: str = ""
    description: str = ""


@dataclass(frozen=True)
class Constant:
    """A number with a unit that is never fitted."""

    name: str
    unit: str
    value: float
    citation: str = ""
    description: str = ""


@dataclass(frozen=True)
class Flux:
    """A named expression: a flux between stores or any intermediate quantity."""

    name: str
    unit: str
    expression: sympy.Expr
    description: str = ""


@dataclass(frozen=True)
class Unknown:
    """A quantity without a time derivative, defined by an equation that holds at every time.

    Parameters
    ----------
    name, unit : str
        Name in equations; unit.
    bounds : tuple of float
        Values in ``unit`` between which the solution is looked for; both finite.
    residual : sympy.Expr
        What is zero at the solution; it contains the unknown, itself or through fluxes.
    guess : float
        Where the search begins, within the bounds.
    description : str
        One line for people.
    """

    name: str
    unit: str
    bounds: tuple[float, float]
    residual: sympy.Expr
    guess: float
    description: str = ""


@dataclass(frozen=True)
class Event:
    """An amount that moves at once, as soon as a quantity is positive.

    In equations it is a flux that is zero between its moments. Like every other flux it is taken
    from one store, and given to another, by the derivatives that have it.

    Parameters
    ----------
    name, unit : str
        Name in equations; unit of the flux.
    when : sympy.Expr
        Positive where the event happens; the amount must bring it back to zero or below.
    amount : sympy.Expr
        How much moves, in the unit of the flux times the time unit of the model.
    description : str
        One line for people.
    """

    name: str
    unit: str
    when: sympy.Expr
    amount: sympy.Expr
    description: str = ""


@dataclass(frozen=True)
class Equation:
    """An equation that brings its own parameters and constants; see :meth:`UDE.replace`.

    Parameters
    ----------
    expression : sympy.Expr
        The right-hand side.
    parameters, constants : tuple of Parameter, of Constant
        What it needs beside the names of the model that it is for.
    """

    expression: sympy.Expr
    parameters: tuple[Parameter, ...] = ()
    constants: tuple[Constant, ...] = ()

    def __str__(self) -> str:
        return print_expression(self.expression)

    def _repr_latex_(self) -> str:
        return f"$${expression_as_latex(self.expression)}$$"


@dataclass(frozen=True)
class NetworkInput:
    """One input of a network.

    Parameters
    ----------
    expression : sympy.Expr
        What is fed in: a state, forcing, parameter, flux or an expression of them.
    low, high : float
        Typical range in the unit of the expression; scaled to -1 .. 1 for the network.
    monotone : int
        +1 (-1) if the output must not decrease (increase) with this input, 0 if free.
    """

    expression: sympy.Expr
    low: float
    high: float
    monotone: int = 0


@dataclass(frozen=True)
class Network:
    """A neural term: a multilayer perceptron in the place of an equation nobody knows.

    With the perceptron's raw output z, the term is ``scale * z``, or what ``positive`` or
    ``bounds`` make of z, times the gate of ``zero_when_empty``.

    Parameters
    ----------
    name, unit : str
        Name in equations; unit of the output.
    inputs : tuple of NetworkInput
        What the network sees.
    hidden : tuple of int
        Widths of the hidden layers.
    activation : str
        One of ``tanh``, ``softplus``, ``silu``; ``tanh`` or ``softplus`` if monotone.
    positive : bool or str
        ``True`` or ``"softplus"``: ``scale * softplus(z)``; ``"exp"``: ``scale * exp(z)``, for a
        flux that varies over decades.
    bounds : tuple of float, optional
        ``low + (high - low) * sigmoid(z)``.
    zero_when_empty : str, optional
        A state S: the term is multiplied by ``max(S, 0) / (max(S, 0) + empty_scale)``.
    empty_scale : float, optional
        Half-saturation storage of that gate, in the unit of the state.
    scale : float
        Typical magnitude of the term in ``unit``.
    conceptual : sympy.Expr, optional
        The equation that this term replaces: the skeleton that is calibrated first.
    """

    name: str
    unit: str
    inputs: tuple[NetworkInput, ...]
    hidden: tuple[int, ...] = (16, 16)
    activation: str = "tanh"
    positive: bool | str = False
    bounds: tuple[float, float] | None = None
    zero_when_empty: str | None = None
    empty_scale: float | None = None
    scale: float = 1.0
    conceptual: sympy.Expr | None = None
    description: str = ""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of all layers, from inputs to the single output."""
        return (len(self.inputs), *self.hidden, 1)

    @property
    def n_weights(self) -> int:
        """Number of weights and biases."""
        sizes = self.sizes
        return sum(n_out * (n_in + 1) for n_in, n_out in itertools.pairwise(sizes))

    @property
    def is_monotone(self) -> bool:
        """Whether any input is constrained to a monotone effect."""
        return any(i.monotone for i in self.inputs)
