"""Putting together what was declared: links between components, and the units that step."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from hybridwater.coupling import schedule
from hybridwater.coupling.clock import Participant
from hybridwater.coupling.demand import Allocation, Demand, DemandLink
from hybridwater.coupling.exchange import Exchange, find_end
from hybridwater.coupling.learned import LearnedLink, is_learned
from hybridwater.coupling.link import Link
from hybridwater.errors import CouplingError


def connect(
    participants: Mapping[str, Participant],
    exchanges: Sequence[Exchange],
    demands: Sequence[Demand],
) -> tuple[list[Link], list[Allocation]]:
    """Connect exchanges and demands to the components that they name.

    Parameters
    ----------
    participants : mapping of str to Participant
        Components by name.
    exchanges, demands : sequence
        What was declared.

    Returns
    -------
    links : list of Link
        Of exchanges, then of demands.
    allocations : list of Allocation
        One for each variable of a supply.

    Raises
    ------
    CouplingError, UnitError
        If they do not fit.
    """
    components = {name: p.component for name, p in participants.items()}
    links: list[Link] = []
    writers = []
    for exchange in exchanges:
        where = f"exchange '{exchange.label}'"
        from_, given = find_end(components, exchange.source, "", "out", where)
        default = exchange.source.partition(".")[2]
        to, taken = find_end(components, exchange.target, default, "in", where)
        writers.append((exchange, to, taken.name))
        kind = LearnedLink if is_learned(exchange) else Link
        links.append(kind(exchange, participants[from_], participants[to], given, taken))
    supplies: dict[tuple[str, str], list[DemandLink]] = {}
    for demand in demands:
        link = DemandLink(demand, components, participants)
        links.append(link)
        writers.append((link.exchange, link.target.name, link.taken.name))
        supplies.setdefault((link.source.name, link.asked.name), []).append(link)
    for (name, variable), found in supplies.items():
        writers.append((Exchange(found[0].demand.demand, f"{name}.{variable}"), name, variable))
    schedule.refuse_two_writers(writers)
    schedule.refuse_water_given_twice(links)
    labels = [link.label for link in links]
    for label in labels:
        if labels.count(label) > 1:
            raise CouplingError(f"The exchange '{label}' is declared twice.")
    return links, [Allocation(found) for found in supplies.values()]


def common_origin(participants: Mapping[str, Participant]) -> dt.datetime | None:
    """Return the date at which all components start, or None if none of them knows one.

    Raises
    ------
    CouplingError
        If they do not start together.
    """
    origins = {n: p.origin for n, p in participants.items() if p.origin is not None}
    if len(set(origins.values())) > 1:
        listed = ", ".join(f"'{n}' at {o}" for n, o in origins.items())
        raise CouplingError(
            f"The components do not start together: {listed}.",
            fix="Give all of them the same start",
        )
    return next(iter(origins.values()), None)
