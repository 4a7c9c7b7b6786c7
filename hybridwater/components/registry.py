"""Components by name: those of this package, and those that other packages bring."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

from hybridwater.components.base import Component
from hybridwater.errors import ComponentError, MissingDependency, nearest

#: Group of entry points through which a package brings components: name = "module:Class".
GROUP = "hybridwater.components"


class BuiltIn(NamedTuple):
    """A component of this package: where it is, and the package that it needs."""

    target: str
    needs: str | None = None


_HERE = "hybridwater.components"

BUILT_IN = {
    "forcing": BuiltIn(f"{_HERE}.forcing_records:ForcingRecords"),
    "gr4j": BuiltIn(f"{_HERE}.gr4j:Gr4j"),
    "hbv": BuiltIn(f"{_HERE}.hbv:Hbv"),
    "prms-land": BuiltIn(f"{_HERE}.prms_land:PrmsLand", "pywatershed"),
    "prms-groundwater": BuiltIn(f"{_HERE}.prms_groundwater:PrmsGroundwater", "pywatershed"),
    "learned-runoff": BuiltIn(f"{_HERE}.learned_runoff:LearnedRunoff", "pywatershed"),
    "learned-dynamics": BuiltIn(f"{_HERE}.learned_dynamics:LearnedDynamics"),
    "prms-channel": BuiltIn(f"{_HERE}.prms_channel:PrmsChannel", "pywatershed"),
    "prms-routing": BuiltIn(f"{_HERE}.prms_routing:PrmsRouting", "pywatershed"),
    "river-routing": BuiltIn(f"{_HERE}.river_routing:RiverRouting"),
    "starfit": BuiltIn(f"{_HERE}.starfit:Starfit", "pywatershed"),
    "landlab-groundwater": BuiltIn(f"{_HERE}.landlab_groundwater:LandlabGroundwater", "landlab"),
    "landlab-overland": BuiltIn(f"{_HERE}.landlab_overland:LandlabOverland", "landlab"),
    "sciml": BuiltIn(f"{_HERE}.sciml:SciMLComponent"),
    "surrogate": BuiltIn(f"{_HERE}.surrogate:SurrogateComponent"),
    "modflow": BuiltIn(f"{_HERE}.modflow:Modflow", "modflowapi"),
}


def component_names() -> tuple[str, ...]:
    """Return the names of all components, those of other packages included."""
    return tuple(sorted({*BUILT_IN, *_entry_points()}))


def get_component(name: str) -> type[Component]:
    """Return the class of a component.

    Parameters
    ----------
    name : str
        A name of `component_names`, or ``"module:Class"`` for a class that is not registered. A
        class that is plain BMI is wrapped with `hybridwater.components.bmi.plug_in`.

    Raises
    ------
    ComponentError
        If there is no component of that name, or it cannot be imported.
    MissingDependency
        If it needs a package that is not installed.
    """
    if name in BUILT_IN:
        require_package(BUILT_IN[name].needs, name)
        target = BUILT_IN[name].target
    elif name in _entry_points():
        target = _entry_points()[name].value
    elif ":" in name:
        target = name
    else:
        raise ComponentError(
            f"There is no component '{name}' ({nearest(name, component_names())}).",
            fix="Use one of these, or 'module:Class' for a class of your own",
        )
    return _wrapped(load(target))


def missing_package(name: str) -> str | None:
    """Return the package that a component of `component_names` lacks, or None."""
    needs = BUILT_IN[name].needs if name in BUILT_IN else None
    return needs if needs and _lacking(needs) else None


def _lacking(package: str) -> bool:
    return importlib.util.find_spec(package) is None


def install_command(package: str) -> str:
    """Return what installs a package; landlab alone would bring a package of Python 3.12."""
    wanted = '"hybridwater[components]"' if package == "landlab" else package
    return f"pip install {wanted}"


def require_package(package: str | None, component: str) -> None:
    """Raise MissingDependency, with the pip command, if a component lacks its package."""
    if package is not None and _lacking(package):
        raise MissingDependency(
            f"The component '{component}' needs the package '{package}', which is not installed.",
            fix=install_command(package),
        )


@contextlib.contextmanager
def importable(folder: str | Path) -> Iterator[None]:
    """Let modules in a folder be imported, such as that of a case file."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def find(target: str) -> Any:
    """Import ``"module:name"``.

    Raises
    ------
    ComponentError
        If there is no such module or name.
    """
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ComponentError(
            f"'{target}' cannot be imported ({error}).",
            fix="Write 'module:name', with the module on the path of Python",
        ) from error


def load(target: str) -> type:
    """Import ``"module:Class"``.

    Raises
    ------
    ComponentError
        If there is no such module or class, or it is not a class.
    """
    found = find(target)
    if not isinstance(found, type):
        raise ComponentError(f"'{target}' is not a class.")
    return found


def _wrapped(found: type) -> type[Component]:
    if issubclass(found, Component):
        return found
    from hybridwater.components.bmi import plug_in

    return plug_in(found)


@functools.cache
def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
