"""The balance of coupling steps: what components and exchanges booked, compared.

A step books a few dozen numbers. They are compared for some steps at once, every step for itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater.coupling.books import after, guess

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from hybridwater.coupling.link import Link


# What a row holds [kg]: what is booked in the step, and water in store and on its way at its end.
# Of fluxes, "moved" are Euclidean norms over cells, and "gross" is what an exchange took without
# its sign: sizes, where what is added up cancels.
_PARTS = (
    "flux",
    "moved",
    "given",
    "unmapped",
    "added",
    "delivered",
    "clipping",
    "gross",
    "stored",
    "transit",
)


class Plan:
    """Where in a row each number is, and at which fluxes exchanges begin and end.

    Parameters
    ----------
    components : sequence of str
        Those that keep books.
    links : sequence of Link
        Exchanges of water.
    fluxes : sequence of (str, str)
        Component and flux of each column; those of a component follow one another, and each
        component has some.

    Attributes
    ----------
    begin : dict of str to int
        Where in a row the numbers of each kind begin.
    """

    def __init__(
        self, components: Sequence[str], links: Sequence[Link], fluxes: Sequence[tuple[str, str]]
    ) -> None:
        self.components, self.links, self.fluxes = list(components), list(links), list(fluxes)
        owners = [name for name, _ in fluxes]
        self.first = np.array([owners.index(name) for name in components], int)
        place = {flux: i for i, flux in enumerate(fluxes)}
        nothing = len(fluxes)  # a column that is always zero
        sources = [(k.source.name, k.given.name) for k in links]
        targets = [(k.target.name, k.taken.name) for k in links]
        self.source = np.array([place.get(end, nothing) for end in sources], int)
        self.target = np.array([place.get(end, nothing) for end in targets], int)
        self.from_books, self.into_books = self.source < nothing, self.target < nothing
        # What an exchange gave is compared on its own, or with others that share one flux.
        own = [(*end, "" if k.partial else k.label) for end, k in zip(sources, links, strict=True)]
        self.given_together = _together(own)
        self.taken_together = _together(targets)
        n, m = len(fluxes), len(links)
        widths = (n, n, m, m, m, m, m, m, len(components), m)
        ends = list(itertools.accumulate(widths))
        self.begin = dict(zip(_PARTS, (0, *ends), strict=False))
        self._booked = self.begin["stored"]
        self._splits = ends[:-1]

    def blank(self) -> list[Any]:
        """Return the numbers that are booked in a step, before anything is."""
        return [0.0] * self._booked

    def split(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return what rows hold, each of shape (..., step, number)."""
        return np.split(rows, self._splits, axis=-1)


def _together(keys: Sequence[tuple[str, ...]]) -> csr_array:
    """Return the matrix that adds up what has the same key, shape (key, key)."""
    from scipy.sparse import csr_array

    rank = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    n = len(keys)
    member = csr_array(
        (np.ones(n), (np.arange(n), [rank[key] for key in keys])), shape=(n, len(rank))
    )
    return csr_array(member @ member.T)


def _added_up(amounts: np.ndarray, together: csr_array) -> np.ndarray:
    """Add up what has the same key, shape (..., key)."""
    rows = amounts.reshape(math.prod(amounts.shape[:-1]), amounts.shape[-1])
    return (rows @ together).reshape(amounts.shape)


class Balance:
    """What was booked in some coupling steps, compared.

    Parameters
    ----------
    plan : Plan
        What belongs to what.
    rows : numpy.ndarray
        Numbers of each step of each run, shape (copy, step, number).
    stored, transit : numpy.ndarray
        Water in each component and exchange before the first step [kg], shape (copy, number).
    """

    def __init__(
        self, plan: Plan, rows: np.ndarray, stored: np.ndarray, transit: np.ndarray
    ) -> None:
        self.plan = plan
        parts = plan.split(rows)
        self.flux, moved, self.given, self.unmapped, self.added, self.delivered = parts[:6]
        self.clipping, gross, self.stored, self.transit = parts[6:]
        before = after(stored, self.stored[:, :-1])
        self.change = self.stored - before
        self.crossed = self._of_component(self.flux)
        self.inflow = self._of_component(np.maximum(self.flux, 0.0))
        self.made = self.change - self.crossed
        self._handled = np.abs(before) + np.abs(self.stored) + self._of_component(moved)
        on_way = after(transit, self.transit[:, :-1])
        left = self.given - self.unmapped + self.added - self.delivered
        self.lost = left - (self.transit - on_way)
        self._on_way = np.abs(on_way) + np.abs(self.transit)
        nothing = np.zeros((*rows.shape[:-1], 1))
        flux, moved = (np.concatenate([x, nothing], axis=-1) for x in (self.flux, moved))
        self._size = gross + np.abs(self.given) + np.abs(self.delivered)
        self._size += moved[..., plan.source] + moved[..., plan.target]
        together = _added_up(self.given, plan.given_together) + flux[..., plan.source]
        self._gave = np.where(plan.from_books, together, 0.0)
        together = _added_up(self.delivered, plan.taken_together) - flux[..., plan.target]
        self._got = np.where(plan.into_books, together, 0.0)

    def _of_component(self, flux: np.ndarray) -> np.ndarray:
        """Add up the fluxes of each component, shape (copy, step, component)."""
        return np.add.reduceat(flux, self.plan.first, axis=-1) if len(self.plan.first) else flux

    def table(self) -> np.ndarray:
        """Return the rows of the ledger, shape (copy, step, column)."""
        plan, carried = self.plan, self.given - self.unmapped
        given = np.where(plan.from_books, carried, 0.0).sum(axis=-1)
        delivered = np.where(plan.into_books, self.delivered, 0.0).sum(axis=-1)
        external = self.crossed.sum(axis=-1) + given - delivered
        unobserved = carried.sum(axis=-1) - given - (self.delivered.sum(axis=-1) - delivered)
        unobserved += self.added.sum(axis=-1)
        residual = self.made.sum(axis=-1) - self.lost.sum(axis=-1)
        return np.concatenate(
            [
                self.stored,
                self.change,
                self.inflow,
                self.inflow - self.crossed,
                self.made,
                self.given,
                self.unmapped,
                self.added,
                self.transit,
                self.delivered,
                self.clipping,
                self.lost,
                np.stack([external, unobserved, residual], axis=-1),
                self.flux,
            ],
            axis=-1,
        )

    def faults(self, tolerance: float) -> Iterator[tuple[int, int, list[str]]]:
        """Say in sentences in which steps of which run water is missing; usually in none.

        Parameters
        ----------
        tolerance : float
            Relative to the water in store and moved.

        Yields
        ------
        copy, step : int
            From zero.
        sentences : list of str
        """
        ways = tolerance * self._size
        # Written so that a number that is not finite is a fault, too.
        wrong = (
            ~(np.abs(self.made) <= tolerance * self._handled),
            ~(np.abs(self.lost) <= ways + tolerance * self._on_way),
            ~(np.abs(self._gave) <= 2 * ways),
            ~(np.abs(self._got) <= 2 * ways),
        )
        steps = np.any([w.any(axis=-1) for w in wrong], axis=0)
        for copy, step in np.argwhere(steps).tolist():
            made, *others = (w[copy, step] for w in wrong)
            at = copy, step
            yield copy, step, [*self._components(at, made), *self._exchanges(at, *others)]

    def _components(self, at: tuple[int, int], wrong: np.ndarray) -> Iterable[str]:
        for i in np.flatnonzero(wrong):
            yield (
                f"The component '{self.plan.components[i]}' lost or made "
                f"{self.made[at][i]:.6g} kg: its storage changed by {self.change[at][i]:.6g} "
                f"kg, but {self.crossed[at][i]:.6g} kg crossed its boundary."
            )

    def _exchanges(
        self, at: tuple[int, int], lost: np.ndarray, gave: np.ndarray, got: np.ndarray
    ) -> Iterable[str]:
        plan, flux = self.plan, self.flux[at]
        for i, link in enumerate(plan.links):
            if lost[i]:
                yield (
                    f"The exchange '{link.label}' lost or made {self.lost[at][i]:.6g} kg: "
                    f"{self.given[at][i]:.6g} kg were given and {self.delivered[at][i]:.6g} "
                    "kg delivered."
                )
            if gave[i]:
                end = int(plan.source[i])
                booked, moved = -float(flux[end]), float(self._gave[at][i] - flux[end])
                yield _differs(link, "given", moved, plan.fluxes[end], booked)
            if got[i]:
                end = int(plan.target[i])
                booked, moved = float(flux[end]), float(self._got[at][i] + flux[end])
                yield _differs(link, "delivered", moved, plan.fluxes[end], booked)


def _differs(link: Link, what: str, moved: float, end: tuple[str, str], booked: float) -> str:
    component, flux = end
    if booked == 0.0:
        return (
            f"The exchange '{link.label}' has {moved:.6g} kg {what}, but the component "
            f"'{component}' does not book '{flux}' among its boundary fluxes: the water would be "
            "counted twice or lost."
        )
    return (
        f"The exchange '{link.label}' has {moved:.6g} kg {what}, but the component '{component}' "
        f"books {booked:.6g} kg of '{flux}'{guess(moved, booked)}."
    )
