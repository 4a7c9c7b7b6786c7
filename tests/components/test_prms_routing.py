"""A day of PRMS's routing as one linear map."""

import numpy as np
import pytest

pytest.importorskip("pywatershed", reason="PRMS comes with pywatershed")

import prms_runs as prms

from hybridwater.components import check, get_component
from hybridwater.components.prms_channel import RUNOFF
from hybridwater.errors import ComponentError

LATERAL = "lateral_water_volume_transport"


def drawn(seed):
    rng = np.random.default_rng(seed)
    return {n: rng.gamma(0.3, 4.0, 456 if n == LATERAL else 765) for n in (*RUNOFF, LATERAL)}


def put(component, inputs):
    for name, values in inputs.items():
        component.set_value(name, values)
    component.update()


def test_is_the_routing_of_prms_but_for_rounding():
    routing, channel = prms.start("channel")[0], get_component("prms-routing")()
    channel.initialize()
    for day in range(8):
        for component in (routing, channel):
            put(component, drawn(day))
        for name, values in routing._values.items():
            scale = abs(values).max()
            np.testing.assert_allclose(channel._values[name], values, rtol=0, atol=1e-13 * scale)
        one, other = (c.boundary_fluxes() for c in (routing, channel))
        assert one.keys() == other.keys()
    np.testing.assert_allclose(
        channel.storage()["channel"], routing.storage()["channel"], atol=1e-12 * 1e9
    )


def test_runs_that_are_routed_together_are_those_alone():
    parts = [get_component("prms-routing")() for _ in range(2)]
    for part in parts:
        part.initialize()
    both = type(parts[0]).stacked(parts)
    both.initialize()
    assert both.get_grid_size(0) == 2 * 765
    assert both.get_grid_edge_count(1) == 2 * parts[0].get_grid_edge_count(1)
    assert both.mesh(0).size == 765
    for day in range(3):
        inputs = [drawn(2 * day + k) for k in (0, 1)]
        for part, own in zip(parts, inputs, strict=True):
            put(part, own)
        put(both, {n: np.concatenate([i[n] for i in inputs]) for n in inputs[0]})
    for name, values in both._values.items():
        alone = np.concatenate([p._values[name] for p in parts])
        np.testing.assert_array_equal(values, alone)
    parts[1]._path = "other.param"
    with pytest.raises(ComponentError, match="differ in 'parameters'"):
        type(parts[0]).stacked(parts)


def test_passes_the_checker():
    assert {f.state for f in check(get_component("prms-routing")())} == {"ok"}
