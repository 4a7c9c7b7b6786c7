"""Dynamics of either kind from their file."""

from __future__ import annotations

from pathlib import Path

import torch

from hybridwater.errors import WeightsError
from hybridwater.mgn.dynamics import Dynamics, IncrementDynamics
from hybridwater.mgn.flux_dynamics import FluxDynamics
from hybridwater.mgn.storage import load_network


def load_dynamics(path: str | Path) -> Dynamics:
    """Read dynamics that were saved.

    Raises
    ------
    WeightsError
        As :func:`~hybridwater.mgn.load_network`, and if the file holds a network but no dynamics.
    """
    network, about = load_network(path)
    kinds = {"increment": IncrementDynamics, "flux": FluxDynamics}
    kind = about.pop("kind", None)
    if kind not in kinds:
        raise WeightsError("The file holds a network but no dynamics.", str(path))
    spread = torch.tensor(about.pop("spread"), dtype=torch.float64)
    return kinds[kind](network, spread, **about).eval()
