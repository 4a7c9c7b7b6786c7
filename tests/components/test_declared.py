import datetime as dt

import numpy as np
import pytest

from hybridwater.components import State
from hybridwater.components.gr4j import Gr4j
from hybridwater.components.template import Template
from hybridwater.errors import ComponentError, ComponentFailed


@pytest.fixture
def component():
    made = Template(area=[1e6, 2e6], start="1979-01-01", inputs={"recharge_flux": 3.0})
    made.initialize()
    return made


def test_time_goes_in_steps(component):
    component.update()
    component.update_until(4.0)
    assert component.get_current_time() == 4.0
    assert component.date() == dt.datetime(1979, 1, 5)
    assert component.origin == dt.datetime(1979, 1, 1)
    assert component.get_end_time() == np.finfo(float).max


def test_time_does_not_go_backwards_nor_between_steps(component):
    component.update_until(3.0)
    with pytest.raises(ComponentError, match=r"cannot go back to time 2 d.*set_state"):
        component.update_until(2.0)
    with pytest.raises(ComponentError, match=r"Time 3.5 d lies between two steps of 1 d"):
        component.update_until(3.5)
    component.update_until(3.0)
    assert component.get_current_time() == 3.0


def test_there_is_no_step_beyond_the_end():
    class Ends(Template):
        def __init__(self, **options):
            super().__init__(start="1979-01-01", **options)
            self._end = dt.datetime(1979, 1, 3)

    component = Ends(inputs={"recharge_flux": 1.0})
    component.initialize()
    assert component.get_end_time() == 2.0
    component.update_until(2.0)
    with pytest.raises(ComponentError, match="no step beyond the end"):
        component.update()


def test_an_input_that_nobody_set_is_named():
    component = Template(area=[1.0, 2.0])
    component.initialize()
    component.set_value_at_indices("recharge_flux", np.array([0]), np.array([1.0]))
    with pytest.raises(ComponentError, match=r"input 'recharge_flux' is nan.*cell 1.*kg m-2 d-1"):
        component.update()


def test_an_output_that_is_not_finite_names_component_variable_cell_and_time(component):
    component.update()
    component._content[1] = np.nan
    with pytest.raises(ComponentFailed) as error:
        component.update()
    text = str(error.value)
    for part in ("'runoff_flux' became", "component 'template'", "time 2 d", "cell 1"):
        assert part in text


def test_stepping_before_initialize_is_refused():
    with pytest.raises(ComponentError, match="before it was initialized"):
        Template().update()


def test_a_state_goes_from_one_object_to_another(component):
    component.update_until(5.0)
    state = component.get_state()
    expected = [component.update() or component.get_value_ptr("runoff_flux").copy() for _ in "123"]
    other = Template(area=[1e6, 2e6], start="1979-01-01")
    other.initialize()
    other.set_state(state)
    assert other.date() == dt.datetime(1979, 1, 6)
    for flow in expected:
        other.update()
        np.testing.assert_array_equal(other.get_value_ptr("runoff_flux"), flow)


@pytest.mark.parametrize(
    "other",
    [
        Template(area=[1e6, 3e6], start="1979-01-01"),
        Template(area=[1e6, 2e6], start="1980-01-01"),
        Template(area=[1e6, 2e6, 1e6], start="1979-01-01"),
        Gr4j(area=[1e6, 2e6], start="1979-01-01"),
    ],
    ids=["parameter", "start", "cells", "model"],
)
def test_the_state_of_another_case_is_refused(component, other):
    other.initialize()
    with pytest.raises(ComponentError, match=r"not a state of the component.*wrote the checkpoint"):
        other.set_state(component.get_state())


def test_a_state_is_a_copy(component):
    state = component.get_state()
    kept = {name: array.copy() for name, array in state.arrays.items()}
    component.update()
    for name, array in state.arrays.items():
        np.testing.assert_array_equal(array, kept[name])
    component.set_state(State(kept, state.metadata))
    component.update()
    assert kept["steps"] == 0


def test_initialize_begins_anew(component):
    component.update()
    first = component.get_value_ptr("runoff_flux").copy()
    component.update()
    component.finalize()
    component.initialize()
    assert component.get_current_time() == 0
    component.update()
    np.testing.assert_array_equal(component.get_value_ptr("runoff_flux"), first)


def test_unknown_first_inputs_and_dates_are_refused():
    component = Template(inputs={"recharge": 1.0})
    with pytest.raises(ComponentError, match=r"no variable 'recharge' \(did you mean 'recharge_f"):
        component.initialize()
    with pytest.raises(ComponentError, match="'soon' is not a date"):
        Template(start="soon")
    with pytest.raises(ComponentError, match="no date of its start"):
        Template().date()
