"""One component goes on where another was: its time, its values, and all of its water."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hybridwater import units
from hybridwater.components.base import Component, Variable
from hybridwater.components.ports import conversion
from hybridwater.errors import ComponentError, nearest

#: Largest share of the water that may be lost to rounding.
_ROUNDING = 1e-12


def steps_at(successor: Component, component: Component) -> int:
    """Return how many steps of the successor lie before the time of a component.

    Raises
    ------
    ComponentError
        If the two begin at different dates, or the time lies between two steps.
    """
    mine, theirs = successor.get_component_name(), component.get_component_name()
    if None not in (successor.origin, component.origin) and successor.origin != component.origin:
        raise ComponentError(
            f"'{theirs}' begins on {component.origin}, but '{mine}' on {successor.origin}.",
            fix="Give both the same start",
        )
    step, unit = successor.get_time_step(), successor.get_time_units()
    time = float(units.convert(component.get_current_time(), component.get_time_units(), unit))
    steps = time / step
    if abs(steps - round(steps)) > 1e-9 * max(1.0, abs(steps)):
        raise ComponentError(
            f"Time {time:g} {unit} lies between two steps of {step:g} {unit}.",
            f"component '{mine}' in place of '{theirs}'",
            "Change components at the end of a step of both",
        )
    return round(steps)


def last_values(
    successor: Component, component: Component, variable: Variable, *, needed: bool
) -> np.ndarray | None:
    """Return a component's values of a variable of its successor, in the unit there.

    Raises
    ------
    ComponentError
        If it has another number of values, or none but they are needed.
    UnitError
        If the units do not measure the same thing.
    """
    mine, theirs = successor.get_component_name(), component.get_component_name()
    known = {v.name: v for v in component.variables}
    if variable.name not in known:
        if needed:
            raise ComponentError(
                f"'{theirs}' has no '{variable.name}' to go on from "
                f"({nearest(variable.name, known)}).",
                f"component '{mine}' in place of '{theirs}'",
                "Give every state of the model the port of a store",
            )
        return None
    area = np.ones(_blank(successor, variable.name).size)
    return _read(component, variable.name, variable.units, area)


def summed(component: Component, names: Sequence[str], unit: str, area: np.ndarray) -> np.ndarray:
    """Return the sum of variables of a component in a unit, shape (cell,).

    Raises
    ------
    ComponentError
        If it has no such variable, or another number of values.
    UnitError
        If the units do not measure the same thing.
    """
    return sum((_read(component, name, unit, area) for name in names), np.zeros(area.shape))


def _blank(component: Component, name: str) -> np.ndarray:
    """Return an array for the values of a variable."""
    size = component.get_var_nbytes(name) // component.get_var_itemsize(name)
    return np.empty(size, component.variable(name).dtype)


def _read(component: Component, name: str, unit: str, area: np.ndarray) -> np.ndarray:
    # A component in a process of its own has values, but no pointers to them.
    values = component.get_value(name, _blank(component, name)).astype(float)
    if values.size != area.size:
        raise ComponentError(
            f"'{name}' has {values.size} values in '{component.get_component_name()}', not "
            f"{area.size}.",
            fix="Exchange components on the same cells",
        )
    scale, offset = conversion(component.variable(name).units, unit, area)
    return values * scale + offset


def require_carried(successor: Component, component: Component) -> None:
    """Raise ComponentError if the successor has not the water of a component, cell by cell."""
    if not (successor.has_storage and component.has_storage):
        return
    theirs, ours = component.storage().values(), successor.storage().values()
    cells = {np.shape(s) for s in (*theirs, *ours)}
    if len(cells) > 1:  # at least one store is told in total only
        theirs, ours = [np.sum(s) for s in theirs], [np.sum(s) for s in ours]
    before, after = np.sum(list(theirs), axis=0), np.sum(list(ours), axis=0)
    gap = after - before
    if (np.abs(gap) > _ROUNDING * np.abs(before).max()).any():
        raise ComponentError(
            f"'{successor.get_component_name()}' would begin with {np.sum(gap):+.6g} kg of water "
            f"in all, {np.abs(gap).max():.6g} kg in one cell, that "
            f"'{component.get_component_name()}' does not have.",
            fix="Give the model a state for every store, and its cells the same areas",
        )
