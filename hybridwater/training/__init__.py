"""Fitting models to data: losses, schedules, the torch bridge, surrogates."""

from hybridwater.training.fitting import fit
from hybridwater.training.losses import LOSSES, make_loss
from hybridwater.training.schedule import Stage, default_schedule
from hybridwater.training.surrogate import OutsideTrainingRange, Surrogate
from hybridwater.training.uncertainty import parameter_uncertainty

__all__ = [
    "LOSSES",
    "OutsideTrainingRange",
    "Stage",
    "Surrogate",
    "default_schedule",
    "fit",
    "make_loss",
    "parameter_uncertainty",
]
