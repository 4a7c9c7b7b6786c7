"""Figures and the self-contained HTML report.

Every figure function returns a :class:`~hybridwater.report.style.ReportFigure`, a plain matplotlib
figure (no pyplot, no display) that carries its caption and its text for people who cannot see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridwater._lazy import attach

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

_MODULES = {
    "balance": ("water_balance",),
    "comparison": ("model_comparison",),
    "duration": ("flow_duration",),
    "ensembles": (
        "coverage_chart",
        "fan_chart",
        "pit_histogram",
        "variance_chart",
    ),
    "equations": ("equation_front",),
    "files": (
        "save_figure",
        "save_figures",
    ),
    "graph": ("coupling_graph",),
    "hydrographs": ("hydrograph",),
    "learned": ("learned_flux",),
    "ledger": ("water_ledger",),
    "meshes": (
        "mesh_map",
        "remap_map",
    ),
    "page": (
        "Illustration",
        "Section",
        "Table",
        "write_report",
    ),
    "skill": (
        "skill_map",
        "skill_summary",
    ),
    "training": ("training_curve",),
}

__getattr__, __dir__ = attach(__name__, _MODULES)
