"""PRMS's channel with a day of routing as one linear map: the same answer, for one run or many."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from weakref import WeakKeyDictionary

import numpy as np
from scipy.sparse import csr_array

from hybridwater.components.configuration import require_same
from hybridwater.components.grids import Grid, cells, network
from hybridwater.components.prms_channel import RUNOFF, VARIABLES, PrmsChannel
from hybridwater.components.prms_process import CUBIC_FOOT, quietly
from hybridwater.meshes import RiverNetwork

_DAY = 86400.0 * 1000.0  # kg d-1 in m3 s-1
_MAPS: WeakKeyDictionary[Any, csr_array] = WeakKeyDictionary()  # by the parameters
_NOTHING = 1e-20  # share of a flow that no sum of such flows keeps


class PrmsRouting(PrmsChannel):
    """Surrogate of :class:`~hybridwater.components.prms_channel.PrmsChannel`, with its ports.

    Muskingum routing is linear in what flows in and in what it remembers, and its coefficients do
    not change. So the hours of a day in all segments are one matrix, of which pywatershed's own
    routing gives the columns when it is asked to route units. A day is then one sparse product for
    the outflows, and one for the inflows, which are what comes from the side and from upstream. The
    answer is that of PRMS but for the rounding of sums.

    Source of the equations: as of `PrmsChannel`.

    Parameters
    ----------
    parameters, start, end, inputs, mesh, network_mesh
        As of `PrmsChannel`.
    """

    name = "prms-routing"
    title = "PRMS Muskingum routing, a day as one linear map (pywatershed's coefficients)"
    variables = VARIABLES
    can_stack = True

    def __init__(
        self,
        *,
        parameters: str | Path | None = None,
        start: str | dt.date = "1979-01-01",
        end: str | dt.date | None = None,
        inputs: Mapping[str, Any] | None = None,
        mesh: Any = None,
        network_mesh: Any = None,
    ) -> None:
        super().__init__(
            parameters=parameters,
            start=start,
            end=end,
            compile=False,
            inputs=inputs,
            mesh=mesh,
            network_mesh=network_mesh,
        )
        self._copies = 1

    def _stack(self, parts: Sequence[Self]) -> None:
        require_same(self.name, "parameters", [str(p._path) for p in parts])
        self._copies = len(parts)

    def _make_grids(self) -> dict[int, Grid]:
        grids, copies = super()._make_grids(), self._copies
        self._own_area, self._unrouted = self._area, np.flatnonzero(~self._routed)
        if copies == 1:
            return grids
        self._area = np.tile(self._area, copies)
        downstream = np.asarray(self._all.parameters["tosegment"]) - 1
        return {0: cells(self._area.size), 1: network(downstream, copies=copies)}

    def _reset(self) -> None:
        with quietly():
            from pywatershed import PRMSChannel

            self._start_control()
            self._processes = {}
            channel = self._add(PRMSChannel, self._all)
            found = _MAPS.get(self._all)
            self._map = daily_map(channel) if found is None else found
            _MAPS[self._all] = self._map
        copies, n = self._copies, channel.nsegment
        segment = np.asarray(channel.hru_segment) - 1
        hrus = np.flatnonzero(segment >= 0)
        daily = self._own_area[hrus] / _DAY
        self._drains = csr_array((daily, (segment[hrus], hrus)), shape=(n, segment.size))
        self._upstream = RiverNetwork(channel._tosegment, np.zeros(n)).connectivity
        self._outlets = np.flatnonzero(channel.get_outflow_mask())
        # what is routed: lateral inflow, inflow of the day before, last outflow; (segment, run)
        self._known = np.zeros((3 * n, copies))
        self._lateral, self._inflow, self._outflow = np.split(self._known, 3)
        to_metres = CUBIC_FOOT / 1000.0
        self._inflow[:] = np.asarray(channel._seg_inflow)[:, None] * to_metres
        self._outflow[:] = np.asarray(channel._outflow_ts)[:, None] * to_metres
        self._stored = np.zeros(n * copies)

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {"inflow": self._inflow.T, "outflow": self._outflow.T, "stored": self._stored}

    def _advance(self) -> None:
        values = {name: array.reshape(self._copies, -1) for name, array in self._values.items()}
        runoff = values[RUNOFF[0]] + values[RUNOFF[1]] + values[RUNOFF[2]]
        self._lateral[:] = self._drains @ runoff.T
        self._lateral += values["lateral_water_volume_transport"].T
        discharge, self._outflow[:] = np.split(self._map @ self._known, 2)
        self._inflow[:] = self._lateral + self._upstream @ discharge
        stored = self._stored.reshape(self._copies, -1)
        stored += ((self._inflow - discharge) * _DAY).T
        values["water_volume_transport_in_river_channel"][:] = discharge.T
        values["outlet_water_volume_transport"][:, self._outlets] = discharge[self._outlets].T
        values["unrouted_runoff_flux"][:, self._unrouted] = runoff[:, self._unrouted]
        values["channel_water_volume"][:] = stored / 1000.0


def daily_map(channel: Any) -> csr_array:
    """Return what a day of Muskingum routing makes of inflows and of what is remembered.

    Parameters
    ----------
    channel : pywatershed.PRMSChannel
        Whose routing is asked, with units in the place of numbers.

    Returns
    -------
    scipy.sparse.csr_array
        From lateral inflow, mean inflow of the day before and last outflow to mean and last
        outflow, each over all segments; shape (2 n_segments, 3 n_segments).
    """
    n = channel.nsegment
    lateral, before, outflow = (np.eye(n, 3 * n, k * n) for k in range(3))
    _, _, _, mean, _, last, _ = channel._muskingum_mann_numpy(
        channel._segment_order,
        channel._tosegment,
        lateral,
        before,
        outflow,
        channel._tsi,
        channel._ts,
        channel._c0,
        channel._c1,
        channel._c2,
    )
    found = np.vstack([mean, last])
    found[np.abs(found) < _NOTHING] = 0.0
    return csr_array(found)
