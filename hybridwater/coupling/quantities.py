"""What a unit measures, for coupling: water per area, water per cell, or something else.

The units decide how a variable is moved between cells. Water per area (kg m-2 d-1, mm d-1) is
multiplied by the area of its cell before it is moved and divided by that of its new cell; water per
cell (m3 s-1, kg) is moved as it is; everything else (temperature, elevation) is averaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hybridwater import units as unit_room
from hybridwater.components.base import Variable
from hybridwater.errors import UnitError

Form = Literal["flux density", "transport", "amount per area", "amount", "other"]

# Dimensions (mass, length, time) of water, and the SI unit in which kilograms are counted.
_FORMS: dict[tuple[float, ...], tuple[Form, str, float]] = {
    (1, -2, -1): ("flux density", "kg m-2 s-1", 1.0),
    (0, 1, -1): ("flux density", "m s-1", unit_room.WATER_DENSITY),
    (1, 0, -1): ("transport", "kg s-1", 1.0),
    (0, 3, -1): ("transport", "m3 s-1", unit_room.WATER_DENSITY),
    (1, -2, 0): ("amount per area", "kg m-2", 1.0),
    (1, 0, 0): ("amount", "kg", 1.0),
    (0, 3, 0): ("amount", "m3", unit_room.WATER_DENSITY),
}


@dataclass(frozen=True)
class Measure:
    """What a unit measures.

    Parameters
    ----------
    form : str
        ``"flux density"``, ``"transport"``, ``"amount per area"``, ``"amount"`` or ``"other"``.
    factor : float
        Kilograms (per m2, per second) in one unit; 1 for ``"other"``.
    certain : bool
        Whether nothing but water has this unit: a length per time can be a speed.
    """

    form: Form
    factor: float = 1.0
    certain: bool = False

    @property
    def per_area(self) -> bool:
        """Whether it is multiplied by an area to give water per cell."""
        return self.form in ("flux density", "amount per area")

    @property
    def per_cell(self) -> bool:
        """Whether it counts what is in, or goes through, a whole cell."""
        return self.form in ("transport", "amount")

    @property
    def is_flux(self) -> bool:
        """Whether it is water per time."""
        return self.form in ("flux density", "transport")


def measure(unit: str) -> Measure:
    """Say what a unit measures.

    Parameters
    ----------
    unit : str
        UDUNITS.

    Returns
    -------
    Measure

    Raises
    ------
    UnitError
        If the unit is missing or unknown.
    """
    dimensions = dict(unit_room.parse(unit).dimensionality)
    key = tuple(float(dimensions.pop(f"[{name}]", 0).real) for name in ("mass", "length", "time"))
    if dimensions or key not in _FORMS:
        return Measure("other")
    form, si, density = _FORMS[key]
    return Measure(form, float(unit_room.convert(1.0, unit, si)) * density, key != (0, 1, -1))


def linear_conversion(source: Variable, target: Variable, where: str) -> tuple[float, float]:
    """Return slope and offset that turn numbers of one variable into those of the other.

    As `hybridwater.units.linear`, but for the area, which the route multiplies or divides by. A
    depth of water is not taken for an amount: it could be a level.

    Parameters
    ----------
    source, target : Variable
        Their units are converted.
    where : str
        The exchange, for the error.

    Raises
    ------
    UnitError
        If they do not measure the same thing.
    """
    one, other = measure(source.units), measure(target.units)
    both_flux = one.is_flux and other.is_flux
    both_amount = "amount" in one.form and "amount" in other.form
    have, want = unit_room.parse(source.units), unit_room.parse(target.units)
    if both_flux or both_amount or have.is_compatible_with(want):
        slope, offset, _ = unit_room.linear(source.units, target.units)
        return slope, offset
    raise UnitError(
        f"'{source.name}' is in '{source.units}' and cannot become '{target.name}' in "
        f"'{target.units}'.",
        where,
        "Exchange variables that measure the same thing; look at the units of both components",
    )


def is_water(source: Variable, target: Variable, told: bool | None) -> bool:
    """Decide whether an exchange moves water, which is booked.

    Units of mass or volume per time are water; a length per time is water if one of the two
    variables says so by its unit or by ``lwe`` in its name, or if the exchange says so. A potential
    flux is none: nobody gives it.
    """
    if told is not None:
        return told
    if any("potential" in (v.standard_name or v.name).split("_") for v in (source, target)):
        return False
    measures = measure(source.units), measure(target.units)
    if not all(m.is_flux for m in measures):
        return False
    names = (source.name, source.standard_name or "", target.name, target.standard_name or "")
    return any(m.certain for m in measures) or any("lwe" in name for name in names)
