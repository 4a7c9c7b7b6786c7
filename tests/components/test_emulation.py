"""A surrogate trained on another component's run, judged by its own."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.components import check, get_component
from hybridwater.components.recording import record
from hybridwater.components.template import Template
from hybridwater.errors import ComponentError, DataError, UnitError

AREA = np.array([1e6, 2e6, 3e5])
PORTS = {"recharge_flux": "r", "runoff_flux": "q", "reservoir_amount": "s"}
PERIODS = {"train": ("2001-01-01", "2001-02-28"), "test": ("2001-03-01", "2001-03-31")}


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    rain = rng.gamma(0.4, 8.0, (3, 90))
    return xr.Dataset(
        {"recharge_flux": (("basin", "time"), rain, {"units": "mm d-1"})},  # a depth is a mass, too
        {"basin": ["a", "b", "c"], "time": pd.date_range("2001-01-01", periods=90)},
    )


@pytest.fixture(scope="module")
def reservoir():
    @hw.model
    def reservoir(m):
        r = m.forcing("r", "mm d-1")
        k = m.parameter("k", "d-1", (1e-3, 1), 0.02, log=True)
        s = m.state("s", "mm", initial=0)
        m.derivative(s, r - m.flux("q", k * s, "mm d-1"))

    return reservoir


def template():
    return Template(area=AREA, rate=[0.03, 0.1, 0.3], start="2001-01-01")


@pytest.fixture(scope="module")
def emulation(inputs, reservoir, tmp_path_factory):
    stages = [hw.Stage("joint", 60, 0.1, window=15), hw.Stage("joint", 30, 0.01, window=15)]
    return hw.emulate(
        template(),
        reservoir,
        inputs,
        ports=PORTS,
        schedule=stages,
        engine="embedded",
        show_progress=False,
        directory=tmp_path_factory.mktemp("emulation") / "run",
        **PERIODS,
    )


def test_finds_the_reservoir_that_it_emulates(emulation):
    np.testing.assert_allclose(emulation.surrogate.parameters["k"], [0.03, 0.1, 0.3], rtol=1e-3)
    errors = emulation.errors
    assert list(errors.index) == [
        (name, period)
        for name in ("runoff_flux", "reservoir_amount")
        for period in ("train", "test")
    ]
    assert (errors[["NSE", "NSE median", "share >= 0.99"]] > 0.9999).all(axis=None)
    assert (errors["bias"].abs() < 1e-3).all()


def test_tells_balance_and_speed(emulation):
    assert emulation.balance < 1e-12
    assert emulation.solver_error < 1e-12
    seconds = emulation.seconds
    assert emulation.speed_up == seconds["component"] / seconds["surrogate"]
    for word in ("reservoir_amount", "balance", "times as fast"):
        assert word in emulation.summary()


def test_areas_come_from_the_ledger(emulation):
    np.testing.assert_allclose(emulation.description.area, AREA, rtol=1e-14)


def test_is_a_component_that_runs_the_same_again(emulation):
    assert emulation.surrogate.observed == {"q": "runoff_flux", "s": "reservoir_amount"}
    stepped = emulation.as_component(engine="embedded", start="2001-01-01")
    assert {f.state for f in check(stepped)} == {"ok"}
    stepped.initialize()
    emulated = record(stepped, emulation.recording[["recharge_flux"]]).dataset()
    xr.testing.assert_identical(emulated, emulation.emulated)


def test_a_swap_in_the_middle_of_a_run_conserves_water(emulation):
    rain = emulation.recording["recharge_flux"].values
    before, after = template(), emulation.as_component(engine="embedded", start="2001-01-01")
    before.initialize()
    after.initialize()
    first, crossed = sum(before.storage().values()).sum(), 0.0
    for day in range(60):
        if day == 30:
            after.take_over(before)
        component = before if day < 30 else after
        component.set_value("recharge_flux", rain[:, day])
        component.update()
        crossed += sum(f.sum() for f in component.boundary_fluxes().values())
    stored = sum(after.storage().values()).sum()
    assert abs(stored - first - crossed) < 1e-12 * stored
    assert after.get_current_time() == 60.0


def test_what_was_recorded_is_what_happened(inputs):
    component = template()
    component.initialize()
    recorded = record(component, inputs).dataset()
    assert recorded.sizes == {"basin": 3, "time": 90}
    np.testing.assert_allclose(recorded["recharge_flux"], inputs["recharge_flux"], rtol=1e-14)
    np.testing.assert_array_equal(recorded["initial_reservoir_amount"], [10.0, 10.0, 10.0])
    amounts = np.column_stack([recorded["initial_reservoir_amount"], recorded["reservoir_amount"]])
    change = recorded["recharge_flux"] - recorded["runoff_flux"]
    np.testing.assert_allclose(np.diff(amounts), change, atol=1e-12)
    assert recorded["runoff_flux"].attrs["standard_name"] == "runoff_flux"
    assert recorded.indexes["time"][0] == pd.Timestamp("2001-01-01")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"targets": ["runof_flux"]}, DataError, "did you mean 'runoff_flux'"),
        ({"ports": {"recharge_flux": "r"}}, ComponentError, "'runoff_flux' has no term"),
        ({"attributes": xr.Dataset({"x": ("basin", [1.0])})}, DataError, "attributes of 1 basins"),
    ],
)
def test_bad_input_is_refused_before_training(inputs, reservoir, change, error, message):
    given = {"ports": PORTS, "engine": "embedded", **PERIODS, **change}
    with pytest.raises(error, match=message):
        hw.emulate(template(), reservoir, inputs, **given)


def in_kelvin(data):
    return data.assign(recharge_flux=data["recharge_flux"].assign_attrs(units="K"))


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda d: d.rename(recharge_flux="recharge"), DataError, "did you mean 'recharge_flux'"),
        (lambda d: d.isel(basin=[0, 1]), DataError, "2 basins, but the component has 3 cells"),
        (lambda d: d.isel(time=0), DataError, "has the dimensions"),
        (in_kelvin, UnitError, "cannot be converted"),
        (lambda d: d.drop_attrs(), UnitError, "no units"),
    ],
)
def test_inputs_that_are_not_those_of_the_component_are_refused(inputs, spoil, error, message):
    component = template()
    component.initialize()
    with pytest.raises(error, match=message):
        record(component, spoil(inputs))


def test_a_dry_cell_without_a_mesh_needs_an_area(inputs, reservoir, monkeypatch):
    monkeypatch.setattr(Template, "mesh", lambda self, grid: None)
    dry = Template(area=AREA, initial=[0.0, 1.0, 1.0])
    dry.initialize()
    rain = inputs.copy(deep=True)
    rain["recharge_flux"][0] = 0.0
    with pytest.raises(ComponentError, match=r"area of a cell is not known.*cell 0"):
        record(dry, rain).areas()


@pytest.mark.slow
def test_prms_groundwater_is_one_step_of_a_reservoir_with_a_rate_per_hru():
    pytest.importorskip("pywatershed", reason="PRMS comes with pywatershed")

    @hw.model
    def of_the_day(m):
        r = m.forcing("r", "mm d-1")
        share = m.parameter("share", "d-1", (1e-6, 0.5), 0.02, log=True)
        s = m.state("s", "mm", initial=50)
        q = m.flux("q", share * (s + m.constant("day", 1, "d") * r), "mm d-1")
        m.derivative(s, r - q)

    rng = np.random.default_rng(1)
    recharge = rng.gamma(0.3, 4.0, (765, 60))
    data = xr.Dataset(
        {"groundwater_recharge_flux": (("basin", "time"), recharge, {"units": "kg m-2 d-1"})},
        {"basin": [str(k) for k in range(765)], "time": pd.date_range("1979-01-01", periods=60)},
    )
    component: Any = get_component("prms-groundwater")
    emulated = hw.emulate(
        component(compile=False),
        of_the_day,
        data,
        ports={
            "groundwater_recharge_flux": "r",
            "groundwater_discharge_flux": "q",
            "groundwater_sink_flux": 0.0,
            "groundwater_amount": "s",
        },
        train=("1979-01-01", "1979-02-14"),
        test=("1979-02-15", "1979-03-01"),
        schedule=[hw.Stage("joint", 30, 0.1, window=15), hw.Stage("joint", 20, 0.02, window=15)],
        engine="embedded",
        show_progress=False,
        method="euler",
        substeps=1,
    )
    for name in ("groundwater_discharge_flux", "groundwater_amount"):
        assert emulated.errors.loc[(name, "test"), "NSE"] > 0.999
    assert emulated.balance < 1e-12
