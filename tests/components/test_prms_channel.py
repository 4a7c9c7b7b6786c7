import numpy as np
import pytest

pytest.importorskip("pywatershed", reason="PRMS comes with pywatershed")

import prms_runs as prms

from hybridwater.components import check, get_component

RUNOFF = ("surface_runoff_flux", "subsurface_runoff_flux", "groundwater_discharge_flux")
LATERAL = "lateral_water_volume_transport"


def dry(channel):
    for name in RUNOFF:
        channel.set_value(name, np.zeros(765))


def test_water_put_into_a_segment_comes_out_at_the_outlet():
    (channel,) = prms.start("channel")
    dry(channel)
    put = np.zeros(456)
    put[np.flatnonzero(channel._channel._tosegment >= 0)[:5]] = 2.0  # m3 s-1
    channel.set_value(LATERAL, put)
    for _ in range(60):
        channel.update()
    out = channel.get_value_ptr("outlet_water_volume_transport")
    assert out.sum() == pytest.approx(10.0, rel=1e-6)


def test_runoff_of_hrus_without_a_segment_is_booked_as_unrouted():
    (channel,) = prms.start("channel")
    dry(channel)
    runoff = np.where(channel._routed, 0.0, 4.0)
    assert (runoff > 0).sum() == 4
    channel.set_value("surface_runoff_flux", runoff)
    channel.update()
    np.testing.assert_array_equal(channel.get_value_ptr("unrouted_runoff_flux"), runoff)
    fluxes = channel.boundary_fluxes()
    assert fluxes["surface_runoff_flux"].sum() == -fluxes["unrouted_runoff_flux"].sum() > 0
    assert channel.storage()["channel"].sum() == 0


def test_the_network_leads_to_the_outlets():
    (channel,) = prms.start("channel")
    edges = channel.get_grid_edge_nodes(1, np.empty(2 * channel.get_grid_edge_count(1), int))
    starts = edges.reshape(-1, 2)[:, 0]
    assert channel.get_grid_size(1) == 456
    assert np.setdiff1d(np.arange(456), starts).size == 6  # outlets


def test_meshes_are_by_grid():
    channel = get_component("prms-channel")(compile=False, mesh="hrus", network_mesh="river")
    assert (channel.mesh(0), channel.mesh(1)) == ("hrus", "river")


def test_passes_the_checker():
    assert {f.state for f in check(get_component("prms-channel")(compile=False))} == {"ok"}
