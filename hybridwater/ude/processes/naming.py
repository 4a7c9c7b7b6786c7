"""Names of what a process declares, and the constants that processes share."""

from __future__ import annotations

import sympy

from hybridwater.ude.declaration import Declaration

_HOEGE = "Höge et al. (2022), doi:10.5194/hess-26-5085-2022"


def named(prefix: str, name: str) -> str:
    """Return a name with a prefix, for a process that occurs twice in one model.

    Examples
    --------
    >>> named("forest", "soil")
    'forest_soil'
    >>> named("", "soil")
    'soil'
    """
    return f"{prefix}_{name}" if prefix else name


def day(m: Declaration) -> sympy.Symbol:
    """Declare one day: what "all of it within one time step" of a daily model is here [d]."""
    return m.constant("day", 1.0, "d", description="time within which an excess is released")


def temperature_width(m: Declaration) -> sympy.Symbol:
    """Declare the width of smooth temperature thresholds [K]."""
    return m.constant("temperature_width", 0.2, "K", citation=_HOEGE)


def storage_width(m: Declaration) -> sympy.Symbol:
    """Declare the width of smooth storage thresholds [mm]."""
    return m.constant("storage_width", 0.2, "mm", citation=_HOEGE)
