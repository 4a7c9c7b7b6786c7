import bmipy
import pytest

from hybridwater.components import Component, State, Variable
from hybridwater.components.template import Template
from hybridwater.errors import ComponentError


def test_the_contract_is_bmi_unmodified_and_four_things_more():
    assert issubclass(Component, bmipy.Bmi)
    ours = {name for name in Component.__abstractmethods__} - bmipy.Bmi.__abstractmethods__
    assert ours == {"get_state", "set_state", "storage", "boundary_fluxes"}
    assert callable(Component.mesh)


@pytest.mark.parametrize(
    ("intent", "reads", "sets"),
    [("in", True, False), ("out", False, True), ("inout", True, True)],
)
def test_intent(intent, reads, sets):
    variable = Variable("a", "m", intent, "state", "something")
    assert (variable.is_input, variable.is_output) == (reads, sets)


def test_an_unknown_variable_is_refused_with_the_nearest():
    with pytest.raises(ComponentError, match=r"no variable 'runof_flux' \(did you mean"):
        Template().variable("runof_flux")


def test_states_cannot_be_changed_by_accident():
    with pytest.raises(AttributeError):
        State({}).arrays = {}
