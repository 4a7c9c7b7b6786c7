"""PRMS's channel: Muskingum routing through the network of river segments."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hybridwater.components.base import Variable
from hybridwater.components.grids import Grid, network
from hybridwater.components.prms_process import (
    CUBIC_FOOT,
    PrmsComponent,
    quietly,
)

_DAILY = "kg m-2 d-1"
RUNOFF = ("surface_runoff_flux", "subsurface_runoff_flux", "groundwater_discharge_flux")
_SECONDS = 86400.0

VARIABLES = (
    Variable(
        "surface_runoff_flux",
        _DAILY,
        "in",
        "rate",
        "surface runoff of the HRUs",
        standard_name="surface_runoff_flux",
        typical=2.0,
    ),
    Variable(
        "subsurface_runoff_flux",
        _DAILY,
        "in",
        "rate",
        "interflow of the HRUs",
        standard_name="subsurface_runoff_flux",
        typical=1.0,
    ),
    Variable(
        "groundwater_discharge_flux",
        _DAILY,
        "in",
        "rate",
        "groundwater outflow of the HRUs",
        typical=1.0,
    ),
    Variable(
        "lateral_water_volume_transport",
        "m3 s-1",
        "in",
        "rate",
        "water put into the segments, by people or other models",
        grid=1,
        typical=0.1,
        default=0.0,
    ),
    Variable(
        "water_volume_transport_in_river_channel",
        "m3 s-1",
        "out",
        "rate",
        "discharge at the end of each segment",
        grid=1,
        standard_name="water_volume_transport_in_river_channel",
    ),
    Variable(
        "outlet_water_volume_transport",
        "m3 s-1",
        "out",
        "rate",
        "discharge that leaves the network, zero at all other segments",
        grid=1,
    ),
    Variable(
        "unrouted_runoff_flux", _DAILY, "out", "rate", "runoff of HRUs that drain to no segment"
    ),
    Variable(
        "channel_water_volume",
        "m3",
        "out",
        "state",
        "water in each segment, more than at the start",
        grid=1,
    ),
)


class PrmsChannel(PrmsComponent):
    """Channel of the Precipitation-Runoff Modeling System, wrapped from pywatershed.

    Source: Markstrom et al. (2015), doi:10.3133/tm6B7, module ``muskingum_mann``; pywatershed's
    PRMSChannel. Muskingum routing has no store of its own: the water in a segment is what has gone
    in less what has come out, and zero at the start. Water that other models put into segments
    goes in as the runoff of one more HRU per segment.

    Parameters
    ----------
    parameters, start, end, compile, inputs
        As in :class:`hybridwater.components.prms_process.PrmsComponent`.
    mesh : Mesh, optional
        Mesh of the HRUs (grid 0).
    network_mesh : RiverNetwork, optional
        Network of the segments (grid 1).
    """

    name = "prms-channel"
    title = "PRMS Muskingum routing through river segments (pywatershed)"
    variables = VARIABLES

    def __init__(
        self,
        *,
        parameters: str | Path | None = None,
        start: str | dt.date = "1979-01-01",
        end: str | dt.date | None = None,
        compile: bool = True,
        inputs: Mapping[str, Any] | None = None,
        mesh: Any = None,
        network_mesh: Any = None,
    ) -> None:
        super().__init__(
            parameters=parameters, start=start, end=end, compile=compile, inputs=inputs, mesh=mesh
        )
        if network_mesh is not None:
            self._meshes[1] = network_mesh

    def _make_grids(self) -> dict[int, Grid]:
        grids = super()._make_grids()
        values = self._all.parameters
        self._routed = np.asarray(values["hru_segment"]) > 0
        self._extended = _with_segments_as_hrus(self._all)
        return {**grids, 1: network(np.asarray(values["tosegment"]) - 1)}

    def _reset(self) -> None:
        with quietly():
            from pywatershed import PRMSChannel

            self._start_control()
            self._processes = {}
            self._channel = self._add(PRMSChannel, self._extended)
            n, segments = self._area.size, self._channel.nsegment
            self._volumes = {name: np.zeros(n + segments) for name in RUNOFF}
            theirs = ("sroff_vol", "ssres_flow_vol", "gwres_flow_vol")
            self._connect(dict(zip(theirs, self._volumes.values(), strict=True)))
        self._stored = np.zeros(segments)

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {**super()._state_arrays(), "stored": self._stored}

    def _advance(self) -> None:
        values, channel, n = self._values, self._channel, self._area.size
        for name, volumes in self._volumes.items():
            volumes[:n] = values[name] * self._area / CUBIC_FOOT
        lateral = values["lateral_water_volume_transport"]
        self._volumes["surface_runoff_flux"][n:] = lateral * (_SECONDS * 1000.0 / CUBIC_FOOT)
        self._run()
        self._stored += channel.seg_stor_change * CUBIC_FOOT
        discharge = channel.seg_outflow * (CUBIC_FOOT / 1000.0)
        values["water_volume_transport_in_river_channel"][:] = discharge
        values["outlet_water_volume_transport"][:] = np.where(
            channel.get_outflow_mask(), discharge, 0
        )
        runoff = sum(values[name] for name in RUNOFF)
        values["unrouted_runoff_flux"][:] = np.where(self._routed, 0, runoff)
        values["channel_water_volume"][:] = self._stored / 1000.0

    def storage(self) -> dict[str, np.ndarray]:
        """Return the water in the segments, more than at the start [kg], shape (segment,)."""
        return {"channel": self._stored.copy()}

    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return what crossed the boundary in the last day [kg], of shape (hru,) or (segment,)."""
        if not self._steps:
            return {}
        values, day = self._values, _SECONDS * 1000.0
        return {
            **{name: values[name] * self._area for name in RUNOFF},
            "unrouted_runoff_flux": -values["unrouted_runoff_flux"] * self._area,
            "lateral_water_volume_transport": values["lateral_water_volume_transport"] * day,
            "outlet_water_volume_transport": -values["outlet_water_volume_transport"] * day,
        }


def _with_segments_as_hrus(everything: Any) -> Any:
    """Return the channel's parameters with one more HRU for each segment, which drains to it."""
    from pywatershed import PRMSChannel
    from pywatershed.parameters import PrmsParameters

    part = everything.subset(PRMSChannel.get_parameters())
    values = {name: np.array(v) for name, v in part.parameters.items()}
    n, segments = part.dims["nhru"], part.dims["nsegment"]
    values["hru_area"] = np.concatenate([values["hru_area"], np.ones(segments)])
    values["hru_segment"] = np.concatenate([values["hru_segment"], np.arange(1, segments + 1)])
    metadata = {name: {"dims": tuple(part.metadata[name]["dims"]), "attrs": {}} for name in values}
    return PrmsParameters(
        dims={"nhru": n + segments, "nsegment": segments},
        coords={},
        data_vars=values,
        metadata={"global": {}, **metadata},
        validate=False,
    )
