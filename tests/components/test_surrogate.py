"""A surrogate keeps the contract of a component, whatever solves it."""

import numpy as np
import pytest

import hybridwater as hw
from hybridwater.components import check
from hybridwater.components.component_file import Description, read_description, write_description
from hybridwater.components.gr4j import Gr4j
from hybridwater.components.surrogate import SurrogateComponent
from hybridwater.components.template import Template
from hybridwater.coupling import CoupledModel
from hybridwater.errors import ComponentError, UnitError, WeightsError
from hybridwater.training import OutsideTrainingRange
from hybridwater.ude.program import initial_weights

AREA = np.array([1e6, 2.5e6, 4e4])
PORTS = {"recharge_flux": "recharge", "runoff_flux": "q", "reservoir_amount": "store"}
EXACT = {"method": "tsit5", "rtol": 1e-11, "atol": 1e-11}


@hw.model(time_unit="h")
def reservoir(m):
    """One linear reservoir; depths of water, in hours."""
    recharge = m.forcing("recharge", "mm h-1")
    k = m.parameter("k", "h-1", (1e-4, 1), 0.05 / 24, log=True)
    store = m.state("store", "mm", initial=10)
    q = m.flux("q", k * store, "mm h-1")
    m.derivative(store, recharge - q)


def make(**options):
    options = {"model": reservoir, "area": AREA, "engine": "embedded", "options": EXACT} | options
    return SurrogateComponent(**({"replaces": Template, "ports": PORTS} | options))


def run(component, days, recharge=3.0):
    rows = []
    for day in range(days):
        component.set_value("recharge_flux", np.full(AREA.size, recharge * (day % 3)))
        component.update()
        rows.append([component.get_value_ptr(n).copy() for n in PORTS])
    return np.array(rows)


def started(component):
    component.initialize()
    return component


def test_is_the_exact_solution_in_the_ports_of_what_it_replaces():
    mine = started(make(options=EXACT))
    exact = started(Template(area=AREA))
    assert mine.get_component_name() == "surrogate-template"
    assert mine.variables[:3] == Template.variables
    np.testing.assert_allclose(run(mine, 9), run(exact, 9), rtol=1e-8)


@pytest.mark.parametrize("method", ["euler", "rosenbrock2", "tsit5", "kvaerno5"])
def test_the_balance_closes_whatever_the_solver_does(method):
    mine = started(make(options={"method": method, "rtol": 1e-2, "atol": 1e-2}))
    for day in range(8):
        before = mine.storage()["store"].copy()
        mine.set_value("recharge_flux", np.full(3, 7.0 * (day % 2)))
        mine.update()
        booked = mine.boundary_fluxes()
        assert set(booked) == {"recharge_flux", "runoff_flux", "solver_error_flux"}
        gap = mine.storage()["store"] - before - sum(booked.values())
        assert (np.abs(gap) < 1e-12 * before).all()
    assert np.abs(mine.get_value_ptr("solver_error_flux")).max() < 1e-4  # of 7 kg m-2 d-1


def test_what_crossed_the_boundary_goes_with_the_state():
    mine = started(make())
    run(mine, 2)
    state, booked = mine.get_state(), mine.boundary_fluxes()
    run(mine, 3, recharge=9.0)
    assert not np.allclose(mine.boundary_fluxes()["runoff_flux"], booked["runoff_flux"])
    mine.set_state(state)
    for name, kilograms in mine.boundary_fluxes().items():
        np.testing.assert_allclose(kilograms, booked[name], rtol=1e-15)


def test_a_model_with_columns_is_refused(layered):
    weights = initial_weights(layered.program, 0)
    with pytest.raises(ComponentError, match=r"'layered' has columns \(layers\)"):
        SurrogateComponent(model=layered, area=AREA, weights=weights)


@pytest.mark.parametrize("options", [{}, {"method": "tsit5"}])
def test_passes_the_checker(options):
    assert {f.state for f in check(make(options=options))} == {"ok"}


@pytest.mark.julia
def test_the_other_engine_gives_the_same_and_passes_the_checker():
    assert {f.state for f in check(make(engine="julia"))} == {"ok"}
    mine, other = started(make()), started(make(engine="julia"))
    np.testing.assert_allclose(run(other, 6), run(mine, 6), rtol=1e-8)


@pytest.mark.parametrize("engine", ["embedded", pytest.param("julia", marks=pytest.mark.julia)])
def test_outputs_of_a_coupled_run_say_which_engine(engine):
    rain = {"inputs": {"recharge_flux": 3.0}}
    parts = {"mine": make(engine=engine, **rain), "other": Template(area=AREA, **rain)}
    wanted = {name: ["runoff_flux"] for name in parts}
    for part in parts.values():
        part.initialize()
    model = CoupledModel(parts, outputs=wanted)
    model.run("2 d", progress=False)
    assert model.output("mine")["runoff_flux"].attrs["engine"] == engine
    assert "engine" not in model.output("other")["runoff_flux"].attrs


def test_a_warm_step_does_not_compile(caplog):
    import jax

    mine = started(make(options={"substeps": 7}))  # as no other test
    with jax.log_compiles():
        run(mine, 2)
        assert "Compiling" in caplog.text
        caplog.clear()
        run(mine, 5)
        assert "Compiling" not in caplog.text


def test_a_bare_model_has_the_ports_of_its_terms():
    mine = started(SurrogateComponent(model=reservoir, area=2.0, engine="embedded"))
    assert mine.get_component_name() == "surrogate-reservoir"
    units = {v.name: (v.units, v.intent, v.kind) for v in mine.variables}
    assert units == {
        "recharge": ("mm h-1", "in", "rate"),
        "store": ("mm", "out", "state"),
        "q": ("mm h-1", "out", "rate"),
        "solver_error_flux": ("kg m-2 d-1", "out", "rate"),
    }
    assert mine.storage()["store"] == 20.0  # kg: 10 mm on 2 m2


def test_a_port_per_cell_is_converted_with_its_area():
    class River(Template):
        variables = tuple(
            hw.components.Variable(v.name, "m3 s-1", v.intent, v.kind, v.description)
            if v.name == "runoff_flux"
            else v
            for v in Template.variables
        )

    flows = run(started(make(replaces=River)), 4)[:, 1]
    depths = run(started(make()), 4)[:, 1]
    np.testing.assert_allclose(flows, depths * AREA / 86400.0 / 1000.0, rtol=1e-12)


def test_taking_over_loses_no_water_and_no_time():
    exact = started(Template(area=AREA, initial=[5.0, 80.0, 1e-9], start="1979-01-01"))
    run(exact, 5)
    mine = started(make(start="1979-01-01"))
    mine.take_over(exact)
    assert mine.get_current_time() == 5.0
    np.testing.assert_allclose(mine.storage()["store"], exact.storage()["reservoir"], rtol=1e-15)
    for name in PORTS:
        np.testing.assert_allclose(mine.get_value_ptr(name), exact.get_value_ptr(name), rtol=1e-15)
    booked, theirs = mine.boundary_fluxes(), exact.boundary_fluxes()
    np.testing.assert_allclose(booked["runoff_flux"], theirs["runoff_flux"], rtol=1e-14)
    np.testing.assert_allclose(run(mine, 5), run(exact, 5), rtol=1e-8)


@pytest.mark.parametrize(
    ("other", "mine", "message"),
    [
        (Template(area=AREA * 1.01), {}, "kg of water .* that 'template' does not have"),
        (Template(area=AREA[:2]), {}, "has 2 values in 'template', not 3"),
        (Template(area=AREA, start="1979-01-01"), {"start": "1980-01-01"}, "begins on 1979"),
        (Template(area=AREA), {"step": 0.3}, "lies between two steps"),
        (Gr4j(area=AREA), {}, "'gr4j' has no 'reservoir_amount'"),
    ],
)
def test_what_cannot_be_taken_over_is_refused_and_changes_nothing(other, mine, message):
    other.initialize()
    for name in other.get_input_var_names():
        other.set_value(name, np.full(other.get_value_ptr(name).size, 1.0))
    other.update()
    component = started(make(**mine))
    before = component.get_state()
    with pytest.raises(ComponentError, match=message):
        component.take_over(other)
    after = component.get_state().arrays
    assert all(np.array_equal(a, after[n], equal_nan=True) for n, a in before.arrays.items())


def test_one_state_takes_the_water_of_several_stores():
    theirs = started(Gr4j(area=AREA, production=[0.1, 0.9, 0.5]))
    mine = started(make())
    with pytest.raises(ComponentError, match=r"kg of water .* that 'gr4j' does not have"):
        mine.take_over(theirs, {"store": ["production_store_amount"]})
    with pytest.raises(ComponentError, match="no state 'stor'"):
        mine.take_over(theirs, {"stor": []})
    with pytest.raises(ComponentError, match="no variable 'production'"):
        mine.take_over(theirs, {"store": ["production"]})
    mine.take_over(theirs, {"store": ["production_store_amount", "routing_store_amount"]})
    water = sum(theirs.storage().values())
    np.testing.assert_allclose(mine.storage()["store"], water, rtol=1e-14)
    np.testing.assert_allclose(mine.get_value_ptr("reservoir_amount"), water / AREA, rtol=1e-14)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ports": PORTS | {"runoff_flux": "qq"}}, ComponentError, "did you mean 'q'"),
        ({"ports": {**PORTS, "runof": 0.0}}, ComponentError, "'runof' has no term"),
        ({"ports": PORTS | {"recharge_flux": 0.0}}, ComponentError, "would be lost"),
        ({"ports": PORTS | {"recharge_flux": "q"}}, ComponentError, "comes in, but 'q' is a flux"),
        ({"ports": PORTS | {"runoff_flux": "store"}}, ComponentError, "is a rate, but 'store'"),
        ({"ports": {}}, ComponentError, "'recharge_flux' has no term"),
        ({"replaces": "gr4"}, ComponentError, "did you mean 'gr4j'"),
        ({"area": None}, ComponentError, "areas of its cells"),
        ({"area": [1.0, -1.0]}, ComponentError, "not a positive number"),
        ({"initial": {"stor": 1.0}}, ComponentError, "did you mean 'store'"),
        ({"initial": {"store": [1.0, 2.0]}}, ComponentError, "one finite number per cell"),
        ({"options": {"output": "instantaneous"}}, ComponentError, "means over its step"),
        ({"weights": [1.0]}, WeightsError, "0 weights"),
        ({"attributes": "none.nc"}, ComponentError, "not fitted"),
        ({"model": 3}, ComponentError, "is not a model"),
    ],
)
def test_what_does_not_fit_together_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        make(**options)


def test_units_that_measure_something_else_are_refused():
    @hw.model
    def warm(m):
        m.derivative(m.state("store", "degC"), m.forcing("recharge", "kelvin d-1"))

    with pytest.raises(UnitError, match="not even as water"):
        make(model=warm, ports={"recharge_flux": "recharge"} | PORTS | {"runoff_flux": 0.0})


def test_an_output_that_the_model_does_not_have_can_be_a_number():
    mine = started(make(ports=PORTS | {"runoff_flux": 0.5}))
    run(mine, 2)
    np.testing.assert_array_equal(mine.get_value_ptr("runoff_flux"), np.full(3, 0.5))
    assert "q" in mine.boundary_fluxes()  # the water goes under the model's own name


def test_a_network_needs_weights_and_cells_may_have_their_own():
    learned = reservoir.learn("q", {"store": (0, 50)}, zero_when_empty="store", empty_scale=5.0)
    with pytest.raises(WeightsError, match="no weights were given"):
        make(model=learned)
    rows = np.stack([initial_weights(learned.program, seed) for seed in range(3)])
    together = run(started(make(model=learned, weights=rows)), 3)
    alone = run(started(make(model=learned, weights=rows[1])), 3)
    np.testing.assert_allclose(together[:, :, 1], alone[:, :, 1], rtol=1e-12)
    assert not np.allclose(together[:, :, 2], alone[:, :, 2])


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Return the run directory of a fit of a learned reservoir, with its ports."""
    import pandas as pd
    import xarray as xr

    rng = np.random.default_rng(0)
    days = pd.date_range("2001-01-01", periods=60)
    rain = rng.gamma(0.4, 10.0, (3, 60))
    data = xr.Dataset(
        {
            "recharge": (("basin", "time"), rain, {"units": "mm d-1"}),
            "seen": (("basin", "time"), 0.3 * rain + 1.0, {"units": "mm d-1"}),
        },
        {"basin": ["a", "b", "c"], "time": days},
    )
    folder = tmp_path_factory.mktemp("run") / "fit"
    hw.fit(
        reservoir.learn("q", {"store": (0, 50)}, hidden=(4,), zero_when_empty="store"),
        data,
        observed={"q": "seen"},
        train=("2001-01-01", "2001-02-28"),
        warmup=0,
        schedule=[hw.Stage("joint", 3)],
        directory=folder,
        engine="embedded",
    )
    described = Description("template", Template.variables, PORTS, AREA, 0.5, {"store": AREA / 1e5})
    write_description(folder, described)
    return folder


def test_a_run_directory_is_all_that_is_needed(directory, tmp_path):
    mine = started(SurrogateComponent(model=directory, engine="embedded"))
    assert mine.get_time_step() == 0.5
    assert mine.get_component_name() == "surrogate-template"
    np.testing.assert_allclose(mine.get_value_ptr("reservoir_amount"), AREA / 1e5)
    assert {f.state for f in check(SurrogateComponent(model=directory, engine="embedded"))} == {
        "ok"
    }
    case = tmp_path / "groundwater.toml"
    case.write_text(f"model = '{directory}'\nengine = 'embedded'\nstart = 1979-01-01\n")
    from_file = SurrogateComponent()
    with pytest.raises(ComponentError, match="no model"):
        from_file.initialize()
    from_file.initialize(str(case))
    np.testing.assert_array_equal(run(from_file, 3), run(mine, 3))


def test_the_ports_of_a_run_come_back_as_they_were_written(directory):
    back = read_description(directory)
    assert back.variables == Template.variables
    assert back.ports == PORTS
    np.testing.assert_array_equal(back.area, AREA)


def test_damaged_ports_are_refused(tmp_path):
    (tmp_path / "component.json").write_text('{"replaces": "x"}')
    with pytest.raises(WeightsError, match="ports of the surrogate cannot be read"):
        SurrogateComponent(model=tmp_path)


def test_cells_must_be_those_of_the_fit(directory):
    with pytest.raises(ComponentError, match="4 cells, but 'k' has 3 basins"):
        SurrogateComponent(model=directory, area=np.ones(4))
    with pytest.raises(ComponentError, match="does not know parameters from attributes"):
        SurrogateComponent(model=directory, attributes="none.nc")


def test_leaving_the_range_of_training_is_said_once(directory):
    mine = started(SurrogateComponent(model=directory, engine="embedded"))
    mine.set_value("recharge_flux", np.full(3, 5e4))
    mine.update()
    with pytest.warns(OutsideTrainingRange, match="'store' leaves the range of training"):
        mine.update()
    mine.update()  # a second warning would be an error


def test_the_state_of_another_model_is_refused(directory):
    mine = started(SurrogateComponent(model=directory, engine="embedded"))
    with pytest.raises(ComponentError, match="not a state of the component"):
        started(make()).set_state(mine.get_state())


def test_runs_that_step_together_are_those_alone():
    rates = (0.001, np.array([0.002, 0.01, 0.004]))
    parts = [started(make(parameters={"k": k}, inputs={"recharge_flux": 2.0})) for k in rates]
    both = started(SurrogateComponent.stacked(parts))
    for component in (*parts, both):
        component.update()
        component.update()
    for name in both.get_output_var_names():
        alone = np.concatenate([p.get_value_ptr(name) for p in parts])
        np.testing.assert_allclose(both.get_value_ptr(name), alone, rtol=1e-14, atol=1e-14)
    np.testing.assert_array_equal(both.mesh(0).areas, AREA)
    other = started(make(options={"method": "euler", "substeps": 1}))
    with pytest.raises(ComponentError, match="differ in 'options'"):
        SurrogateComponent.stacked([parts[0], other])


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_runs_of_one_model_are_those_alone_to_the_last_bit(method):
    """What runs share is made once: members of an ensemble whose rain alone is uncertain."""
    one = started(make(options={"method": method}))
    three = started(SurrogateComponent.stacked([one, one, one]))
    rain = np.random.default_rng(1).gamma(0.5, 6.0, (4, 3, AREA.size))
    for day in rain:
        three.set_value("recharge_flux", day)
        three.update()
    for k in range(3):
        one.initialize()
        for day in rain:
            one.set_value("recharge_flux", day[k])
            one.update()
        for name in one.get_output_var_names():
            own = three.get_value_ptr(name).reshape(3, -1)[k]
            np.testing.assert_array_equal(own, one.get_value_ptr(name))


def test_runs_with_weights_of_their_own_keep_them():
    learned = reservoir.learn("q", {"store": (0, 50)}, zero_when_empty="store", empty_scale=5.0)
    given = {"model": learned, "inputs": {"recharge_flux": 2.0}}
    weights = [initial_weights(learned.program, seed) for seed in (1, 2)]
    parts = [started(make(weights=w, **given)) for w in weights]
    both = started(SurrogateComponent.stacked(parts))
    for component in (*parts, both):
        component.update()
    alone = np.concatenate([p.get_value_ptr("runoff_flux") for p in parts])
    assert abs(alone[:3] - alone[3:]).min() > 1e-6
    np.testing.assert_allclose(both.get_value_ptr("runoff_flux"), alone, rtol=1e-13)
