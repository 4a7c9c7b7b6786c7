import os

import numpy as np
import pytest

pytest.importorskip("pywatershed", reason="PRMS comes with pywatershed")

import prms_runs as prms

from hybridwater import scores
from hybridwater.components import State, get_component
from hybridwater.components.prms_process import read_parameters
from hybridwater.data import read_delaware
from hybridwater.errors import ComponentError

DISCHARGE = "water_volume_transport_in_river_channel"


def test_split_in_three_it_is_pywatersheds_own_run_at_every_segment():
    components = prms.start("land", "groundwater", "channel")
    own = prms.own_model()
    own_channel = own.processes["PRMSChannel"]
    for day in range(75):  # January to mid March: snow, rain on snow, and melt
        prms.step_all(*components, day)
        prms.own_step(own)
        ours = components[2].get_value_ptr(DISCHARGE)
        theirs = own_channel.seg_outflow * 0.3048**3
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=0)
    assert theirs.max() > 100.0  # m3 s-1: it is the flood of March 1979
    assert own.processes["PRMSSnow"].pkwater_equiv.max() > 1.0  # inch


def test_a_run_goes_on_from_a_checkpoint_bit_for_bit():
    first = prms.start("land", "groundwater", "channel")
    for day in range(10):
        prms.step_all(*first, day)
    states = [c.get_state() for c in first]
    second = prms.start("land", "groundwater", "channel")
    for component, state in zip(second, states, strict=True):
        component.set_state(state)
    for day in range(10, 16):
        prms.step_all(*first, day)
        prms.step_all(*second, day)
        for one, other in zip(first, second, strict=True):
            for name in one.get_output_var_names():
                np.testing.assert_array_equal(one.get_value_ptr(name), other.get_value_ptr(name))


def test_the_checkpoint_of_another_case_is_refused():
    (groundwater,) = prms.start("groundwater")
    state = groundwater.get_state()
    (later,) = prms.start("groundwater", start="1980-01-01")
    with pytest.raises(ComponentError, match="wrote the checkpoint"):
        later.set_state(state)
    changed = dict(state.arrays)
    changed.popitem()
    with pytest.raises(ComponentError, match="wrote the checkpoint"):
        groundwater.set_state(State(changed, state.metadata))


SMALL = """small
** Dimensions **
####
nhru
2
** Parameters **
####
hru_area
1
nhru
2
2
{area}
7.0
"""


def test_a_parameter_file_that_has_changed_is_read_again(tmp_path):
    path = tmp_path / "small.param"
    path.write_text(SMALL.format(area=3.0))
    first = read_parameters(path)
    assert read_parameters(path) is first
    path.write_text(SMALL.format(area=5.0))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
    again = read_parameters(path)
    np.testing.assert_array_equal(first.parameters["hru_area"], [3.0, 7.0])
    np.testing.assert_array_equal(again.parameters["hru_area"], [5.0, 7.0])


def test_a_missing_parameter_file_is_named(tmp_path):
    with pytest.raises(ComponentError, match=r"does not exist.*gone\.param"):
        read_parameters(tmp_path / "gone.param")
    with pytest.raises(ComponentError, match="does not exist"):
        get_component("prms-groundwater")(parameters=tmp_path / "gone.param").initialize()


def test_what_is_compiled_is_shared_between_objects(monkeypatch):
    from numba.core.dispatcher import Dispatcher

    from hybridwater.components import prms_process

    monkeypatch.setattr(prms_process, "COMPILED", {})
    made = [get_component("prms-groundwater")(compile=True) for _ in range(2)]
    for component in made:
        component.initialize()
    functions = [c._processes["PRMSGroundwater"]._calculate_gw for c in made]
    assert isinstance(functions[0], Dispatcher)
    assert functions[0] is functions[1]


@pytest.mark.slow
def test_over_both_years_it_is_pywatersheds_own_run_compiled():
    components = prms.start("land", "groundwater", "channel", compile=True)
    own = prms.own_model(method="numba")
    flows, snow = [], []
    for day in range(731):
        prms.step_all(*components, day)
        prms.own_step(own)
        snow.append(own.processes["PRMSSnow"].pkwater_equiv * 25.4)
        ours = components[2].get_value_ptr(DISCHARGE)
        theirs = own.processes["PRMSChannel"].seg_outflow * 0.3048**3
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=0)
        flows.append(ours.copy())

    observed = read_delaware().observed
    observed = observed.isel(gage=(observed["discharge"].notnull().sum("time") >= 700).values)
    at_gages = np.array(flows)[:, observed["gage_segment"].values].T
    simulated = observed["discharge"].copy(data=at_gages)
    assert observed.sizes["gage"] == 101
    median = float(scores.nse(simulated, observed["discharge"]).median())
    assert median == pytest.approx(0.4755, abs=5e-4)

    # A second object, which takes over what is compiled, gives the same numbers.
    first = components[0]
    first.initialize()
    (second,) = prms.start("land", compile=True)
    for day in range(60):
        for component in (first, second):
            prms.step_land(component, day)
    for name in first.get_output_var_names():
        np.testing.assert_array_equal(first.get_value_ptr(name), second.get_value_ptr(name))
    np.testing.assert_allclose(
        second.get_value_ptr("surface_snow_amount"), snow[59], rtol=1e-12, atol=1e-12
    )
