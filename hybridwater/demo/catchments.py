"""The hybrid of the demo, the catchments it is for, and how it is fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hybridwater.training import Stage
    from hybridwater.ude import UDE

TRAIN = ("1979-01", "1980-03")
"""Calibration and training, of which the first 90 days fill the stores and do not count."""

TEST = ("1980-04", "1980-12")
"""Held-out time."""

WARMUP = 90
LARGEST_AREA = 1500.0
"""Square kilometres; the models have no river routing, so larger catchments are left out."""


def usable_gages() -> list[str]:
    """Name every gage of the Delaware case that a lumped model without routing can be fitted to.

    Discharge on at least 700 of the 731 days; an area upstream within 15 % of the one the USGS
    gives and not above 1500 km2; and a runoff ratio between 0.4 and 0.75, beyond which water is
    diverted, as below the reservoirs of New York City. Nothing here looks at any model's skill.

    Returns
    -------
    list of str
        USGS numbers.

    Raises
    ------
    MissingDependency
        If pywatershed is not installed.
    """
    from hybridwater.data import delaware_gages

    gages = delaware_gages()
    usable = (
        ((gages["area_ratio"] - 1).abs() < 0.15)
        & (gages["area"] <= LARGEST_AREA)
        & gages["runoff_ratio"].between(0.4, 0.75)
    )
    return [str(gage) for gage in gages.index[usable]]


def demo_model() -> UDE:
    """Return EXP-Hydro with two learned terms that many catchments can share.

    EXP-Hydro has no quick runoff before its soil is full. Here a network says which share of rain
    and melt runs off at once, and each catchment has a largest share of its own; another network
    is evapotranspiration. The conceptual counterpart is EXP-Hydro as it is: no quick runoff.

    Returns
    -------
    UDE
    """
    from hybridwater.ude import Declaration, maximum, model
    from hybridwater.ude.processes import evapotranspiration, groundwater, snow

    @model(name="exp_hydro_quick")
    def declare(m: Declaration) -> None:
        """EXP-Hydro (Patil and Stieglitz, 2014) with learned quick runoff."""
        P = m.forcing("prcp", "mm d-1", "precipitation")
        T = m.forcing("tmean", "degC", "air temperature")
        capacity = m.parameter(
            "smax", "mm", (50, 3000), 1000, log=True, description="capacity of the soil store"
        )
        snow0 = m.parameter("snow0", "mm", (0, 1500), 1, description="snow at the beginning")
        soil0 = m.parameter("soil0", "mm", (0, 3000), 800, description="soil at the beginning")
        most = m.parameter("quick_max", "1", (0.02, 1), 0.3, description="largest quick share")
        phase = snow.partition_smooth(m, prcp=P, tmean=T)
        pack = snow.degree_day(m, snowfall=phase.snowfall, tmean=T, initial=snow0)
        soil = m.state("soil", "mm", initial=soil0, description="soil store")
        pet = evapotranspiration.potential(m, "hamon", tmean=T)
        et = evapotranspiration.smooth_saturation(m, pet=pet, soil=soil, capacity=capacity)
        slow = groundwater.exponential_outflow(m, soil=soil, capacity=capacity)
        water = m.flux("water", phase.rainfall + pack.melt, "mm d-1", "rain and melt")
        wetness = m.flux("wetness", maximum(soil, 0) / capacity, "1", "relative soil water")
        share = m.network(
            "quick_share",
            {wetness: (0, 1.2), water: (0, 40), T: (-10, 25)},
            "1",
            hidden=(12, 12),
            bounds=(0, 1),
            conceptual=0 * wetness,
            description="share of quick runoff, relative to the largest",
        )
        quick = m.flux("q_quick", most * share * water, "mm d-1", "quick runoff")
        q = m.flux("q", slow.q_base + slow.q_surf + quick, "mm d-1", "discharge")
        m.derivative(soil, water - et - q)

    return declare.learn(
        "et",
        {"wetness": (0, 1.2), "pet": (0, 6), "tmean": (-10, 25), "snow": (0, 100)},
        hidden=(12, 12),
        positive=True,
        scale=2.0,
        zero_when_empty="soil",
        empty_scale=5.0,
    )


def demo_schedule() -> tuple[Stage, ...]:
    """Return the schedule: calibrate EXP-Hydro, pre-train the networks on it, train together.

    The last stage is short: in two splits of the training months (the last six, and three in the
    first spring, kept apart) skill on the months kept apart rose in both for 30 epochs, and fell
    in one of them after that.
    """
    from hybridwater.training import Stage

    return (
        Stage("skeleton", 120, 0.08),
        Stage("pretrain", 150, network_rate=0.015),
        Stage("joint", 30, 0.03, 0.015),
    )
