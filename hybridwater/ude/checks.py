"""Static checks of a declaration: names, references, circularity, bounds, units."""

from __future__ import annotations

import dataclasses
import keyword
import math
import re
from typing import TYPE_CHECKING

import sympy

from hybridwater import units
from hybridwater.errors import DeclarationError, UnitError, nearest
from hybridwater.ude.dimensions import require_unit, unit_of
from hybridwater.ude.functions import CONSTANTS, FUNCTIONS, symbol
from hybridwater.ude.terms import ACTIVATIONS, Network, Unknown
from hybridwater.ude.text import require_finite

if TYPE_CHECKING:
    from hybridwater.ude.model import UDE

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_JULIA_KEYWORDS = frozenset(
    (
        "begin end function let local module struct macro quote using export baremodule const do "
        "elseif catch true false mutable ccall"
    ).split()
)


def check_name(name: str, where: str) -> str:
    """Return a name if it may be used in equations of every engine, else raise."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or "__" in name:
        raise DeclarationError(
            f"'{str(name)[:80]}' is not a name for a quantity.",
            where,
            "Use letters, digits and single underscores, starting with a letter",
        )
    if keyword.iskeyword(name) or name in _JULIA_KEYWORDS or name in (*FUNCTIONS, *CONSTANTS):
        raise DeclarationError(
            f"'{name}' is a reserved word.", where, "Choose another name for the quantity"
        )
    return name


def _groups(ude: UDE) -> dict[str, tuple]:
    return {
        "state": ude.states,
        "forcing": ude.forcings,
        "parameter": ude.parameters,
        "constant": ude.constants,
        "flux": ude.fluxes,
        "network": ude.networks,
        "unknown": ude.unknowns,
        "event": ude.events,
    }


def check_names(ude: UDE) -> None:
    """Refuse bad names, a name with two meanings, and references to unknown names."""
    where = f"model '{ude.name}'"
    kinds: dict[str, str] = {}
    for kind, group in _groups(ude).items():
        for term in group:
            check_name(term.name, where)
            if term.name in kinds:
                raise DeclarationError(
                    f"The name '{term.name}' is used as {kinds[term.name]} and as {kind}.",
                    where,
                    "Give one of the two another name",
                )
            kinds[term.name] = kind
    for column in ude.columns:
        check_name(column.name, where)
        for name in (*column.geometry, column.name, column.faces.dimension):
            if name in kinds:
                raise DeclarationError(
                    f"The name '{name}' is used as {kinds[name]} and by the column "
                    f"'{column.name}'.",
                    where,
                    "Give one of the two another name",
                )
            kinds[name] = "part of a column"
    kinds = {name: kind for name, kind in kinds.items() if name not in _dimensions(ude)}
    for what, expression in _expressions(ude):
        require_finite(expression, f"{what} of {where}")
        for a in sorted(expression.free_symbols, key=str):
            atom = str(a)
            if atom in kinds and a != symbol(atom):
                raise DeclarationError(
                    f"The symbol '{atom}' was made elsewhere.",
                    f"{what} of {where}",
                    "Use the symbol that the declaration returns",
                )
            if atom not in kinds:
                raise DeclarationError(
                    f"The name '{atom}' is not declared ({nearest(atom, kinds)}).",
                    f"{what} of {where}",
                    f"Declare '{atom}', or correct the spelling",
                )
    states = {s.name for s in ude.states}
    if not states:
        raise DeclarationError("The model has no state.", where, "Declare one with m.state(...)")
    for name in sorted(states ^ set(ude.derivatives)):
        what = "has no derivative" if name in states else "has a derivative but is not a state"
        raise DeclarationError(
            f"'{name}' {what}.", where, "Give every state one m.derivative(state, expression)"
        )
    parameters = {p.name for p in ude.parameters}
    for state in ude.states:
        if isinstance(state.initial, str) and state.initial not in parameters:
            raise DeclarationError(
                f"The initial value of '{state.name}' is '{state.initial}', not a parameter "
                f"({nearest(state.initial, parameters)}).",
                where,
            )


def _dimensions(ude: UDE) -> set[str]:
    """Names of dimensions, which equations cannot use."""
    return {place.dimension for c in ude.columns for place in (c.cells, c.faces)}


def _expressions(ude: UDE) -> list[tuple[str, sympy.Expr]]:
    found = [(f"the equation of '{f.name}'", f.expression) for f in ude.fluxes]
    found += [(f"the equation of '{u.name}'", u.residual) for u in ude.unknowns]
    for event in ude.events:
        found += [(f"the condition of '{event.name}'", event.when)]
        found += [(f"the amount of '{event.name}'", event.amount)]
    for network in ude.networks:
        found += [(f"an input of network '{network.name}'", i.expression) for i in network.inputs]
        if network.conceptual is not None:
            found.append((f"the conceptual equation of '{network.name}'", network.conceptual))
    return found + [(f"the derivative of '{s}'", e) for s, e in ude.derivatives.items()]


def symbols_in_equations(ude: UDE) -> frozenset[str]:
    """Names in the equations that are solved (conceptual counterparts of networks left out)."""
    solved = [f.expression for f in ude.fluxes if f.name not in ude.dormant]
    solved += ude.derivatives.values()
    solved += [i.expression for n in ude.networks for i in n.inputs]
    solved += [u.residual for u in ude.unknowns]
    solved += [e for event in ude.events for e in (event.when, event.amount)]
    return frozenset(str(s) for e in solved for s in e.free_symbols)


def dormant_fluxes(ude: UDE) -> frozenset[str]:
    """Fluxes that are used, but only by conceptual equations that networks have replaced."""
    users: dict[str, set[str]] = {t.name: set() for t in (*ude.fluxes, *ude.networks)}

    def note(expression: sympy.Expr, user: str) -> None:
        for name in map(str, expression.free_symbols):
            if name in users:
                users[name].add(user)

    for flux in ude.fluxes:
        note(flux.expression, flux.name)
    solved = [u.residual for u in ude.unknowns]
    solved += [e for event in ude.events for e in (event.when, event.amount)]
    for expression in (*ude.derivatives.values(), *solved):
        note(expression, "solved")
    for network in ude.networks:
        for i in network.inputs:
            note(i.expression, network.name)
        if network.conceptual is not None:
            note(network.conceptual, "replaced")
    dormant = {"replaced"}
    while found := {n for n, by in users.items() if by and by <= dormant} - dormant:
        dormant |= found
    for network in ude.networks:
        if network.name in dormant:
            raise DeclarationError(
                f"The network '{network.name}' only serves an equation that another network has "
                "replaced.",
                f"model '{ude.name}'",
                "Learn one of the two",
            )
    return frozenset(dormant - {"replaced"})


def completed(ude: UDE, network: Network) -> Network:
    """Fill in the scale of a network's empty-store gate: 1 % of the store's input range."""
    if network.zero_when_empty is None or network.empty_scale is not None:
        return network
    if network.zero_when_empty not in {s.name for s in ude.states}:
        known = [s.name for s in ude.states]
        raise DeclarationError(
            f"The network '{network.name}' vanishes with '{network.zero_when_empty}', which is not"
            f" a state ({nearest(network.zero_when_empty, known)}).",
            f"model '{ude.name}'",
        )
    ranges = {str(i.expression): i.high - i.low for i in network.inputs}
    if network.zero_when_empty not in ranges:
        raise DeclarationError(
            f"The network '{network.name}' vanishes with '{network.zero_when_empty}', whose typical"
            " range is not known.",
            f"model '{ude.name}'",
            "Make the state an input of the network, or give empty_scale",
        )
    return dataclasses.replace(network, empty_scale=0.01 * ranges[network.zero_when_empty])


def check_terms(ude: UDE) -> None:
    """Check numbers and options of parameters, states and networks, and the order of fluxes."""
    for p in ude.parameters:
        where = f"parameter '{p.name}' of model '{ude.name}'"
        low, high = p.bounds
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise DeclarationError(f"The bounds ({low}, {high}) are not a finite range.", where)
        if not low <= p.default <= high:
            raise DeclarationError(
                f"The default {p.default} is outside the bounds ({low}, {high}).", where
            )
        if p.log and low <= 0:
            raise DeclarationError(
                f"A logarithmic search needs positive bounds, not ({low}, {high}).", where
            )
    for network in ude.networks:
        _check_network(network, f"network '{network.name}' of model '{ude.name}'")
    for unknown in ude.unknowns:
        _check_unknown(unknown, f"unknown '{unknown.name}' of model '{ude.name}'")
    _ = ude.order
    _check_events(ude)


def _check_events(ude: UDE) -> None:
    """Refuse uses of an event other than in sums, where what it moves would have no meaning."""
    sudden = {e.name for e in ude.events}
    if not sudden:
        return
    fluxes = {f.name: f.expression for f in ude.fluxes}
    uses = [(f"the derivative of '{s}'", e) for s, e in ude.derivatives.items()]
    for name in ude.order:
        if name in fluxes and sudden & {str(s) for s in fluxes[name].free_symbols}:
            sudden.add(name)
            uses.append((f"the equation of '{name}'", fluxes[name]))
    for what, expression in uses:
        for name in sorted(sudden & {str(s) for s in expression.free_symbols}):
            if sudden & {str(s) for s in expression.diff(symbol(name)).free_symbols}:
                raise DeclarationError(
                    f"The event '{name}' is not added to, but enters '{expression}' otherwise.",
                    f"{what} of model '{ude.name}'",
                    "Use it in sums, with factors that do not depend on events",
                )
    allowed = {what for what, _ in uses}
    for what, expression in _expressions(ude):
        for name in sorted(sudden & {str(s) for s in expression.free_symbols}):
            if what not in allowed:
                raise DeclarationError(
                    f"The event '{name}' cannot be used here: it is no more than a moment long.",
                    f"{what} of model '{ude.name}'",
                    "Use events in derivatives and fluxes only",
                )


def _check_unknown(unknown: Unknown, where: str) -> None:
    low, high = unknown.bounds
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise DeclarationError(f"The bounds ({low}, {high}) are not a finite range.", where)
    if not low <= unknown.guess <= high:
        raise DeclarationError(
            f"The search begins at {unknown.guess}, outside the bounds ({low}, {high}).", where
        )


def _check_network(network: Network, where: str) -> None:
    if not network.inputs:
        raise DeclarationError("The network has no inputs.", where)
    for i in network.inputs:
        if not (math.isfinite(i.low) and math.isfinite(i.high) and i.low < i.high):
            raise DeclarationError(
                f"The range ({i.low}, {i.high}) of input '{i.expression}' is not a finite range.",
                where,
            )
        if i.monotone not in (-1, 0, 1):
            raise DeclarationError(
                f"The monotone effect of '{i.expression}' is {i.monotone}.", where, "Use +1 or -1"
            )
    if network.activation not in ACTIVATIONS:
        raise DeclarationError(
            f"The activation '{network.activation}' is not known "
            f"({nearest(network.activation, ACTIVATIONS)}).",
            where,
        )
    if network.is_monotone and network.activation == "silu":
        raise DeclarationError(
            "A monotone network cannot have the activation 'silu'.", where, "Use tanh or softplus"
        )
    if not all(isinstance(h, int) and h > 0 for h in network.hidden):
        raise DeclarationError(f"The hidden layers {network.hidden} are not widths.", where)
    if network.positive not in (False, True, "softplus", "exp"):
        raise DeclarationError(f"positive={network.positive!r} is not known.", where)
    if network.bounds is not None and (network.positive or network.bounds[0] >= network.bounds[1]):
        raise DeclarationError(
            f"bounds={network.bounds} must be (low, high), and not be combined with positive.",
            where,
        )
    if not (math.isfinite(network.scale) and network.scale > 0):
        raise DeclarationError(f"The scale {network.scale} is not a positive number.", where)


def check_units(ude: UDE) -> None:
    """Check the unit of every equation against the declared one."""
    declared = ude.units
    if units.parse(ude.time_unit).dimensionality != units.parse("d").dimensionality:
        raise UnitError(f"The time unit '{ude.time_unit}' is no time.", f"model '{ude.name}'")
    for name, unit in declared.items():
        try:
            units.parse(unit)
        except UnitError as error:
            raise UnitError(error.what, f"'{name}' of model '{ude.name}'", error.fix) from error
    for column in ude.columns:
        if units.parse(column.unit).dimensionality != units.parse("m").dimensionality:
            raise UnitError(
                f"The unit '{column.unit}' of the column '{column.name}' is no length.",
                f"model '{ude.name}'",
            )
    for flux in ude.fluxes:
        require_unit(flux.expression, flux.unit, declared, f"the equation of '{flux.name}'")
    for network in ude.networks:
        for i in network.inputs:
            unit_of(i.expression, declared, f"an input of network '{network.name}'")
        if network.conceptual is not None:
            where = f"the conceptual equation of '{network.name}'"
            require_unit(network.conceptual, network.unit, declared, where)
    for event in ude.events:
        unit_of(event.when, declared, f"the condition of '{event.name}'")
        amount = str(units.parse(event.unit) * units.parse(ude.time_unit))
        require_unit(event.amount, amount, declared, f"the amount of '{event.name}'")
    for unknown in ude.unknowns:
        unit_of(unknown.residual, declared, f"the equation of '{unknown.name}'")
    state_units = {s.name: s.unit for s in ude.states}
    for name, expression in ude.derivatives.items():
        rate = str(units.parse(state_units[name]) / units.parse(ude.time_unit))
        require_unit(expression, rate, declared, f"the derivative of '{name}'")
    for state in ude.states:
        if isinstance(state.initial, str):
            unit = next(p.unit for p in ude.parameters if p.name == state.initial)
            if units.parse(unit) != units.parse(state.unit):
                raise UnitError(
                    f"The initial value '{state.initial}' is in '{unit}', the state "
                    f"'{state.name}' in '{state.unit}'.",
                    f"model '{ude.name}'",
                )
