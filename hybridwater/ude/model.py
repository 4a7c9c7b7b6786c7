"""The UDE: one frozen object that says what a model is."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sympy

from hybridwater import units
from hybridwater.errors import DeclarationError, nearest
from hybridwater.ude import checks, display, document
from hybridwater.ude.arrangement import Arrangement, arrange
from hybridwater.ude.boundary import boundary_terms
from hybridwater.ude.columns import Column, Place, check_columns, find_places
from hybridwater.ude.program import Program, lower
from hybridwater.ude.telescoping import telescoped
from hybridwater.ude.terms import (
    Constant,
    Event,
    Flux,
    Forcing,
    Network,
    Parameter,
    State,
    Unknown,
)
from hybridwater.ude.text import print_expression

if TYPE_CHECKING:
    from hybridwater.ude.replacing import Replacement


@dataclass(frozen=True, eq=True)
class UDE:
    """A universal differential equation: equations with neural networks for unknown terms.

    Usually made with :func:`hybridwater.model` from a Python function or with :meth:`from_dict`
    from equation text; both give the same object. Checked when it is made: names, references,
    circular definitions, bounds and the units of every equation.

    Parameters
    ----------
    name : str
        Name of the model.
    states, forcings, parameters, constants, fluxes, networks : tuple
        What the equations speak of (see :mod:`hybridwater.ude.terms`).
    derivatives : dict of str to sympy.Expr
        Time derivative of each state, in the unit of the state per ``time_unit``.
    time_unit : str
        Unit of time of all rates.
    unknowns : tuple of Unknown
        Quantities that equations without time derivative define.
    columns : tuple of Column
        Rows of cells on which states live (see :mod:`hybridwater.ude.columns`).
    events : tuple of Event
        Amounts that move at once.

    Raises
    ------
    DeclarationError, UnitError
        If the declaration is not well formed or its units do not agree.
    """

    name: str
    states: tuple[State, ...]
    forcings: tuple[Forcing, ...]
    parameters: tuple[Parameter, ...]
    constants: tuple[Constant, ...]
    fluxes: tuple[Flux, ...]
    networks: tuple[Network, ...]
    derivatives: Mapping[str, sympy.Expr] = field(hash=False)
    time_unit: str = "d"
    description: str = ""
    unknowns: tuple[Unknown, ...] = ()
    columns: tuple[Column, ...] = ()
    events: tuple[Event, ...] = ()

    def __post_init__(self) -> None:
        checks.check_names(self)
        check_columns(self)
        networks = tuple(checks.completed(self, n) for n in self.networks)
        object.__setattr__(self, "networks", networks)
        checks.check_terms(self)
        checks.check_units(self)
        _ = self.places

    # What is there

    @functools.cached_property
    def units(self) -> dict[str, str]:
        """Unit of every name that equations may use."""
        groups = (
            *(self.states, self.forcings, self.parameters),
            *(self.constants, self.fluxes, self.networks, self.unknowns, self.events),
        )
        geometry = {name: c.unit for c in self.columns for name in c.geometry}
        return {term.name: term.unit for group in groups for term in group} | geometry

    @functools.cached_property
    def places(self) -> dict[str, Place]:
        """Cells or faces of a column for every name that has a value on each of them."""
        return find_places(self, self.arrangement.order)

    @functools.cached_property
    def order(self) -> tuple[str, ...]:
        """Names of events, fluxes, networks and unknowns that are computed, in a possible order."""
        return tuple(n for n in self.arrangement.order if n not in self.dormant)

    @functools.cached_property
    def arrangement(self) -> Arrangement:
        """The order in which quantities can be computed, and what has to be solved together."""
        return arrange(self)

    @functools.cached_property
    def dormant(self) -> frozenset[str]:
        """Fluxes that only serve equations which networks have replaced.

        They are not computed; :meth:`conceptual` brings them back to life.
        """
        return checks.dormant_fluxes(self)

    @functools.cached_property
    def program(self) -> Program:
        """The model as a list of assignments, for the engines.

        Its parameters are those in the equations; one that is only an initial value reaches an
        engine as initial state.
        """
        in_equations = checks.symbols_in_equations(self)
        return lower(self, tuple(p.name for p in self.parameters if p.name in in_equations))

    @functools.cached_property
    def used_parameters(self) -> frozenset[str]:
        """Parameters in an equation or an initial value; others belong to replaced equations."""
        initial = {s.initial for s in self.states if isinstance(s.initial, str)}
        names = checks.symbols_in_equations(self) | initial
        return frozenset(p.name for p in self.parameters if p.name in names)

    def parameter(self, name: str) -> Parameter:
        """Return a parameter by name."""
        return self._find(self.parameters, name, "parameter")

    def network(self, name: str) -> Network:
        """Return a neural term by name."""
        return self._find(self.networks, name, "network")

    def _find(self, group: tuple, name: str, kind: str) -> Any:
        for term in group:
            if term.name == name:
                return term
        known = [t.name for t in group]
        raise DeclarationError(
            f"The model '{self.name}' has no {kind} '{name}' ({nearest(name, known)})."
        )

    @functools.cached_property
    def boundary(self) -> dict[str, tuple[str, float]]:
        """Fluxes across the model's boundary, found from the sum of the storages' equations.

        Returns
        -------
        dict of str to (str, float)
            Flux or forcing name to its role, ``"in"`` or ``"out"``, and its coefficient in the
            storage change (positive number). Internal fluxes cancel. Empty if the balance
            has terms that are not named fluxes.
        """
        derivatives, fluxes = [self.derivatives[s] for s in self.storages], self.fluxes
        if self.columns:
            derivatives, fluxes = telescoped(self)
        total = boundary_terms(derivatives, fluxes)
        if not all(term.is_Symbol for term in total):
            return {}
        return {str(term): ("in" if c > 0 else "out", abs(float(c))) for term, c in total.items()}

    @functools.cached_property
    def storages(self) -> tuple[str, ...]:
        """States that store water: those with the unit of the first length, mass or volume."""
        of_water = ("[length]", "[mass] / [length] ** 2", "[length] ** 3", "[mass]")
        found = [s for s in self.states if str(units.parse(s.unit).dimensionality) in of_water]
        return tuple(s.name for s in found if units.parse(s.unit) == units.parse(found[0].unit))

    # What can be made from it

    def learn(self, name: str, inputs: Mapping[Any, tuple[float, float]], **physics: Any) -> UDE:
        """Put a neural network in the place of a flux's equation.

        The equation stays known as the conceptual counterpart: it is calibrated first, the network
        is pre-trained on it, and plots show both.

        Parameters
        ----------
        name : str
            The flux to learn.
        inputs : mapping
            Names, equation text or expressions to (low, high) typical range.
        **physics
            ``hidden``, ``positive``, ``bounds``, ``monotone``, ``zero_when_empty``, ``scale``, ...
            as in :meth:`Declaration.network`.

        Fluxes that only the replaced equation needs become :attr:`dormant`.

        Returns
        -------
        UDE
            A new model.
        """
        flux = self._find(self.fluxes, name, "flux")
        spec = {"unit": flux.unit, "description": flux.description} | physics
        spec["inputs"] = {_as_text(k): list(v) for k, v in inputs.items()}
        if spec.get("monotone"):
            spec["monotone"] = {_as_text(k): v for k, v in spec["monotone"].items()}
        if spec.get("zero_when_empty") is not None:
            spec["zero_when_empty"] = str(spec["zero_when_empty"])
        spec["conceptual"] = print_expression(flux.expression)
        network = document.read_network(name, spec, frozenset(self.units))
        kept = tuple(f for f in self.fluxes if f.name != name)
        return _with(self, fluxes=kept, networks=(*self.networks, network))

    def replace(
        self,
        name: str,
        new: Replacement,
        *,
        parameters: Sequence[Parameter] = (),
        constants: Sequence[Constant] = (),
    ) -> UDE:
        """Put something else in the place of a flux or a neural term.

        Parameters
        ----------
        name : str
            The flux or network to replace.
        new : str, sympy.Expr, Equation, Network or callable
            Equation text, or an expression of declared symbols, in the unit of the term; an
            equation with its own parameters, such as a discovered one; a network; or a function
            that takes the :class:`Declaration` of the rest of the model, may declare parameters,
            networks and further fluxes in it, finds declared names as ``m["soil"]``, and returns
            the term. A process of the library is called in such a function.
        parameters, constants : sequence of Parameter, of Constant
            Further ones that the new term needs.

        Returns
        -------
        UDE
            A new model.

        Raises
        ------
        DeclarationError, UnitError
            If there is no such term, or the new model is not well formed.
        """
        from hybridwater.ude.replacing import replaced

        return replaced(self, name, new, tuple(parameters), tuple(constants))

    def with_defaults(self, values: Mapping[str, float]) -> UDE:
        """Return the model with other default values of parameters, within their bounds.

        Parameters
        ----------
        values : mapping of str to float
            Parameter to value; a value beyond a bound is moved to it.
        """
        for name in values:
            self.parameter(name)

        def changed(p: Parameter) -> Parameter:
            value = min(max(float(values.get(p.name, p.default)), p.bounds[0]), p.bounds[1])
            return dataclasses.replace(p, default=value)

        return _with(self, parameters=tuple(changed(p) for p in self.parameters))

    def conceptual(self) -> UDE:
        """Return the skeleton: every network replaced by its conceptual equation.

        Raises
        ------
        DeclarationError
            If a network has none.
        """
        model = self
        for network in self.networks:
            if network.conceptual is None:
                raise DeclarationError(
                    f"The network '{network.name}' has no conceptual equation.",
                    f"model '{self.name}'",
                    "Declare it with conceptual=..., or fit without calibrating a skeleton first",
                )
            model = model.replace(network.name, network.conceptual)
        return model

    @property
    def has_skeleton(self) -> bool:
        """Whether there are networks and each has a conceptual equation."""
        return bool(self.networks) and all(n.conceptual is not None for n in self.networks)

    # How it is written

    def to_dict(self) -> dict[str, Any]:
        """Return the declaration as plain data (the ``[model]`` table of a case file)."""
        return document.write(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> UDE:
        """Make a UDE from plain data with equation text.

        Parameters
        ----------
        data : mapping
            As :meth:`to_dict` writes it; see the how-to "Models in case files".

        Raises
        ------
        DeclarationError, UnitError
            If a key is unknown, text is not an equation, or the model is not well formed.
        """
        return cls(**document.read(data))

    @functools.cached_property
    def fingerprint(self) -> str:
        """Digest of the declaration; equal for equal models."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return display.as_text(self)

    def __repr__(self) -> str:
        return f"<UDE '{self.name}': {len(self.states)} states, {len(self.networks)} networks>"

    def _repr_latex_(self) -> str:
        return display.as_latex(self)


def _as_text(key: str | sympy.Expr) -> str:
    return key if isinstance(key, str) else print_expression(key)


def _with(ude: UDE, **changes: Any) -> UDE:
    return dataclasses.replace(ude, **changes)
