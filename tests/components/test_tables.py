import numpy as np
import pytest

from hybridwater.components.template import Template
from hybridwater.errors import ComponentError


@pytest.fixture
def component():
    made = Template(area=[1e6, 2e6, 3e6])
    made.initialize()
    return made


def test_what_is_set_is_got(component):
    component.set_value("recharge_flux", np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(component.get_value("recharge_flux", np.empty(3)), [1, 2, 3])
    component.set_value_at_indices("recharge_flux", np.array([2, 0]), np.array([7.0, 8.0]))
    some = component.get_value_at_indices("recharge_flux", np.empty(2), np.array([0, 2]))
    np.testing.assert_array_equal(some, [8, 7])


def test_pointers_are_views_for_the_life_of_the_component(component):
    pointer = component.get_value_ptr("recharge_flux")
    pointer[:] = 4.0
    component.update()
    assert pointer is component.get_value_ptr("recharge_flux")
    assert component.get_value("recharge_flux", np.empty(3))[0] == 4.0


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.zeros(2), "'recharge_flux' was given 2 values, but has 3"),
        (np.array([0.0, np.nan, 0.0]), "'recharge_flux' was given nan"),
        (np.array([0.0, 0.0, np.inf]), "cell 2"),
    ],
)
def test_bad_values_do_not_come_in(component, values, sentence):
    with pytest.raises(ComponentError) as error:
        component.set_value("recharge_flux", values)
    assert sentence in str(error.value)
    assert "component 'template', variable 'recharge_flux', time 0 d" in str(error.value)


def test_outputs_cannot_be_set(component):
    with pytest.raises(ComponentError, match="comes out of the component and cannot be set"):
        component.set_value("runoff_flux", np.zeros(3))


def test_indices_are_looked_at(component):
    with pytest.raises(ComponentError, match="indices 0 to 2, not 0 to 3"):
        component.set_value_at_indices("recharge_flux", np.array([0, 3]), np.zeros(2))


def test_sizes_and_types(component):
    assert component.get_var_nbytes("runoff_flux") == 24
    assert component.get_var_itemsize("runoff_flux") == 8
    assert component.get_var_type("runoff_flux") == "float64"
    assert component.get_input_var_names() == ("recharge_flux",)
    assert component.get_output_item_count() == 2
    assert component.get_grid_size(0) == component.get_grid_node_count(0) == 3
    np.testing.assert_array_equal(component.get_grid_x(0, np.empty(3)), [0, 1, 2])


def test_unknown_grids_and_coordinates_are_refused(component):
    with pytest.raises(ComponentError, match="has no grid 7"):
        component.get_grid_rank(7)
    with pytest.raises(ComponentError, match="Grid 0 has no coordinate z"):
        component.get_grid_z(0, np.empty(3))


def test_the_mesh_is_the_one_that_was_given():
    mesh = object()
    assert Template(mesh=mesh).mesh(0) is mesh
    assert Template().mesh(0) is None
    begun = Template(area=[1.0, 2.0])
    begun.initialize()
    assert begun.mesh(0).areas.tolist() == [1.0, 2.0]
