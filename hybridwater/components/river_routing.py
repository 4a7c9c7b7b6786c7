"""Routing through any river network: reaches as cascades of linear reservoirs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from hybridwater.components.base import Variable
from hybridwater.components.configuration import per_cell, require_range, require_same
from hybridwater.components.declared import DeclaredComponent
from hybridwater.components.grids import Grid, network
from hybridwater.errors import ComponentError
from hybridwater.meshes import RiverNetwork

_LATERAL = "lateral_water_volume_transport"
_DISCHARGE = "water_volume_transport_in_river_channel"
_OUTLET = "outlet_water_volume_transport"
_VOLUME = "channel_water_volume"
_DAY, _DENSITY = 86400.0, 1000.0
_MOST_WEIGHTING = 0.45  # ten reservoirs in a reach

VARIABLES = (
    Variable(
        _LATERAL,
        "m3 s-1",
        "in",
        "rate",
        "what flows into the upper ends of the reaches from land, reservoirs or people",
        typical=0.1,
    ),
    Variable(
        _DISCHARGE,
        "m3 s-1",
        "out",
        "rate",
        "discharge at the end of each reach, mean of the day",
        standard_name=_DISCHARGE,
    ),
    Variable(
        _OUTLET,
        "m3 s-1",
        "out",
        "rate",
        "discharge that leaves the network, zero at all other reaches",
    ),
    Variable(_VOLUME, "m3", "out", "state", "water in each reach"),
)


class RiverRouting(DeclaredComponent):
    """Routing through a river network by travel time and spread, as of Muskingum's method.

    A reach is a cascade of linear reservoirs whose constants give the impulse response the mean
    ``K`` and the variance ``K**2 (1 - 2 x)``, those of a Muskingum reach of travel time K and
    weighting x (Dooge, 1973, Linear Theory of Hydrologic Systems, USDA Technical Bulletin 1468;
    cascades: Nash, 1957, IAHS Publication 45, 114-121). Unlike Muskingum's own response, that of a
    cascade is never negative, however short the sub-steps. These are implicit in time: water is
    kept, the mean travel time is exact for reaches of any length, and each reservoir of constant k
    adds its k times the sub-step to the variance. With x = 0 a reach is one reservoir.

    Parameters
    ----------
    mesh : RiverNetwork
        The reaches.
    travel_time : array_like, optional
        Of the water through each reach, K [h], shape (reach,); one number stands for all.
    velocity : array_like, optional
        In place of it, the velocity of a flood wave [m s-1], which with the lengths of the network
        gives the travel time.
    weighting : array_like
        Muskingum's ``x``, 0 (a reservoir) to 0.45 (nearly translation), shape (reach,) or one
        number.
    parts : int
        Sub-steps of a day.
    initial : array_like
        Discharge at the start [m3 s-1], shape (reach,) or one number, as if it had long been so.
    start, end, inputs
        As in `DeclaredComponent`.

    Raises
    ------
    ComponentError
        If there is no network, not exactly one of travel time and velocity, or a value out of its
        range.

    Examples
    --------
    >>> from hybridwater.meshes import RiverNetwork
    >>> river = RiverRouting(mesh=RiverNetwork([1, -1], [20e3, 30e3]), velocity=1.0)
    >>> river.initialize()
    >>> for day in range(10):
    ...     river.set_value("lateral_water_volume_transport", [3.0, 1.0])
    ...     river.update()
    >>> river.get_value_ptr("water_volume_transport_in_river_channel").round(3)
    array([3., 4.])
    """

    name = "river-routing"
    title = "routing through a river network by travel time and spread"
    variables = VARIABLES
    can_stack = True

    def __init__(
        self,
        *,
        mesh: RiverNetwork | None = None,
        travel_time: Any = None,
        velocity: Any = None,
        weighting: Any = 0.2,
        parts: int = 24,
        initial: Any = 0.0,
        start: str | dt.date | None = None,
        end: str | dt.date | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(start=start, end=end, inputs=inputs, meshes={0: mesh})
        self._travel_time, self._velocity = travel_time, velocity
        self._weighting, self._parts, self._initial = weighting, parts, initial
        self._copies = 1

    def _stack(self, parts: Sequence[Self]) -> None:
        require_same(self.name, "reaches", [p._river.to for p in parts])
        for what in ("_constants", "_counts", "_parts"):
            require_same(self.name, what.strip("_"), [getattr(p, what) for p in parts])
        self._first_flow = np.concatenate([p._first_flow for p in parts])
        self._copies = len(parts)

    def _make_grids(self) -> dict[int, Grid]:
        river: Any = self.mesh(0)
        if not isinstance(river, RiverNetwork):
            raise ComponentError(
                "There is no river network.",
                f"component '{self.name}'",
                "Give mesh = RiverNetwork(to, lengths), or in a case file mesh = 'NAME' of "
                "[meshes.NAME] with kind = 'reaches' or 'rivers'",
            )
        self._river = river
        if self._copies == 1:
            self._read(river)
        return {0: network(river.to, copies=self._copies)}

    def _read(self, river: RiverNetwork) -> None:
        """Take up the parameters, and make the matrix of a sub-step."""
        from scipy.sparse import csc_array, diags_array
        from scipy.sparse.linalg import splu

        where = f"component '{self.name}'"
        speeds = {"travel_time": self._travel_time, "velocity": self._velocity}
        given = {name: values for name, values in speeds.items() if values is not None}
        if len(given) != 1:
            raise ComponentError(
                "How long water travels is not known, or given twice.",
                where,
                "Give travel_time [h] or velocity [m s-1]: velocity = 1.0 is a common beginning",
            )
        if not 1 <= self._parts == int(self._parts):
            raise ComponentError(f"A day cannot have {self._parts} sub-steps.", where)
        own = {"weighting": self._weighting, "initial": self._initial}
        p = per_cell(self.name, lengths=river.lengths, **given, **own)
        if p["lengths"].size != river.size:
            raise ComponentError(f"There are {p['lengths'].size} values for one reach.", where)
        ranges = {"travel_time": (0.0, np.inf), "velocity": (1e-6, np.inf)}
        ranges |= {"weighting": (0.0, _MOST_WEIGHTING), "initial": (0.0, np.inf)}
        for name in (*given, *own):
            require_range(self.name, name, p[name], *ranges[name])
        hours = p.get("travel_time")
        seconds = river.lengths / p["velocity"] if hours is None else 3600.0 * hours
        self._first_flow = p["initial"]
        self._counts, shares = cascades(p["weighting"])
        self._constants = np.repeat(seconds, self._counts) * shares
        self._last = np.cumsum(self._counts) - 1
        self._head = self._last - self._counts + 1
        after = np.arange(1, self._constants.size + 1)
        after[self._last] = np.where(river.to < 0, -1, self._head[river.to])
        upstream = RiverNetwork(after, np.zeros(after.size)).connectivity
        self._substeps = int(self._parts)
        self._seconds = _DAY / self._substeps
        kept = diags_array(1.0 + self._constants / self._seconds)
        self._solver = splu(csc_array(kept - upstream))

    def _configuration(self) -> dict[str, Any]:
        return {"to": self._river.to, "constants": self._constants, "counts": self._counts}

    def _reset(self) -> None:
        flow = self._first_flow.reshape(self._copies, -1)
        self._stored = np.repeat(flow, self._counts, axis=1) * self._constants
        self._outlets = np.tile(self._river.to < 0, self._copies)
        self._show(self._first_flow)

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {"stored": self._stored}

    def _show(self, discharge: np.ndarray) -> None:
        values = self._values
        values[_DISCHARGE][:] = discharge
        values[_OUTLET][:] = np.where(self._outlets, discharge, 0.0)
        values[_VOLUME][:] = np.add.reduceat(self._stored, self._head, axis=1).reshape(-1)

    def _advance(self) -> None:
        lateral = np.zeros_like(self._stored)
        lateral[:, self._head] = self._values[_LATERAL].reshape(self._copies, -1)
        total = np.zeros((self._copies, self._last.size))
        for stored, inflow, flow in zip(self._stored, lateral, total, strict=True):
            for _ in range(self._substeps):
                outflow = self._solver.solve(stored / self._seconds + inflow)
                stored[:] = self._constants * outflow
                flow += outflow[self._last]
        self._show((total / self._substeps).reshape(-1))

    def storage(self) -> dict[str, np.ndarray]:
        """Return the water in the reaches [kg], shape (reach,)."""
        return {"channel": self._values[_VOLUME] * _DENSITY}

    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return what crossed the boundary in the last day [kg], shape (reach,)."""
        if not self._steps:
            return {}
        day = _DAY * _DENSITY
        return {_LATERAL: self._values[_LATERAL] * day, _OUTLET: -self._values[_OUTLET] * day}


def cascades(weighting: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the reservoirs of reaches: how many, and their shares of the travel time.

    As few as can have the variance ``1 - 2 x``, relative to the square of the travel time. All of
    a reach are equal but its last one.

    Parameters
    ----------
    weighting : numpy.ndarray
        Muskingum's ``x``, shape (reach,), less than 0.5.

    Returns
    -------
    counts : numpy.ndarray
        Shape (reach,).
    shares : numpy.ndarray
        Shape (reservoir,), those of a reach after those of the one before.
    """
    variance = 1.0 - 2.0 * weighting
    counts = np.ceil(1.0 / variance - 1e-9).astype(int)
    others = np.maximum(counts - 1, 1)
    root = np.sqrt(np.maximum(1.0 - (1.0 + 1.0 / others) * (1.0 - variance), 0.0))
    equal = np.where(counts > 1, (1.0 + root) / (1.0 + others), 1.0)
    shares = np.repeat(equal, counts)
    shares[np.cumsum(counts) - 1] = 1.0 - (counts - 1) * equal
    return counts, shares
