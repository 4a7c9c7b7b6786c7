import numpy as np
import pytest
from reservoirs import Reservoir, start

from hybridwater.coupling import CoupledModel
from hybridwater.errors import ComponentFailed, CouplingError

RAIN = {"recharge_flux": 3.0}
EDGE = {"source": "up.runoff_flux", "target": "down.recharge_flux"}


class StandIn(Reservoir):
    """Goes on where another reservoir is, with another rate."""

    name = "stand-in"

    def take_over(self, component):
        self._steps[()] = round(component.get_current_time() / self._step)
        self._content[:] = component.get_value_ptr("reservoir_amount")


def stand_in():
    return StandIn(area=[1e6, 2e6], rate=0.02)


@pytest.mark.parametrize("fault", ["nan", "raises"])
def test_a_stand_in_goes_on_where_a_component_failed(fault, tmp_path):
    def make():
        up = start(inputs=RAIN, fault=fault)
        parts = {"up": up, "down": start()}
        return CoupledModel(parts, [EDGE], stand_ins={"up": StandIn(**given)})

    given = {"area": [1e6, 2e6], "rate": 0.02, "inputs": RAIN}
    model = make()
    with pytest.warns(UserWarning, match="stand-in of 'up' goes on in its place from 259200 s"):
        model.run("30 d")
    ledger = model.ledger()
    assert ledger.sizes["time"] == 30
    assert abs(ledger["residual"]).max() < 1e-12 * ledger["storage"].sum("component").max()
    assert model.component("up").get_component_name() == "stand-in"
    path = model.checkpoint(tmp_path / "c.npz")
    model.run("5 d")
    again = make()
    again.resume(path)
    again.run("5 d")
    for name in ("up", "down"):
        one, other = (m.component(name).get_value_ptr("reservoir_amount") for m in (model, again))
        assert (one == other).all()


def test_without_a_stand_in_the_run_goes_on_from_the_checkpoint(tmp_path):
    parts = {"up": start(inputs=RAIN, fault="nan"), "down": start()}
    model = CoupledModel(parts, [EDGE], directory=tmp_path, checkpoint_every="1 d")
    with pytest.raises(ComponentFailed, match="'runoff_flux' became nan"):
        model.run("30 d")
    parts["up"].fault = None
    model.resume()
    assert model.time == 3 * 86400
    model.run("27 d")
    assert model.ledger().sizes["time"] == 30


def test_replaced_in_the_middle_of_a_run():
    model = CoupledModel({"up": start(inputs=RAIN), "down": start()}, [EDGE])
    model.run("10 d")
    model.replace("down", stand_in())
    model.run("10 d")
    ledger = model.ledger()
    assert abs(ledger["residual"]).max() < 1e-12 * ledger["storage"].sum("component").max()
    assert np.ptp(ledger["storage"].sel(component="down").values) > 0
    with pytest.raises(CouplingError, match="no take_over"):
        model.replace("down", start())


def test_bad_stand_ins():
    parts = {"up": start(inputs=RAIN), "down": start()}
    with pytest.raises(CouplingError, match="did you mean 'up'"):
        CoupledModel(parts, [EDGE], stand_ins={"upp": stand_in()})
    with pytest.raises(CouplingError, match="no take_over"):
        CoupledModel(parts, [EDGE], stand_ins={"up": start()})
