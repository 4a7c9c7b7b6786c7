"""Record-wise methods that end a step where a threshold is crossed, and begin anew there.

Within a piece of a substep all switches (see :mod:`hybridwater.ude.switching`) are held, so that
the equations are smooth. Where a threshold has changed its sign at the end of a piece, the piece is
shortened to the place of the first change. That place s solves g(u(s)) = 0, with u(s) the states
that the method itself reaches: it is not differentiated as it was found but as the implicit
function that it is, and so gradients hold across kinks and jumps (Donde and Hiskens 2006,
doi:10.1137/040615961).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from hybridwater.engines.base import MAX_CROSSINGS
from hybridwater.engines.embedded.equations import Equations, Layers, join
from hybridwater.engines.embedded.interpolation import at
from hybridwater.engines.embedded.linear import written_out
from hybridwater.engines.embedded.recordwise import Advance
from hybridwater.engines.embedded.substeps import substep

Array = jax.Array

_SEARCHES = 60
_NARROW = 1e-13


class Given(NamedTuple):
    """What a piece begins with, and what it depends on."""

    states: Array
    tau: Array
    coefs: Array
    parameters: Array
    layers: Layers


@dataclass(frozen=True)
class Switches:
    """Equations with switches and events, see :class:`hybridwater.ude.switching.Switched`.

    Their last forcings are ``count`` switches and the fluxes of ``events`` events. After
    ``outputs`` outputs come the thresholds, what events happen by, and the amounts of events.
    Events have a switch that is always off.
    """

    f: Equations
    outputs: int
    count: int
    events: int
    depth: int

    def run(
        self, given: Given, on: Array, states: list[Array], tau: Array, moved: Array | None = None
    ) -> tuple[list[Array], list[Array], list[Array]]:
        """Return derivatives, outputs, and thresholds with what events happen by and move."""
        moved = jnp.zeros_like(on[self.count :]) if moved is None else moved
        forcings = [*at(given.coefs, tau), *on[: self.count], *moved]
        slopes, out = self.f(states, forcings, list(given.parameters), given.layers)
        return slopes, out[: self.outputs], out[self.outputs :]

    def _levels(self, given: Given, on: Array, states: list[Array], tau: Array) -> Array:
        return jnp.stack(self.run(given, on, states, tau)[2][: self.count + self.events])

    def beyond(self, given: Given, on: Array, states: Array, tau: Array) -> Array:
        """Return how far thresholds are on the wrong side of their switches, where positive."""
        levels = self._levels(given, on, list(states), tau)
        return jnp.where(on > 0.5, -levels, levels)

    def set(self, given: Given) -> Array:
        """Return the switches as the thresholds are."""
        rows = self.count + self.events
        on = jnp.zeros((rows, *given.states.shape[1:]), given.states.dtype)
        for _ in range(self.depth):
            levels = self._levels(given, on, list(given.states), given.tau)
            on = on.at[: self.count].set((levels[: self.count] > 0).astype(on.dtype))
        return on

    def flipped(self, on: Array, first: Array) -> Array:
        """Change over where a threshold is the first that is crossed."""
        switch = jnp.arange(len(on)) < self.count
        return jnp.where(first & jnp.expand_dims(switch, range(1, on.ndim)), 1.0 - on, on)

    def move(self, given: Given, on: Array, first: Array) -> tuple[Array, Array]:
        """Return what events that happen now do to states and outputs."""
        states = list(given.states)
        slopes, out, levels = self.run(given, on, states, given.tau)
        amounts = jnp.stack(levels[self.count + self.events :])
        moved = jnp.where(first[self.count :], amounts, 0.0)
        after, more, _ = self.run(given, on, states, given.tau, moved)
        change = [a - b for a, b in zip(after, slopes, strict=True)]
        parts = [a - b for a, b in zip(more, out, strict=True)]
        return jnp.stack(change), join(parts, given.states)


#: States and outputs' integrals after a fraction s of a substep, from (given, switches, s).
Ahead = Callable[[Given, Array, Array], tuple[Array, Array]]


def located_map(
    switches: Switches, method: str, n: int, step: Array, instantaneous: bool
) -> Advance:
    """Return the map of one substep, as :func:`recordwise.substep_map` does, in pieces.

    States are NaN after more than :data:`MAX_CROSSINGS` crossings in one substep.
    """

    def ahead(given: Given, on: Array, s: Array) -> tuple[Array, Array]:
        def rhs(states: list[Array], tau: Array | float) -> tuple[list[Array], list[Array]]:
            return switches.run(given, on, states, jnp.asarray(tau))[:2]

        states, h = list(given.states), step / n * s
        new, parts = substep(method, rhs, states, given.tau, h, s / n, written_out)
        return jnp.stack(new), join(parts, given.states)

    def pace(given: Given, on: Array, s: Array, _: Array) -> tuple[Array, Array]:
        return jax.jvp(lambda s: ahead(given, on, s), (s,), (jnp.ones_like(s),))[1]

    run = pieces(switches, ahead, pace, n, 1.0)

    def advance(
        states: Array, tau: Array, coefs: Array, parameters: Array, layers: Layers
    ) -> tuple[Array, Array]:
        tau = jnp.broadcast_to(jnp.asarray(tau, states.dtype), states.shape[1:])
        begin = Given(states, tau, coefs, parameters, layers)
        new, parts, on = run(begin)
        if instantaneous:
            now = switches.run(begin, on, list(states), tau)[1]
            return new, join([(tau == 0.0) * value for value in now], states)
        return new, parts / step

    return advance


def pieces(
    switches: Switches,
    ahead: Ahead,
    pace: Callable[[Given, Array, Array, Array], tuple[Array, Array]],
    n: int,
    unit: Array | float,
) -> Callable[[Given], tuple[Array, Array, Array]]:
    """Return a function that goes through one substep in pieces.

    Parameters
    ----------
    switches : Switches
        The equations.
    ahead : callable
        One piece.
    pace : callable
        From (given, switches, s, states after s) to the derivative of ``ahead`` along s.
    n : int
        Substeps per record.
    unit : jax.Array or float
        What the amount of an event is divided by to be an integral like those of ``ahead``.

    Returns
    -------
    callable
        From what a substep begins with to states, integrals of outputs, switches at its start.
    """

    def piece(carry: tuple[Given, Array, Array], _: None) -> tuple[tuple, Array]:
        given, left, on = carry
        fixed, length = jax.lax.stop_gradient((given, left))

        def beyond(s: Array) -> Array:
            return switches.beyond(fixed, on, ahead(fixed, on, s)[0], fixed.tau + s / n)

        s, first = jax.lax.stop_gradient(_first_crossing(beyond, length))
        new, parts = ahead(given, on, s)
        states, tau = jax.lax.stop_gradient(new), fixed.tau + s / n
        slopes, rates = jax.lax.stop_gradient(pace(fixed, on, s, states))
        _, closing = jax.jvp(
            lambda u, t: switches.beyond(fixed, on, u, t),
            (states, tau),
            (slopes, jnp.full_like(tau, 1.0 / n)),
        )
        closing = jnp.where(first, jax.lax.stop_gradient(closing), 0.0).sum(0)
        level = jnp.where(first, switches.beyond(given, on, new, given.tau + s / n), 0.0).sum(0)
        # the place moves so that the level stays zero; without a crossing it is the end
        usable = (s > 0) & (closing != 0) & jnp.isfinite(closing)
        moved = -_tangent(level) / jnp.where(usable, closing, 1.0)
        moved = jnp.where(first.any(0), jnp.where(usable, moved, 0.0), _tangent(left))
        place = s + moved
        parts = parts + rates * moved
        given = given._replace(states=new + slopes * moved, tau=given.tau + place / n)
        if switches.events:
            change, amount = switches.move(given, on, first)
            parts = parts + amount / unit
            given = given._replace(states=given.states + change)
        return (given, left - place, switches.flipped(on, first)), parts

    def run(begin: Given) -> tuple[Array, Array, Array]:
        on = switches.set(jax.lax.stop_gradient(begin))
        carry = (begin, jnp.ones_like(begin.tau), on)
        (end, left, _), parts = jax.lax.scan(piece, carry, None, length=MAX_CROSSINGS + 1)
        return jnp.where(left <= _NARROW, end.states, jnp.nan), parts.sum(0), on

    return run


def _tangent(x: Array) -> Array:
    """Return zero with the derivative of x."""
    return x - jax.lax.stop_gradient(x)


def _first_crossing(beyond: Callable[[Array], Array], length: Array) -> tuple[Array, Array]:
    """Find where the first of the thresholds that are crossed at the end is crossed.

    Bisection and the Illinois method (Dowell and Jarratt 1971, doi:10.1007/BF01934364) in turn.

    Returns
    -------
    place : jax.Array
        Shape ``lanes``, to rounding; ``length`` where nothing is crossed.
    first : jax.Array
        Shape (n_switches, ``lanes``): whether the threshold is the first that is crossed.
    """
    at_end = beyond(length)
    crossed = ~(at_end <= 0) & (length > 0)

    def worst(values: Array) -> tuple[Array, Array]:
        """Return the largest of the values that count, and whose it is; not a number is beyond."""
        counted = jnp.where(crossed, jnp.where(jnp.isnan(values), jnp.inf, values), -jnp.inf)
        return counted.max(0), counted == counted.max(0)

    start, _ = worst(beyond(jnp.zeros_like(length)))
    lo, hi = jnp.zeros_like(length), jnp.where(start > 0, 0.0, length)
    end, _ = worst(at_end)

    def searching(carry: tuple) -> Array:
        lo, hi, *_, count = carry
        return jnp.any(crossed.any(0) & (hi - lo > _NARROW)) & (count < _SEARCHES)

    def body(carry: tuple) -> tuple:
        lo, hi, below, above, side, count = carry
        secant = hi - above * (hi - lo) / (above - below)
        good = jnp.isfinite(secant) & (secant > lo) & (secant < hi) & (count % 3 != 2)
        middle = jnp.where(good, secant, (lo + hi) / 2)
        value, _ = worst(beyond(middle))
        up = value > 0
        # the end that stays for the second time counts half
        below = jnp.where(up, jnp.where(side == 1, below / 2, below), value)
        above = jnp.where(up, value, jnp.where(side == -1, above / 2, above))
        lo, hi = jnp.where(up, lo, middle), jnp.where(up, middle, hi)
        return lo, hi, below, above, jnp.where(up, 1, -1), count + 1

    carry = (lo, hi, start, end, jnp.zeros(length.shape, int), 0)
    lo, hi, *_ = jax.lax.while_loop(searching, body, carry)
    any_crossed = crossed.any(0)
    place = jnp.where(any_crossed, hi, length)
    _, largest = worst(beyond(place))
    only = jnp.cumsum(largest, 0) == 1
    return place, largest & only & any_crossed
