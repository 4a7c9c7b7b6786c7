"""Putting another term in the place of one: text, expression, equation, network or function."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import sympy

from hybridwater.errors import DeclarationError, nearest
from hybridwater.ude.declaration import Declaration
from hybridwater.ude.functions import symbol
from hybridwater.ude.terms import Constant, Equation, Flux, Network, Parameter
from hybridwater.ude.text import parse_expression

if TYPE_CHECKING:
    from hybridwater.ude.model import UDE

#: What may take the place of a term.
Replacement = str | sympy.Expr | Equation | Network | Callable[[Declaration], sympy.Expr]


def replaced(
    ude: UDE,
    name: str,
    new: Replacement,
    parameters: tuple[Parameter, ...],
    constants: tuple[Constant, ...],
) -> UDE:
    """Return a model with another term; see :meth:`UDE.replace`."""
    terms = {t.name: t for t in (*ude.fluxes, *ude.networks)}
    if name not in terms:
        raise DeclarationError(
            f"The model '{ude.name}' has no flux or network '{name}' ({nearest(name, terms)})."
        )
    old = terms[name]
    fluxes = tuple(f for f in ude.fluxes if f.name != name)
    networks = tuple(n for n in ude.networks if n.name != name)
    if isinstance(new, Network):
        network = dataclasses.replace(new, name=name)
        return dataclasses.replace(ude, fluxes=fluxes, networks=(*networks, network))
    if callable(new) and not isinstance(new, sympy.Basic):
        declaration = Declaration.of(ude, without=name)
        value = new(declaration)
        if value != symbol(name):  # or the function has declared it under its name
            declaration.flux(name, value, old.unit, old.description)
        return declaration.build()
    if isinstance(new, Equation):
        parameters, constants = (*parameters, *new.parameters), (*constants, *new.constants)
        new = new.expression
    if isinstance(new, str):
        known = {*ude.units, *(t.name for t in (*parameters, *constants))}
        new = parse_expression(new, known, f"the equation of '{name}'")
    flux = Flux(name, old.unit, sympy.sympify(new), old.description)
    return dataclasses.replace(
        ude,
        fluxes=(*fluxes, flux),
        networks=networks,
        parameters=(*ude.parameters, *parameters),
        constants=(*ude.constants, *constants),
    )
