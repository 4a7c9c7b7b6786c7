"""Processes from which models are composed.

Each process is a function of the declaration ``m`` and of the symbols that it needs; it declares
its parameters, states and fluxes, and returns what it has declared. All depths are in mm, all
rates in mm d-1, so that the model's time unit is the day.

Examples
--------
>>> from hybridwater.ude import model
>>> from hybridwater.ude.processes import evapotranspiration, groundwater, routing, snow, soil
>>> @model
... def mine(m):
...     P, T = m.forcing("prcp", "mm d-1"), m.forcing("tmean", "degC")
...     pet = evapotranspiration.potential(m, "hamon", tmean=T)
...     phase = snow.partition_smooth(m, prcp=P, tmean=T)
...     pack = snow.degree_day(m, snowfall=phase.snowfall, tmean=T)
...     ground = soil.saturation_excess(m, inflow=phase.rainfall + pack.melt, pet=pet)
...     routing.nash_cascade(m, inflow=ground.runoff, stores=3)
>>> sorted(mine.boundary)
['et', 'q', 'rainfall', 'snowfall']
"""

from hybridwater.ude.processes import (
    evapotranspiration,
    groundwater,
    interception,
    routing,
    snow,
    soil,
)

__all__ = ["evapotranspiration", "groundwater", "interception", "routing", "snow", "soil"]
