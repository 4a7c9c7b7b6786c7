import numpy as np
import pytest
from reservoirs import Reservoir, start

from hybridwater.coupling import CoupledModel, StandIn
from hybridwater.errors import ComponentFailed, CouplingError

RAIN = {"recharge_flux": 3.0}
EDGE = {"source": "up.runoff_flux", "target": "down.recharge_flux"}


class Slower(Reservoir):
    """Goes on where another reservoir is, with another rate."""

    name = "stand-in"

    def take_over(self, component):
        self._steps[()] = round(component.get_current_time() / self._step)
        self._content[:] = component.get_value_ptr("reservoir_amount")


def stand_in():
    return Slower(area=[1e6, 2e6], rate=0.02)


@pytest.mark.parametrize("fault", ["nan", "raises", "raises in storage"])
def test_a_stand_in_goes_on_where_a_component_failed(fault, tmp_path):
    def make():
        up = start(inputs=RAIN, fault=fault)
        parts = {"up": up, "down": start()}
        return CoupledModel(parts, [EDGE], stand_ins={"up": Slower(**given)})

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


def test_a_checkpoint_knows_what_was_replaced_on_purpose(tmp_path):
    def make():
        return CoupledModel({"up": start(inputs=RAIN), "down": start()}, [EDGE])

    model = make()
    model.run("10 d")
    before = model.checkpoint(tmp_path / "before.npz")
    model.replace("down", stand_in())
    model.run("5 d")
    after = model.checkpoint(tmp_path / "after.npz")
    model.run("5 d")
    again = make()
    with pytest.raises(CouplingError, match="'stand-in' was put in the place of 'down'"):
        again.resume(after)
    again.replace("down", stand_in())
    with pytest.raises(CouplingError, match="model in which that component was not replaced"):
        again.resume(before)
    again.resume(after)
    again.run("5 d")
    one, other = (m.ledger()["total_residual"] for m in (model, again))
    assert one == other
    for name in ("up", "down"):
        one, other = (m.component(name).get_value_ptr("reservoir_amount") for m in (model, again))
        assert (one == other).all()


def test_bad_stand_ins():
    parts = {"up": start(inputs=RAIN), "down": start()}
    with pytest.raises(CouplingError, match="did you mean 'up'"):
        CoupledModel(parts, [EDGE], stand_ins={"upp": stand_in()})
    with pytest.raises(CouplingError, match="no take_over"):
        CoupledModel(parts, [EDGE], stand_ins={"up": start()})


def taking_over(at, folder=None, **options):
    """Return a model whose 'down' is replaced at a date, by a reservoir that empties slower."""
    parts = {"up": start(inputs=RAIN, start="2001-01-01"), "down": start(rate=0.1)}
    stand_ins = {"down": StandIn(stand_in(), at=at, on_failure=False)}
    return CoupledModel(parts, [EDGE], stand_ins=stand_ins, directory=folder, **options)


def test_a_component_takes_over_at_a_date():
    model = taking_over("2001-01-11")
    model.run("10 d")
    assert model.component("down").get_component_name() == "reservoir"
    model.run("10 d")
    assert model.component("down").get_component_name() == "stand-in"
    ledger = model.ledger()
    assert ledger.sizes["time"] == 20
    assert abs(ledger["residual"]).max() < 1e-12 * ledger["storage"].sum("component").max()
    # By hand, at the same time.
    parts = {"up": start(inputs=RAIN), "down": start(rate=0.1)}
    other = CoupledModel(parts, [EDGE])
    other.run("10 d")
    other.replace("down", stand_in())
    other.run("10 d")
    assert (ledger["storage"].values == other.ledger()["storage"].values).all()


def test_a_coupling_step_ends_where_a_component_takes_over():
    model = taking_over("2001-01-06", window="4 d")
    model.run("12 d")
    bounds = model.ledger()["time_bounds"].values.astype("datetime64[D]").astype(str)
    assert list(bounds[:, 1]) == ["2001-01-05", "2001-01-06", "2001-01-10", "2001-01-13"]


@pytest.mark.parametrize("days", [6, 10, 14])
def test_a_run_goes_on_before_and_after_the_date(tmp_path, days):
    whole = taking_over("2001-01-11", tmp_path / "whole")
    whole.run("20 d")
    parts = taking_over("2001-01-11", tmp_path / "parts")
    parts.run(f"{days} d")
    parts.checkpoint()
    parts.run("7 d")
    for model in (parts, taking_over("2001-01-11", tmp_path / "parts")):  # also in the same one
        model.resume()
        model.run(f"{20 - days} d")
        model.close()
    whole.close()
    one, other = (tmp_path / name / "ledger.nc" for name in ("whole", "parts"))
    assert one.read_bytes() == other.read_bytes()
    with pytest.raises(CouplingError, match="stand_ins"):
        taking_over("2001-01-12", tmp_path / "parts").resume()


def test_all_that_ever_ran_is_ended_also_if_one_raises(tmp_path):
    ended = []

    class Ends(Slower):
        def __init__(self, label, **options):
            super().__init__(**{"area": [1e6, 2e6], "inputs": RAIN} | options)
            self.label = label

        def finalize(self):
            ended.append(self.label)
            if self.label == "first":
                raise ZeroDivisionError("in finalize")

    parts = {"up": Ends("first"), "down": Ends("down")}
    model = CoupledModel(parts, [EDGE], stand_ins={"down": Ends("idle")}, directory=tmp_path)
    for label in ("second", "third"):
        model.run("2 d")
        model.replace("up", Ends(label))
    with pytest.raises(ZeroDivisionError, match="in finalize"):
        model.close()
    assert sorted(ended) == ["down", "first", "idle", "second", "third"]
