"""HBV in its teaching edition: snow, soil and two reservoirs, daily, as published."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np

from hybridwater.components.base import Variable
from hybridwater.components.cellwise import CellwiseComponent
from hybridwater.components.configuration import require_range

_DAILY = "kg m-2 d-1"

VARIABLES = (
    Variable(
        "precipitation_flux",
        _DAILY,
        "in",
        "rate",
        "rain and snow, 1 mm d-1 is 1 kg m-2 d-1",
        standard_name="precipitation_flux",
        typical=6.0,
    ),
    Variable(
        "air_temperature",
        "degC",
        "in",
        "rate",
        "daily mean air temperature",
        standard_name="air_temperature",
        typical=4.0,
    ),
    Variable(
        "climatological_air_temperature",
        "degC",
        "in",
        "rate",
        "long-term mean air temperature of the month",
        typical=5.0,
    ),
    Variable(
        "water_potential_evaporation_flux",
        _DAILY,
        "in",
        "rate",
        "long-term mean potential evapotranspiration of the month",
        standard_name="water_potential_evaporation_flux",
        typical=1.5,
    ),
    Variable(
        "runoff_flux",
        _DAILY,
        "out",
        "rate",
        "discharge per area: what left the two reservoirs",
        standard_name="runoff_flux",
    ),
    Variable(
        "published_runoff_flux",
        _DAILY,
        "out",
        "rate",
        "discharge per area as the paper evaluates it, from the reservoirs after the step",
    ),
    Variable(
        "water_evapotranspiration_flux",
        _DAILY,
        "out",
        "rate",
        "actual evapotranspiration",
        standard_name="water_evapotranspiration_flux",
    ),
    Variable(
        "surface_snow_amount",
        "kg m-2",
        "out",
        "state",
        "snow water equivalent",
        standard_name="surface_snow_amount",
    ),
    Variable(
        "mass_content_of_water_in_soil",
        "kg m-2",
        "out",
        "state",
        "water in the soil",
        standard_name="mass_content_of_water_in_soil",
    ),
    Variable("upper_reservoir_amount", "kg m-2", "out", "state", "water in the upper reservoir"),
    Variable("lower_reservoir_amount", "kg m-2", "out", "state", "water in the lower reservoir"),
)

#: Store of the state, and the output that shows it.
_STORES = {
    "snow": "surface_snow_amount",
    "soil": "mass_content_of_water_in_soil",
    "upper": "upper_reservoir_amount",
    "lower": "lower_reservoir_amount",
}


class Hbv(CellwiseComponent):
    """HBV, teaching edition, over any number of cells.

    Source: AghaKouchak and Habib (2010), "Application of a conceptual hydrologic model in teaching
    hydrologic processes", International Journal of Engineering Education 26(4), 963-973; after
    Bergström (1976). Daily, in discrete time.

    The paper's discharge is evaluated with the reservoirs after the step, while the reservoirs are
    emptied with those before it; the two differ, and water balances close with the second only.
    `runoff_flux` is what left the reservoirs; `published_runoff_flux` is the paper's.

    Parameters
    ----------
    area : float or array_like
        Area of each cell [m2].
    tt : float or array_like
        Temperature below which precipitation is snow [degC].
    dd : float or array_like
        Degree-day factor [mm degC-1 d-1].
    fc, pwp : float or array_like
        Field capacity and wilting point of the soil [mm].
    beta : float or array_like
        Exponent of recharge [1].
    c : float or array_like
        Change of potential evapotranspiration with temperature [degC-1].
    k0, k1, k2, kp : float or array_like
        Outflow of the upper reservoir above ``l``, of the upper and the lower reservoir, and
        percolation [d-1]; ``k0 + k1 + kp`` and ``k2`` are at most 1.
    l : float or array_like
        Threshold of the upper reservoir [mm].
    snow, soil, upper, lower : float or array_like
        Initial stores [mm].
    start : str or date, optional
        Date of time zero.
    x, y : array_like, optional
        Coordinates of the cells.
    inputs : mapping, optional
        First values of inputs.
    mesh : Mesh, optional
        Mesh of the cells.
    """

    name = "hbv"
    title = "HBV, teaching edition, daily (numpy)"
    variables = VARIABLES
    can_stack = True

    def __init__(
        self,
        *,
        area: Any = 1e6,
        tt: Any = 0.0,
        dd: Any = 4.25,
        fc: Any = 177.1,
        beta: Any = 2.35,
        c: Any = 0.02,
        pwp: Any = 105.89,
        k0: Any = 0.05,
        k1: Any = 0.03,
        k2: Any = 0.02,
        kp: Any = 0.05,
        l: Any = 4.87,  # noqa: E741 - as in the paper
        snow: Any = 0.0,
        soil: Any = 100.0,
        upper: Any = 3.0,
        lower: Any = 10.0,
        start: str | dt.date | None = None,
        x: Any = None,
        y: Any = None,
        inputs: Mapping[str, Any] | None = None,
        mesh: Any = None,
    ) -> None:
        rates = {"k0": k0, "k1": k1, "k2": k2, "kp": kp}
        stores = {"snow": snow, "soil": soil, "upper": upper, "lower": lower}
        others = {"tt": tt, "dd": dd, "beta": beta, "c": c, "l": l}
        super().__init__(
            {"area": area, "fc": fc, "pwp": pwp, **rates, **stores, **others},
            {
                **dict.fromkeys(("area", "fc", "pwp"), (1e-6, np.inf)),
                **dict.fromkeys((*rates, *stores, "dd", "l"), (0, np.inf)),
                "k2": (0, 1),
            },
            **{"start": start, "x": x, "y": y, "inputs": inputs, "mesh": mesh},
        )
        emptied = self._p["k0"] + self._p["k1"] + self._p["kp"]
        require_range(self.name, "k0 + k1 + kp", emptied, 0, 1)

    def _reset(self) -> None:
        self._stores = {name: self._p[name].copy() for name in _STORES}
        self._show()

    def _show(self) -> None:
        for store, output in _STORES.items():
            self._values[output][:] = self._stores[store]

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return self._stores

    def _advance(self) -> None:
        p, values = self._p, self._values
        snow, soil = self._stores["snow"], self._stores["soil"]
        upper, lower = self._stores["upper"], self._stores["lower"]
        P, T = values["precipitation_flux"], values["air_temperature"]

        # snow: eqs. 1 and 2
        frozen = p["tt"] > T
        melt = np.where(frozen, 0, np.minimum(snow, p["dd"] * (T - p["tt"])))
        liquid = np.where(frozen, 0, P) + melt
        snow += np.where(frozen, P, 0) - melt

        # soil: eqs. 3 to 6
        recharge = liquid * (soil / p["fc"]) ** p["beta"]
        anomaly = T - values["climatological_air_temperature"]
        demand = (1 + p["c"] * anomaly) * values["water_potential_evaporation_flux"]
        taken = demand * np.minimum(soil / p["pwp"], 1)
        soil += liquid - recharge - taken

        # reservoirs: eqs. 7 to 9
        fast = p["k0"] * np.maximum(upper - p["l"], 0)
        inter, base = p["k1"] * upper, p["k2"] * lower
        percolation = p["kp"] * upper
        upper += recharge - fast - inter - percolation
        lower += percolation - base

        values["runoff_flux"][:] = fast + inter + base
        values["published_runoff_flux"][:] = fast + p["k1"] * upper + p["k2"] * lower
        values["water_evapotranspiration_flux"][:] = taken
        self._show()

    def storage(self) -> dict[str, np.ndarray]:
        """Return the water in the four stores [kg], each of shape (cell,)."""
        return {name: store * self._p["area"] for name, store in self._stores.items()}

    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return what crossed the boundary in the last day [kg], each of shape (cell,)."""
        if not self._steps:
            return {}
        area, values = self._p["area"], self._values
        return {
            "precipitation_flux": values["precipitation_flux"] * area,
            "water_evapotranspiration_flux": -values["water_evapotranspiration_flux"] * area,
            "runoff_flux": -values["runoff_flux"] * area,
        }
