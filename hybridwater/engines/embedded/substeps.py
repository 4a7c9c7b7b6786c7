"""One substep of the record-wise methods.

A substep advances the states and integrates the outputs with the same quadrature, so that
what leaves a store is what is reported to have left it, to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from hybridwater.engines.embedded.linear import Linear

Array = jax.Array
#: (states, local time) -> (derivatives, outputs)
RightHandSide = Callable[[list[Array], Array | float], tuple[list[Array], list[Array]]]


@dataclass(frozen=True)
class _Explicit:
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]


_TABLEAUX = {
    "euler": _Explicit(((),), (1.0,), (0.0,)),
    "heun": _Explicit(((), (1.0,)), (0.5, 0.5), (0.0, 1.0)),
    "rk4": _Explicit(
        ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)),
        (1 / 6, 1 / 3, 1 / 3, 1 / 6),
        (0.0, 0.5, 0.5, 1.0),
    ),
}


def substep(
    method: str,
    f: RightHandSide,
    states: list[Array],
    tau: Array | float,
    h: Array | float,
    width: Array | float,
    linear: Linear,
) -> tuple[list[Array], list[Array]]:
    """Advance by one substep.

    Parameters
    ----------
    method : str
        A record-wise method.
    f : callable
        Right-hand side of (states, local time).
    states : list of jax.Array
        One array of shape ``lanes`` per state, or (cells, *lanes).
    tau : float or jax.Array
        Local time (0 .. 1 within the record) at which the substep starts.
    h : float or jax.Array
        Length of the substep in the time unit of the model.
    width : float or jax.Array
        Length of the substep in local time.
    linear : callable
        How the linear systems of an implicit method are solved.

    Returns
    -------
    states : list of jax.Array
        After the substep.
    integrals : list of jax.Array
        Outputs integrated over the substep.
    """
    if method in _TABLEAUX:
        return _explicit(_TABLEAUX[method], f, states, tau, h, width)
    return _rosenbrock(method, f, states, tau, h, width, linear)


def _combine(
    start: Sequence[Array], h: Array | float, terms: Sequence[tuple[float, list[Array]]]
) -> list[Array]:
    """Add ``h`` times a combination of stages to each array."""
    used = [(c, k) for c, k in terms if c]
    return [s + h * sum(c * k[i] for c, k in used) if used else s for i, s in enumerate(start)]


def _explicit(
    tableau: _Explicit,
    f: RightHandSide,
    states: list[Array],
    tau: Array | float,
    h: Array | float,
    width: Array | float,
) -> tuple[list[Array], list[Array]]:
    slopes: list[list[Array]] = []
    rates: list[list[Array]] = []
    for row, c in zip(tableau.a, tableau.c, strict=True):
        at = _combine(states, h, list(zip(row, slopes, strict=False)))
        slope, rate = f(at, tau + c * width)
        slopes.append(slope)
        rates.append(rate)
    new = _combine(states, h, list(zip(tableau.b, slopes, strict=True)))
    zeros = [jnp.zeros_like(rate) for rate in rates[0]]
    return new, _combine(zeros, h, list(zip(tableau.b, rates, strict=True)))


def _rosenbrock(
    method: str,
    f: RightHandSide,
    states: list[Array],
    tau: Array | float,
    h: Array | float,
    width: Array | float,
    linear: Linear,
) -> tuple[list[Array], list[Array]]:
    """Linearly implicit steps: Euler, or ROS2 of Verwer et al. (1999, SIAM J. Sci. Comput. 20(4)).

    The outputs are carried as quadrature components of the same method; their Jacobian rows enter
    the stages, so that the linear invariant "storage change = in - out" holds to rounding.
    """
    gamma = 1.0 if method == "rosenbrock1" else 1.0 - 1.0 / math.sqrt(2.0)
    (slope, rate), push = jax.linearize(lambda s, t: f(s, t), states, jnp.asarray(tau) * 1.0)
    zero = [jnp.zeros_like(s) for s in states]
    no_time = jnp.zeros_like(jnp.asarray(tau) * 1.0)
    solve, through = linear(lambda v: push(v, no_time), states, h * gamma)
    slope_t, rate_t = push(zero, no_time + width)
    k1 = solve([s + gamma * t for s, t in zip(slope, slope_t, strict=True)])
    r1 = [r + gamma * (t + h * g) for r, t, g in zip(rate, rate_t, through(k1), strict=True)]
    if method == "rosenbrock1":
        return _combine(states, h, [(1.0, k1)]), [h * r for r in r1]
    slope2, rate2 = f(_combine(states, h, [(1.0, k1)]), tau + width)
    k2 = solve([s - 2.0 * k - gamma * t for s, k, t in zip(slope2, k1, slope_t, strict=True)])
    r2 = [
        r - 2.0 * q - gamma * (t - h * g)
        for r, q, t, g in zip(rate2, r1, rate_t, through(k2), strict=True)
    ]
    new = _combine(states, h, [(1.5, k1), (0.5, k2)])
    return new, [h * (1.5 * a + 0.5 * b) for a, b in zip(r1, r2, strict=True)]
