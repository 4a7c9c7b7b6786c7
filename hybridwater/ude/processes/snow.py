"""Snow: rain or snow, melt by degree-days, refreezing."""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from hybridwater.ude.declaration import Declaration, Expression
from hybridwater.ude.functions import maximum, minimum, smooth_step, where
from hybridwater.ude.processes.naming import day, named, storage_width, temperature_width

_HOEGE = "Höge et al. (2022), doi:10.5194/hess-26-5085-2022"
_SEIBERT = "Seibert and Vis (2012), doi:10.5194/hess-16-3315-2012"
_RANGE = "range of Feng et al. (2022), doi:10.1029/2022WR032404"


@dataclass(frozen=True)
class Partition:
    """Precipitation by phase [mm d-1]."""

    rainfall: sympy.Symbol
    snowfall: sympy.Symbol


@dataclass(frozen=True)
class DegreeDay:
    """A snow store [mm] and its melt [mm d-1]."""

    snow: sympy.Symbol
    melt: sympy.Symbol


@dataclass(frozen=True)
class SnowPack:
    """Snow and the liquid water that it holds [mm]; what leaves each of them [mm d-1]."""

    snow: sympy.Symbol
    liquid: sympy.Symbol
    melt: sympy.Symbol
    refreezing: sympy.Symbol
    outflow: sympy.Symbol


def threshold(m: Declaration, *, prefix: str = "") -> sympy.Symbol:
    """Declare the one threshold temperature of snowfall and melt that HBV has.

    Source: Seibert and Vis (2012), doi:10.5194/hess-16-3315-2012, sect. 2.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    prefix : str
        Put before the name ``tt`` (parameter).

    Returns
    -------
    sympy.Symbol
        ``tt`` [degC].
    """
    return m.parameter(
        named(prefix, "tt"),
        "degC",
        bounds=(-2.5, 2.5),
        default=0.0,
        citation=f"{_SEIBERT}; {_RANGE}",
        description="threshold temperature of snowfall and melt",
    )


def _partition(m: Declaration, prcp: Expression, warm: Expression, prefix: str) -> Partition:
    rainfall = m.flux(named(prefix, "rainfall"), prcp * warm, "mm d-1")
    snowfall = m.flux(named(prefix, "snowfall"), prcp * (1 - warm), "mm d-1")
    return Partition(rainfall, snowfall)


def partition_smooth(
    m: Declaration,
    *,
    prcp: Expression,
    tmean: Expression,
    threshold: Expression | None = None,
    prefix: str = "",
) -> Partition:
    """Part precipitation into rain and snow with a smooth step.

    ``rainfall = prcp * h(tmean - tmin)`` and ``snowfall = prcp * (1 - h(tmean - tmin))`` with
    ``h(x) = (tanh(x / 0.2 K) + 1) / 2``. With this odd step ``1 - h(x) = h(-x)``.
    Source: Höge et al. (2022), doi:10.5194/hess-26-5085-2022, eqs. A1 and A2.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    prcp, tmean : sympy.Expr
        Precipitation [mm d-1], air temperature [degC].
    threshold : sympy.Expr, optional
        Temperature [degC] in the place of ``tmin``, for example that of :func:`threshold`.
    prefix : str
        Put before the names ``tmin`` (parameter), ``rainfall`` and ``snowfall`` (fluxes).

    Returns
    -------
    Partition
    """
    limit = threshold
    if limit is None:
        limit = m.parameter(
            named(prefix, "tmin"),
            "degC",
            bounds=(-6, 1),
            default=-1.5,
            citation=f"{_HOEGE}; bounds widened from (-3, 0) to hold all published values",
            description="temperature below which precipitation is snow",
        )
    return _partition(m, prcp, smooth_step(tmean - limit, temperature_width(m)), prefix)


def partition_sharp(
    m: Declaration,
    *,
    prcp: Expression,
    tmean: Expression,
    threshold: Expression,
    prefix: str = "",
) -> Partition:
    """Part precipitation into rain and snow at a sharp threshold.

    ``rainfall = prcp if tmean > threshold else 0``, ``snowfall = prcp - rainfall``. Here the
    threshold has no gradient, so that only methods without gradients can fit it.
    Source: Seibert and Vis (2012), doi:10.5194/hess-16-3315-2012, sect. 2.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    prcp, tmean : sympy.Expr
        Precipitation [mm d-1], air temperature [degC].
    threshold : sympy.Expr
        Temperature [degC], for example that of :func:`threshold`.
    prefix : str
        Put before the names ``rainfall`` and ``snowfall`` (fluxes).

    Returns
    -------
    Partition
    """
    return _partition(m, prcp, where(tmean > threshold, 1, 0), prefix)


def degree_day(
    m: Declaration,
    *,
    snowfall: Expression,
    tmean: Expression,
    initial: float | sympy.Symbol = 0.0,
    prefix: str = "",
) -> DegreeDay:
    """Declare a snow store that melts by degree-days, with smooth thresholds.

    ``melt = h(tmean - tmax) * h(snow) * min(snow / day, df * (tmean - tmax))`` and
    ``d snow/dt = snowfall - melt``, with ``h(x) = (tanh(x / 0.2) + 1) / 2``.
    Source: Höge et al. (2022), doi:10.5194/hess-26-5085-2022, eq. A4.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    snowfall, tmean : sympy.Expr
        Snowfall [mm d-1], air temperature [degC].
    initial : float or sympy.Symbol
        Initial snow [mm], or the parameter that it is.
    prefix : str
        Put before the names ``df``, ``tmax`` (parameters), ``snow`` (state) and ``melt`` (flux).

    Returns
    -------
    DegreeDay
    """
    df = m.parameter(
        named(prefix, "df"),
        "mm d-1 K-1",
        bounds=(0.01, 10),
        default=2.5,
        citation=f"{_HOEGE}; bounds widened from (0, 5) to hold all published values",
        description="degree-day factor",
    )
    tmax = m.parameter(
        named(prefix, "tmax"),
        "degC",
        bounds=(-1, 8),
        default=0.8,
        citation=f"{_HOEGE}; bounds widened from (0, 3) to hold all published values",
        description="temperature above which snow melts",
    )
    snow = m.state(named(prefix, "snow"), "mm", initial=initial, description="snow store")
    warm = smooth_step(tmean - tmax, temperature_width(m))
    some = smooth_step(snow, storage_width(m))
    melt = m.flux(
        named(prefix, "melt"),
        warm * some * minimum(snow / day(m), df * (tmean - tmax)),
        "mm d-1",
    )
    m.derivative(snow, snowfall - melt)
    return DegreeDay(snow, melt)


def snow_pack(
    m: Declaration,
    *,
    rainfall: Expression,
    snowfall: Expression,
    tmean: Expression,
    threshold: Expression,
    prefix: str = "",
) -> SnowPack:
    """Declare a snow pack that holds liquid water, which can freeze again, as in HBV.

    ``melt = min(cfmax * max(tmean - tt, 0), snow / day)``,
    ``refreezing = min(cfr * cfmax * max(tt - tmean, 0), liquid / day)``,
    ``bypass = rainfall * 1 mm / (1 mm + max(snow, 0))``,
    ``snow_outflow = bypass + max(liquid - cwh * snow, 0) / day``,
    ``d snow/dt = snowfall + refreezing - melt``,
    ``d liquid/dt = rainfall + melt - refreezing - snow_outflow``.
    Source: Seibert and Vis (2012), doi:10.5194/hess-16-3315-2012, eqs. 1 and 2. "Within the time
    step" of the daily model is a rate of 1 per day here, and rain on bare ground passes without
    that delay.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    rainfall, snowfall, tmean : sympy.Expr
        Rain and snow [mm d-1], air temperature [degC].
    threshold : sympy.Expr
        Threshold temperature ``tt`` [degC].
    prefix : str
        Put before the names ``cfmax``, ``cfr``, ``cwh`` (parameters), ``snow``, ``liquid``
        (states), ``melt``, ``refreezing`` and ``snow_outflow`` (fluxes).

    Returns
    -------
    SnowPack
    """
    citation = f"{_SEIBERT}; {_RANGE}"
    cfmax = m.parameter(
        named(prefix, "cfmax"),
        "mm d-1 K-1",
        bounds=(0.5, 10),
        default=3,
        citation=citation,
        description="degree-day factor",
    )
    cfr = m.parameter(
        named(prefix, "cfr"),
        "1",
        bounds=(0, 0.1),
        default=0.05,
        citation=citation,
        description="refreezing coefficient",
    )
    cwh = m.parameter(
        named(prefix, "cwh"),
        "1",
        bounds=(0, 0.2),
        default=0.1,
        citation=citation,
        description="liquid water that snow holds, as a fraction of it",
    )
    snow = m.state(named(prefix, "snow"), "mm", description="frozen part of the snow pack")
    liquid = m.state(named(prefix, "liquid"), "mm", description="liquid water in the snow pack")
    one_day = day(m)
    warmth = maximum(tmean - threshold, 0)
    cold = maximum(threshold - tmean, 0)
    melt = m.flux(named(prefix, "melt"), minimum(cfmax * warmth, snow / one_day), "mm d-1")
    refreezing = m.flux(
        named(prefix, "refreezing"), minimum(cfr * cfmax * cold, liquid / one_day), "mm d-1"
    )
    thin = m.constant(
        named(prefix, "thin_snow"), 1.0, "mm", description="snow that covers half of the ground"
    )
    bypass = rainfall * thin / (thin + maximum(snow, 0))
    released = maximum(liquid - cwh * snow, 0) / one_day
    outflow = m.flux(named(prefix, "snow_outflow"), bypass + released, "mm d-1")
    m.derivative(snow, snowfall + refreezing - melt)
    m.derivative(liquid, rainfall + melt - refreezing - outflow)
    return SnowPack(snow, liquid, melt, refreezing, outflow)
