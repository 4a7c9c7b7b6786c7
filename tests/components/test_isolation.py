import os
import signal
import time

import numpy as np
import pytest

from hybridwater.components import check
from hybridwater.components.isolation import IsolatedComponent, _Call
from hybridwater.components.template import Template
from hybridwater.errors import ComponentError, ComponentFailed


@pytest.fixture
def isolated():
    made = []

    def make(target, **options):
        made.append(IsolatedComponent(target, **{"timeout": 60.0, **options}))
        return made[-1]

    yield make
    for component in made:
        component._end()


def drive(component, steps):
    for _ in range(steps):
        component.set_value("rain", np.ones(3))
        component.update()


def test_a_component_in_another_process_gives_the_same_numbers(isolated):
    n = 2**14  # 128 KiB, more than a pipe holds
    options = {"area": np.linspace(1e6, 2e6, n), "inputs": {"recharge_flux": np.arange(n) + 0.5}}
    there = isolated("hybridwater.components.template:Template", options=options)
    here = Template(**options)
    for component in (here, there):
        component.initialize()
        component.update_until(3.0)
    state = there.get_state()
    for component in (here, there):
        component.update()
    values = there.get_value("runoff_flux", np.empty(n))
    np.testing.assert_array_equal(values, here.get_value_ptr("runoff_flux"))
    there.set_state(state)
    assert there.get_current_time() == 3.0
    assert there.has_state
    assert [v.name for v in there.variables] == [v.name for v in here.variables]
    assert there._process.pid != os.getpid()
    there.finalize()
    assert there._process is None


def test_passes_the_checker_but_for_pointers(isolated):
    findings = check(isolated("gr4j"))
    assert {f.rule for f in findings if f.state != "ok"} == {"pointers"}
    assert next(f.state for f in findings if f.rule == "pointers") == "skipped"


def test_one_that_hangs_is_ended_and_named(isolated):
    component = isolated("bmi_models:Hangs", timeout=1.0)
    component.initialize()
    drive(component, 1)
    process, began = component._process, time.monotonic()
    with pytest.raises(ComponentFailed) as error:
        component.update()
    assert time.monotonic() - began < 30.0
    for part in ("'update' within 1 s", "component 'bmi_models:Hangs', time 2", "last checkpoint"):
        assert part in str(error.value)
    assert not process.is_alive()


def test_one_that_does_not_read_is_ended_and_named(isolated):
    n = 2**20  # 8 MB, more than a pipe holds
    component = isolated(
        "hybridwater.components.template:Template", timeout=2.0, options={"area": np.ones(n)}
    )
    component.initialize()
    component.set_value("recharge_flux", np.ones(n))
    component.update()
    process, began = component._process, time.monotonic()
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(ComponentFailed) as error:
        component.set_value("recharge_flux", np.ones(n))
    assert time.monotonic() - began < 30.0
    assert "did not answer 'set_value' within 2 s" in str(error.value)
    assert not process.is_alive()


def test_one_that_stops_in_the_middle_of_a_reply_is_ended_and_named(isolated):
    n = 2**20  # 8 MB, more than a pipe holds
    component = isolated("hybridwater.components.template:Template", options={"area": np.ones(n)})
    component.initialize()
    process, began = component._process, time.monotonic()
    call = _Call("get_value", ("runoff_flux", np.empty(n)), 2.0)
    component._send(call)
    assert component._pipe.poll(60.0)  # the reply has begun, and nobody reads it yet
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(ComponentFailed) as error:
        component._receive(call)
    assert time.monotonic() - began < 30.0
    for part in ("did not answer 'get_value' within 2 s", "variable 'runoff_flux', time 0"):
        assert part in str(error.value)
    assert not process.is_alive()


def test_one_that_dies_is_named_and_can_be_started_again(isolated):
    component = isolated("bmi_models:Dies")
    component.initialize()
    drive(component, 1)
    with pytest.raises(ComponentFailed) as error:
        component.set_value("rain", np.ones(3))
    for part in ("died in 'set_value' (exit code 3)", "variable 'rain', time 2"):
        assert part in str(error.value)
    with pytest.raises(ComponentFailed, match="not running"):
        component.update()
    component.initialize()
    drive(component, 1)
    assert component.get_current_time() == 2.0


def test_a_killed_process_is_named_by_its_signal(isolated):
    component = isolated("bmi_models:Plain")
    component.initialize()
    component._process.kill()
    component._process.join()
    with pytest.raises(ComponentFailed, match="SIGKILL"):
        component.update()


def test_errors_come_through_with_their_sentences(isolated):
    component = isolated("bmi_models:Raises")
    component.initialize()
    with pytest.raises(ComponentFailed, match="ZeroDivisionError in update: no water at all"):
        component.update()
    with pytest.raises(ComponentError, match="explicit coupling only"):
        component.get_state()
    with pytest.raises(NotImplementedError, match="use get_value"):
        component.get_value_ptr("rain")


def test_one_that_cannot_be_made_is_told_at_once(isolated):
    with pytest.raises(ComponentError, match="no component 'gr4'"):
        isolated("gr4").initialize()
    with pytest.raises(ComponentError, match="'x1' is -1"):
        isolated("gr4j", options={"x1": -1.0}).initialize()
