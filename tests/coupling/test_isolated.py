"""Components in processes of their own, in a coupled run: what happens when one fails there."""

import time

import numpy as np
import pytest
from reservoirs import start

import hybridwater as hw
from hybridwater.components.isolation import IsolatedComponent
from hybridwater.components.surrogate import SurrogateComponent
from hybridwater.coupling import CoupledModel, StandIn
from hybridwater.errors import ComponentFailed

AREA = [1e6, 2e6]
OPTIONS = {"area": AREA, "initial": 20.0, "inputs": {"recharge_flux": 3.0}}
EDGE = {"source": "up.runoff_flux", "target": "down.recharge_flux"}


@hw.model
def reservoir(m):
    """The equation of the template."""
    recharge = m.forcing("recharge", "mm d-1")
    k = m.parameter("k", "d-1", (1e-4, 1), 0.05)
    store = m.state("store", "mm", initial=10)
    q = m.flux("q", k * store, "mm d-1")
    m.derivative(store, recharge - q)


@pytest.fixture
def coupled():
    models = []

    def make(fault, timeout=60.0, **options):
        up = IsolatedComponent(
            "reservoirs:Reservoir", timeout=timeout, options=OPTIONS | {"fault": fault}
        )
        models.append(CoupledModel({"up": up, "down": start()}, [EDGE], **options))
        return models[-1]

    yield make
    for model in models:
        model._components["up"]._end()


def surrogate():
    return SurrogateComponent(
        model=reservoir,
        area=AREA,
        replaces=start(),
        ports={"recharge_flux": "recharge", "runoff_flux": "q", "reservoir_amount": "store"},
        inputs=OPTIONS["inputs"],
        engine="embedded",
        options={"method": "tsit5", "rtol": 1e-11, "atol": 1e-11},
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("hangs", ["'update' within 3 s", "component 'up'", "time 3"]),
        ("exits", ["died in 'update' (exit code 7)", "component 'up'", "time 3"]),
        ("killed", ["died in 'update' (signal SIGKILL)", "component 'up'", "time 3"]),
        (
            "nan",
            ["'runoff_flux' became nan", "component 'up'", "variable 'runoff_flux', cell 1"],
        ),
    ],
)
def test_a_failure_is_told_by_component_cell_time_and_variable(coupled, fault, words):
    model = coupled(fault, timeout=3.0)
    model.run("3 d", progress=False)
    before = model.component("down").get_value_ptr("reservoir_amount").copy()
    began = time.monotonic()
    with pytest.raises(ComponentFailed) as caught:
        model.run("1 d", progress=False)
    assert time.monotonic() - began < 3.0 + 5.0
    for word in words:
        assert word in str(caught.value)
    # What the other components and the ledger hold is that of the last whole step.
    assert (model.component("down").get_value_ptr("reservoir_amount") == before).all()
    assert model.ledger().sizes["time"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["hangs", "killed", "nan", "killed in storage"])
def test_a_surrogate_goes_on_in_its_place(coupled, fault):
    model = coupled(fault, timeout=3.0, stand_ins={"up": surrogate()})
    sound = CoupledModel({"up": start(**OPTIONS), "down": start()}, [EDGE])
    with pytest.warns(UserWarning, match="stand-in of 'up' goes on in its place from 259200 s"):
        model.run("20 d", progress=False)
    sound.run("20 d", progress=False)
    assert model.component("up").get_component_name() == "surrogate-reservoir"
    ledger = model.ledger()
    assert ledger.sizes["time"] == 20
    assert abs(ledger["residual"]).max() < 1e-12 * ledger["storage"].sum("component").max()
    # The surrogate has the same equation: as if nothing had happened.
    ours, theirs = (m.component("down").get_value_ptr("reservoir_amount") for m in (model, sound))
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)


@pytest.mark.slow
def test_a_surrogate_takes_over_from_another_process_at_a_date(coupled):
    model = coupled(None, stand_ins={"up": StandIn(surrogate(), at="4 d", on_failure=False)})
    model.run("10 d", progress=False)
    assert model.component("up").get_component_name() == "surrogate-reservoir"
    ledger = model.ledger()
    assert abs(ledger["residual"]).max() < 1e-12 * ledger["storage"].sum("component").max()
