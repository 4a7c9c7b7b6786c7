"""The simplest model: one linear reservoir."""

from __future__ import annotations

from typing import Literal

from hybridwater.ude.declaration import Declaration, model
from hybridwater.ude.model import UDE
from hybridwater.ude.processes import evapotranspiration


def linear_reservoir(pet: Literal["hamon", "oudin", "forcing"] = "forcing") -> UDE:
    """Return one linear reservoir with evapotranspiration.

    Forcing: ``prcp`` and what ``pet`` needs. ``q = k * storage``,
    ``d storage/dt = prcp - et - q``; ``et`` is in proportion to ``storage / capacity``.
    Source: Maillet (1905), Essais d'hydraulique souterraine et fluviale.

    Parameters
    ----------
    pet : {"hamon", "oudin", "forcing"}
        Where potential evapotranspiration comes from, see
        :func:`hybridwater.ude.processes.evapotranspiration.potential`.
    """

    @model(name="linear_reservoir")
    def declare(m: Declaration) -> None:
        """One linear reservoir."""
        P = m.forcing("prcp", "mm d-1", "precipitation")
        demand = evapotranspiration.potential(m, pet)
        k = m.parameter("k", "d-1", bounds=(1e-3, 1), default=0.03, log=True)
        capacity = m.parameter("capacity", "mm", bounds=(20, 1000), default=150)
        S = m.state("storage", "mm", initial=50, description="water in the catchment")
        et = evapotranspiration.linear_saturation(m, pet=demand, soil=S, capacity=capacity)
        q = m.flux("q", k * S, "mm d-1", "discharge")
        m.derivative(S, P - et - q)

    return declare
