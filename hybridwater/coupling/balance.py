"""The balance of one coupling step: what components and exchanges booked, compared.

It is made of plain numbers, a few dozen per step, on which lists are quicker than arrays.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
        Component and flux of each column; those of a component follow one another.
    """

    def __init__(
        self, components: Sequence[str], links: Sequence[Link], fluxes: Sequence[tuple[str, str]]
    ) -> None:
        self.components, self.links, self.fluxes = list(components), list(links), list(fluxes)
        place = {flux: i for i, flux in enumerate(fluxes)}
        counts = [sum(owner == name for owner, _ in fluxes) for name in components]
        ends = list(itertools.accumulate(counts))
        self.spans = [(end - n, end) for end, n in zip(ends, counts, strict=True)]
        sources = [place.get((k.source.name, k.given.name), -1) for k in links]
        targets = [place.get((k.target.name, k.taken.name), -1) for k in links]
        self.ends = list(zip(sources, targets, strict=True))
        # What an exchange gave is compared on its own, or with others that share one flux.
        own = [(flux, "" if k.partial else k.label) for flux, k in zip(sources, links, strict=True)]
        self.giving = _groups(own, sources)
        self.taking = _groups(targets, targets)


def _groups(keys: Sequence[object], fluxes: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Return each flux that is booked, with the exchanges that it is compared to."""
    found: dict[object, tuple[int, list[int]]] = {}
    for i, (key, flux) in enumerate(zip(keys, fluxes, strict=True)):
        if flux >= 0:
            found.setdefault(key, (flux, []))[1].append(i)
    return list(found.values())


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
    stored, transit : tuple of list of float
        Water in each component and exchange, before and after [kg].
    """

    def __init__(
        self,
        plan: Plan,
        sheet: Sheet,
        stored: tuple[list[float], list[float]],
        transit: tuple[list[float], list[float]],
    ) -> None:
        self.plan, self.sheet, self.stored, self.transit = plan, sheet, stored, transit
        flux, moved = sheet.flux, sheet.moved
        own = [flux[first:last] for first, last in plan.spans]
        self.change = [after - before for before, after in zip(*stored, strict=True)]
        self.crossed = [sum(fluxes) for fluxes in own]
        self.inflow = [sum([f for f in fluxes if f > 0.0]) for fluxes in own]
        self.made = [c - x for c, x in zip(self.change, self.crossed, strict=True)]
        self._handled = [
            abs(before) + abs(after) + sum(moved[first:last])
            for before, after, (first, last) in zip(*stored, plan.spans, strict=True)
        ]
        self.lost = [
            given - unmapped - delivered - (after - before)
            for given, unmapped, delivered, before, after in zip(
                sheet.given, sheet.unmapped, sheet.delivered, *transit, strict=True
            )
        ]

    def row(self) -> list[float]:
        """Return the row of the ledger, in the order of its columns."""
        sheet, given, delivered = self.sheet, 0.0, 0.0
        carried = [g - u for g, u in zip(sheet.given, sheet.unmapped, strict=True)]
        for (source, target), left, came in zip(
            self.plan.ends, carried, sheet.delivered, strict=True
        ):
            given += left if source >= 0 else 0.0
            delivered += came if target >= 0 else 0.0
        external = sum(self.crossed) + given - delivered
        unobserved = sum(carried) - given - (sum(sheet.delivered) - delivered)
        return [
            *self.stored[1],
            *self.change,
            *self.inflow,
            *(i - x for i, x in zip(self.inflow, self.crossed, strict=True)),
            *self.made,
            *sheet.given,
            *sheet.unmapped,
            *self.transit[1],
            *sheet.delivered,
            *sheet.clipping,
            *self.lost,
            external,
            unobserved,
            sum(self.made) - sum(self.lost),
            *sheet.flux,
        ]

    def faults(self, tolerance: float) -> list[str]:
        """Say in sentences where water is missing; usually nowhere.

        Parameters
        ----------
        tolerance : float
            Relative to the water in store and moved.
        """
        sizes = self._sizes()
        # Written so that a number that is not finite is a fault, too.
        made = [
            i
            for i, (gap, size) in enumerate(zip(self.made, self._handled, strict=True))
            if not abs(gap) <= tolerance * size
        ]
        lost = [
            i
            for i, (gap, size, *way) in enumerate(zip(self.lost, sizes, *self.transit, strict=True))
            if not abs(gap) <= tolerance * (size + abs(way[0]) + abs(way[1]))
        ]
        gave = self._differing(self.plan.giving, self.sheet.given, sizes, -1.0, tolerance)
        got = self._differing(self.plan.taking, self.sheet.delivered, sizes, 1.0, tolerance)
        if not (made or lost or gave or got):
            return []
        return [*self._of_components(made), *self._of_exchanges(lost, gave, got)]

    def _sizes(self) -> list[float]:
        """Return how much water each exchange handled, whatever its sign."""
        sheet = self.sheet
        moved = [*sheet.moved, 0.0]  # the last one for ends that keep no books
        return [
            gross + abs(given) + abs(delivered) + moved[source] + moved[target]
            for gross, given, delivered, (source, target) in zip(
                sheet.gross, sheet.given, sheet.delivered, self.plan.ends, strict=True
            )
        ]

    def _differing(
        self,
        groups: list[tuple[int, list[int]]],
        amounts: list[float],
        sizes: list[float],
        sign: float,
        tolerance: float,
    ) -> dict[int, float]:
        """Return exchanges whose amount is not what their end booked, and the amount together."""
        flux, found = self.sheet.flux, {}
        for end, links in groups:
            together = sum([amounts[i] for i in links])
            gap = abs(together - sign * flux[end])
            for i in links:
                if not gap <= 2 * tolerance * sizes[i]:
                    found[i] = together
        return found

    def _of_components(self, wrong: list[int]) -> Iterable[str]:
        for i in wrong:
            yield (
                f"The component '{self.plan.components[i]}' lost or made {self.made[i]:.6g} kg: "
                f"its storage changed by {self.change[i]:.6g} kg, but {self.crossed[i]:.6g} kg "
                "crossed its boundary."
            )

    def _of_exchanges(
        self, lost: list[int], gave: dict[int, float], got: dict[int, float]
    ) -> Iterable[str]:
        plan, flux = self.plan, self.sheet.flux
        for i, (link, (source, target)) in enumerate(zip(plan.links, plan.ends, strict=True)):
            if i in lost:
                yield (
                    f"The exchange '{link.label}' lost or made {self.lost[i]:.6g} kg: "
                    f"{self.sheet.given[i]:.6g} kg were given and {self.sheet.delivered[i]:.6g} "
                    "kg delivered."
                )
            if i in gave:
                yield _differs(link, "given", gave[i], plan.fluxes[source], -flux[source])
            if i in got:
                yield _differs(link, "delivered", got[i], plan.fluxes[target], flux[target])


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
