"""The door for river networks: what cannot be is refused here, with the reach named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import MeshError

if TYPE_CHECKING:
    from hybridwater.meshes.rivers import RiverNetwork


def check_network(network: RiverNetwork) -> None:
    """Refuse a network with wrong shapes or values, unknown targets, or circles."""
    _check_shapes(network)
    _check_values(network)
    _check_targets(network)
    _check_circles(network)


def _check_shapes(network: RiverNetwork) -> None:
    sizes: Mapping[str, int] = {
        "lengths": len(network.lengths),
        "areas": len(network.areas),
        "points": len(network.points),
        **({"names": len(network.names)} if network.names else {}),
    }
    for what, size in sizes.items():
        if size != network.size:
            raise MeshError(
                f"There are {size} {what} for {network.size} reaches.",
                where=f"river network '{network.name}'",
                fix="Give one per reach",
            )


def _check_values(network: RiverNetwork) -> None:
    for what, values, may_be_missing in (
        ("length", network.lengths, False),
        ("area", network.areas, True),
    ):
        bad = (values < 0.0) | np.isinf(values) | (np.isnan(values) & (not may_be_missing))
        if bad.any():
            reach = int(np.argmax(bad))
            raise MeshError(
                f"The {what} of a reach is {values[reach]:g}; {int(bad.sum())} such reaches.",
                where=f"river network '{network.name}', reach '{network.reach_name(reach)}'",
                fix=f"A {what} is finite and not negative: correct it or its unit",
            )


def _check_targets(network: RiverNetwork) -> None:
    bad = (network.to >= network.size) | (network.to < -1)
    if bad.any():
        reach = int(np.argmax(bad))
        raise MeshError(
            f"A reach flows into reach {network.to[reach]}, but there are {network.size} reaches, "
            "counted from zero.",
            where=f"river network '{network.name}', reach '{network.reach_name(reach)}'",
            fix="Give indices from zero and -1 at outlets; for identifiers there is "
            "RiverNetwork.from_pointers",
        )


def _check_circles(network: RiverNetwork) -> None:
    done = np.zeros(network.size, dtype=bool)
    for group in network.levels:
        done[group] = True
    if done.all():
        return
    seen: dict[int, int] = {}
    reach = int(np.argmin(done))
    while reach not in seen:
        seen[reach] = len(seen)
        reach = int(network.to[reach])
    circle = [network.reach_name(r) for r, at in seen.items() if at >= seen[reach]]
    shown = " -> ".join([*circle[:8], *(["..."] if len(circle) > 8 else []), circle[0]])
    raise MeshError(
        f"Reaches flow in a circle: {shown}.",
        where=f"river network '{network.name}', reach '{circle[0]}'",
        fix="Water flows downhill: correct the target of one of these reaches",
    )
