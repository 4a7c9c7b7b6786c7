"""The learned coupler: graphs of component meshes, networks on them, fluxes that conserve.

Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridwater._lazy import attach

if TYPE_CHECKING:
    from hybridwater.mgn.adaptive import AdaptiveRun, adaptive_rollout
    from hybridwater.mgn.configuration import Architecture
    from hybridwater.mgn.dynamics import Dynamics, IncrementDynamics
    from hybridwater.mgn.episodes import Episode
    from hybridwater.mgn.fitting import Samples, Study, assess_remap, fit_remap
    from hybridwater.mgn.flux_dynamics import FluxDynamics
    from hybridwater.mgn.fluxes import Booked, ConservativeHead
    from hybridwater.mgn.graph import make_graph
    from hybridwater.mgn.limiter import Moved, move
    from hybridwater.mgn.loading import load_dynamics
    from hybridwater.mgn.network import Decoded, MeshGraphNetwork
    from hybridwater.mgn.observations import RunoffRecord, Schooling, train_on_discharge
    from hybridwater.mgn.remap import LearnedRemap
    from hybridwater.mgn.routing import GageRouting, MuskingumRouting, Routed
    from hybridwater.mgn.runoff import CouplerState, Exchanged, RunoffCoupler
    from hybridwater.mgn.storage import load_network, save_network
    from hybridwater.mgn.training import Lesson, train_dynamics
    from hybridwater.mgn.validation import validate

__all__ = [
    "AdaptiveRun",
    "Architecture",
    "Booked",
    "ConservativeHead",
    "CouplerState",
    "Decoded",
    "Dynamics",
    "Episode",
    "Exchanged",
    "FluxDynamics",
    "GageRouting",
    "IncrementDynamics",
    "LearnedRemap",
    "Lesson",
    "MeshGraphNetwork",
    "Moved",
    "MuskingumRouting",
    "Routed",
    "RunoffCoupler",
    "RunoffRecord",
    "Samples",
    "Schooling",
    "Study",
    "adaptive_rollout",
    "assess_remap",
    "fit_remap",
    "load_dynamics",
    "load_network",
    "make_graph",
    "move",
    "save_network",
    "train_dynamics",
    "train_on_discharge",
    "validate",
]

_MODULES = {
    "adaptive": ("AdaptiveRun", "adaptive_rollout"),
    "configuration": ("Architecture",),
    "dynamics": ("Dynamics", "IncrementDynamics"),
    "episodes": ("Episode",),
    "fitting": ("Samples", "Study", "assess_remap", "fit_remap"),
    "flux_dynamics": ("FluxDynamics",),
    "fluxes": ("Booked", "ConservativeHead"),
    "graph": ("make_graph",),
    "limiter": ("Moved", "move"),
    "loading": ("load_dynamics",),
    "network": ("Decoded", "MeshGraphNetwork"),
    "observations": ("RunoffRecord", "Schooling", "train_on_discharge"),
    "remap": ("LearnedRemap",),
    "routing": ("GageRouting", "MuskingumRouting", "Routed"),
    "runoff": ("CouplerState", "Exchanged", "RunoffCoupler"),
    "storage": ("load_network", "save_network"),
    "training": ("Lesson", "train_dynamics"),
    "validation": ("validate",),
}
__getattr__, __dir__ = attach(__name__, _MODULES)
