"""Sparse search over sums of products of nonlinear forms, with fitted constants.

The idea is that of sparse identification of dynamics (Brunton et al. 2016,
doi:10.1073/pnas.1517384113): few terms out of a large library. There the library is fixed, and only
its coefficients are fitted, which a thresholded linear regression does well (the package pysindy).
The laws of hydrology have their constants inside (a half-saturation storage, an e-folding depth, a
threshold temperature), and a library fixed beforehand holds none of them. Here every column of the
library has constants of its own, with units: columns on a grid are screened by matrix products, and
the best structures are polished by nonlinear least squares. All sums of two products are screened
too; longer ones are grown one product at a time from the best (forward selection with a beam, as
in orthogonal matching pursuit: Pati et al. 1993, doi:10.1109/ACSSC.1993.342465).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hybridwater.discovery.forms import Visited
from hybridwater.discovery.physics import Physics
from hybridwater.discovery.polishing import Target, polish
from hybridwater.discovery.screening import Start, on_grid, screen, screen_pairs, tabulate
from hybridwater.discovery.structures import Candidate, Product, Structure

#: Samples that screening looks at; the grid is coarse anyway.
_SCREENED = 300


@dataclass(frozen=True)
class Effort:
    """How much is searched.

    Parameters
    ----------
    singles : int
        Products that are polished by themselves.
    pairs : int
        Sums of two products that are polished, of each size.
    beam : int
        Sums that further products are added to.
    added : int
        Further products that are tried with each.
    terms : int
        Most products in a sum.
    """

    singles: int = 50
    pairs: int = 6
    beam: int = 5
    added: int = 8
    terms: int = 2


@dataclass(frozen=True)
class Library:
    """What the search may use.

    Parameters
    ----------
    visited : tuple of Visited
        One per input.
    columns : tuple of int
        Inputs that vary; the others are left out.
    physics : Physics
        What the term must respect.
    vanishing : frozenset of int
        Inputs that are zero when the store of the gate is empty.
    gate : bool
        Whether the term has such a gate.
    natural : frozenset
        Powers of inputs, as ``((column, power), ...)``, that have the unit of the term.
    """

    visited: tuple[Visited, ...]
    columns: tuple[int, ...]
    physics: Physics
    vanishing: frozenset[int]
    gate: bool
    natural: frozenset[tuple[tuple[int, int], ...]]

    @property
    def positive(self) -> bool:
        """Whether amplitudes must be positive."""
        network = self.physics.network
        return bool(network.positive) or (network.bounds is not None and network.bounds[0] >= 0)

    def gated(self, products: Iterable[Product]) -> bool:
        """Say whether a sum of products needs the gate, because it does not vanish by itself."""
        return self.gate and not all(
            any(f.column in self.vanishing and f.form.from_zero for f in p) for p in products
        )

    def is_natural(self, product: Product) -> bool:
        """Say whether a product has the unit of the term without an amplitude."""
        powers = tuple((f.column, f.form.power) for f in product if f.form.power)
        return bool(product) and powers in self.natural


def search(target: Target, library: Library, effort: Effort) -> tuple[list[Candidate], int]:
    """Find candidates.

    Parameters
    ----------
    target : Target
        What to explain.
    library : Library
        What to explain it with.
    effort : Effort
        How much to search.

    Returns
    -------
    candidates : list of Candidate
        All that respect the physics, in the order in which they were found.
    broken : int
        How many did not.
    """
    step = max(1, len(target.y) // _SCREENED)
    some = target.part(np.arange(0, len(target.y), step))
    tables = [tabulate(c, some.x[:, c], library.visited[c]) for c in library.columns]
    root = np.sqrt(some.weight)
    kept: list[Candidate] = []
    broken = 0

    def error(candidate: Candidate) -> float:
        return float(target.weight @ target.errors(candidate, library.visited))

    def consider(structures: Iterable[tuple[Structure, Sequence[float]]]) -> list[Candidate]:
        """Polish structures; return those that respect the physics, the best first."""
        nonlocal broken
        found = []
        for structure, start in structures:
            candidate = polish(structure, start, target, library.visited, positive=library.positive)
            if candidate is None:
                continue
            if library.physics.broken(candidate):
                broken += 1
                continue
            found.append(candidate)
        kept.extend(found)
        return sorted(found, key=error)

    def best(basis: np.ndarray, count: int) -> list[Start]:
        """Screen products beside the columns that an equation has already."""
        return screen(tables, some.y, root, basis, positive=library.positive, keep=count)

    count = len(some.y)
    structures: list[tuple[Structure, Sequence[float]]] = [
        (Structure(((),), library.gated([()])), ())
    ]
    singles = best(np.zeros((count, 0)), effort.singles)
    for s in singles:
        gated = library.gated([s.product])
        structures.append((Structure((s.product,), gated), s.inner))
        if library.is_natural(s.product):
            structures.append((Structure((s.product,), gated, plain=True), s.inner))
    level = consider(structures)
    if effort.terms > 1:
        constant = Start((), (), 0.0, root)
        beside = best(np.ones((count, 1)), effort.singles)
        wide = [s for s in (*singles, *beside) if len(s.product) > 1]
        pool = [constant, *on_grid(tables, root), *wide]
        pairs = screen_pairs(pool, some.y, root, positive=library.positive, keep=effort.pairs)
        sums = [(Structure((a.product, b.product)), (*a.inner, *b.inner)) for a, b in pairs]
        level = consider(
            (dataclasses.replace(s, gated=library.gated(s.products)), inner) for s, inner in sums
        )
    seen = {frozenset(c.structure.products) for c in level}
    for _ in range(2, effort.terms):
        grown = []
        for parent in _beam(level, effort.beam):
            products = parent.structure.products
            columns = parent.structure.columns(some.x, library.visited, parent.inner)
            for s in best(columns, effort.added):
                together = (*products, s.product)
                if s.product in products or frozenset(together) in seen:
                    continue
                seen.add(frozenset(together))
                structure = Structure(together, library.gated(together))
                grown.append((structure, (*parent.inner, *s.inner)))
        level = consider(grown)
        if not level:
            break
    return kept, broken


def _beam(level: list[Candidate], count: int) -> list[Candidate]:
    """Take what no smaller equation beats, then the next best; ``level`` has the best first."""
    free = [c for c in level if not c.structure.plain]
    smallest, front = np.inf, []
    for candidate in free:
        size = candidate.structure.size
        if size < smallest:
            front.append(candidate)
            smallest = size
    return [*front, *(c for c in free if c not in front)][:count]
