"""Soil: what infiltrates, what evapotranspiration takes, and what is left to run off.

Each soil owns its store. ``uptake`` declares its evapotranspiration: one of the functions of
:mod:`hybridwater.ude.processes.evapotranspiration` or your own (see
:class:`~hybridwater.ude.processes.evapotranspiration.Uptake`).
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from hybridwater.ude.declaration import Declaration, Expression
from hybridwater.ude.functions import maximum, minimum
from hybridwater.ude.processes.evapotranspiration import Uptake, limit_lp, linear_saturation
from hybridwater.ude.processes.naming import day, named

_RANGE = "range of Feng et al. (2022), doi:10.1029/2022WR032404"
# Powers with a fitted exponent need a base above zero to have a gradient.
_DRY = 1e-6


@dataclass(frozen=True)
class Soil:
    """A soil store and its capacity [mm], its evapotranspiration and runoff [mm d-1].

    ``runoff`` is all that leaves the soil as liquid water.
    """

    soil: sympy.Symbol
    capacity: sympy.Symbol
    et: sympy.Symbol
    runoff: sympy.Symbol


def beta_recharge(
    m: Declaration,
    *,
    inflow: Expression,
    pet: Expression,
    uptake: Uptake = limit_lp,
    prefix: str = "",
) -> Soil:
    """Declare a soil store with HBV's recharge.

    ``recharge = inflow * min(soil / fc, 1) ** beta``, ``d soil/dt = inflow - recharge - et``.
    Source: Seibert and Vis (2012), doi:10.5194/hess-16-3315-2012, eq. 3.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    inflow, pet : sympy.Expr
        Rain and melt, potential evapotranspiration [mm d-1].
    uptake : Uptake
        Declares the actual evapotranspiration.
    prefix : str
        Put before the names ``fc``, ``beta`` (parameters), ``soil`` (state) and ``recharge``
        (flux).

    Returns
    -------
    Soil
        ``capacity`` is ``fc``, ``runoff`` is the recharge.
    """
    fc = m.parameter(
        named(prefix, "fc"),
        "mm",
        bounds=(50, 1000),
        default=250,
        citation=_RANGE,
        description="field capacity",
    )
    beta = m.parameter(
        named(prefix, "beta"),
        "1",
        bounds=(1, 6),
        default=2,
        citation=_RANGE,
        description="shape of recharge",
    )
    soil = m.state(named(prefix, "soil"), "mm", initial=100, description="soil water")
    et = uptake(m, pet=pet, soil=soil, capacity=fc, prefix=prefix)
    wetness = minimum(maximum(soil / fc, _DRY), 1)
    recharge = m.flux(named(prefix, "recharge"), inflow * wetness**beta, "mm d-1")
    m.derivative(soil, inflow - recharge - et)
    return Soil(soil, fc, et, recharge)


def saturation_excess(
    m: Declaration,
    *,
    inflow: Expression,
    pet: Expression,
    uptake: Uptake = linear_saturation,
    prefix: str = "",
) -> Soil:
    """Declare a soil store whose saturated area makes runoff, as in Xinanjiang and VIC.

    With the capacities of points in the basin distributed as a power function of shape ``b``, the
    saturated fraction of the area is ``1 - (1 - soil / wmax) ** (b / (1 + b))``;
    ``saturation_runoff = inflow * fraction``, ``d soil/dt = inflow - saturation_runoff - et``.
    Sources: Zhao (1992), doi:10.1016/0022-1694(92)90096-E; Wood et al. (1992),
    doi:10.1029/91JD01786; the fraction as a function of the mean storage follows from both.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    inflow, pet : sympy.Expr
        Rain and melt, potential evapotranspiration [mm d-1].
    uptake : Uptake
        Declares the actual evapotranspiration.
    prefix : str
        Put before the names ``wmax``, ``b`` (parameters), ``soil`` (state) and
        ``saturation_runoff`` (flux).

    Returns
    -------
    Soil
        ``capacity`` is ``wmax``.
    """
    wmax = m.parameter(
        named(prefix, "wmax"),
        "mm",
        bounds=(50, 1000),
        default=300,
        citation="Wood et al. (1992), doi:10.1029/91JD01786",
        description="mean capacity of the soil",
    )
    b = m.parameter(
        named(prefix, "b"),
        "1",
        bounds=(0.01, 5),
        default=0.3,
        log=True,
        citation="Wood et al. (1992), doi:10.1029/91JD01786",
        description="shape of the distribution of capacities",
    )
    soil = m.state(named(prefix, "soil"), "mm", initial=100, description="soil water")
    et = uptake(m, pet=pet, soil=soil, capacity=wmax, prefix=prefix)
    dry = minimum(maximum(1 - soil / wmax, _DRY), 1)
    runoff = m.flux(
        named(prefix, "saturation_runoff"), inflow * (1 - dry ** (b / (1 + b))), "mm d-1"
    )
    m.derivative(soil, inflow - runoff - et)
    return Soil(soil, wmax, et, runoff)


def leaky_bucket(
    m: Declaration,
    *,
    inflow: Expression,
    pet: Expression,
    uptake: Uptake = linear_saturation,
    prefix: str = "",
) -> Soil:
    """Declare a bucket that leaks in proportion to its storage and spills what exceeds it.

    ``leakage = leak * max(soil, 0)``, ``spill = max(soil - bucket, 0) / day``,
    ``runoff = leakage + spill``, ``d soil/dt = inflow - et - runoff``.
    Source: Manabe (1969), doi:10.1175/1520-0493(1969)097<0739:CATOC>2.3.CO;2, with a linear leak.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    inflow, pet : sympy.Expr
        Rain and melt, potential evapotranspiration [mm d-1].
    uptake : Uptake
        Declares the actual evapotranspiration.
    prefix : str
        Put before the names ``bucket``, ``leak`` (parameters), ``soil`` (state), ``leakage``,
        ``spill`` and ``runoff`` (fluxes).

    Returns
    -------
    Soil
        ``capacity`` is ``bucket``.
    """
    bucket = m.parameter(
        named(prefix, "bucket"),
        "mm",
        bounds=(20, 1000),
        default=150,
        citation="Manabe (1969), doi:10.1175/1520-0493(1969)097<0739:CATOC>2.3.CO;2",
        description="capacity of the bucket",
    )
    leak = m.parameter(
        named(prefix, "leak"),
        "d-1",
        bounds=(1e-4, 0.5),
        default=0.02,
        log=True,
        description="rate of leakage",
    )
    soil = m.state(named(prefix, "soil"), "mm", initial=100, description="soil water")
    et = uptake(m, pet=pet, soil=soil, capacity=bucket, prefix=prefix)
    leakage = m.flux(named(prefix, "leakage"), leak * maximum(soil, 0), "mm d-1")
    spill = m.flux(named(prefix, "spill"), maximum(soil - bucket, 0) / day(m), "mm d-1")
    runoff = m.flux(named(prefix, "runoff"), leakage + spill, "mm d-1")
    m.derivative(soil, inflow - et - runoff)
    return Soil(soil, bucket, et, runoff)
