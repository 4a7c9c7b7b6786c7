"""Evapotranspiration: what the air demands, and what the soil gives."""

from __future__ import annotations

from typing import Literal, Protocol

import sympy

from hybridwater.ude.declaration import Declaration, Expression
from hybridwater.ude.functions import exp, maximum, minimum, smooth_step
from hybridwater.ude.processes.naming import named, storage_width

_HAMON = "Hamon (1963), as in Höge et al. (2022), doi:10.5194/hess-26-5085-2022"
_OUDIN = "Oudin et al. (2005), doi:10.1016/j.jhydrol.2004.08.026"


class Uptake(Protocol):
    """Declares the actual evapotranspiration of a soil store; soil processes take one.

    :func:`smooth_saturation`, :func:`linear_saturation` and :func:`limit_lp` are such functions;
    so is a function of yours that declares a neural network.
    """

    def __call__(
        self,
        m: Declaration,
        *,
        pet: Expression,
        soil: sympy.Symbol,
        capacity: Expression,
        prefix: str = "",
    ) -> sympy.Symbol:
        """Return the actual evapotranspiration [mm d-1]."""
        ...


def hamon(m: Declaration, *, tmean: Expression, dayl: Expression, prefix: str = "") -> sympy.Symbol:
    """Declare potential evapotranspiration from temperature and day length.

    ``pet = 29.8 * dayl * e / (tmean + 273.2)`` with the day length in hours and the saturation
    vapour pressure ``e = 0.611 * exp(17.3 * tmean / (tmean + 237.3))`` in kPa.
    Source: Hamon (1963), as used by EXP-Hydro in Höge et al. (2022),
    doi:10.5194/hess-26-5085-2022, appendix A.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    tmean, dayl : sympy.Expr
        Air temperature [degC], day length [h].
    prefix : str
        Put before the names of the flux ``pet`` and of five constants ``hamon_...``.

    Returns
    -------
    sympy.Symbol
        ``pet`` [mm d-1].
    """

    def number(name: str, value: float, unit: str) -> sympy.Symbol:
        return m.constant(named(prefix, f"hamon_{name}"), value, unit, citation=_HAMON)

    factor = number("factor", 29.8, "mm d-1 h-1 kPa-1 K")
    pressure = number("pressure", 0.611, "kPa")
    slope = number("slope", 17.3, "1")
    pole = number("pole", -237.3, "degC")
    zero = number("zero", -273.2, "degC")
    vapour = pressure * exp(slope * tmean / (tmean - pole))
    return m.flux(named(prefix, "pet"), factor * dayl * vapour / (tmean - zero), "mm d-1")


def oudin(
    m: Declaration, *, tmean: Expression, radiation: Expression, prefix: str = ""
) -> sympy.Symbol:
    """Declare potential evapotranspiration from temperature and extraterrestrial radiation.

    ``pet = radiation / 2.45 * max(tmean + 5, 0) / 100``, the radiation in MJ m-2 d-1, and
    2.45 MJ the heat that evaporates a square metre's millimetre.
    Source: Oudin et al. (2005), doi:10.1016/j.jhydrol.2004.08.026, eq. 3.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    tmean, radiation : sympy.Expr
        Air temperature [degC], extraterrestrial radiation [MJ m-2 d-1]. The latter follows from
        latitude and day of the year alone (Allen et al., 1998, FAO paper 56, eq. 21); it is a
        forcing here.
    prefix : str
        Put before the names of the flux ``pet`` and of three constants ``oudin_...``.

    Returns
    -------
    sympy.Symbol
        ``pet`` [mm d-1].
    """
    heat = m.constant(named(prefix, "oudin_heat"), 2.45, "MJ m-2 mm-1", citation=_OUDIN)
    base = m.constant(named(prefix, "oudin_base"), -5.0, "degC", citation=_OUDIN)
    span = m.constant(named(prefix, "oudin_span"), 100.0, "K", citation=_OUDIN)
    return m.flux(
        named(prefix, "pet"), radiation / heat * maximum(tmean - base, 0) / span, "mm d-1"
    )


def potential(
    m: Declaration,
    source: Literal["hamon", "oudin", "forcing"],
    *,
    tmean: Expression | None = None,
    prefix: str = "",
) -> sympy.Symbol:
    """Declare potential evapotranspiration and the forcing that it needs.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    source : str
        ``"hamon"``: from the forcing ``dayl`` [h] with :func:`hamon`; ``"oudin"``: from the
        forcing ``radiation`` [MJ m-2 d-1] with :func:`oudin`; ``"forcing"``: the forcing ``pet``.
    tmean : sympy.Expr, optional
        Air temperature [degC]; declared as the forcing ``tmean`` if needed and not given.
    prefix : str
        Put before the names of flux and constants, not of forcings.

    Returns
    -------
    sympy.Symbol
        ``pet`` [mm d-1].

    Raises
    ------
    ValueError
        If the source is none of the three.
    """
    if source == "forcing":
        return m.forcing("pet", "mm d-1", "potential evapotranspiration")
    if source not in ("hamon", "oudin"):
        raise ValueError(f"{source!r} is not a source of pet: use 'hamon', 'oudin' or 'forcing'")
    if tmean is None:
        tmean = m.forcing("tmean", "degC", "air temperature")
    if source == "hamon":
        return hamon(m, tmean=tmean, dayl=m.forcing("dayl", "h", "day length"), prefix=prefix)
    radiation = m.forcing("radiation", "MJ m-2 d-1", "extraterrestrial radiation")
    return oudin(m, tmean=tmean, radiation=radiation, prefix=prefix)


def smooth_saturation(
    m: Declaration,
    *,
    pet: Expression,
    soil: sympy.Symbol,
    capacity: Expression,
    prefix: str = "",
) -> sympy.Symbol:
    """Declare actual evapotranspiration in proportion to saturation, with smooth thresholds.

    ``et = h(soil) * pet * (h(soil - capacity) + h(capacity - soil) * soil / capacity)`` with
    ``h(x) = (tanh(x / 0.2 mm) + 1) / 2``.
    Source: Höge et al. (2022), doi:10.5194/hess-26-5085-2022, eq. A3.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    pet, soil, capacity : sympy.Expr
        Potential evapotranspiration [mm d-1], soil water and its capacity [mm].
    prefix : str
        Put before the name of the flux ``et``.

    Returns
    -------
    sympy.Symbol
        ``et`` [mm d-1].
    """
    width = storage_width(m)
    full = smooth_step(soil - capacity, width)
    part = smooth_step(capacity - soil, width) * soil / capacity
    return m.flux(named(prefix, "et"), smooth_step(soil, width) * pet * (full + part), "mm d-1")


def linear_saturation(
    m: Declaration,
    *,
    pet: Expression,
    soil: sympy.Symbol,
    capacity: Expression,
    prefix: str = "",
) -> sympy.Symbol:
    """Declare actual evapotranspiration in proportion to saturation.

    ``et = pet * min(max(soil, 0) / capacity, 1)``.
    Source: Patil and Stieglitz (2014), Hydrological Processes 28, 1159-1169.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    pet, soil, capacity : sympy.Expr
        Potential evapotranspiration [mm d-1], soil water and its capacity [mm].
    prefix : str
        Put before the name of the flux ``et``.

    Returns
    -------
    sympy.Symbol
        ``et`` [mm d-1].
    """
    wetness = minimum(maximum(soil, 0) / capacity, 1)
    return m.flux(named(prefix, "et"), pet * wetness, "mm d-1")


def limit_lp(
    m: Declaration,
    *,
    pet: Expression,
    soil: sympy.Symbol,
    capacity: Expression,
    prefix: str = "",
) -> sympy.Symbol:
    """Declare actual evapotranspiration that soils wetter than a limit do not reduce, as in HBV.

    ``et = pet * min(max(soil, 0) / (lp * capacity), 1)``.
    Source: Seibert and Vis (2012), doi:10.5194/hess-16-3315-2012, eq. 4.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    pet, soil, capacity : sympy.Expr
        Potential evapotranspiration [mm d-1], soil water and its capacity [mm].
    prefix : str
        Put before the names ``lp`` (parameter) and ``et`` (flux).

    Returns
    -------
    sympy.Symbol
        ``et`` [mm d-1].
    """
    lp = m.parameter(
        named(prefix, "lp"),
        "1",
        bounds=(0.2, 1),
        default=0.7,
        citation="range of Feng et al. (2022), doi:10.1029/2022WR032404",
        description="saturation above which evapotranspiration is potential",
    )
    wetness = minimum(maximum(soil, 0) / (lp * capacity), 1)
    return m.flux(named(prefix, "et"), pet * wetness, "mm d-1")
