"""Routing: delay of runoff on its way to the gauge, as stores in series."""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from hybridwater.ude.declaration import Declaration, Expression
from hybridwater.ude.processes.naming import named

_NASH = "Nash (1957), IAHS Publication 45(3), 114-121"


@dataclass(frozen=True)
class Cascade:
    """Stores in series [mm], the first one first, and the outflow of the last [mm d-1]."""

    stores: tuple[sympy.Symbol, ...]
    outflow: sympy.Symbol


def _chain(
    m: Declaration,
    inflow: Expression,
    rate: Expression,
    stores: int,
    outflow: str,
    prefix: str,
) -> Cascade:
    chain = []
    for k in range(1, stores + 1):
        store = m.state(named(prefix, f"route{k}"), "mm", description=f"routing store {k}")
        name = f"route{k}_out" if k < stores else outflow
        released = m.flux(named(prefix, name), rate * store, "mm d-1")
        m.derivative(store, inflow - released)
        chain.append(store)
        inflow = released
    return Cascade(tuple(chain), inflow)


def linear_store(
    m: Declaration, *, inflow: Expression, outflow: str = "q", prefix: str = ""
) -> Cascade:
    """Declare one linear routing store: :func:`nash_cascade` with one store.

    ``q = route1 / lag``, ``d route1/dt = inflow - q``.
    Source: Nash (1957), IAHS Publication 45(3), 114-121.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    inflow : sympy.Expr
        Runoff to be delayed [mm d-1].
    outflow, prefix : str
        As for :func:`nash_cascade`.

    Returns
    -------
    Cascade
    """
    return nash_cascade(m, inflow=inflow, stores=1, outflow=outflow, prefix=prefix)


def nash_cascade(
    m: Declaration,
    *,
    inflow: Expression,
    stores: int = 2,
    outflow: str = "q",
    prefix: str = "",
) -> Cascade:
    """Declare a cascade of equal linear stores.

    ``out_k = (n / lag) * route_k``, ``d route_k/dt = out_(k-1) - out_k``: its unit hydrograph is a
    gamma density of shape ``n`` (number of stores) and mean ``lag``.
    Source: Nash (1957), IAHS Publication 45(3), 114-121.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    inflow : sympy.Expr
        Runoff to be delayed [mm d-1].
    stores : int
        Number of stores, at least 1.
    outflow : str
        Name of the flux that leaves the last store.
    prefix : str
        Put before the names ``lag`` (parameter), ``route1``, ... (states), ``route1_out``, ...
        and ``outflow`` (fluxes).

    Returns
    -------
    Cascade

    Raises
    ------
    ValueError
        If there is no store.
    """
    if stores < 1:
        raise ValueError(f"a cascade has at least one store, not {stores}")
    lag = m.parameter(
        named(prefix, "lag"),
        "d",
        bounds=(0.5, 10),
        default=1.5,
        log=True,
        citation=_NASH,
        description="mean delay",
    )
    return _chain(m, inflow, stores / lag, stores, outflow, prefix)


def triangular_cascade(
    m: Declaration, *, inflow: Expression, outflow: str = "q", prefix: str = ""
) -> Cascade:
    """Declare HBV's triangular unit hydrograph, approximated by six linear stores.

    An isosceles triangle of base ``maxbas`` has the mean ``maxbas / 2`` and the variance
    ``maxbas**2 / 24``. A Nash cascade with just these two moments has ``mean**2 / variance = 6``
    stores of residence time ``maxbas / 12``: ``out_k = (12 / maxbas) * route_k``. It is an
    approximation: its response has a tail beyond ``maxbas`` and is skewed. With a small ``maxbas``
    it is stiff (rate 12 per day at one day): use an implicit solver.
    Source of the triangle: Seibert and Vis (2012), doi:10.5194/hess-16-3315-2012, eq. 6.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    inflow : sympy.Expr
        Runoff to be delayed [mm d-1].
    outflow : str
        Name of the flux that leaves the last store.
    prefix : str
        Put before the names ``maxbas`` (parameter), ``route1``, ... (states), ``route1_out``, ...
        and ``outflow`` (fluxes).

    Returns
    -------
    Cascade
    """
    maxbas = m.parameter(
        named(prefix, "maxbas"),
        "d",
        bounds=(1, 7),
        default=2.5,
        citation="Seibert and Vis (2012), doi:10.5194/hess-16-3315-2012",
        description="base of the triangular unit hydrograph",
    )
    return _chain(m, inflow, 12 / maxbas, 6, outflow, prefix)
