"""Groundwater: stores that release baseflow."""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from hybridwater.ude.declaration import Declaration, Expression
from hybridwater.ude.functions import exp, maximum, minimum, smooth_step
from hybridwater.ude.processes.naming import day, named, storage_width

_HOEGE = "Höge et al. (2022), doi:10.5194/hess-26-5085-2022"
_RANGE = "range of Feng et al. (2022), doi:10.1029/2022WR032404"
# Powers with a fitted exponent need a base above zero to have a gradient.
_DRY = 1e-6


@dataclass(frozen=True)
class Reservoir:
    """A store [mm] and its outflow [mm d-1]."""

    storage: sympy.Symbol
    outflow: sympy.Symbol


@dataclass(frozen=True)
class ExponentialOutflow:
    """Outflow of a soil store that another process owns [mm d-1]."""

    q_base: sympy.Symbol
    q_surf: sympy.Symbol


@dataclass(frozen=True)
class UpperZone:
    """A store with two outlets and percolation [mm; mm d-1]."""

    storage: sympy.Symbol
    q_fast: sympy.Symbol
    q_inter: sympy.Symbol
    percolation: sympy.Symbol


def linear_store(
    m: Declaration,
    *,
    inflow: Expression,
    initial: float | sympy.Symbol = 0.0,
    prefix: str = "",
) -> Reservoir:
    """Declare a linear groundwater store.

    ``q_ground = k_ground * groundwater``, ``d groundwater/dt = inflow - q_ground``.
    Source: Maillet (1905), Essais d'hydraulique souterraine et fluviale; the lower zone of HBV in
    Seibert and Vis (2012), doi:10.5194/hess-16-3315-2012, eq. 5.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    inflow : sympy.Expr
        Recharge [mm d-1].
    initial : float or sympy.Symbol
        Initial storage [mm], or the parameter that it is.
    prefix : str
        Put before the names ``k_ground`` (parameter), ``groundwater`` (state) and ``q_ground``
        (flux).

    Returns
    -------
    Reservoir
    """
    k = m.parameter(
        named(prefix, "k_ground"),
        "d-1",
        bounds=(0.001, 0.2),
        default=0.02,
        log=True,
        citation=f"k2 of HBV, {_RANGE}",
        description="recession constant",
    )
    storage = m.state(named(prefix, "groundwater"), "mm", initial=initial)
    outflow = m.flux(named(prefix, "q_ground"), k * storage, "mm d-1")
    m.derivative(storage, inflow - outflow)
    return Reservoir(storage, outflow)


def power_store(
    m: Declaration,
    *,
    inflow: Expression,
    initial: float | sympy.Symbol = 20.0,
    prefix: str = "",
) -> Reservoir:
    """Declare a nonlinear groundwater store whose outflow is a power of its storage.

    ``q_ground = q_ref * (groundwater / 100 mm) ** exponent``,
    ``d groundwater/dt = inflow - q_ground``: the storage-discharge relation ``S = a * q ** b``
    with ``exponent = 1 / b``.
    Source: Wittenberg (1999), Hydrological Processes 13, 715-726, eq. 4.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    inflow : sympy.Expr
        Recharge [mm d-1].
    initial : float or sympy.Symbol
        Initial storage [mm], or the parameter that it is.
    prefix : str
        Put before the names ``q_ref``, ``exponent`` (parameters), ``storage_ref`` (constant),
        ``groundwater`` (state) and ``q_ground`` (flux).

    Returns
    -------
    Reservoir
    """
    q_ref = m.parameter(
        named(prefix, "q_ref"),
        "mm d-1",
        bounds=(0.01, 50),
        default=2,
        log=True,
        description="outflow at the reference storage",
    )
    exponent = m.parameter(
        named(prefix, "exponent"),
        "1",
        bounds=(1, 5),
        default=2,
        citation="Wittenberg (1999): b of 0.5, so an exponent of 2, for unconfined aquifers",
    )
    reference = m.constant(named(prefix, "storage_ref"), 100.0, "mm")
    storage = m.state(named(prefix, "groundwater"), "mm", initial=initial)
    level = maximum(storage / reference, _DRY)
    outflow = m.flux(named(prefix, "q_ground"), q_ref * level**exponent, "mm d-1")
    m.derivative(storage, inflow - outflow)
    return Reservoir(storage, outflow)


def exponential_outflow(
    m: Declaration, *, soil: sympy.Symbol, capacity: Expression, prefix: str = ""
) -> ExponentialOutflow:
    """Declare the outflow of EXP-Hydro's soil store, which another process owns.

    With ``h(x) = (tanh(x / 0.2 mm) + 1) / 2`` and ``c`` the capacity:
    ``q_base = h(soil) * qmax * (h(soil - c) + h(c - soil) * exp(-f * (c - soil)))``,
    ``q_surf = h(soil) * h(soil - c) * (soil - c) / day``.
    Source: Höge et al. (2022), doi:10.5194/hess-26-5085-2022, appendix A; without smoothing Patil
    and Stieglitz (2014), Hydrological Processes 28, 1159-1169.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    soil, capacity : sympy.Expr
        Soil water and its capacity [mm].
    prefix : str
        Put before the names ``f``, ``qmax`` (parameters), ``q_base`` and ``q_surf`` (fluxes).

    Returns
    -------
    ExponentialOutflow
    """
    f = m.parameter(
        named(prefix, "f"),
        "mm-1",
        bounds=(1e-3, 0.3),
        default=0.03,
        log=True,
        citation=f"{_HOEGE}; bounds widened from (0, 0.1) to hold all published values",
        description="rate of decline of baseflow with storage",
    )
    qmax = m.parameter(
        named(prefix, "qmax"),
        "mm d-1",
        bounds=(1, 200),
        default=20,
        log=True,
        citation=f"{_HOEGE}; bounds widened from (10, 50) to hold all published values",
        description="baseflow of a full store",
    )
    width = storage_width(m)
    some = smooth_step(soil, width)
    full = smooth_step(soil - capacity, width)
    part = smooth_step(capacity - soil, width) * exp(-f * (capacity - soil))
    q_base = m.flux(named(prefix, "q_base"), some * qmax * (full + part), "mm d-1")
    q_surf = m.flux(named(prefix, "q_surf"), some * full * (soil - capacity) / day(m), "mm d-1")
    return ExponentialOutflow(q_base, q_surf)


def upper_zone(m: Declaration, *, inflow: Expression, prefix: str = "") -> UpperZone:
    """Declare HBV's upper groundwater zone: two outlets, one above a threshold, and percolation.

    ``q_fast = k0 * max(upper - uzl, 0)``, ``q_inter = k1 * upper``,
    ``percolation = min(perc, upper / day)``,
    ``d upper/dt = inflow - q_fast - q_inter - percolation``.
    Source: Seibert and Vis (2012), doi:10.5194/hess-16-3315-2012, eq. 5; "within the time step" of
    the daily model is a rate of 1 per day here.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    inflow : sympy.Expr
        Recharge [mm d-1].
    prefix : str
        Put before the names ``k0``, ``k1``, ``uzl``, ``perc`` (parameters), ``upper`` (state),
        ``q_fast``, ``q_inter`` and ``percolation`` (fluxes).

    Returns
    -------
    UpperZone
    """

    def parameter(
        name: str, unit: str, bounds: tuple[float, float], default: float, description: str
    ) -> sympy.Symbol:
        return m.parameter(
            named(prefix, name),
            unit,
            bounds=bounds,
            default=default,
            citation=_RANGE,
            description=description,
        )

    k0 = parameter("k0", "d-1", (0.05, 0.9), 0.3, "recession constant above the threshold")
    k1 = parameter("k1", "d-1", (0.01, 0.5), 0.1, "recession constant")
    uzl = parameter("uzl", "mm", (0, 100), 20, "threshold of fast flow")
    perc = parameter("perc", "mm d-1", (0, 10), 1, "largest percolation")
    upper = m.state(named(prefix, "upper"), "mm", initial=5, description="upper groundwater")
    q_fast = m.flux(named(prefix, "q_fast"), k0 * maximum(upper - uzl, 0), "mm d-1")
    q_inter = m.flux(named(prefix, "q_inter"), k1 * upper, "mm d-1")
    percolation = m.flux(named(prefix, "percolation"), minimum(perc, upper / day(m)), "mm d-1")
    m.derivative(upper, inflow - q_fast - q_inter - percolation)
    return UpperZone(upper, q_fast, q_inter, percolation)
