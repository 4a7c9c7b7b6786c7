"""Scientific machine learning for the integrated water cycle.

The names below are loaded when they are first used: importing hybridwater starts neither Julia
nor torch nor JAX.

Examples
--------
>>> import hybridwater as hw
>>> hw.settings.current().engine
'auto'
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridwater import (
        components,
        coupling,
        data,
        discovery,
        ensembles,
        errors,
        meshes,
        report,
        residuals,
        scores,
        settings,
        units,
    )
    from hybridwater.components.emulation import emulate
    from hybridwater.coupling import CoupledModel, Exchange
    from hybridwater.discovery import compare, discover
    from hybridwater.engines import simulate
    from hybridwater.engines.julia import SciMLProblem
    from hybridwater.training import Stage, Surrogate, fit
    from hybridwater.ude import UDE, Declaration, model, models, processes

__version__ = "0.1.0"

__all__ = [
    "UDE",
    "CoupledModel",
    "Declaration",
    "Exchange",
    "SciMLProblem",
    "Stage",
    "Surrogate",
    "compare",
    "components",
    "coupling",
    "data",
    "discover",
    "discovery",
    "emulate",
    "ensembles",
    "errors",
    "fit",
    "meshes",
    "model",
    "models",
    "processes",
    "report",
    "residuals",
    "scores",
    "settings",
    "simulate",
    "units",
]

# Public name -> the module that it is an attribute of.
_OBJECTS = {
    "CoupledModel": "hybridwater.coupling",
    "Declaration": "hybridwater.ude",
    "Exchange": "hybridwater.coupling",
    "SciMLProblem": "hybridwater.engines.julia",
    "Stage": "hybridwater.training",
    "Surrogate": "hybridwater.training",
    "UDE": "hybridwater.ude",
    "compare": "hybridwater.discovery",
    "discover": "hybridwater.discovery",
    "emulate": "hybridwater.components.emulation",
    "fit": "hybridwater.training",
    "model": "hybridwater.ude",
    "simulate": "hybridwater.engines",
}

# Public name -> the module that it is.
_MODULES = {
    "components": "hybridwater.components",
    "coupling": "hybridwater.coupling",
    "data": "hybridwater.data",
    "discovery": "hybridwater.discovery",
    "ensembles": "hybridwater.ensembles",
    "errors": "hybridwater.errors",
    "meshes": "hybridwater.meshes",
    "models": "hybridwater.ude.models",
    "processes": "hybridwater.ude.processes",
    "report": "hybridwater.report",
    "residuals": "hybridwater.residuals",
    "scores": "hybridwater.scores",
    "settings": "hybridwater.settings",
    "units": "hybridwater.units",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    elif name in _OBJECTS:
        value = getattr(importlib.import_module(_OBJECTS[name]), name)
    else:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__]
        )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
