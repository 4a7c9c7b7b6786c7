"""Forcing inside a record, as polynomial coefficients in the local time 0 .. 1."""

from __future__ import annotations

import jax
import jax.numpy as jnp

Array = jax.Array


def coefficients(forcing: Array, interpolation: str) -> Array:
    """Return polynomial coefficients of each record.

    Parameters
    ----------
    forcing : jax.Array
        Shape (batch, time, n_forcings).
    interpolation : str
        ``constant``; ``linear`` or ``pchip``: curves through the values, each taken to hold at
        the start of its record, the last one held to the end.

    Returns
    -------
    jax.Array
        Shape (time, order, n_forcings, batch): ``u(tau) = sum_k c[k] * tau**k``.
    """
    u = jnp.moveaxis(forcing, 0, -1)  # (time, n_forcings, batch)
    if interpolation == "constant":
        return u[:, None]
    following = jnp.concatenate([u[1:], u[-1:]])
    rise = following - u
    if interpolation == "linear":
        return jnp.stack([u, rise], axis=1)
    slope = _pchip_slopes(u)
    slope_next = jnp.concatenate([slope[1:], jnp.zeros_like(slope[-1:])])
    slope = slope.at[-1].set(0.0)
    return jnp.stack(
        [u, slope, 3 * rise - 2 * slope - slope_next, slope + slope_next - 2 * rise], axis=1
    )


def _pchip_slopes(u: Array) -> Array:
    """Slopes of the monotone cubic of Fritsch and Butland (1984), as scipy has them."""
    if u.shape[0] < 3:
        rise = u[1:] - u[:-1]
        return jnp.concatenate([rise, rise[-1:]]) if u.shape[0] == 2 else jnp.zeros_like(u)
    d = u[1:] - u[:-1]
    product = d[1:] * d[:-1]
    monotone = product > 0
    harmonic = 2.0 * product / jnp.where(monotone, d[1:] + d[:-1], 1.0)
    inner = jnp.where(monotone, harmonic, 0.0)
    return jnp.concatenate([_end_slope(d[0], d[1])[None], inner, _end_slope(d[-1], d[-2])[None]])


def _end_slope(d0: Array, d1: Array) -> Array:
    """One-sided three-point slope, limited (scipy's ``_edge_case``)."""
    slope = (3.0 * d0 - d1) / 2.0
    opposite = jnp.sign(slope) != jnp.sign(d0)
    steep = (jnp.sign(d0) != jnp.sign(d1)) & (jnp.abs(slope) > 3.0 * jnp.abs(d0))
    return jnp.where(opposite, 0.0, jnp.where(steep, 3.0 * d0, slope))


def at(coefs: Array, tau: Array | float) -> list[Array]:
    """Evaluate the polynomials of one record.

    Parameters
    ----------
    coefs : jax.Array
        Shape (order, n_forcings, ...).
    tau : float or jax.Array
        Local time, broadcast against the lanes.

    Returns
    -------
    list of jax.Array
        One array of shape ``lanes`` per forcing.
    """
    value = coefs[-1]
    for k in range(coefs.shape[0] - 2, -1, -1):
        value = value * tau + coefs[k]
    return list(value)
