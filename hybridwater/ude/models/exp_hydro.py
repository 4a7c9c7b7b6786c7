"""EXP-Hydro: snow and soil, six parameters; and its hybrid with two neural networks."""

from __future__ import annotations

from hybridwater.ude.declaration import Declaration, model
from hybridwater.ude.model import UDE
from hybridwater.ude.processes import evapotranspiration, groundwater, snow

_HOEGE = "Höge et al. (2022), doi:10.5194/hess-26-5085-2022"


def exp_hydro() -> UDE:
    """Return EXP-Hydro as a continuous-time model with smooth thresholds.

    Forcing: ``prcp``, ``tmean``, ``dayl``. States: ``snow``, ``soil``. Parameters: ``f``,
    ``smax``, ``qmax``, ``df``, ``tmax``, ``tmin``, and the initial storages ``snow0`` and
    ``soil0``. Discharge: ``q = q_base + q_surf``.
    Sources: Patil and Stieglitz (2014), Hydrological Processes 28, 1159-1169; continuous in time
    and smoothed in Höge et al. (2022), doi:10.5194/hess-26-5085-2022, appendix A. The bounds are
    wider than the ranges that were searched there, which do not hold all of the published values.
    """

    @model(name="exp_hydro")
    def declare(m: Declaration) -> None:
        """EXP-Hydro (Patil and Stieglitz, 2014) as in Höge et al. (2022)."""
        P = m.forcing("prcp", "mm d-1", "precipitation")
        T = m.forcing("tmean", "degC", "air temperature")
        smax = m.parameter(
            "smax",
            "mm",
            bounds=(50, 3000),
            default=1000,
            log=True,
            citation=f"{_HOEGE}; bounds widened from (100, 1500) to hold all published values",
            description="capacity of the soil store",
        )
        snow0 = m.parameter("snow0", "mm", bounds=(0, 1500), default=1, citation=_HOEGE)
        soil0 = m.parameter("soil0", "mm", bounds=(0, 3000), default=800, citation=_HOEGE)
        phase = snow.partition_smooth(m, prcp=P, tmean=T)
        pack = snow.degree_day(m, snowfall=phase.snowfall, tmean=T, initial=snow0)
        soil = m.state("soil", "mm", initial=soil0, description="soil store")
        pet = evapotranspiration.potential(m, "hamon", tmean=T)
        et = evapotranspiration.smooth_saturation(m, pet=pet, soil=soil, capacity=smax)
        outflow = groundwater.exponential_outflow(m, soil=soil, capacity=smax)
        q = m.flux("q", outflow.q_base + outflow.q_surf, "mm d-1", "discharge")
        m.derivative(soil, phase.rainfall + pack.melt - et - q)

    return declare


def exp_hydro_hybrid(hidden: tuple[int, ...] = (16, 16)) -> UDE:
    """Return EXP-Hydro with neural networks for evapotranspiration and discharge.

    The choice of terms follows model M50 of Höge et al. (2022), doi:10.5194/hess-26-5085-2022,
    sect. 3. There, ``et`` saw the two storages and temperature and was multiplied by day length,
    and ``q`` saw soil and precipitation; here ``et`` also sees day length, and ``q`` the water that
    reaches the soil, so that rain that falls as snow does not raise it. Both are positive and
    vanish with the soil water. The equations of EXP-Hydro stay as conceptual counterparts.

    Parameters
    ----------
    hidden : tuple of int
        Widths of the hidden layers of both networks.
    """
    hybrid = exp_hydro().learn(
        "et",
        {"soil": (0, 1500), "snow": (0, 200), "tmean": (-15, 30), "dayl": (8, 16)},
        hidden=hidden,
        positive=True,
        scale=2.0,
        zero_when_empty="soil",
    )
    return hybrid.learn(
        "q",
        {"soil": (0, 1500), "rainfall + melt": (0, 40)},
        hidden=hidden,
        positive="exp",
        scale=1.0,
        zero_when_empty="soil",
    )
