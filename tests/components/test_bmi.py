import datetime as dt

import numpy as np
import pytest

from hybridwater.components.bmi import plug_in
from hybridwater.errors import ComponentError, ComponentFailed


@pytest.fixture
def plain():
    import bmi_models as models

    component = plug_in(models.Plain)(origin=dt.datetime(2000, 1, 1), meshes={0: "mesh"})
    component.initialize()
    return component


def test_a_bmi_model_runs_as_it_is(plain):
    plain.set_value("rain", np.array([1.0, 2.0, 3.0]))
    plain.update()
    plain.update_until(6.0)
    np.testing.assert_array_equal(plain.get_value_ptr("level"), [6, 12, 18])
    assert plain.get_current_time() == 6.0
    assert plain.origin == dt.datetime(2000, 1, 1)
    assert plain.mesh(0) == "mesh"


def test_a_model_may_change_what_it_is_given():
    import bmi_models as models

    component, rain = plug_in(models.Consumes)(), np.ones(3)
    component.initialize()
    component.set_value("rain", rain)
    component.update()
    np.testing.assert_array_equal(component.get_value_ptr("level"), [2, 2, 2])
    np.testing.assert_array_equal(rain, [1, 1, 1])


def test_variables_are_read_from_bmi_and_rates_from_their_units(plain):
    rain, level = plain.variables
    assert (rain.name, rain.units, rain.intent, rain.kind) == ("rain", "mm h-1", "in", "rate")
    assert (level.name, level.units, level.intent, level.kind) == ("level", "mm", "out", "state")


def test_units_and_rates_can_be_mended():
    import bmi_models as models

    component = plug_in(models.Plain)(units={"level": "cm"}, rates={"level"}, name="bucket")
    component.initialize()
    assert component.get_var_units("level") == "cm"
    assert [v.kind for v in component.variables] == ["state", "rate"]
    assert component.get_component_name() == "bucket"


def test_without_a_state_it_says_so(plain):
    assert not plain.has_state
    for call in (plain.get_state, lambda: plain.set_state(None)):
        with pytest.raises(ComponentError, match=r"explicit coupling only.*lag = true in an"):
            call()
    with pytest.raises(ComponentError, match="does not tell its storage"):
        plain.storage()


def test_bad_values_do_not_reach_the_model(plain):
    with pytest.raises(ComponentError, match="given 2 values, but has 3"):
        plain.set_value("rain", np.zeros(2))
    with pytest.raises(ComponentError, match="given NaN"):
        plain.set_value("rain", np.full(3, np.nan))
    with pytest.raises(ComponentError, match="cannot go back to time -1"):
        plain.update_until(-1.0)
    assert plain.get_value_ptr("rain")[0] == 2.0


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("Gap", ("'level' became nan", "variable 'level', time 2 h, cell 1")),
        ("Raises", ("ZeroDivisionError in update: no water at all", "time 0 h")),
        ("Backwards", ("from time 0 to -2: time does not move forward",)),
    ],
)
def test_failures_name_component_variable_cell_and_time(model, parts):
    import bmi_models as models

    component = plug_in(getattr(models, model))()
    component.initialize()
    with pytest.raises(ComponentFailed) as error:
        component.update()
    for part in ("component 'plain'", *parts):
        assert part in str(error.value)


def test_gaps_may_be_allowed():
    import bmi_models as models

    component = plug_in(models.Gap)(gaps={"level"})
    component.initialize()
    component.update()
    assert np.isnan(component.get_value_ptr("level")[1])
