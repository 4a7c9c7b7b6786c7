"""Units of measurement: pint with CF/UDUNITS spelling, failing closed.

A bare number, an unknown unit and an incompatible unit are errors, never warnings.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import UnitError

if TYPE_CHECKING:
    import pint
    import xarray as xr


#: kg m-3: what turns a volume or a depth of water into a mass, everywhere.
WATER_DENSITY = 1000.0


@functools.cache
def registry() -> pint.UnitRegistry:
    """Return the unit registry of this process (pint with the CF definitions of cf-xarray)."""
    from cf_xarray.units import units

    return units


@functools.cache
def _parse(text: str) -> pint.Unit:
    return registry().Unit(text)


def parse(text: str | None) -> pint.Unit:
    """Parse a unit in CF/UDUNITS or pint spelling.

    Parameters
    ----------
    text : str
        For example ``"mm d-1"``, ``"mm/d"``, ``"degC"``; ``"1"`` for dimensionless.

    Returns
    -------
    pint.Unit

    Raises
    ------
    UnitError
        If the text is empty or no unit of that name is known.
    """
    if text is None or not str(text).strip():
        raise UnitError(
            "A unit is missing.",
            fix="Set it explicitly, for example 'mm d-1'; '1' if dimensionless",
        )
    text = str(text).strip()
    try:
        return _parse(text)
    except Exception as error:
        raise UnitError(
            f"The unit '{text}' is not known ({error}).",
            fix="Use UDUNITS spelling, for example 'mm d-1', 'm3 s-1', 'degC', '1'",
        ) from error


def spell(unit: pint.Unit | str) -> str:
    """Spell a unit the CF way, for example ``mm d-1``."""
    unit = parse(unit) if isinstance(unit, str) else unit
    return f"{unit:cf}".replace("°", "deg") or "1"  # pint spells degC with a degree sign


def convert(
    values: np.ndarray | float, from_: str, to: str, what: str = "a value"
) -> np.ndarray | float:
    """Convert numbers from one unit to another.

    Parameters
    ----------
    values : array_like
        Numbers in ``from_``.
    from_, to : str
        Units.
    what : str
        Name of the quantity, for the error.

    Returns
    -------
    numpy.ndarray or float
        Numbers in ``to``, float64.

    Raises
    ------
    UnitError
        If the two units do not measure the same thing.
    """
    source, target = parse(from_), parse(to)
    result = np.asarray(values, dtype=float)
    try:
        if source != target:
            result = registry().Quantity(result, source).to(target).magnitude
    except Exception as error:
        raise UnitError(
            f"'{what}' has the unit '{from_}', which cannot be converted to '{to}'.",
            where=what,
            fix=f"Give '{what}' in a unit compatible with '{to}'",
        ) from error
    return result if np.ndim(result) else float(result)


@functools.cache
def linear(from_: str, to: str) -> tuple[float, float, int]:
    """Return what turns numbers of one unit into numbers of another, also of water.

    Beside what the registry knows, a depth or a volume of water is a mass at `WATER_DENSITY`, and
    water per area is water per cell, but for the area of the cell.

    Parameters
    ----------
    from_, to : str
        Units.

    Returns
    -------
    slope, offset : float
        Numbers in ``to`` are ``slope`` times numbers in ``from_``, plus ``offset``.
    power : int
        Power of the area of the cell [m2] that they have to be multiplied with: 1, -1 or 0.

    Raises
    ------
    UnitError
        If the two do not measure the same thing.
    """
    source, target = parse(from_), parse(to)
    if source == target:
        return 1.0, 0.0, 0
    if source.is_compatible_with(target):
        low, high = (float(convert(x, from_, to)) for x in (0.0, 1.0))
        return high - low, low, 0
    for mass, area in itertools.product((1, -1, 0), repeat=2):
        unit = source * parse("kg m-3") ** mass * parse("m2") ** area
        if unit.is_compatible_with(target):
            return float(convert(WATER_DENSITY**mass, str(unit), to)), 0.0, area
    raise UnitError(
        f"'{from_}' cannot be converted to '{to}', not even as water of {WATER_DENSITY:g} kg m-3.",
        fix="Give both a unit that measures the same thing",
    )


def require(data: xr.DataArray) -> str:
    """Return the ``units`` attribute of a data array.

    Raises
    ------
    UnitError
        If it has none, or is no data array.
    """
    if not hasattr(data, "attrs"):
        raise UnitError(
            f"A plain {type(data).__name__} has no units.",
            fix="Give xarray.DataArray(values, dims=..., attrs={'units': 'mm d-1'}), with its unit",
        )
    text = data.attrs.get("units")
    name = data.name or "the data"
    if text is None or not str(text).strip():
        raise UnitError(
            f"'{name}' has no units.",
            where=str(name),
            fix=f"Set them explicitly: data['{name}'].attrs['units'] = 'mm d-1' (or what it is)",
        )
    parse(text)
    return str(text)


def to_units(data: xr.DataArray, unit: str) -> xr.DataArray:
    """Convert a data array to a unit.

    Parameters
    ----------
    data : xarray.DataArray
        Any shape, with a ``units`` attribute.
    unit : str
        Target unit.

    Returns
    -------
    xarray.DataArray
        Same shape, attributes kept but for ``units``.

    Raises
    ------
    UnitError
        If the units are missing or incompatible.
    """
    have = require(data)
    values = convert(data.values, have, unit, what=str(data.name))
    return data.copy(data=values).assign_attrs(units=unit)
