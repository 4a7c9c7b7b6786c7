import numpy as np
import pytest
import xarray as xr
from reservoirs import Litres, Reservoir, start

from hybridwater.coupling import CoupledModel, Exchange
from hybridwater.errors import ComponentFailed, CouplingError, LedgerError, UnitError

RAIN = {"recharge_flux": 3.0}
EDGE = {"source": "up.runoff_flux", "target": "down.recharge_flux"}


def pair(up=None, down=None, edge=None, **options):
    up = up or start(inputs=RAIN)
    down = down or start(rate=0.02)
    return CoupledModel({"up": up, "down": down}, [{**EDGE, **(edge or {})}], **options)


def test_equal_steps_are_what_one_does_by_hand():
    model = pair()
    model.run("50 d")
    up, down = start(inputs=RAIN), start(rate=0.02)
    up.initialize()
    down.initialize()
    for _ in range(50):
        up.update()
        down.set_value("recharge_flux", up.get_value_ptr("runoff_flux"))
        down.update()
    for by_hand, name in ((up, "up"), (down, "down")):
        ours = model.component(name).get_value_ptr("reservoir_amount")
        assert (ours == by_hand.get_value_ptr("reservoir_amount")).all()


@pytest.mark.parametrize("steps", [(0.3, 0.7), (0.7, 0.3), (1 / 3, np.pi / 10), (5.0, 0.24)])
def test_closes_with_steps_that_do_not_fit(steps):
    model = pair(start(steps[0], inputs=RAIN), start(steps[1], rate=0.02), window="1 d")
    model.run("300 d")
    ledger = model.ledger()
    moved = ledger["given"] + ledger["delivered"]
    assert (abs(ledger["exchange_residual"]) <= 1e-12 * moved.clip(1.0)).all()
    given = ledger["total_given"] - ledger["total_delivered"] - ledger["in_transit"][-1]
    assert abs(float(given.item())) <= 1e-12 * float(ledger["total_given"].item())
    assert float(ledger["in_transit"].max()) > 0


def test_a_lag_delays_and_loses_nothing():
    model = pair(edge={"lag": "5 d"})
    model.run("30 d")
    ledger = model.ledger()
    given, delivered = ledger["given"][:, 0].values, ledger["delivered"][:, 0].values
    assert (delivered[:5] == 0).all()
    assert delivered[5:] == pytest.approx(given[:-5], rel=1e-14)
    assert ledger["in_transit"][-1].item() == pytest.approx(given[-5:].sum(), rel=1e-14)


def test_volumes_become_masses_per_area():
    model = CoupledModel(
        {"up": start(inputs=RAIN), "middle": Litres(area=[5e5, 5e5]), "down": start()},
        [
            Exchange("up.runoff_flux", "middle.inflow"),
            Exchange("middle.runoff_flux", "down.recharge_flux"),
        ],
    )
    model.run("40 d")
    ledger = model.ledger()
    assert ledger["total_given"].values == pytest.approx(ledger["total_delivered"].values)
    assert float(abs(ledger["total_residual"])) < 1e-12 * float(ledger["total_given"][0])


def test_share_and_sum():
    model = CoupledModel(
        {"one": start(inputs=RAIN), "two": start(inputs=RAIN), "sea": start()},
        [
            Exchange("one.runoff_flux", "sea.recharge_flux", additive=True, share=0.25),
            Exchange("two.runoff_flux", "sea.recharge_flux", additive=True),
        ],
    )
    model.run("20 d")
    ledger = model.ledger()
    assert ledger["total_delivered"][1] == pytest.approx(4 * ledger["total_delivered"][0])
    assert ledger["total_unmapped"][0] == pytest.approx(0.75 * ledger["total_given"][0])
    assert ledger["total_external"].item() == pytest.approx(
        ledger["total_boundary_flux"].sel(flux=["one.recharge_flux", "two.recharge_flux"]).sum()
        + ledger["total_boundary_flux"].sel(flux="sea.runoff_flux")
        - ledger["total_unmapped"].sum()
    )


def test_what_is_below_the_minimum_is_owed():
    up = start(inputs=RAIN)
    model = pair(up, edge={"minimum": 2.0, "initial": 0.0})
    model.run("60 d")
    ledger = model.ledger()
    assert ledger["clipping"][0].item() > 0
    assert ledger["in_transit"][0].item() < 0  # paid in advance
    assert abs(ledger["residual"]).max() <= 1e-12 * ledger["total_given"].item()


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ("unit of outflow", ["up.runoff_flux -> down.recharge_flux", "per day", "'up'"]),
        ("area of outflow", ["up.runoff_flux -> down.recharge_flux", "areas", "'up'"]),
        ("leak", ["component 'up' lost"]),
    ],
)
def test_errors_of_a_source_are_named(fault, names):
    with pytest.raises(LedgerError) as caught:
        pair(start(inputs=RAIN, fault=fault, fault_at=0)).run("5 d")
    for name in names:
        assert name in str(caught.value)


def test_a_wrong_sign_of_a_target_is_named():
    with pytest.raises(LedgerError, match="a sign is wrong") as caught:
        pair(down=start(fault="sign of inflow")).run("5 d")
    assert "up.runoff_flux -> down.recharge_flux" in str(caught.value)
    assert "'down'" in str(caught.value)


def test_the_policy_decides():
    with pytest.warns(UserWarning, match="lost or made"):
        pair(start(inputs=RAIN, fault="leak"), ledger={"on_error": "warn"}).run("4 d")
    model = pair(start(inputs=RAIN, fault="leak"), ledger={"on_error": "record"})
    model.run("9 d")
    assert (model.ledger()["component_residual"].sel(component="up") < -1.0).sum() == 6


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("nan", ["component 'up'", "'runoff_flux'", "cell 1", "time 345600 s"]),
        ("raises", ["ZeroDivisionError", "component 'up'", "time 259200 s"]),
        ("back", ["component 'up'", "backwards"]),
        ("stands", ["component 'up'", "does not move"]),
    ],
)
def test_failures_say_who_and_when(fault, words):
    with pytest.raises(ComponentFailed) as caught:
        pair(start(inputs=RAIN, fault=fault)).run("9 d")
    for word in words:
        assert word in str(caught.value)


def test_bad_declarations_are_refused():
    one, two = start(inputs=RAIN), start()
    with pytest.raises(CouplingError, match=r"2 exchanges write 'down\.recharge_flux'"):
        CoupledModel(
            {"up": one, "also": start(inputs=RAIN), "down": two},
            [EDGE, {**EDGE, "source": "also.runoff_flux"}],
        )
    with pytest.raises(CouplingError, match="given away more than once"):
        CoupledModel(
            {"up": one, "down": two, "also": start()},
            [EDGE, {**EDGE, "target": "also.recharge_flux"}],
        )
    for edge, words in (
        ({"source": "upp.runoff_flux"}, "did you mean 'up'"),
        ({"source": "up.runoff"}, "did you mean 'runoff_flux'"),
        ({"target": "down.runoff_flux"}, "among its inputs"),
        ({"source": "up"}, "component.variable"),
        ({"remap": "conservativ"}, "did you mean 'conservative'"),
        ({"time": "last"}, "no time rule"),
        ({"time": "instantaneous"}, "lose or make some"),
        ({"share": 1.5}, "share"),
        ({"lagg": True}, "did you mean 'lag'"),
        ({"lag": "5"}, "not a duration"),
    ):
        with pytest.raises(CouplingError, match=words):
            pair(edge=edge)
    with pytest.raises(UnitError, match="down"):
        pair(edge={"source": "up.reservoir_amount"})
    with pytest.raises(CouplingError, match="start together"):
        pair(start(start="1990-10-01"), start(start="1990-10-02"))
    with pytest.raises(CouplingError, match="cannot go back"):
        pair(start(start="1990-10-01", inputs=RAIN)).run("1980-10-01")
    with pytest.raises(CouplingError, match="no component knows its dates"):
        pair().run("1990-10-01")


def test_dates():
    model = pair(start(start="1990-10-01", inputs=RAIN))
    model.run("1990-11-01")
    assert str(model.time) == "1990-11-01 00:00:00"
    assert model.ledger().sizes["time"] == 31
    assert str(model.ledger()["time"].values[-1])[:10] == "1990-10-31"  # its start


def test_a_cycle_is_found_and_lagged():
    model = CoupledModel(
        {"up": start(inputs=RAIN), "down": start(0.5, rate=0.02), "back": start(0.25, rate=0.3)},
        [
            {**EDGE, "share": 0.5},
            {"source": "down.runoff_flux", "target": "back.recharge_flux"},
            {"source": "back.runoff_flux", "target": "up.recharge_flux"},
        ],
    )
    model.run("100 d")
    ledger = model.ledger()
    late = ledger["in_transit"].sel(exchange="back.runoff_flux -> up.recharge_flux")
    assert float(late[-1]) > 0
    assert abs(ledger["residual"]).max() < 1e-12 * ledger["storage"].sum("component").max()


def test_a_lag_that_is_too_short_is_refused():
    model = CoupledModel(
        {"up": start(), "down": start()},
        [EDGE, {"source": "down.runoff_flux", "target": "up.recharge_flux", "lag": "1 h"}],
    )
    with pytest.raises(CouplingError, match="longer lag"):
        model.run("5 d")


def test_states_are_exchanged_as_they_are_at_the_time():
    class Follower(Reservoir):
        variables = (*Reservoir.variables,)

    from hybridwater.components.base import Variable

    Follower.variables += (Variable("level", "kg m-2", "in", "state", "of another"),)
    up, down = start(2.0, inputs=RAIN), Follower(step=0.5, area=[1e6, 2e6], inputs=RAIN)
    model = CoupledModel({"up": up, "down": down}, [Exchange("up.reservoir_amount", "down.level")])
    first = up.get_value_ptr("reservoir_amount").copy()
    model.run("2 d")
    last = up.get_value_ptr("reservoir_amount")
    assert down.get_value_ptr("level") == pytest.approx(last)
    model.run("2 d")
    assert not np.allclose(first, last)


@pytest.mark.parametrize(
    ("fault", "error", "days"), [("raises", ComponentFailed, 10), ("leak", LedgerError, 12)]
)
def test_what_was_done_before_an_error_is_in_the_files(tmp_path, monkeypatch, fault, error, days):
    monkeypatch.setattr("hybridwater.coupling.ledger._MOST", 4)
    up = start(inputs=RAIN, fault=fault, fault_at=10)
    model = pair(up=up, directory=tmp_path, outputs={"down": ["reservoir_amount"]})
    with pytest.raises(error):
        model.run("100 d")
    for name in ("ledger.nc", "down.nc"):
        with xr.open_dataset(tmp_path / name, engine="netcdf4") as written:
            assert written.sizes["time"] == days
    assert model.time == days * 86400.0
    down = model.component("down")
    assert down.get_current_time() == days
    if fault == "leak":
        again = pair(directory=tmp_path, outputs={"down": ["reservoir_amount"]})
        again.resume(model.checkpoint())
        assert again.time == model.time
    model.close()
