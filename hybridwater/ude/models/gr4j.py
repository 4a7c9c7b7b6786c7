"""GR4J in continuous time: production store, Nash cascade, routing store, water exchange."""

from __future__ import annotations

from typing import Literal

from hybridwater.ude.declaration import Declaration, model
from hybridwater.ude.functions import maximum, minimum
from hybridwater.ude.model import UDE
from hybridwater.ude.processes.evapotranspiration import potential
from hybridwater.ude.processes.naming import day

_SANTOS = "Santos et al. (2018), doi:10.5194/gmd-11-1591-2018"
_PERRIN = "Perrin et al. (2003), doi:10.1016/S0022-1694(03)00225-7"


def gr4j(pet: Literal["hamon", "oudin", "forcing"] = "forcing", stores: int = 11) -> UDE:
    """Return the continuous state-space GR4J.

    Forcing: ``prcp`` and what ``pet`` needs. States: ``production``, ``route1``, ..., ``routing``.
    Parameters ``x1`` to ``x4``. Evapotranspiration ``et``, discharge ``q``, ``exchange`` with the
    neighbours' groundwater (positive: gain). The two unit hydrographs of the daily model are one
    cascade of linear stores. At a small ``x4`` the cascade is stiff (rate ``10 / x4``): use an
    implicit solver.
    Source: Santos, Thirel and Perrin (2018), doi:10.5194/gmd-11-1591-2018, sect. 2; the direct
    branch ``max(q_direct + exchange, 0)`` is written as ``q_direct + max(exchange, -q_direct)`` so
    that all water is accounted for.

    Parameters
    ----------
    pet : {"hamon", "oudin", "forcing"}
        Where potential evapotranspiration comes from, see
        :func:`hybridwater.ude.processes.evapotranspiration.potential`.
    stores : int
        Number of stores of the cascade, at least 2.
    """
    if stores < 2:
        raise ValueError(f"the cascade of GR4J has at least two stores, not {stores}")

    @model(name="gr4j")
    def declare(m: Declaration) -> None:
        """GR4J (Perrin et al., 2003) in continuous time (Santos et al., 2018)."""
        P = m.forcing("prcp", "mm d-1", "precipitation")
        demand = potential(m, pet)

        def parameter(name, unit, bounds, default, description, log=False):
            return m.parameter(
                name,
                unit,
                bounds=bounds,
                default=default,
                log=log,
                citation=f"{_SANTOS}; default: median of {_PERRIN}",
                description=description,
            )

        x1 = parameter("x1", "mm", (10, 3000), 350, "capacity of the production store", True)
        x2 = parameter("x2", "mm d-1", (-10, 10), 0, "exchange at a full routing store")
        x3 = parameter("x3", "mm", (1, 1000), 90, "capacity of the routing store", True)
        x4 = parameter("x4", "d", (0.5, 10), 1.7, "time to peak of the cascade", True)
        one_day = day(m)
        nu = m.constant("nu", 4 / 9, "1", citation=_PERRIN, description="percolation coefficient")
        phi = m.constant("phi", 0.9, "1", citation=_PERRIN, description="share that is routed")

        S = m.state("production", "mm", initial=150, description="production store")
        s = maximum(S, 0) / x1
        intercepted = m.flux("intercepted", minimum(P, demand), "mm d-1")
        net = m.flux("net_rain", P - intercepted, "mm d-1")
        infiltration = m.flux("infiltration", net * (1 - s**2), "mm d-1")
        taken = m.flux("production_et", (demand - intercepted) * (2 * s - s**2), "mm d-1")
        percolation = m.flux("percolation", x1 * nu**4 * s**5 / (4 * one_day), "mm d-1")
        et = m.flux("et", intercepted + taken, "mm d-1", "evapotranspiration")
        effective = m.flux("effective_rain", net - infiltration + percolation, "mm d-1")
        m.derivative(S, P - et - effective)

        inflow = effective
        for k in range(1, stores + 1):
            store = m.state(f"route{k}", "mm", description=f"store {k} of the cascade")
            name = f"route{k}_out" if k < stores else "q_cascade"
            released = m.flux(name, (stores - 1) / x4 * store, "mm d-1")
            m.derivative(store, inflow - released)
            inflow = released

        R = m.state("routing", "mm", initial=40, description="routing store")
        r = maximum(R, 0) / x3
        routed = m.flux("q_routed", x3 * r**5 / (4 * one_day), "mm d-1")
        direct = m.flux("q_direct", (1 - phi) * inflow, "mm d-1")
        gain = m.flux("potential_exchange", x2 * r**3.5, "mm d-1")
        direct_gain = m.flux("direct_exchange", maximum(gain, -direct), "mm d-1")
        exchange = m.flux("exchange", gain + direct_gain, "mm d-1", "gain from neighbours")
        q = m.flux("q", routed + direct + direct_gain, "mm d-1", "discharge")
        m.derivative(R, inflow + exchange - q)

    return declare
