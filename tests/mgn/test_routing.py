import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridwater.errors import DataError
from hybridwater.meshes import RiverNetwork
from hybridwater.mgn import MuskingumRouting

HOURS = [0.2, 1.0, 1.7, 2.5, 3.3, 5.0, 7.0, 9.5, 20.0, 40.0]
"""One for every sub-step of PRMS: at once, 1, 1, 2, 3, 4, 6, 8, 12 and 24 hours."""


def river(size=10):
    to = [min(i + 1 + i % 3, size - 1) for i in range(size - 1)]
    return RiverNetwork([*to, -1], np.full(size, 5e3))


def routing(x=0.2):
    return MuskingumRouting(river(), HOURS, np.full(10, x))


def test_it_is_the_channel_of_pywatershed():
    pytest.importorskip("pywatershed", reason="PRMS comes with pywatershed")
    from hybridwater.components import get_component
    from hybridwater.data import delaware_parameters, read_delaware

    data = read_delaware().structure
    names = ("roughness", "slope", "depth")
    ours = MuskingumRouting.manning(
        RiverNetwork.from_dataset(data),
        **{name: data[name].values for name in names},
        weighting=data["muskingum_x"].values,
        lakes=delaware_parameters()["segment_type"].values == 2,
    )
    runoff = ("surface_runoff_flux", "subsurface_runoff_flux", "groundwater_discharge_flux")
    channel = get_component("prms-channel")(compile=False, inputs=dict.fromkeys(runoff, 0.0))
    channel.initialize()
    lateral = np.random.default_rng(0).exponential(size=(12, 456))
    theirs = []
    for day in lateral:
        channel.set_value("lateral_water_volume_transport", day)
        channel.update()
        theirs.append(channel.get_value_ptr("water_volume_transport_in_river_channel").copy())
    found = ours.route(torch.from_numpy(lateral)).discharge.numpy()
    np.testing.assert_allclose(found, theirs, rtol=1e-12)


def test_a_run_in_two_parts_is_the_run():
    lateral = torch.rand(3, 9, 10, dtype=torch.float64)
    whole = routing().route(lateral)
    first = routing().route(lateral[:, :4])
    rest = routing().route(lateral[:, 4:], first.state)
    both = torch.cat([first.discharge, rest.discharge], dim=1)
    torch.testing.assert_close(both, whole.discharge, rtol=0, atol=0)
    torch.testing.assert_close(rest.state, whole.state, rtol=0, atol=0)


def test_gages_see_what_the_whole_network_sees():
    lateral = torch.rand(40, 10, dtype=torch.float64)
    some = routing().at([9, 3], tolerance=1e-14)
    torch.testing.assert_close(
        some(lateral), routing().route(lateral).discharge[:, [9, 3]], rtol=1e-10, atol=1e-12
    )


def test_gradients_are_those_of_differences():
    lateral = torch.rand(4, 10, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: routing().route(x).discharge, lateral)
    assert torch.autograd.gradcheck(routing().at([9]), lateral)


@given(
    st.lists(st.floats(0.0, 60.0), min_size=10, max_size=10),
    st.floats(0.0, 0.5),
    st.integers(0, 9),
)
@settings(max_examples=25, deadline=None)
def test_what_flows_in_flows_out(hours, x, reach):
    lateral = torch.zeros(80, 10, dtype=torch.float64)
    lateral[0, reach] = 3.0
    lateral[2, reach] = 1.0
    made = MuskingumRouting(river(), hours, np.full(10, x))
    out = made.at([9], tolerance=1e-13)(lateral)
    assert float(out.sum()) == pytest.approx(4.0, rel=1e-6)


@pytest.mark.parametrize(
    ("hours", "x", "words"),
    [
        (HOURS[:9], [0.2] * 10, "travel_time"),
        ([-1.0, *HOURS[1:]], [0.2] * 10, "travel_time"),
        (HOURS, [0.7] * 10, "weighting"),
        ([np.nan, *HOURS[1:]], [0.2] * 10, "travel_time"),
    ],
)
def test_values_out_of_range_are_refused(hours, x, words):
    with pytest.raises(DataError, match=words):
        MuskingumRouting(river(), hours, x)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="lateral inflow has the shape"):
        routing().route(torch.ones(5, 9))
    with pytest.raises(DataError, match="state has the shape"):
        routing().route(torch.ones(5, 10), torch.ones(3))
