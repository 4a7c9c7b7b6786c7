"""Where a fit goes on from: the parameters and weights of another one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

from hybridwater.errors import DataError, SettingsError, nearest
from hybridwater.training.sharing import Local, Regional, Shared
from hybridwater.training.surrogate import Surrogate
from hybridwater.ude.model import UDE


def go_on_from(
    start: Surrogate,
    module: Local | Shared | Regional,
    ude: UDE,
    basins: Sequence[str],
    restarts: int,
) -> None:
    """Set what is trained to the values that another fit ended with.

    Parameters
    ----------
    start : Surrogate
        The other fit.
    module : Local or Shared
        What is trained; changed in place.
    ude : UDE
        The model.
    basins : sequence of str
        Basins in the order of the module's rows.
    restarts : int
        Fits per basin: only one can go on from the same place.

    Raises
    ------
    SettingsError
        If the fit is regional, or has restarts.
    DataError
        If the other fit has another model, or lacks a basin.
    """
    where = "start of the fit"
    if isinstance(module, Regional) or restarts > 1:
        raise SettingsError(
            "A fit with attributes or with restarts cannot go on from another one.",
            where,
            "Leave start out, or leave out attributes and restarts",
        )
    if start.ude.to_dict() != ude.to_dict():
        raise DataError(
            f"The fit is of another model, '{start.ude.name}'.", where, "Give a fit of this model"
        )
    for basin in basins:
        if basin not in start.basins:
            raise DataError(
                f"The fit has no basin '{basin}' ({nearest(basin, start.basins)}).", where
            )
    rows = [start.basins.index(basin) for basin in basins]
    values = np.stack([start.parameters[p.name][rows] for p in ude.parameters], axis=-1)
    weights = start.weights[rows] if start.weights.ndim == 2 else start.weights
    if module.weights.ndim < weights.ndim:
        raise DataError(
            "The fit has networks of its own for each basin, and here all basins share them.",
            where,
            "Leave share out, or start with a fit that shares networks",
        )
    with torch.no_grad():
        module.free.copy_(module.bounded.free(torch.from_numpy(values)))
        module.weights.copy_(torch.from_numpy(weights))


def fingerprint(start: Surrogate) -> str:
    """Return what tells one fit from another in the configuration of a run."""
    digest = hashlib.sha256(np.ascontiguousarray(start.weights).tobytes())
    for name in sorted(start.parameters):
        digest.update(np.ascontiguousarray(start.parameters[name]).tobytes())
    return digest.hexdigest()
