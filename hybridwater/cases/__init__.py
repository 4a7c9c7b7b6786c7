"""Case files: a model, its data and its fit in one TOML file, or components that run together."""

from hybridwater.cases.case import Case
from hybridwater.cases.coupled import CoupledCase
from hybridwater.cases.coupled_reading import load_coupled
from hybridwater.cases.emulation import EmulationCase, load_emulation
from hybridwater.cases.ensemble import EnsembleCase, load_ensemble
from hybridwater.cases.reading import load
from hybridwater.cases.template import write_template

__all__ = [
    "Case",
    "CoupledCase",
    "EmulationCase",
    "EnsembleCase",
    "load",
    "load_coupled",
    "load_emulation",
    "load_ensemble",
    "write_template",
]
