"""PRMS's channel with a day of routing as one linear map: the same answer, for one run or many."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_array

from hybridwater.components.configuration import require_same
from hybridwater.components.grids import Grid, cells, network
from hybridwater.components.prms_channel import RUNOFF, VARIABLES, PrmsChannel
from hybridwater.components.prms_process import CUBIC_FOOT, quietly

_DAY = 86400.0 * 1000.0  # kg d-1 in m3 s-1


class PrmsRouting(PrmsChannel):
    """Surrogate of :class:`~hybridwater.components.prms_channel.PrmsChannel`, with its ports.

    Muskingum routing is linear in what flows in and in what it remembers, and its coefficients do
    not change. So the hours of a day in all segments are one matrix, of which pywatershed's own
    routing gives the columns when it is asked to route units. A day is then one sparse product, and
    the answer that of PRMS but for the rounding of sums.

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
        self._map: csr_array | None = None

    def _stack(self, parts: Sequence[Self]) -> None:
        require_same(self.name, "parameters", [str(p._path) for p in parts])
        self._copies = len(parts)

    def _make_grids(self) -> dict[int, Grid]:
        grids, copies = super()._make_grids(), self._copies
        if copies == 1:
            return grids
        self._area = np.tile(self._area, copies)
        self._routed = np.tile(self._routed, copies)
        downstream = np.asarray(self._all.parameters["tosegment"]) - 1
        shift = np.arange(copies)[:, None] * downstream.size
        every = np.where(downstream < 0, -1, downstream + shift)
        return {0: cells(self._area.size), 1: network(every.reshape(-1))}

    def _reset(self) -> None:
        with quietly():
            from pywatershed import PRMSChannel

            self._start_control()
            self._processes = {}
            channel = self._add(PRMSChannel, self._all)
            if self._map is None:  # else that of another run of the same parameters
                self._map = daily_map(channel)
        copies, n = self._copies, channel.nsegment
        segment = np.asarray(channel.hru_segment) - 1
        hrus = np.flatnonzero(segment >= 0)
        ones = np.ones(hrus.size)
        self._drains = csr_array((ones, (segment[hrus], hrus)), shape=(n, segment.size))
        self._outlets = np.tile(channel.get_outflow_mask(), copies)
        to_metres = CUBIC_FOOT / 1000.0
        self._inflow = np.tile(channel._seg_inflow * to_metres, copies)
        self._outflow = np.tile(channel._outflow_ts * to_metres, copies)
        self._stored = np.zeros(n * copies)

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {"inflow": self._inflow, "outflow": self._outflow, "stored": self._stored}

    def _advance(self) -> None:
        values, copies = self._values, self._copies

        def by_run(flat: np.ndarray) -> np.ndarray:
            return flat.reshape(copies, -1).T

        runoff = values[RUNOFF[0]] + values[RUNOFF[1]] + values[RUNOFF[2]]
        lateral = self._drains @ by_run(runoff * self._area / _DAY)
        lateral += by_run(values["lateral_water_volume_transport"])
        known = np.vstack([lateral, by_run(self._inflow), by_run(self._outflow)])
        routed = self._map @ known
        inflow, discharge, outflow = (a.T.reshape(-1) for a in np.split(routed, 3))
        self._inflow[:], self._outflow[:] = inflow, outflow
        self._stored += (inflow - discharge) * _DAY
        values["water_volume_transport_in_river_channel"][:] = discharge
        values["outlet_water_volume_transport"][:] = np.where(self._outlets, discharge, 0)
        values["unrouted_runoff_flux"][:] = np.where(self._routed, 0, runoff)
        values["channel_water_volume"][:] = self._stored / 1000.0


def daily_map(channel: Any) -> csr_array:
    """Return what a day of Muskingum routing makes of inflows and of what is remembered.

    Parameters
    ----------
    channel : pywatershed.PRMSChannel
        Whose routing is asked, with units in the place of numbers.

    Returns
    -------
    scipy.sparse.csr_array
        From lateral inflow, mean inflow of the day before and last outflow to mean inflow, mean
        outflow and last outflow, each over all segments; shape (3 n_segments, 3 n_segments).
    """
    n = channel.nsegment
    lateral, before, outflow = (np.eye(n, 3 * n, k * n) for k in range(3))
    _, _, inflow, mean, _, last, _ = channel._muskingum_mann_numpy(
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
    return csr_array(np.vstack([inflow, mean, last]))
