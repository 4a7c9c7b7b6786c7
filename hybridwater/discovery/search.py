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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hybridwater.discovery.drafting import Draft, operations
from hybridwater.discovery.equations import Writer
from hybridwater.discovery.polishing import Target, polish
from hybridwater.discovery.problem import Problem
from hybridwater.discovery.screening import Start, on_grid, screen, screen_pairs, tabulate
from hybridwater.discovery.structures import Candidate, Product, Structure
from hybridwater.ude.terms import Equation

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
class SparseSearch:
    """The search for sums of products, for one term.

    Parameters
    ----------
    problem : Problem
        What is searched for.
    effort : Effort
        How much is searched.
    """

    problem: Problem
    effort: Effort

    @property
    def writer(self) -> Writer:
        """Who writes its equations."""
        return Writer(self.problem.place, self.problem.visited)

    def write(self, candidate: Candidate, *, gated: bool = True) -> Equation:
        """Return the equation of a candidate."""
        return self.writer.write(candidate, gated=gated)

    def describe(self, candidate: Candidate) -> str:
        """Name the forms, for example ``capped(soil) proportional(pet)``."""
        return candidate.structure.describe(self.problem.texts)

    def refit(self, candidate: Candidate, target: Target) -> Candidate | None:
        """Fit the constants of a candidate to other samples."""
        return self._polish(candidate.structure, candidate.inner, target)

    def search(self, target: Target) -> tuple[list[Candidate], int]:
        """Find candidates.

        Parameters
        ----------
        target : Target
            What to explain.

        Returns
        -------
        candidates : list of Candidate
            All that respect the physics, in the order in which they were found.
        broken : int
            How many did not.
        """
        return _Run(self, target).search()

    def _polish(
        self, structure: Structure, start: Sequence[float] | np.ndarray, target: Target
    ) -> Candidate | None:
        problem = self.problem
        return polish(structure, start, target, problem.visited, positive=problem.positive)

    def short(self, structure: Structure) -> bool:
        """Say whether an equation has few enough operations."""
        count = sum(map(self._operations, structure.products)) + len(structure.products) - 1
        if structure.gated:
            count += self._of_gate
        return count - structure.plain <= self.problem.max_operations

    def _operations(self, product: Product) -> int:
        """Count the operations of a product with its amplitude."""
        if product not in self._counted:
            structure = Structure((product,))
            ones = Candidate(structure, np.ones(len(structure.kinds)), np.ones(1))
            self._counted[product] = operations(self.write(ones, gated=False))
        return self._counted[product]

    @cached_property
    def _counted(self) -> dict[Product, int]:
        return {}

    @cached_property
    def _of_gate(self) -> int:
        """The operations of a gate, and of the multiplication by it."""
        gate = Draft(self.problem.place).gate()
        return operations(Equation(gate)) + 1

    def gated(self, products: Iterable[Product]) -> bool:
        """Say whether a sum of products needs the gate, because it does not vanish by itself."""
        vanishing = self.problem.vanishing
        return self.problem.gate and not all(
            any(f.column in vanishing and f.form.from_zero for f in p) for p in products
        )

    def natural(self, product: Product) -> bool:
        """Say whether a product has the unit of the term without an amplitude."""
        powers = tuple((f.column, f.form.power) for f in product if f.form.power)
        return bool(product) and powers in self.problem.natural


class _Run:
    """One search: what it screens, and what it has found."""

    def __init__(self, method: SparseSearch, target: Target) -> None:
        self.method, self.target, self.effort = method, target, method.effort
        self.visited = method.problem.visited
        self.positive = method.problem.positive
        self.some = target.part(np.arange(0, len(target.y), max(1, len(target.y) // _SCREENED)))
        self.root = np.sqrt(self.some.weight)
        self.tables = [
            tabulate(c, self.some.x[:, c], self.visited[c]) for c in method.problem.columns
        ]
        self.kept: list[Candidate] = []
        self.broken = 0

    def search(self) -> tuple[list[Candidate], int]:
        ones = np.ones((len(self.root), 1))
        singles = self.best(ones[:, :0], self.effort.singles)
        level = self.consider(self.starts(singles))
        if self.effort.terms > 1:
            level = self.consider(self.pairs(singles, self.best(ones, self.effort.singles)))
        seen = {frozenset(c.structure.products) for c in level}
        for _ in range(2, self.effort.terms):
            level = self.consider(self.grown(level, seen))
            if not level:
                break
        return self.kept, self.broken

    def best(self, basis: np.ndarray, count: int) -> list[Start]:
        """Screen products beside the columns that an equation has already."""
        return screen(
            self.tables, self.some.y, self.root, basis, positive=self.positive, keep=count
        )

    def consider(self, structures: Iterable[tuple[Structure, Sequence[float]]]) -> list[Candidate]:
        """Polish structures; return those that respect the physics, the best first."""
        found = []
        for structure, start in structures:
            if not self.method.short(structure):
                continue
            candidate = self.method._polish(structure, start, self.target)
            if candidate is None:
                continue
            if self.method.problem.physics.broken(candidate):
                self.broken += 1
                continue
            found.append(candidate)
        self.kept.extend(found)
        return sorted(found, key=lambda c: self.target.error(c, self.visited))

    def starts(self, singles: Sequence[Start]) -> Iterator[tuple[Structure, Sequence[float]]]:
        """Propose a constant, and the best products by themselves."""
        yield Structure(((),), self.method.gated([()])), ()
        for s in singles:
            gated = self.method.gated([s.product])
            yield Structure((s.product,), gated), s.inner
            if self.method.natural(s.product):
                yield Structure((s.product,), gated, plain=True), s.inner

    def pairs(
        self, singles: Sequence[Start], beside: Sequence[Start]
    ) -> Iterator[tuple[Structure, Sequence[float]]]:
        """Propose the best sums of two products."""
        constant = Start((), (), 0.0, self.root)
        wide = [s for s in (*singles, *beside) if len(s.product) > 1]
        pool = [constant, *on_grid(self.tables, self.root), *wide]

        def structure(a: Start, b: Start) -> Structure:
            together = (a.product, b.product)
            return Structure(together, self.method.gated(together))

        for a, b in screen_pairs(
            pool,
            self.some.y,
            self.root,
            positive=self.positive,
            keep=self.effort.pairs,
            allowed=lambda a, b: self.method.short(structure(a, b)),
        ):
            yield structure(a, b), (*a.inner, *b.inner)

    def grown(
        self, level: list[Candidate], seen: set[frozenset[Product]]
    ) -> Iterator[tuple[Structure, Sequence[float]]]:
        """Propose the best sums with one product more."""
        for parent in _beam(level, self.effort.beam):
            products = parent.structure.products
            columns = parent.structure.columns(self.some.x, self.visited, parent.inner)
            for s in self.best(columns, self.effort.added):
                together = (*products, s.product)
                if s.product in products or frozenset(together) in seen:
                    continue
                seen.add(frozenset(together))
                structure = Structure(together, self.method.gated(together))
                yield structure, (*parent.inner, *s.inner)


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
