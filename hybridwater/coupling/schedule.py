"""Who steps after whom: cycles of exchanges, what is lagged in them, and the order of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import gcd

import numpy as np

from hybridwater.coupling.clock import seconds
from hybridwater.coupling.exchange import Exchange
from hybridwater.coupling.link import Link
from hybridwater.errors import CouplingError

# Denominators of the ratio of two steps that are looked for; beyond, steps never meet.
_LARGEST = 10_000


@dataclass(frozen=True)
class Group:
    """Components that depend on one another, or a single one.

    Parameters
    ----------
    members : tuple of str
        In the order in which they step.
    cut : tuple of Link
        Exchanges that close a cycle in it: iterated or lagged.
    """

    members: tuple[str, ...]
    cut: tuple[Link, ...]


def find_groups(names: Sequence[str], links: Sequence[Link]) -> list[Group]:
    """Find the cycles of exchanges and an order in which components can step.

    The groups are the strongly connected components of the graph of exchanges; those that were
    declared with a lag are no edges of it. Within a group the order of declaration counts, and
    exchanges that go against it are cut.

    Parameters
    ----------
    names : sequence of str
        Components in the order of declaration.
    links : sequence of Link
        Exchanges.

    Returns
    -------
    list of Group
        Sources before targets.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    index = {name: i for i, name in enumerate(names)}
    edges = [
        (index[link.source.name], index[link.target.name], link)
        for link in links
        if link.exchange.lag in (None, False)
    ]
    n = len(names)
    pairs = np.array([(a, b) for a, b, _ in edges], int).reshape(-1, 2)
    graph = csr_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    count, label = connected_components(graph, directed=True, connection="strong")
    members = {k: tuple(names[i] for i in range(n) if label[i] == k) for k in range(count)}
    cut = {
        k: tuple(link for a, b, link in edges if label[a] == label[b] == k and a >= b)
        for k in range(count)
    }
    needs = {k: {int(label[a]) for a, b, _ in edges if label[b] == k} - {k} for k in range(count)}
    first = {k: index[members[k][0]] for k in range(count)}
    order: list[int] = []
    while len(order) < count:  # the earliest declared of those whose sources have all stepped
        ready = [k for k in range(count) if k not in order and needs[k] <= set(order)]
        order.append(min(ready, key=first.__getitem__))
    return [Group(members[k], cut[k]) for k in order]


def common_multiple(steps: Sequence[float]) -> float | None:
    """Return the shortest time in which all steps fit a whole number of times, or None.

    Parameters
    ----------
    steps : sequence of float
        In seconds.
    """
    base = steps[0]
    ratios = [Fraction(step / base).limit_denominator(_LARGEST) for step in steps]
    if any(abs(float(r) * base - s) > 1e-12 * s for r, s in zip(ratios, steps, strict=True)):
        return None
    whole = reduce(_lcm, ratios)
    return float(whole) * base


def _lcm(a: Fraction, b: Fraction) -> Fraction:
    bottom = gcd(a.denominator, b.denominator)
    x, y = a.numerator, b.numerator
    return Fraction(x * y // gcd(x, y), bottom)


def lag_of(link: Link, group: Group | None, steps: dict[str, float]) -> float:
    """Return the lag of an exchange [s]: as declared, or the least that lets its cycle go on.

    Steps that fit into one another need the longest of them; others need their sum.

    Parameters
    ----------
    link : Link
        The exchange.
    group : Group or None
        The cycle that it was cut from, None if it was declared with a lag.
    steps : dict
        Step of each component [s].

    Raises
    ------
    CouplingError
        If the declared lag is not a duration above 0.
    """
    declared = link.exchange.lag
    if isinstance(declared, str):
        lag = seconds(declared, f"exchange '{link.label}', lag")
        if not lag > 0:
            raise CouplingError(f"The lag '{declared}' is not above 0.", f"exchange '{link.label}'")
        return lag
    ends = (link.source.name, link.target.name)
    round_trip = [steps[name] for name in (ends if group is None else group.members)]
    longest = max(round_trip)
    nested = all(abs(longest / s - round(longest / s)) < 1e-9 for s in round_trip)
    return longest if nested else sum(round_trip)


def refuse_two_writers(exchanges: Sequence[tuple[Exchange, str, str]]) -> None:
    """Refuse several exchanges that write one variable and do not all say that they add up.

    Parameters
    ----------
    exchanges : sequence of (Exchange, str, str)
        Each with the name of its target component and variable.

    Raises
    ------
    CouplingError
        If there are such.
    """
    writers: dict[tuple[str, str], list[Exchange]] = {}
    for exchange, component, variable in exchanges:
        writers.setdefault((component, variable), []).append(exchange)
    for (component, variable), found in writers.items():
        if len(found) > 1 and not all(e.additive for e in found):
            raise CouplingError(
                f"{len(found)} exchanges write '{component}.{variable}': "
                f"{', '.join(e.source for e in found)}.",
                f"component '{component}', variable '{variable}'",
                "Leave one, or say additive = true in each of them",
            )


def refuse_water_given_twice(links: Sequence[Link]) -> None:
    """Refuse exchanges that together take more of a source's water than there is.

    Raises
    ------
    CouplingError
        If there are such.
    """
    taken: dict[tuple[str, str], tuple[np.ndarray, list[Link]]] = {}
    for link in links:
        if link.water and not link.partial:
            key = (link.source.name, link.given.name)
            fraction = 1.0 if link.route.fraction is None else link.route.fraction
            total, found = taken.get(key, (np.zeros(()), []))
            taken[key] = (total + fraction, [*found, link])
    for (component, variable), (total, found) in taken.items():
        if (total > 1.0 + 1e-9).any():
            raise CouplingError(
                f"The water of '{component}.{variable}' is given away more than once: by "
                f"{', '.join(repr(link.label) for link in found)}.",
                f"component '{component}', variable '{variable}'",
                "Split it: share = ... in each exchange, with a sum of at most 1",
            )
