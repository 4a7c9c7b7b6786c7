"""The ports of a surrogate: which variable is which term of the model, and in which unit."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from hybridwater import units
from hybridwater.components.base import Variable
from hybridwater.errors import ComponentError, nearest
from hybridwater.ude.model import UDE

#: What the tolerance of a component's solver makes up or loses; booked, so that the balance closes.
SOLVER_ERROR = "solver_error_flux"


@dataclass(frozen=True, eq=False)
class Port:
    """One variable of a surrogate.

    Parameters
    ----------
    variable : Variable
        As the outside sees it.
    term : str or None
        Forcing, flux, network or state of the model; None where the model has none.
    scale, offset : numpy.ndarray
        ``port = scale * term + offset``, each of shape (cell,); ``offset`` is the value of a port
        without a term.
    """

    variable: Variable
    term: str | None
    scale: np.ndarray
    offset: np.ndarray

    def to_term(self, values: np.ndarray) -> np.ndarray:
        """Convert values of the port to the unit of the term, shape (cell,)."""
        return values if self.same else (values - self.offset) / self.scale

    def to_port(self, values: np.ndarray) -> np.ndarray:
        """Convert values of the term to the unit of the port, shape (cell,)."""
        return values if self.same else values * self.scale + self.offset

    @functools.cached_property
    def same(self) -> bool:
        """Whether port and term have one unit, as most have: then nothing is computed."""
        return bool((self.scale == 1.0).all() and (self.offset == 0.0).all())


def make_ports(
    ude: UDE,
    area: np.ndarray,
    mapping: Mapping[str, str | float],
    variables: Iterable[Variable] = (),
) -> tuple[Port, ...]:
    """Declare the variables of a surrogate.

    Ports are those of ``variables``, then those of ``mapping`` that are new, then every forcing,
    state and boundary flux of the model that has no port yet, under its own name.

    Parameters
    ----------
    ude : UDE
        The model.
    area : numpy.ndarray
        Area of each cell [m2], shape (cell,).
    mapping : mapping of str to str or float
        Port to term of the model; a number for an output that the model does not have, which then
        is that number always. A port that has the name of its term may be left out.
    variables : iterable of Variable
        Ports of the component that is replaced: their names and units are kept.

    Raises
    ------
    ComponentError
        If a port or term is not known, an input has no term, or two inputs have the same.
    UnitError
        If the units of a port and its term do not measure the same thing, at 1000 kg m-3.
    """
    declared = {v.name: v for v in variables}
    kinds = _terms(ude)
    ports = [_port(ude, area, mapping.get(name, name), v) for name, v in declared.items()]
    for name, term in mapping.items():
        if name in declared:
            continue
        if not isinstance(term, str) or term not in kinds:
            raise _unknown(ude, name, term)
        ports.append(_port(ude, area, term, _own(ude, term, name)))
    taken = {p.term for p in ports}
    own = (*(f.name for f in ude.forcings), *(s.name for s in ude.states), *ude.boundary)
    for term in dict.fromkeys(own):
        if term not in taken:
            ports.append(_port(ude, area, term, _own(ude, term, term)))
    _refuse_doubles(ports)
    return tuple(ports)


def conversion(source: str, target: str, area: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and offset of a conversion of quantities in cells, each of shape (cell,).

    As `hybridwater.units.linear`, with the areas [m2] of the cells, shape (cell,).

    Raises
    ------
    UnitError
        If the two do not measure the same thing.
    """
    slope, offset, power = units.linear(source, target)
    return slope * area**power, np.full(area.shape, offset)


def _terms(ude: UDE) -> dict[str, str]:
    """Return every term that can be a port, and whether it is a forcing, flux or state."""
    return {
        **{f.name: "forcing" for f in ude.forcings},
        **dict.fromkeys(ude.order, "flux"),
        **{s.name: "state" for s in ude.states},
    }


def _own(ude: UDE, term: str, name: str) -> Variable:
    """Declare a port as its term is declared."""
    kind = _terms(ude)[term]
    known = {t.name: t for t in (*ude.forcings, *ude.states, *ude.fluxes, *ude.networks)}[term]
    return Variable(
        name,
        units.spell(known.unit),
        "in" if kind == "forcing" else "out",
        "state" if kind == "state" else "rate",
        known.description or term,
    )


def _port(ude: UDE, area: np.ndarray, term: str | float, variable: Variable) -> Port:
    if not isinstance(term, str):
        if variable.is_input:
            raise ComponentError(
                f"The input '{variable.name}' is mapped to {term!r}: what comes in would be lost.",
                fix=f"Map it to a forcing of the model '{ude.name}'",
            )
        return Port(variable, None, np.ones(area.shape), np.full(area.shape, float(term)))
    kind = _terms(ude).get(term)
    if kind is None:
        raise _unknown(ude, variable.name, term)
    if variable.is_input != (kind == "forcing"):
        way = "comes in" if variable.is_input else "goes out"
        raise ComponentError(
            f"The port '{variable.name}' {way}, but '{term}' is a {kind} of the model "
            f"'{ude.name}'.",
            fix="Map inputs to forcings, outputs to fluxes and states",
        )
    if not variable.is_input and (variable.kind == "state") != (kind == "state"):
        raise ComponentError(
            f"The port '{variable.name}' is a {variable.kind}, but '{term}' is a {kind}.",
            fix="Map states to states, which hold at the end of a step, and rates to fluxes",
        )
    if variable.location != "node" or variable.grid != 0 or variable.intent == "inout":
        raise ComponentError(
            f"The port '{variable.name}' lies on a {variable.location} of grid {variable.grid}, "
            f"intent '{variable.intent}'; a surrogate has cells, and inputs apart from outputs."
        )
    scale, offset = conversion(ude.units[term], variable.units, area)
    return Port(dataclasses.replace(variable, dtype="float64"), term, scale, offset)


def _unknown(ude: UDE, port: str, term: object) -> ComponentError:
    known = _terms(ude)
    return ComponentError(
        f"The port '{port}' has no term in the model '{ude.name}': there is no '{term}' "
        f"({nearest(str(term), known)}).",
        fix="Map it: ports = {'" + port + "': 'a forcing, flux or state of the model'}",
    )


def _refuse_doubles(ports: list[Port]) -> None:
    seen: dict[str, str] = {}
    for port in ports:
        name = port.variable.name
        if [p.variable.name for p in ports].count(name) > 1:
            raise ComponentError(
                f"Two ports are named '{name}'.", fix="Map the term of that name to a port"
            )
        if port.term is None or not port.variable.is_input:
            continue
        if port.term in seen:
            raise ComponentError(
                f"The inputs '{seen[port.term]}' and '{name}' are both '{port.term}'.",
                fix="Map each to a forcing of its own, and add them up in the model",
            )
        seen[port.term] = name
