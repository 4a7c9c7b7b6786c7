import pytest

from hybridwater.components import check, require_sound
from hybridwater.components.bmi import plug_in
from hybridwater.components.template import Template
from hybridwater.errors import ComponentError

RULES = (
    "initialize",
    "names",
    "units",
    "arrays",
    "door",
    "time",
    "values",
    "pointers",
    "state",
    "mass",
    "finalize",
)


def test_a_sound_component_passes_every_rule():
    findings = check(Template(area=[1e6, 2e5]))
    assert tuple(f.rule for f in findings) == RULES
    assert {f.state for f in findings} == {"ok"}
    require_sound(findings, "template")


@pytest.mark.parametrize(
    ("model", "rule", "detail"),
    [
        ("Leaks", "mass", "The storage changes by something else than the boundary fluxes"),
        ("Forgets", "state", "'runoff_flux (step 1)' is not the same bit for bit"),
        ("Copies", "pointers", "is a copy, not a view"),
        ("StateIsView", "state", "it is a view"),
        ("BadUnits", "units", "'bucketfuls' is not known"),
        ("Undeclared", "mass", "not declared as rates: secret"),
        ("Stalls", "time", "A step of 1 went from 2 to 2"),
        ("OpenDoor", "door", "'recharge_flux' accepts too many values"),
        ("Keeps", "door", "'recharge_flux' keeps the array that it is given"),
    ],
)
def test_every_sin_is_found_by_its_rule(model, rule, detail):
    import bmi_models as models

    findings = check(getattr(models, model)())
    failed = {f.rule: f.detail for f in findings if f.state == "failed"}
    assert rule in failed, findings
    assert detail in failed[rule]
    with pytest.raises(ComponentError, match="does not keep its promises"):
        require_sound(findings, model)


def test_a_plain_bmi_model_passes_with_state_and_mass_left_out():
    import bmi_models as models

    findings = check(plug_in(models.Plain)())
    assert {f.rule: f.state for f in findings if f.state != "ok"} == {
        "state": "skipped",
        "mass": "skipped",
    }
    assert "explicit coupling only" in next(f.detail for f in findings if f.rule == "state")


@pytest.mark.parametrize(
    ("model", "rule", "detail"),
    [
        ("Gap", "time", "'level' became nan"),
        ("Raises", "time", "no water at all"),
        ("Backwards", "time", "time does not move forward"),
    ],
)
def test_what_a_third_party_raises_is_a_finding(model, rule, detail):
    import bmi_models as models

    failed = {f.rule: f.detail for f in check(plug_in(getattr(models, model))())
              if f.state == "failed"}  # fmt: skip
    assert detail in failed[rule]


def test_inputs_may_be_given():
    component = Template()
    findings = check(component, inputs={"recharge_flux": -1.0e3})
    assert "ok" == next(f.state for f in findings if f.rule == "mass")


def test_a_component_that_does_not_start_ends_the_check():
    class Broken(Template):
        def _reset(self):
            raise RuntimeError("no file")

    findings = check(Broken())
    assert [(f.rule, f.state) for f in findings] == [("initialize", "failed")]
    assert "RuntimeError: no file" in findings[0].detail
