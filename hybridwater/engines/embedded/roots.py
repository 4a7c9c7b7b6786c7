"""Unknowns that equations define: safeguarded Newton within bounds, for all lanes at once.

Derivatives are those of the implicit function theorem: at the solution z of r(z, x) = 0 the slopes
are dz/dx = -(dr/dz)^-1 dr/dx. Iterations are never differentiated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

Array = jax.Array
Residuals = Callable[[list[Array]], list[Array]]

MAX_ITERATIONS = 128


def roots(
    residuals: Residuals,
    bounds: Sequence[tuple[float, float]],
    guesses: Sequence[float],
    like: Array,
) -> list[Array]:
    """Find the values at which residuals are zero.

    Parameters
    ----------
    residuals : callable
        From one array of the shape ``lanes`` per unknown to as many residuals; lanes are
        independent of each other. It may depend on arrays that are differentiated.
    bounds, guesses : sequence
        Per unknown: the range that is never left, and where the search begins.
    like : jax.Array
        An array of the shape ``lanes``.

    Returns
    -------
    list of jax.Array
        The solution; NaN in lanes where none was found within the bounds: the residual of a single
        unknown has the same sign at both bounds, or Newton's method did not converge.
    """
    starts = [jnp.full_like(like, guess) for guess in guesses]
    search = _bracketed if len(starts) == 1 else _damped
    return jax.lax.custom_root(residuals, starts, lambda f, z: search(f, z, bounds), _solve_linear)


def _solve_linear(push: Callable[[list[Array]], list[Array]], right: list[Array]) -> list[Array]:
    """Solve ``push(x) = right`` for a linear map that keeps lanes apart."""
    matrix = _columns(push, right)
    if len(right) == 1:
        return [right[0] / matrix[0][0]]
    stacked = jnp.stack([jnp.stack(row, -1) for row in matrix], -2)
    return _unstacked(jnp.linalg.solve(stacked, jnp.stack(right, -1)[..., None])[..., 0])


def _columns(push: Callable[[list[Array]], list[Array]], like: list[Array]) -> list[list[Array]]:
    """Return the matrix of a linear map, ``[row][column]``."""
    unit = [[jnp.full_like(a, float(i == j)) for i, a in enumerate(like)] for j in range(len(like))]
    return [list(row) for row in zip(*(push(column) for column in unit), strict=True)]


def _unstacked(stacked: Array) -> list[Array]:
    return list(jnp.moveaxis(stacked, -1, 0))


def _small(step: Array, z: Array, width: Array | float) -> Array:
    """Whether a Newton step is so small that the error after it is rounding."""
    eps = float(jnp.finfo(z.dtype).eps)
    return jnp.abs(step) <= jnp.maximum(eps ** (2 / 3) * jnp.abs(z), 64 * eps * width)


def _bracketed(
    f: Residuals, start: list[Array], bounds: Sequence[tuple[float, float]]
) -> list[Array]:
    """Newton's method for one equation, with bisection where it leaves the bracket or is slow.

    Press et al. (2007), Numerical Recipes, sect. 9.4 (``rtsafe``).
    """
    (low, high), z = bounds[0], start[0]
    eps = float(jnp.finfo(z.dtype).eps)
    least = eps ** (1 / 3) * (high - low)
    lo, hi = jnp.full_like(z, low), jnp.full_like(z, high)
    at_low, at_high = jnp.sign(f([lo])[0]), jnp.sign(f([hi])[0])
    found = ~(at_low * at_high <= 0)  # nothing to look for; also where a residual is NaN

    def body(carry: tuple) -> tuple:
        z, lo, hi, last, found, count = carry
        (r,), push = jax.linearize(f, [z])
        (slope,) = push([jnp.ones_like(z)])
        beyond = jnp.sign(r) == at_low
        lo, hi = jnp.where(beyond, z, lo), jnp.where(beyond, hi, z)
        newton = z - r / slope
        good = (newton >= lo) & (newton <= hi) & (2 * jnp.abs(newton - z) <= last)
        good &= jnp.isfinite(slope)
        new = jnp.where(r == 0, z, jnp.where(good, newton, (lo + hi) / 2))
        step = jnp.abs(new - z)
        closed = hi - lo <= 4 * eps * jnp.maximum(jnp.abs(new), least)
        done = (r == 0) | closed | (good & _small(step, z, high - low))
        keep = lambda old, value: jnp.where(found, old, value)  # noqa: E731
        return keep(z, new), lo, hi, keep(last, step), found | done, count + 1

    carry = (z, lo, hi, hi - lo, found, 0)
    z, *_, found, _ = jax.lax.while_loop(_searching, body, carry)
    return [jnp.where(found & (at_low * at_high <= 0), z, jnp.nan)]


def _searching(carry: tuple) -> Array:
    *_, found, count = carry
    return ~jnp.all(found) & (count < MAX_ITERATIONS)


def _damped(f: Residuals, start: list[Array], bounds: Sequence[tuple[float, float]]) -> list[Array]:
    """Newton's method for several equations, damped so that the next correction is smaller.

    Deuflhard (2004), Newton Methods for Nonlinear Problems, sect. 3.3 (natural monotonicity test),
    with every trial brought back to the bounds.
    """
    dtype = start[0].dtype
    low, high = (jnp.array(side, dtype) for side in zip(*bounds, strict=True))
    smallest = math.sqrt(float(jnp.finfo(dtype).eps))

    def corrections(z: Array) -> tuple[Array, Array]:
        """Return residual and slopes at z, lanes first."""
        r, push = jax.linearize(f, _unstacked(z))
        matrix = jnp.stack([jnp.stack(row, -1) for row in _columns(push, r)], -2)
        return jnp.stack(r, -1), matrix

    def size(step: Array) -> Array:
        return jnp.max(jnp.abs(step / (high - low)), -1)

    def solve(matrix: Array, right: Array) -> Array:
        return jnp.linalg.solve(matrix, right[..., None])[..., 0]

    def body(carry: tuple) -> tuple:
        z, step, matrix, damping, solved, found, count = carry
        trial = jnp.clip(z + damping[..., None] * step, low, high)
        r, slopes = corrections(trial)
        better = size(solve(matrix, -r)) <= (1 - damping / 4) * size(step)
        next_step = solve(slopes, -r)
        better &= jnp.all(jnp.isfinite(next_step), -1)
        done = better & jnp.all(_small(next_step, trial, high - low), -1)
        last = trial + jnp.where(done[..., None], next_step, 0.0)
        inside = jnp.all((last >= low) & (last <= high), -1)
        take = (better & ~found)[..., None]
        z = jnp.where(take, last, z)
        step = jnp.where(take, next_step, step)
        matrix = jnp.where(take[..., None], slopes, matrix)
        damping = jnp.where(better, jnp.minimum(1.0, 2 * damping), damping / 2)
        stuck = damping < smallest  # where a step is rounding, none is better
        solved |= take[..., 0] & done & inside | stuck & (size(step) <= smallest ** (4 / 3))
        found = found | solved | stuck
        return z, step, matrix, damping, solved, found, count + 1

    z = jnp.clip(jnp.stack(start, -1), low, high)
    r, matrix = corrections(z)
    step = solve(matrix, -r)
    nothing = jnp.isnan(size(step))
    carry = (z, step, matrix, jnp.ones_like(start[0]), jnp.zeros_like(nothing), nothing, 0)
    z, _, _, _, solved, _, _ = jax.lax.while_loop(_searching, body, carry)
    return [jnp.where(solved, part, jnp.nan) for part in _unstacked(z)]
