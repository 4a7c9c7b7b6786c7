"""Hydraulic properties of soil: how tightly water is held, and how easily it moves.

The head is negative where soil is not saturated. Water beyond the porosity raises the head by the
specific storage, so that head and water content determine each other in wet soil, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import sympy

from hybridwater.ude.declaration import Declaration
from hybridwater.ude.functions import exp, log, maximum, minimum

_VG = "van Genuchten (1980), doi:10.2136/sssaj1980.03615995004400050002x"
_CARSEL = "Carsel and Parrish (1988), doi:10.1029/WR024i005p00755, loam"
#: Relative saturation below which the head does not fall further.
DRIEST = 1e-6


class Hydraulics(Protocol):
    """Relations between effective saturation, head and relative conductivity."""

    def head(self, saturation: sympy.Expr) -> sympy.Expr:
        """Head at an effective saturation between 0 and 1."""
        ...

    def saturation(self, head: sympy.Expr) -> sympy.Expr:
        """Effective saturation at a head; 1 in saturated soil."""
        ...

    def conductivity(self, saturation: sympy.Expr) -> sympy.Expr:
        """Conductivity relative to that of saturated soil."""
        ...


@dataclass(frozen=True)
class VanGenuchten:
    """Van Genuchten (1980) with Mualem's conductivity, and an explicit air entry.

    Ippisch, Vogel and Bastian (2006), doi:10.1016/j.advwatres.2005.12.011, eqs. 12 and 15: the
    saturation at the air-entry head is 1, and the conductivity does not fall off a cliff there.
    """

    alpha: sympy.Symbol
    n: sympy.Symbol
    air_entry: sympy.Symbol

    @property
    def _m(self) -> sympy.Expr:
        return 1 - 1 / self.n

    def _raw(self, suction: sympy.Expr) -> sympy.Expr:
        return (1 + (self.alpha * suction) ** self.n) ** (-self._m)

    def head(self, saturation: sympy.Expr) -> sympy.Expr:  # noqa: D102
        raw = saturation * self._raw(self.air_entry)
        return -((raw ** (-1 / self._m) - 1) ** (1 / self.n)) / self.alpha

    def saturation(self, head: sympy.Expr) -> sympy.Expr:  # noqa: D102
        return self._raw(maximum(-head, self.air_entry)) / self._raw(self.air_entry)

    def conductivity(self, saturation: sympy.Expr) -> sympy.Expr:  # noqa: D102
        entry = self._raw(self.air_entry)
        pores = 1 - (1 - (saturation * entry) ** (1 / self._m)) ** self._m
        all_pores = 1 - (1 - entry ** (1 / self._m)) ** self._m
        return saturation ** sympy.Rational(1, 2) * (pores / all_pores) ** 2


@dataclass(frozen=True)
class Gardner:
    """Exponential conductivity of Gardner (1958), doi:10.1097/00010694-195804000-00006.

    With a water content that is proportional to it, as in Srivastava and Yeh (1991),
    doi:10.1029/90WR02772, Richards' equation is linear and has analytic solutions.
    """

    alpha: sympy.Symbol

    def head(self, saturation: sympy.Expr) -> sympy.Expr:  # noqa: D102
        return log(saturation) / self.alpha

    def saturation(self, head: sympy.Expr) -> sympy.Expr:  # noqa: D102
        return exp(minimum(self.alpha * head, 0))

    def conductivity(self, saturation: sympy.Expr) -> sympy.Expr:  # noqa: D102
        return saturation


def van_genuchten(m: Declaration) -> VanGenuchten:
    """Declare the parameters of :class:`VanGenuchten`."""
    alpha = m.parameter(
        "alpha",
        "mm-1",
        bounds=(1e-5, 0.1),
        default=0.0036,
        log=True,
        citation=f"{_VG}; default: {_CARSEL}",
        description="inverse of the suction at which pores begin to empty",
    )
    n = m.parameter(
        "n",
        "1",
        bounds=(1.05, 10),
        default=1.56,
        citation=f"{_VG}; default: {_CARSEL}",
        description="evenness of pore sizes",
    )
    air_entry = m.parameter(
        "air_entry",
        "mm",
        bounds=(1e-3, 500),
        default=10,
        log=True,
        citation="Ippisch et al. (2006), doi:10.1016/j.advwatres.2005.12.011",
        description="suction at which the largest pore empties",
    )
    return VanGenuchten(alpha, n, air_entry)


def gardner(m: Declaration) -> Gardner:
    """Declare the parameter of :class:`Gardner`."""
    alpha = m.parameter(
        "alpha",
        "mm-1",
        bounds=(1e-5, 0.1),
        default=0.01,
        log=True,
        citation="Gardner (1958), doi:10.1097/00010694-195804000-00006",
        description="inverse of the capillary length",
    )
    return Gardner(alpha)
