"""The balance of one coupling step: what components and exchanges booked, compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.coupling.books import guess

if TYPE_CHECKING:
    from hybridwater.coupling.link import Link


class Plan:
    """Which flux of which component each exchange begins and ends at.

    Parameters
    ----------
    components : sequence of str
        Those that keep books.
    links : sequence of Link
        Exchanges of water.
    fluxes : sequence of (str, str)
        Component and flux of each column.
    """

    def __init__(
        self, components: Sequence[str], links: Sequence[Link], fluxes: Sequence[tuple[str, str]]
    ) -> None:
        self.components, self.links, self.fluxes = list(components), list(links), list(fluxes)
        place = {flux: i for i, flux in enumerate(fluxes)}
        rank = {name: i for i, name in enumerate(components)}
        nothing = len(fluxes)  # a column that is always zero
        self.owner = np.array([rank[name] for name, _ in fluxes], int)
        ends = [(k.source.name, k.given.name) for k in links]
        self.source = np.array([place.get(end, nothing) for end in ends], int)
        # What an exchange gave is compared on its own, or with others that share one flux.
        keys = [(*end, "" if k.partial else k.label) for end, k in zip(ends, links, strict=True)]
        self.given_together = _groups(keys)
        ends = [(k.target.name, k.taken.name) for k in links]
        self.target = np.array([place.get(end, nothing) for end in ends], int)
        self.taken_together = _groups(ends)
        self.from_books = self.source < nothing
        self.into_books = self.target < nothing


def _groups(keys: Sequence[tuple[str, ...]]) -> np.ndarray:
    rank = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    return np.array([rank[key] for key in keys], int)


@dataclass
class Sheet:
    """What is booked in one coupling step [kg].

    ``moved`` are Euclidean norms over cells of the fluxes, and ``gross`` is what an exchange took
    without its sign: sizes, where what is added up cancels.
    """

    flux: list[float]
    moved: list[float]
    given: list[float]
    unmapped: list[float]
    delivered: list[float]
    clipping: list[float]
    gross: list[float]

    @classmethod
    def blank(cls, plan: Plan) -> Sheet:
        """Return an empty sheet."""
        n, m = len(plan.fluxes), len(plan.links)
        return cls([0.0] * n, [0.0] * n, *([0.0] * m for _ in range(5)))

    def copy(self) -> Sheet:
        """Return a copy."""
        return Sheet(*(list(values) for values in vars(self).values()))


class Balance:
    """A sheet, the stores and what is in transit, before and after a coupling step.

    Parameters
    ----------
    plan : Plan
        What belongs to what.
    sheet : Sheet
        Bookings.
    stored, transit : tuple of numpy.ndarray
        Water in each component and exchange, before and after [kg].
    """

    def __init__(
        self,
        plan: Plan,
        sheet: Sheet,
        stored: tuple[np.ndarray, np.ndarray],
        transit: tuple[np.ndarray, np.ndarray],
    ) -> None:
        self.plan, self.stored, self.transit = plan, stored, transit
        self.flux, self.given = np.array([*sheet.flux, 0.0]), np.array(sheet.given)
        self.unmapped, self.delivered = np.array(sheet.unmapped), np.array(sheet.delivered)
        self.clipping = np.array(sheet.clipping)
        moved, n = np.array([*sheet.moved, 0.0]), len(plan.components)
        own = self.flux[:-1]
        self.change = stored[1] - stored[0]
        self.crossed = np.bincount(plan.owner, own, n)
        self.inflow = np.bincount(plan.owner, np.maximum(own, 0.0), n)
        self.made = self.change - self.crossed
        self._handled = (
            np.abs(stored[0]) + np.abs(stored[1]) + np.bincount(plan.owner, moved[:-1], n)
        )
        self.lost = self.given - self.unmapped - self.delivered - (transit[1] - transit[0])
        self._size = np.array(sheet.gross) + np.abs(self.given) + np.abs(self.delivered)
        self._size += moved[plan.source] + moved[plan.target]
        self._on_way = np.abs(transit[0]) + np.abs(transit[1])
        together = np.bincount(plan.given_together, self.given)[plan.given_together]
        self._gave = np.where(plan.from_books, together + self.flux[plan.source], 0.0)
        together = np.bincount(plan.taken_together, self.delivered)[plan.taken_together]
        self._got = np.where(plan.into_books, together - self.flux[plan.target], 0.0)

    def row(self) -> np.ndarray:
        """Return the row of the ledger, in the order of its columns."""
        plan, carried = self.plan, self.given - self.unmapped
        given = float(carried[plan.from_books].sum())
        delivered = float(self.delivered[plan.into_books].sum())
        external = float(self.crossed.sum()) + given - delivered
        unobserved = float(carried.sum()) - given - (float(self.delivered.sum()) - delivered)
        system = [external, unobserved, float(self.made.sum() - self.lost.sum())]
        return np.concatenate(
            [
                self.stored[1],
                self.change,
                self.inflow,
                self.inflow - self.crossed,
                self.made,
                self.given,
                self.unmapped,
                self.transit[1],
                self.delivered,
                self.clipping,
                self.lost,
                system,
                self.flux[:-1],
            ]
        )

    def faults(self, tolerance: float) -> list[str]:
        """Say in sentences where water is missing; usually nowhere.

        Parameters
        ----------
        tolerance : float
            Relative to the water in store and moved.
        """
        ways = tolerance * self._size
        wrong = (
            np.abs(self.made) > tolerance * self._handled,
            np.abs(self.lost) > ways + tolerance * self._on_way,
            np.abs(self._gave) > 2 * ways,
            np.abs(self._got) > 2 * ways,
        )
        if not any(w.any() for w in wrong):
            return []
        return [*self._of_components(wrong[0]), *self._of_exchanges(*wrong[1:])]

    def _of_components(self, wrong: np.ndarray) -> Iterable[str]:
        for i in np.flatnonzero(wrong):
            yield (
                f"The component '{self.plan.components[i]}' lost or made {self.made[i]:.6g} kg: "
                f"its storage changed by {self.change[i]:.6g} kg, but {self.crossed[i]:.6g} kg "
                "crossed its boundary."
            )

    def _of_exchanges(self, lost: np.ndarray, gave: np.ndarray, got: np.ndarray) -> Iterable[str]:
        plan = self.plan
        for i, link in enumerate(plan.links):
            if lost[i]:
                yield (
                    f"The exchange '{link.label}' lost or made {self.lost[i]:.6g} kg: "
                    f"{self.given[i]:.6g} kg were given and {self.delivered[i]:.6g} kg delivered."
                )
            if gave[i]:
                end = int(plan.source[i])
                booked, moved = -float(self.flux[end]), float(self._gave[i] - self.flux[end])
                yield _differs(link, "given", moved, plan.fluxes[end], booked)
            if got[i]:
                end = int(plan.target[i])
                booked, moved = float(self.flux[end]), float(self._got[i] + self.flux[end])
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
