"""Exchanges that components could have, found from names, units and cells.

A machine can see that two variables measure the same thing; whether they should be exchanged is for
a person to say. What is certain is proposed, what is not is listed with its reasons.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hybridwater.components.base import Component, Variable
from hybridwater.coupling.quantities import is_water, linear_conversion, measure
from hybridwater.errors import UnitError
from hybridwater.meshes import Mesh

#: From this score on a candidate is proposed, if it is the only one and nothing else decides.
CERTAIN = 0.4

# From this score on the names are the same, and other inputs can no longer have the output.
_NAMED = 0.9

# Words that say nothing about what is meant, and those of water that leaves one thing for another.
_EMPTY = frozenset({"water", "flux", "rate", "volume", "transport", "amount", "of", "in", "the"})
_LEAVING = frozenset(
    {"runoff", "outflow", "discharge", "release", "drainage", "recharge", "seepage"}
)
_ARRIVING = frozenset({"inflow", "recharge", "lateral", "runon"})


class Side(NamedTuple):
    """One end of a candidate: component and variable."""

    component: str
    variable: Variable

    def __str__(self) -> str:
        return f"{self.component}.{self.variable.name}"


@dataclass(frozen=True)
class Candidate:
    """One exchange that there could be.

    Parameters
    ----------
    source, target : Side
        Its ends.
    remap : str or None
        ``"identity"`` or ``"conservative"``; None where a map has to be given.
    score : float
        How well the names fit, from 0 to 1.
    reasons : tuple of str
        Why, in words.
    """

    source: Side
    target: Side
    remap: str | None
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Proposal:
    """What one input could get.

    Parameters
    ----------
    target : Side
        The input.
    candidates : tuple of Candidate
        Best first.
    certain : bool
        Whether the first of them needs no decision.
    """

    target: Side
    candidates: tuple[Candidate, ...]
    certain: bool


def propose(components: Mapping[str, Component]) -> list[Proposal]:
    """Propose exchanges between components.

    Parameters
    ----------
    components : mapping of str to Component
        Initialized, by name.

    Returns
    -------
    list of Proposal
        One for each input, in the order of the components; those without candidates included.
    """
    sides = [Side(name, v) for name, c in components.items() for v in c.variables]
    found = []
    for target in (s for s in sides if s.variable.is_input):
        candidates = [
            candidate
            for source in sides
            if source.variable.is_output and source.component != target.component
            and (candidate := _candidate(source, target, components)) is not None
        ]  # fmt: skip
        found.append((target, sorted(candidates, key=lambda c: -c.score)))
    taken = {str(c[0].source): c[0] for _, c in found if c and c[0].score >= _NAMED}
    proposals = []
    for target, candidates in found:
        left = [c for c in candidates if taken.get(str(c.source), c) is c]
        proposals.append(Proposal(target, tuple(left), _is_certain(target, left)))
    return proposals


def _is_certain(target: Side, candidates: list[Candidate]) -> bool:
    if not candidates or candidates[0].score < CERTAIN or candidates[0].remap is None:
        return False
    best = candidates[0]
    tie = len(candidates) > 1 and candidates[1].score > best.score - 0.05
    if best.score >= _NAMED:
        return not tie
    return len(candidates) == 1 and target.variable.default is None


def _candidate(source: Side, target: Side, components: Mapping[str, Component]) -> Candidate | None:
    given, taken = source.variable, target.variable
    if given.kind != taken.kind:
        return None
    score, why = _names_fit(given, taken)
    if not score:
        return None
    try:
        linear_conversion(given, taken, "")
    except UnitError:
        return None
    remap, cells = _remap(components[source.component], given, components[target.component], taken)
    units = f"{given.units} to {taken.units}" if given.units != taken.units else given.units
    return Candidate(source, target, remap, score, (why, units, cells))


def _names_fit(given: Variable, taken: Variable) -> tuple[float, str]:
    if given.name == taken.name:
        return 1.0, "same name"
    if given.standard_name is not None and given.standard_name == taken.standard_name:
        return _NAMED, "same standard name"
    one, other = _words(given), _words(taken)
    shared = one & other
    if shared:
        return 0.8 * len(shared) / len(one | other), f"both are about {' '.join(sorted(shared))}"
    if is_water(given, taken, None) and one & _LEAVING and other & _ARRIVING:
        return CERTAIN, "water that leaves, and water that comes in"
    return 0.0, ""


def _words(variable: Variable) -> set[str]:
    names = f"{variable.name}_{variable.standard_name or ''}".casefold()
    return set(re.findall(r"[a-z]+", names.replace("_", " "))) - _EMPTY


def _remap(
    source: Component, given: Variable, target: Component, taken: Variable
) -> tuple[str | None, str]:
    """Say how values could get from cells to cells."""
    n, m = (
        c.get_var_nbytes(v.name) // c.get_var_itemsize(v.name)
        for c, v in ((source, given), (target, taken))
    )
    one, other = source.mesh(given.grid), target.mesh(taken.grid)
    if isinstance(one, Mesh) and isinstance(other, Mesh):
        if n == m and np.allclose(one.areas, other.areas, rtol=1e-9):
            return "identity", "the same cells"
        if "columns" not in (one.geometry, other.geometry) and one.geometry == other.geometry:
            return "conservative", f"{n} to {m} cells by overlap"
        return None, f"{n} to {m} cells, whose map is not known"
    per_area = measure(given.units).per_area, measure(taken.units).per_area
    if n == m and (not any(per_area) or one is not None or other is not None):
        return "identity", f"{n} cells each"
    return None, f"{n} to {m} cells, whose map is not known"
