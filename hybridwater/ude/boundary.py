"""What crosses a model's boundary, found from its equations.

The derivatives of all storages are added up: what moves between two stores cancels. What is left
may still be written with fluxes inside the model (the parts of a discharge rather than the
discharge), so the definitions of the fluxes, each an equation ``flux - expression = 0``, are
added wherever that leaves fewer terms. The last sum in which every term is a name counts.
"""

from __future__ import annotations

from collections.abc import Iterable

import sympy

from hybridwater.ude.functions import symbol
from hybridwater.ude.terms import Flux

Terms = dict[sympy.Expr, sympy.Expr]


def boundary_terms(derivatives: Iterable[sympy.Expr], fluxes: Iterable[Flux]) -> Terms:
    """Return the terms of the summed derivatives: expression to its number in front.

    Parameters
    ----------
    derivatives : iterable of sympy.Expr
        Those of the storages.
    fluxes : iterable of Flux
        Definitions that may be used.
    """
    total = _terms(sum(derivatives))
    definitions = [_terms(symbol(f.name) - f.expression) for f in fluxes]
    named = total
    shorter: Terms | None = total
    while shorter is not None:
        total = shorter
        if _all_named(total) or not _all_named(named):
            named = total
        shorter = _shortened(total, definitions)
    return named


def _all_named(total: Terms) -> bool:
    return all(term.is_Symbol for term in total)


def _shortened(total: Terms, definitions: list[Terms]) -> Terms | None:
    """Return the shortest sum that one definition makes, one of names only if there is one."""
    trials = [
        _add(total, definition, -total[term] / definition[term])
        for definition in definitions
        for term in sorted(set(definition) & set(total), key=str)
    ]
    shorter = [trial for trial in trials if len(trial) < len(total)]
    return min(shorter, key=lambda trial: (not _all_named(trial), len(trial)), default=None)


def _terms(expression: sympy.Expr) -> Terms:
    parts = sympy.Add.make_args(sympy.expand_mul(expression))
    found: Terms = {}
    for coefficient, rest in (part.as_coeff_Mul() for part in parts):
        found[rest] = found.get(rest, sympy.Integer(0)) + coefficient
    return {rest: c for rest, c in found.items() if c != 0}


def _add(total: Terms, other: Terms, factor: sympy.Expr) -> Terms:
    result = dict(total)
    for rest, coefficient in other.items():
        result[rest] = result.get(rest, sympy.Integer(0)) + factor * coefficient
    return {rest: c for rest, c in result.items() if c != 0}
