"""Models that own cells and time: the contract, the checker, and the components by name."""

from hybridwater.components.base import Component, State, Variable
from hybridwater.components.checking import Finding, check, require_sound
from hybridwater.components.declared import DeclaredComponent
from hybridwater.components.registry import component_names, get_component, missing_package
from hybridwater.components.scaffold import new_component

__all__ = [
    "Component",
    "DeclaredComponent",
    "Finding",
    "State",
    "Variable",
    "check",
    "component_names",
    "get_component",
    "missing_package",
    "new_component",
    "require_sound",
]
