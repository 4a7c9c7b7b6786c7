"""GR4J: the daily rainfall-runoff model of four parameters, as published."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np

from hybridwater.components.base import Variable
from hybridwater.components.cellwise import CellwiseComponent

_DAILY = "kg m-2 d-1"

VARIABLES = (
    Variable(
        "precipitation_flux",
        _DAILY,
        "in",
        "rate",
        "rain and snow, 1 mm d-1 is 1 kg m-2 d-1",
        standard_name="precipitation_flux",
        typical=8.0,
    ),
    Variable(
        "water_potential_evaporation_flux",
        _DAILY,
        "in",
        "rate",
        "potential evapotranspiration",
        standard_name="water_potential_evaporation_flux",
        typical=2.0,
    ),
    Variable(
        "runoff_flux", _DAILY, "out", "rate", "discharge per area", standard_name="runoff_flux"
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
        "groundwater_exchange_flux", _DAILY, "out", "rate", "gain from neighbouring groundwater"
    ),
    Variable("production_store_amount", "kg m-2", "out", "state", "water in the production store"),
    Variable("routing_store_amount", "kg m-2", "out", "state", "water in the routing store"),
)


class Gr4j(CellwiseComponent):
    """GR4J over any number of cells.

    Source: Perrin, Michel and Andréassian (2003), doi:10.1016/S0022-1694(03)00225-7, eqs. 1 to 22,
    daily, in discrete time. Differs from the authors' spreadsheet by less than 1e-9 mm d-1.

    Parameters
    ----------
    area : float or array_like
        Area of each cell [m2].
    x1 : float or array_like
        Capacity of the production store [mm].
    x2 : float or array_like
        Groundwater exchange at a full routing store [mm d-1]; positive is a gain.
    x3 : float or array_like
        Capacity of the routing store [mm].
    x4 : float or array_like
        Time base of the unit hydrograph [d], at least 0.5.
    production, routing : float or array_like
        Initial filling of the two stores, as a share of their capacity.
    start : str or date, optional
        Date of time zero.
    x, y : array_like, optional
        Coordinates of the cells.
    inputs : mapping, optional
        First values of inputs.
    mesh : Mesh, optional
        Mesh of the cells.
    """

    name = "gr4j"
    title = "GR4J, daily rainfall-runoff model with four parameters (numpy)"
    variables = VARIABLES
    can_stack = True

    def __init__(
        self,
        *,
        area: Any = 1e6,
        x1: Any = 350.0,
        x2: Any = 0.0,
        x3: Any = 90.0,
        x4: Any = 1.7,
        production: Any = 0.3,
        routing: Any = 0.5,
        start: str | dt.date | None = None,
        x: Any = None,
        y: Any = None,
        inputs: Mapping[str, Any] | None = None,
        mesh: Any = None,
    ) -> None:
        positive = (1e-6, np.inf)
        super().__init__(
            {
                **{"area": area, "x1": x1, "x2": x2, "x3": x3, "x4": x4},
                **{"production": production, "routing": routing},
            },
            {
                **dict.fromkeys(("area", "x1", "x3"), positive),
                "x4": (0.5, np.inf),
                **dict.fromkeys(("production", "routing"), (0, 1)),
            },
            **{"start": start, "x": x, "y": y, "inputs": inputs, "mesh": mesh},
        )

    def _reset(self) -> None:
        p = self._p
        self._weights1 = _ordinates(p["x4"], _curve1, 1)
        self._weights2 = _ordinates(p["x4"], _curve2, 2)
        self._S, self._R = p["production"] * p["x1"], p["routing"] * p["x3"]
        self._transit1, self._transit2 = (np.zeros_like(w) for w in self._weights())
        self._values["production_store_amount"][:] = self._S
        self._values["routing_store_amount"][:] = self._R

    def _weights(self) -> tuple[np.ndarray, np.ndarray]:
        return self._weights1, self._weights2

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {"S": self._S, "R": self._R, "uh1": self._transit1, "uh2": self._transit2}

    def _advance(self) -> None:
        x1, x2, x3 = self._p["x1"], self._p["x2"], self._p["x3"]
        values, S, R = self._values, self._S, self._R
        P, E = values["precipitation_flux"], values["water_potential_evaporation_flux"]

        # production store, eqs. 1 to 8
        net_rain, net_demand = np.maximum(P - E, 0), np.maximum(E - P, 0)
        s = S / x1
        rain, demand = np.tanh(net_rain / x1), np.tanh(net_demand / x1)
        into = x1 * (1 - s**2) * rain / (1 + s * rain)
        taken = S * (2 - s) * demand / (1 + (1 - s) * demand)
        S += into - taken
        percolation = S * (1 - (1 + (4 / 9 * S / x1) ** 4) ** -0.25)
        S -= percolation
        effective = percolation + net_rain - into

        # unit hydrographs, eqs. 9 to 17
        routed = _through(self._transit1, self._weights1, 0.9 * effective)
        direct = _through(self._transit2, self._weights2, 0.1 * effective)

        # exchange and routing store, eqs. 18 to 22
        potential = x2 * (R / x3) ** 3.5
        filled = R + routed
        gained = np.maximum(potential, -filled)
        R[:] = filled + gained
        outflow = R * (1 - (1 + (R / x3) ** 4) ** -0.25)
        R -= outflow
        gained_direct = np.maximum(potential, -direct)

        values["runoff_flux"][:] = outflow + direct + gained_direct
        values["water_evapotranspiration_flux"][:] = np.minimum(P, E) + taken
        values["groundwater_exchange_flux"][:] = gained + gained_direct
        values["production_store_amount"][:] = S
        values["routing_store_amount"][:] = R

    def storage(self) -> dict[str, np.ndarray]:
        """Return the water in stores and unit hydrographs [kg], each of shape (cell,)."""
        area = self._p["area"]
        transit = self._transit1.sum(axis=1) + self._transit2.sum(axis=1)
        return {
            "production_store": self._S * area,
            "unit_hydrographs": transit * area,
            "routing_store": self._R * area,
        }

    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return what crossed the boundary in the last day [kg], each of shape (cell,)."""
        area, values = self._p["area"], self._values
        if not self._steps:
            return {}
        return {
            "precipitation_flux": values["precipitation_flux"] * area,
            "water_evapotranspiration_flux": -values["water_evapotranspiration_flux"] * area,
            "groundwater_exchange_flux": values["groundwater_exchange_flux"] * area,
            "runoff_flux": -values["runoff_flux"] * area,
        }


def _curve1(t: np.ndarray, x4: np.ndarray) -> np.ndarray:
    """Cumulative unit hydrograph 1 (eqs. 9 to 11)."""
    return np.clip(t / x4, 0, 1) ** 2.5


def _curve2(t: np.ndarray, x4: np.ndarray) -> np.ndarray:
    """Cumulative unit hydrograph 2 (eqs. 12 to 15)."""
    u = np.clip(t / x4, 0, 2)
    return np.where(u <= 1, 0.5 * np.minimum(u, 1) ** 2.5, 1 - 0.5 * (2 - np.maximum(u, 1)) ** 2.5)


def _ordinates(x4: np.ndarray, curve: Any, bases: int) -> np.ndarray:
    """Return the daily ordinates of a unit hydrograph (eqs. 16 and 17), shape (cell, day)."""
    days = np.arange(int(np.ceil(bases * x4.max())) + 1)
    return np.diff(curve(days[None, :], x4[:, None]), axis=1)


def _through(transit: np.ndarray, weights: np.ndarray, water: np.ndarray) -> np.ndarray:
    """Put a day's water into a unit hydrograph and take out what arrives on that day."""
    transit += weights * water[:, None]
    arrived = transit[:, 0].copy()
    transit[:, :-1] = transit[:, 1:]
    transit[:, -1] = 0
    return arrived
