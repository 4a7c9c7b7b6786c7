"""Which state values each derivative can depend on: the pattern of a sparse Jacobian.

Found from the equations: a function of a column shifts rows of the pattern, arithmetic unites them.
States that no derivative or output shares are given one colour: their columns of the Jacobian do
not overlap, and one directional derivative gives all of them (Curtis, Powell and Reid, 1974,
doi:10.1093/imamat/13.1.117).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy
from scipy import sparse

from hybridwater.ude.columns import Place
from hybridwater.ude.functions import symbol
from hybridwater.ude.moves import Assign, Move
from hybridwater.ude.program import Perceptron, Program


@dataclass(frozen=True)
class Sparsity:
    """Pattern and colours.

    Parameters
    ----------
    rows, columns : numpy.ndarray
        Places of the Jacobian that are not always zero, column after column, counted from zero;
        rows are the values of derivatives, then those of outputs.
    colours : numpy.ndarray
        One per state value, from zero on.
    shape : tuple of int
        Numbers of rows and of columns.
    """

    rows: np.ndarray
    columns: np.ndarray
    colours: np.ndarray
    shape: tuple[int, int]

    @property
    def n_colours(self) -> int:
        """Number of directional derivatives that give the whole Jacobian."""
        return int(self.colours.max(initial=-1)) + 1

    def seeds(self) -> np.ndarray:
        """Return the direction of each colour, shape (n_colours, n_states)."""
        return (self.colours == np.arange(self.n_colours)[:, None]).astype(float)

    def square(self) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and columns of the part without outputs."""
        kept = self.rows < self.shape[1]
        return self.rows[kept], self.columns[kept]


def sparsity(program: Program, outputs: Sequence[str]) -> Sparsity:
    """Find pattern and colours of the derivatives and of ``outputs``."""
    reach: dict[str, sparse.csr_array] = {}
    n = program.n_states
    identity = sparse.eye_array(n, dtype=bool, format="csr")
    for name, where in zip(program.states, program.slices(program.states), strict=True):
        reach[name] = identity[where]

    def size(place: Place | None) -> int:
        return 1 if place is None else place.size

    def union(expressions: Sequence[sympy.Basic], place: Place | None) -> sparse.csr_array:
        found = sparse.csr_array((size(place), n), dtype=bool)
        for name in sorted({str(s) for e in expressions for s in e.free_symbols}):
            if name not in reach:
                continue
            rows = reach[name]
            if rows.shape[0] < found.shape[0]:
                rows = sparse.vstack([rows] * found.shape[0], format="csr")
            found = found + rows
        return found

    for step in program.steps:
        if isinstance(step, Assign):
            reach[step.name] = union([step.expression], step.place)
        elif isinstance(step, Move):
            first, *edges = step.operands
            whole = union([first], step.source)
            reach[step.name] = _moved(step, whole, [union([e], None) for e in edges])
        else:
            assert isinstance(step, Perceptron)  # a model with columns has no unknowns
            reach[step.name] = union(step.inputs, step.place)
    parts = [
        union([e], program.places.get(name))
        for name, e in zip(program.states, program.derivatives, strict=True)
    ]
    parts += [union([symbol(name)], program.places.get(name)) for name in outputs]
    whole = sparse.vstack(parts, format="csc")
    whole.sum_duplicates()
    columns = np.repeat(np.arange(n), np.diff(whole.indptr))
    order = np.lexsort((whole.indices, columns))
    return Sparsity(whole.indices[order], columns[order], _colours(whole), whole.shape)


def _moved(step: Move, whole: sparse.csr_array, edges: list[sparse.csr_array]) -> sparse.csr_array:
    match step.kind:
        case "above":
            parts = [*edges, whole] if edges else [whole[:-1]]
        case "below":
            parts = [whole, *edges] if edges else [whole[1:]]
        case "ends":
            parts = [edges[0], whole[1:-1], edges[1]]
        case "uppermost":
            parts = [whole[:1]]
        case "lowermost":
            parts = [whole[-1:]]
        case _:
            columns = np.unique(whole.indices)
            rows = np.zeros_like(columns)
            entries = (np.ones(columns.size, dtype=bool), (rows, columns))
            return sparse.csr_array(entries, shape=(1, whole.shape[1]))
    return sparse.vstack(parts, format="csr")


def _colours(whole: sparse.csc_array) -> np.ndarray:
    """Give columns that share no row the same colour, one after the other, the smallest free."""
    by_row = whole.tocsr()
    colours = np.full(whole.shape[1], -1)
    for column in range(whole.shape[1]):
        rows = whole.indices[whole.indptr[column] : whole.indptr[column + 1]]
        taken = {
            int(colours[other])
            for row in rows
            for other in by_row.indices[by_row.indptr[row] : by_row.indptr[row + 1]]
        }
        colours[column] = next(c for c in range(len(taken) + 1) if c not in taken)
    return colours
