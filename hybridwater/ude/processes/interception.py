"""Interception: a canopy store that is filled by rain and emptied by evaporation."""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from hybridwater.ude.declaration import Declaration, Expression
from hybridwater.ude.processes.naming import named


@dataclass(frozen=True)
class Canopy:
    """A canopy store [mm], what passes it and what evaporates from it [mm d-1].

    ``demand`` is the potential evapotranspiration that is left for the soil [mm d-1].
    """

    canopy: sympy.Symbol
    throughfall: sympy.Symbol
    evaporation: sympy.Symbol
    demand: sympy.Symbol


def canopy(m: Declaration, *, rainfall: Expression, pet: Expression, prefix: str = "") -> Canopy:
    """Declare a canopy store.

    With the wetness ``w = canopy / canopy_capacity``: ``throughfall = rainfall * w``,
    ``interception_evaporation = pet * w``, ``d canopy/dt = rainfall - throughfall -
    interception_evaporation``; the store stays between empty and full by itself.
    Sources: without evaporation this is the exponential filling ``C (1 - exp(-P / C))`` of
    Merriam (1960), doi:10.1029/JZ065i011p03850, as a differential equation; evaporation in
    proportion to wetness is Rutter et al. (1971), doi:10.1016/0002-1571(71)90034-3.

    Parameters
    ----------
    m : Declaration
        The model that is being declared.
    rainfall, pet : sympy.Expr
        Rain and potential evapotranspiration [mm d-1].
    prefix : str
        Put before the names ``canopy_capacity`` (parameter), ``canopy`` (state), ``throughfall``,
        ``interception_evaporation`` and ``demand`` (fluxes).

    Returns
    -------
    Canopy
    """
    capacity = m.parameter(
        named(prefix, "canopy_capacity"),
        "mm",
        bounds=(0.2, 10),
        default=2,
        citation="Rutter et al. (1971), doi:10.1016/0002-1571(71)90034-3",
        description="water that the canopy can hold",
    )
    store = m.state(named(prefix, "canopy"), "mm", description="water on the canopy")
    wetness = store / capacity
    throughfall = m.flux(named(prefix, "throughfall"), rainfall * wetness, "mm d-1")
    evaporation = m.flux(named(prefix, "interception_evaporation"), pet * wetness, "mm d-1")
    demand = m.flux(named(prefix, "demand"), pet - evaporation, "mm d-1")
    m.derivative(store, rainfall - throughfall - evaporation)
    return Canopy(store, throughfall, evaporation, demand)
