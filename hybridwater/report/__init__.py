"""Figures and the self-contained HTML report.

Every figure function returns a :class:`~hybridwater.report.style.ReportFigure`, a plain matplotlib
figure (no pyplot, no display) that carries its caption and its text for people who cannot see it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridwater.report.balance import water_balance
    from hybridwater.report.comparison import model_comparison
    from hybridwater.report.duration import flow_duration
    from hybridwater.report.ensembles import (
        coverage_chart,
        fan_chart,
        pit_histogram,
        variance_chart,
    )
    from hybridwater.report.equations import equation_front
    from hybridwater.report.files import save_figure, save_figures
    from hybridwater.report.graph import coupling_graph
    from hybridwater.report.hydrographs import hydrograph
    from hybridwater.report.learned import learned_flux
    from hybridwater.report.ledger import water_ledger
    from hybridwater.report.meshes import mesh_map, remap_map
    from hybridwater.report.page import Illustration, Section, Table, write_report
    from hybridwater.report.skill import skill_map, skill_summary
    from hybridwater.report.training import training_curve

_HOME = {
    "Illustration": "page",
    "Section": "page",
    "Table": "page",
    "coupling_graph": "graph",
    "coverage_chart": "ensembles",
    "equation_front": "equations",
    "fan_chart": "ensembles",
    "flow_duration": "duration",
    "hydrograph": "hydrographs",
    "learned_flux": "learned",
    "mesh_map": "meshes",
    "model_comparison": "comparison",
    "pit_histogram": "ensembles",
    "remap_map": "meshes",
    "save_figure": "files",
    "save_figures": "files",
    "skill_map": "skill",
    "skill_summary": "skill",
    "training_curve": "training",
    "variance_chart": "ensembles",
    "water_balance": "balance",
    "water_ledger": "ledger",
    "write_report": "page",
}

__all__ = [
    "Illustration",
    "Section",
    "Table",
    "coupling_graph",
    "coverage_chart",
    "equation_front",
    "fan_chart",
    "flow_duration",
    "hydrograph",
    "learned_flux",
    "mesh_map",
    "model_comparison",
    "pit_histogram",
    "remap_map",
    "save_figure",
    "save_figures",
    "skill_map",
    "skill_summary",
    "training_curve",
    "variance_chart",
    "water_balance",
    "water_ledger",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
