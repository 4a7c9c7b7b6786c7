"""Case files: a model, its data and its fit in one TOML file."""

from hybridwater.cases.case import Case
from hybridwater.cases.emulation import EmulationCase, load_emulation
from hybridwater.cases.reading import load
from hybridwater.cases.template import write_template

__all__ = ["Case", "EmulationCase", "load", "load_emulation", "write_template"]
