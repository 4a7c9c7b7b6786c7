"""HBV: snow pack, soil, two groundwater zones, routing."""

from __future__ import annotations

from typing import Literal

from hybridwater.ude.declaration import Declaration, model
from hybridwater.ude.model import UDE
from hybridwater.ude.processes import evapotranspiration, groundwater, routing, snow, soil


def hbv(pet: Literal["hamon", "oudin", "forcing"] = "hamon", stores: int = 2) -> UDE:
    """Return HBV as a continuous-time model.

    Forcing: ``prcp``, ``tmean`` and what ``pet`` needs. States: ``snow``, ``liquid``, ``soil``,
    ``upper``, ``groundwater``, ``route1``, ... Evapotranspiration ``et``, discharge ``q``.
    Source: Seibert and Vis (2012), doi:10.5194/hess-16-3315-2012, eqs. 1 to 6, for one elevation
    zone. Three things differ: the snow threshold is smooth, so that it has a gradient; "within the
    time step" is a rate of 1 per day; and the triangular weights of eq. 6 are a Nash cascade.

    Parameters
    ----------
    pet : {"hamon", "oudin", "forcing"}
        Where potential evapotranspiration comes from, see
        :func:`hybridwater.ude.processes.evapotranspiration.potential`.
    stores : int
        Number of routing stores.
    """

    @model(name="hbv")
    def declare(m: Declaration) -> None:
        """HBV (Bergström, 1976; Seibert and Vis, 2012) in continuous time."""
        P = m.forcing("prcp", "mm d-1", "precipitation")
        T = m.forcing("tmean", "degC", "air temperature")
        demand = evapotranspiration.potential(m, pet, tmean=T)
        tt = snow.threshold(m)
        phase = snow.partition_smooth(m, prcp=P, tmean=T, threshold=tt)
        pack = snow.snow_pack(
            m, rainfall=phase.rainfall, snowfall=phase.snowfall, tmean=T, threshold=tt
        )
        box = soil.beta_recharge(m, inflow=pack.outflow, pet=demand)
        upper = groundwater.upper_zone(m, inflow=box.runoff)
        lower = groundwater.linear_store(m, inflow=upper.percolation, initial=10)
        runoff = upper.q_fast + upper.q_inter + lower.outflow
        routing.nash_cascade(m, inflow=runoff, stores=stores)

    return declare
