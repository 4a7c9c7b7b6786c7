"""The stages of a fit, and the schedule that works in this field.

Calibrate the conceptual skeleton, pre-train the networks on its fluxes, then train all together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hybridwater.errors import SettingsError
from hybridwater.ude.model import UDE

KINDS = ("skeleton", "pretrain", "joint")
OPTIMISERS = ("adam", "lbfgs", "lm")


@dataclass(frozen=True)
class Stage:
    """One stage of a fit.

    Parameters
    ----------
    kind : {"skeleton", "pretrain", "joint"}
        ``skeleton``: parameters of the conceptual model, networks replaced by their conceptual
        equations. ``pretrain``: networks on the fluxes of that model. ``joint``: everything.
    epochs : int
        Passes over the training data (iterations of L-BFGS or Levenberg-Marquardt).
    learning_rate : float
        Of parameters (their free numbers); networks learn at ``network_rate``.
    network_rate : float
        Learning rate of weights.
    window : int, optional
        Records per training window; ``None``: the whole training period at once. Windows begin
        at states kept from the last pass over the whole period (multiple shooting).
    batch : int, optional
        Basins per step, drawn at random, where windows are used; all if ``None``.
    optimiser : {"adam", "lbfgs", "lm"}
        L-BFGS needs the whole period, and searches one step length for all entries together: use
        it for few basins, to finish. ``lm``, Levenberg-Marquardt, is for parameters and for small
        networks of a basin's own: it simulates the period once per number that is fitted, needs a
        loss that is a sum of squares, and finds the bottom of narrow valleys. It has no learning
        rate, and ends by itself.
    """

    kind: Literal["skeleton", "pretrain", "joint"]
    epochs: int
    learning_rate: float = 0.02
    network_rate: float = 0.005
    window: int | None = None
    batch: int | None = None
    optimiser: Literal["adam", "lbfgs", "lm"] = "adam"

    def __post_init__(self) -> None:
        where = f"stage '{self.kind}'"
        if self.kind not in KINDS:
            raise SettingsError(f"There is no stage '{self.kind}'.", fix=f"Use one of {KINDS}")
        if self.optimiser not in OPTIMISERS:
            raise SettingsError(f"There is no optimiser '{self.optimiser}'.", where)
        if self.optimiser != "adam" and self.window is not None:
            raise SettingsError(
                f"The optimiser '{self.optimiser}' cannot be used with windows.",
                where,
                "Leave window out",
            )
        if self.optimiser == "lm" and self.kind == "pretrain":
            raise SettingsError("Pre-training has no 'lm'.", where, "Use 'adam' or 'lbfgs'")
        for name in ("epochs", "window", "batch"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise SettingsError(f"{name}={value!r} is not a positive whole number.", where)
        if not (self.learning_rate > 0 and self.network_rate > 0):
            raise SettingsError("A learning rate is not positive.", where)


def check_schedule(stages: Sequence[Stage], ude: UDE) -> tuple[Stage, ...]:
    """Check that a model can go through the stages.

    Raises
    ------
    SettingsError
        If something is not a stage, or needs conceptual equations that the model does not have.
    """
    for stage in stages:
        if not isinstance(stage, Stage):
            raise SettingsError(f"{stage!r} in the schedule is not a Stage.")
        if stage.kind != "joint" and not ude.has_skeleton:
            raise SettingsError(
                f"The model '{ude.name}' has no networks that all replace conceptual equations.",
                f"stage '{stage.kind}'",
                "Use only 'joint' stages, or declare networks with conceptual=...",
            )
    return tuple(stages)


def default_schedule(ude: UDE, *, regional: bool) -> tuple[Stage, ...]:
    """Return the schedule that is used where none is given.

    Parameters
    ----------
    ude : UDE
        The model: with or without networks, with or without a conceptual skeleton.
    regional : bool
        Whether networks and parameters are shared by many basins.
    """
    if regional:
        return (
            Stage("joint", 40, 0.005, 0.005, window=365, batch=100),
            Stage("joint", 20, 0.0015, 0.0015, window=365, batch=100),
            Stage("joint", 10, 0.0005, 0.0005, window=365, batch=100),
        )
    if not ude.networks:
        return (Stage("joint", 300, 0.05),)
    if ude.has_skeleton:
        return (
            Stage("skeleton", 200, 0.05),
            Stage("pretrain", 400, network_rate=0.01),
            Stage("joint", 300, 0.01, 0.005),
        )
    return (
        Stage("joint", 100, 0.02, 0.01, window=90),
        Stage("joint", 100, 0.02, 0.005, window=365),
        Stage("joint", 150, 0.01, 0.003),
    )
