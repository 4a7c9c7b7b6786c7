"""Linear systems of implicit steps: ``(I - g J) k = r`` with the Jacobian J of the derivatives.

Few states are written out. The cells of columns know their neighbours only: their Jacobian comes
from a few directional derivatives, one per colour (see :mod:`hybridwater.ude.sparsity`), and
the system is tridiagonal in most cases, once the states are put in the order of their
neighbourhood (Cuthill and McKee, 1969, doi:10.1145/800195.805928).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee

from hybridwater.engines.embedded.equations import join, split
from hybridwater.ude.program import Program
from hybridwater.ude.sparsity import Sparsity, sparsity

Array = jax.Array
#: Directional derivative along states: of derivatives, of outputs.
Push = Callable[[list[Array]], tuple[list[Array], list[Array]]]
Map = Callable[[list[Array]], list[Array]]


class Linear(Protocol):
    """Makes the two linear maps of an implicit step."""

    def __call__(self, push: Push, states: list[Array], g: Array | float) -> tuple[Map, Map]:
        """Return ``r -> k``, and ``k ->`` its product with the rows of the outputs' Jacobian."""
        ...


def linear_of(program: Program) -> Linear:
    """Return how the linear systems of a model are solved."""
    return Columns(program) if program.places else written_out


def written_out(push: Push, states: list[Array], g: Array | float) -> tuple[Map, Map]:
    """Solve with all numbers of the matrix as arrays of their own: for few states."""
    n = len(states)
    zero = [jnp.zeros_like(s) for s in states]
    columns = [
        push([jnp.ones_like(s) if j == i else zero[i] for i, s in enumerate(states)])
        for j in range(n)
    ]
    matrix = [[-g * columns[j][0][i] for j in range(n)] for i in range(n)]
    for i in range(n):
        matrix[i][i] = 1.0 + matrix[i][i]

    def through(k: list[Array]) -> list[Array]:
        return [
            functools.reduce(jnp.add, (columns[j][1][o] * k[j] for j in range(n)))
            for o in range(len(columns[0][1]))
        ]

    return _factorised(matrix), through


def _factorised(matrix: list[list[Array]]) -> Callable[[list[Array]], list[Array]]:
    """LU without pivoting, written out: the matrices I - h gamma J are small."""
    n = len(matrix)
    lu = [list(row) for row in matrix]
    for k in range(n):
        for i in range(k + 1, n):
            lu[i][k] = lu[i][k] / lu[k][k]
            for j in range(k + 1, n):
                lu[i][j] = lu[i][j] - lu[i][k] * lu[k][j]

    def solve(right: list[Array]) -> list[Array]:
        x = list(right)
        for i in range(n):
            for j in range(i):
                x[i] = x[i] - lu[i][j] * x[j]
        for i in reversed(range(n)):
            for j in range(i + 1, n):
                x[i] = x[i] - lu[i][j] * x[j]
            x[i] = x[i] / lu[i][i]
        return x

    return solve


class Columns:
    """Solves the systems of models with columns.

    Parameters
    ----------
    program : Program
        The lowered model.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.sparsity = sparsity(program, ())
        self.order = neighbourhood(self.sparsity)

    def __call__(self, push: Push, states: list[Array], g: Array | float) -> tuple[Map, Map]:
        """Return both maps; see :class:`Linear`."""
        names = self.program.states
        lanes = states[0].shape[names[0] in self.program.places :]
        like = jnp.zeros((self.program.n_states, *lanes), states[0].dtype)
        seeds = self.sparsity.seeds().reshape(-1, self.program.n_states, *(1,) * len(lanes))
        seeds = jnp.broadcast_to(jnp.asarray(seeds, like.dtype), (len(seeds), *like.shape))

        def along(direction: Array) -> Array:
            return join(push(split(self.program, names, direction))[0], like)

        slopes = jax.vmap(along)(seeds)
        n, colours = self.program.n_states, self.sparsity.colours
        if self.order is None:
            rows, columns = self.sparsity.rows, self.sparsity.columns
            entries = slopes[colours[columns], rows]
            matrix = jnp.zeros((n, n, *lanes), like.dtype).at[rows, columns].add(-g * entries)
            matrix = jnp.moveaxis(matrix, (0, 1), (-2, -1)) + jnp.eye(n, dtype=like.dtype)
            factors = jax.scipy.linalg.lu_factor(matrix)
            solve_flat = functools.partial(jax.scipy.linalg.lu_solve, factors)
            return self._maps(push, like, lambda r: _last(solve_flat, r))
        order, back = self.order, np.argsort(self.order)
        known = set(zip(self.sparsity.rows, self.sparsity.columns, strict=True))

        def diagonal(k: int) -> Array:
            """Return the k-th diagonal of J in order, with zeros where it leaves the matrix."""
            at = np.arange(n) + k
            inside = (at >= 0) & (at < n)
            columns = order[np.clip(at, 0, n - 1)]
            inside &= np.array([pair in known for pair in zip(order, columns, strict=True)])
            values = jnp.moveaxis(slopes[colours[columns], order], 0, -1)
            return jnp.where(inside, values, 0.0)

        lower, main, upper = (diagonal(k) for k in (-1, 0, 1))
        g_ = jnp.moveaxis(jnp.broadcast_to(g, (1, *lanes)), 0, -1)
        bands = (-g_ * lower, 1.0 - g_ * main, -g_ * upper)

        def solve(r: Array) -> Array:
            right = jnp.moveaxis(r[order], 0, -1)[..., None]
            found = jax.lax.linalg.tridiagonal_solve(*bands, right)[..., 0]
            return jnp.moveaxis(found, -1, 0)[back]

        return self._maps(push, like, solve)

    def _maps(self, push: Push, like: Array, solve: Callable[[Array], Array]) -> tuple[Map, Map]:
        def blocks(r: list[Array]) -> list[Array]:
            return split(self.program, self.program.states, solve(join(r, like)))

        return blocks, lambda k: push(k)[1]


def _last(solve: Callable[[Array], Array], r: Array) -> Array:
    """Solve with the states in the last axis but one."""
    return jnp.moveaxis(solve(jnp.moveaxis(r, 0, -1)[..., None])[..., 0], -1, 0)


def neighbourhood(pattern: Sparsity) -> np.ndarray | None:
    """Return an order of the states in which their Jacobian is tridiagonal, if there is one."""
    n = pattern.shape[1]
    rows, columns = pattern.square()
    entries = np.ones(len(rows))
    matrix = sparse.csr_matrix((entries, (rows, columns)), shape=(n, n))
    order = reverse_cuthill_mckee(sparse.csr_matrix(matrix + matrix.T), symmetric_mode=True)
    place = np.argsort(order)
    return order if np.all(np.abs(place[rows] - place[columns]) <= 1) else None
