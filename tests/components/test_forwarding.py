import inspect

import bmipy
import numpy as np

from hybridwater.components.bmi import BmiComponent, plug_in
from hybridwater.components.forwarding import BY_VARIABLE, METHODS


def test_all_of_bmi_is_handed_on_under_its_own_names_and_signatures():
    assert len(METHODS) == 41
    for name in METHODS:
        method = getattr(BmiComponent, name)
        assert method.__name__ == name
    filled = inspect.signature(BmiComponent.get_grid_x)
    assert filled == inspect.signature(bmipy.Bmi.get_grid_x)
    assert not BmiComponent.__abstractmethods__


def test_methods_about_a_variable():
    assert "get_value" in BY_VARIABLE
    assert "get_var_units" in BY_VARIABLE
    assert "get_input_var_names" not in BY_VARIABLE


def test_calls_arrive():
    import bmi_models as models

    component = plug_in(models.Plain)()
    component.initialize()
    assert component.get_grid_size(0) == 3
    np.testing.assert_array_equal(component.get_value("rain", np.empty(3)), [2, 2, 2])
