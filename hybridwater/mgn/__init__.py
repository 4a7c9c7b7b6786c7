"""The learned coupler: graphs of component meshes, networks on them, fluxes that conserve.

Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridwater.mgn.configuration import Architecture
    from hybridwater.mgn.dynamics import (
        Dynamics,
        FluxDynamics,
        IncrementDynamics,
        load_dynamics,
    )
    from hybridwater.mgn.episodes import Episode
    from hybridwater.mgn.fluxes import Booked, ConservativeHead
    from hybridwater.mgn.graph import make_graph
    from hybridwater.mgn.limiter import Moved, move
    from hybridwater.mgn.network import Decoded, MeshGraphNetwork
    from hybridwater.mgn.remap import LearnedRemap
    from hybridwater.mgn.storage import load_network, save_network
    from hybridwater.mgn.training import Lesson, train_dynamics
    from hybridwater.mgn.validation import validate

__all__ = [
    "Architecture",
    "Booked",
    "ConservativeHead",
    "Decoded",
    "Dynamics",
    "Episode",
    "FluxDynamics",
    "IncrementDynamics",
    "LearnedRemap",
    "Lesson",
    "MeshGraphNetwork",
    "Moved",
    "load_dynamics",
    "load_network",
    "make_graph",
    "move",
    "save_network",
    "train_dynamics",
    "validate",
]

_MODULES = {
    "configuration": ("Architecture",),
    "dynamics": ("Dynamics", "FluxDynamics", "IncrementDynamics", "load_dynamics"),
    "episodes": ("Episode",),
    "fluxes": ("Booked", "ConservativeHead"),
    "graph": ("make_graph",),
    "limiter": ("Moved", "move"),
    "network": ("Decoded", "MeshGraphNetwork"),
    "remap": ("LearnedRemap",),
    "storage": ("load_network", "save_network"),
    "training": ("Lesson", "train_dynamics"),
    "validation": ("validate",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__]
        )
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
