"""A hybrid for many basins: known stores, learned splits, parameters that tell basins apart."""

from __future__ import annotations

from hybridwater.ude.declaration import Declaration, model
from hybridwater.ude.functions import maximum, minimum, smooth_step, softplus
from hybridwater.ude.model import UDE
from hybridwater.ude.processes import evapotranspiration


def regional_hybrid(latent: int = 6, hidden: tuple[int, ...] = (24,)) -> UDE:
    """Return a hybrid whose networks can be shared by many basins.

    Five stores (snow, soil, upper zone, groundwater, channel) hold the water; four networks decide
    what nobody can write down: the share of potential evapotranspiration that is met, the share
    of rain and melt that leaves the soil, the share of that which runs off fast, and how fast the
    upper zone drains. Every share is bounded, so no network can create water. The networks also
    see ``latent`` parameters without a meaning of their own; in a regional fit these come, like all
    parameters, from static attributes, and let one network behave differently from basin to basin.

    The store structure follows HBV (Bergström 1992; Seibert and Vis 2012,
    doi:10.5194/hess-16-3315-2012, eqs. 1 to 6). Learning its parameters from attributes follows
    Feng et al. (2022, doi:10.1029/2022WR032404).

    Parameters
    ----------
    latent : int
        Number of parameters without a meaning of their own.
    hidden : tuple of int
        Widths of the hidden layers of each network.

    Returns
    -------
    UDE
        Forcings ``prcp``, ``tmean``, ``dayl``; discharge ``q``. The inflow across the boundary is
        ``precipitation``: the forcing times a correction for undercatch between 0.75 and 1.4.
    """

    @model(name="regional_hybrid")
    def declare(m: Declaration) -> None:
        """Five stores with learned splits, for many basins at once."""
        P = m.forcing("prcp", "mm d-1", "precipitation")
        T = m.forcing("tmean", "degC", "air temperature")
        snow = m.state("snow", "mm", description="snow pack")
        soil = m.state("soil", "mm", initial=150, description="soil store")
        upper = m.state("upper", "mm", initial=5, description="upper zone")
        ground = m.state("ground", "mm", initial=20, description="groundwater")
        channel = m.state("channel", "mm", description="channel store")
        per_day = m.constant("per_day", 1, "d-1")
        width = m.constant("width", 1, "kelvin")

        t_snow = m.parameter("t_snow", "degC", (-2.5, 3), 0.3, description="rain to snow")
        t_melt = m.parameter("t_melt", "degC", (-2, 4), 0.5, description="onset of melt")
        ddf = m.parameter("ddf", "mm d-1 kelvin-1", (0.5, 8), 2.5, log=True)
        capacity = m.parameter("capacity", "mm", (40, 1500), 300, log=True)
        k_et = m.parameter("k_et", "1", (0.3, 2), 0.9, description="correction of Hamon's formula")
        k_upper = m.parameter("k_upper", "d-1", (0.02, 0.9), 0.3, log=True)
        k_percolation = m.parameter("k_percolation", "d-1", (0.005, 0.5), 0.08, log=True)
        k_ground = m.parameter("k_ground", "d-1", (0.0005, 0.2), 0.02, log=True)
        k_channel = m.parameter("k_channel", "d-1", (0.15, 1.9), 1.0, log=True)
        direct = m.parameter("direct", "1", (0, 1), 0.5, description="fast runoff past the channel")
        undercatch = m.parameter("undercatch", "1", (0.75, 1.4), 1.0, log=True)
        codes = [m.parameter(f"latent{i}", "1", (-1, 1), 0) for i in range(1, latent + 1)]
        basin = dict.fromkeys(codes, (-1, 1))

        precipitation = m.flux("precipitation", undercatch * P, "mm d-1")
        snowfall = m.flux("snowfall", precipitation * smooth_step(t_snow - T, width), "mm d-1")
        rainfall = m.flux("rainfall", precipitation - snowfall, "mm d-1")
        potential_melt = ddf * width * softplus((T - t_melt) / width)
        melt = m.flux("melt", minimum(maximum(snow, 0) * per_day, potential_melt), "mm d-1")
        water = m.flux("water", rainfall + melt, "mm d-1", "rain and melt at the soil")
        pet = evapotranspiration.potential(m, "hamon", tmean=T)
        filled = m.flux("filled", maximum(soil, 0) / capacity, "1", "relative soil water")

        soil_range, temperature, depth = {filled: (0, 1.5)}, {T: (-10, 30)}, {upper: (0, 60)}
        met = m.network(
            "met",
            {**soil_range, **temperature, pet: (0, 8), snow: (0, 200), **basin},
            "1",
            hidden=hidden,
            bounds=(0, 1.3),
            zero_when_empty=soil,
            empty_scale=5.0,
            description="share of potential evapotranspiration that is met",
        )
        leaving = m.network(
            "leaving",
            {**soil_range, water: (0, 60), **depth, **temperature, snow: (0, 200), **basin},
            "1",
            hidden=hidden,
            bounds=(0, 1),
            description="share of rain and melt that leaves the soil",
        )
        quick = m.network(
            "quick",
            {**soil_range, water: (0, 60), **depth, ground: (0, 200), **temperature, **basin},
            "1",
            hidden=hidden,
            bounds=(0, 1),
            description="share of that which runs off fast",
        )
        drainage = m.network(
            "drainage",
            {**depth, **soil_range, **temperature, **basin},
            "1",
            hidden=hidden,
            bounds=(0, 1.9),
            description="how fast the upper zone drains, relative to k_upper",
        )
        et = m.flux("et", k_et * pet * met, "mm d-1", "evapotranspiration")
        effective = m.flux("effective", water * leaving, "mm d-1")
        overflow = m.flux("overflow", per_day * maximum(soil - capacity, 0), "mm d-1")
        fast = m.flux("fast", effective * quick + overflow, "mm d-1")
        recharge = m.flux("recharge", effective * (1 - quick), "mm d-1")
        interflow = m.flux("interflow", k_upper * drainage * maximum(upper, 0), "mm d-1")
        percolation = m.flux("percolation", k_percolation * maximum(upper, 0), "mm d-1")
        baseflow = m.flux("baseflow", k_ground * maximum(ground, 0), "mm d-1")
        delayed = m.flux("delayed", (1 - direct) * fast, "mm d-1")
        routed = m.flux("routed", k_channel * channel, "mm d-1")
        m.flux("q", fast - delayed + interflow + baseflow + routed, "mm d-1", "discharge")

        m.derivative(snow, snowfall - melt)
        m.derivative(soil, water - et - effective - overflow)
        m.derivative(upper, recharge - interflow - percolation)
        m.derivative(ground, percolation - baseflow)
        m.derivative(channel, delayed - routed)

    return declare
