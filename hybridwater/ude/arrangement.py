"""The order in which a model's quantities can be computed, and what has to be solved together."""

from __future__ import annotations

import graphlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy

from hybridwater.errors import DeclarationError

if TYPE_CHECKING:
    from hybridwater.ude.model import UDE


@dataclass(frozen=True)
class Block:
    """Unknowns that are solved together.

    Parameters
    ----------
    unknowns : tuple of str
        Their names.
    between : tuple of str
        Fluxes and networks that depend on them and that their equations need, in order.
    """

    unknowns: tuple[str, ...]
    between: tuple[str, ...]


@dataclass(frozen=True)
class Arrangement:
    """An order of all that is computed, and the blocks by their first unknown."""

    order: tuple[str, ...]
    blocks: dict[str, Block]


def arrange(ude: UDE) -> Arrangement:
    """Order quantities by what they need.

    Fluxes may depend on each other in a circle only through an unknown.

    Raises
    ------
    DeclarationError
        If fluxes define each other in a circle, or an unknown's equation does not contain it.
    """
    needs: dict[str, set[str]] = {event.name: set() for event in ude.events}
    for flux in ude.fluxes:
        needs[flux.name] = _names(flux.expression)
    for network in ude.networks:
        needs[network.name] = set().union(*(_names(i.expression) for i in network.inputs))
    for unknown in ude.unknowns:
        needs[unknown.name] = _names(unknown.residual)
    needs = {name: {n for n in needed if n in needs} for name, needed in needs.items()}
    unknowns = [u.name for u in ude.unknowns]
    reached = {name: _reached(name, needs) for name in needs} if unknowns else {}
    circles: dict[str, set[str]] = {}  # first unknown of each block to all that depends on itself
    first: dict[str, str] = {}  # unknown to the first of its block
    for name in unknowns:
        if name in first:
            continue
        circles[name] = {n for n in reached[name] if name in reached[n]}
        if name not in circles[name]:
            raise DeclarationError(
                f"The equation of the unknown '{name}' does not contain it.",
                f"model '{ude.name}'",
                f"Write an equation that depends on '{name}', or declare it as a flux",
            )
        first |= {n: name for n in unknowns if n in circles[name]}
    graph = {n: {first.get(m, m) for m in needs[n]} for n in needs if n not in first}
    for name, circle in circles.items():
        outside = set().union(*(needs[n] for n in circle)) - circle
        graph[name] = {first.get(m, m) for m in outside}
    order = _sorted(ude, graph)
    blocks = {
        name: Block(
            tuple(u for u in unknowns if first[u] == name),
            tuple(n for n in order if n in circle and n not in first),
        )
        for name, circle in circles.items()
    }
    expanded = (blocks[n].unknowns if n in blocks else (n,) for n in order)
    return Arrangement(tuple(n for names in expanded for n in names), blocks)


def _names(expression: sympy.Expr) -> set[str]:
    return {str(s) for s in expression.free_symbols}


def _reached(name: str, needs: dict[str, set[str]]) -> set[str]:
    """Return all that a quantity needs, directly or not."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = needs[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def _sorted(ude: UDE, graph: dict[str, set[str]]) -> tuple[str, ...]:
    ordered = {name: sorted(needed) for name, needed in graph.items()}
    try:
        return tuple(graphlib.TopologicalSorter(ordered).static_order())
    except graphlib.CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        raise DeclarationError(
            f"The fluxes define each other in a circle: {cycle}.",
            f"model '{ude.name}'",
            "Make one of them a state, or write it without the others",
        ) from None
