import shutil

import aquifers
import numpy as np
import pytest
from aquifers import COLUMNS, ROWS

from hybridwater.components import check
from hybridwater.components.isolation import IsolatedComponent
from hybridwater.components.modflow import Modflow
from hybridwater.components.modflow_simulation import find_library
from hybridwater.components.template import Template
from hybridwater.coupling import CoupledModel, Exchange
from hybridwater.errors import ComponentError, ComponentFailed, MissingDependency
from hybridwater.meshes import column_mesh

DRAIN = "drn_outflow_water_volume_transport"


@pytest.fixture(scope="module")
def simulation(simulations):
    return simulations / "days"


@pytest.fixture
def start(simulations, library):
    """Make components of simulations, and end them."""
    made = []

    def begin(name, **options):
        made.append(Modflow(simulation=simulations / name, library=library, **options))
        made[-1].initialize()
        return made[-1]

    yield begin
    for component in made:
        component.finalize()


def heads_of_program(folder, program):
    if program is None:
        pytest.skip("the program mf6 is not beside the library")
    return np.load(folder / "heads.npy")


@pytest.fixture
def model(simulation, library):
    component = Modflow(simulation=simulation, library=library, start="2000-01-01")
    component.initialize()
    yield component
    if component._mf6 is not None:
        component.finalize()


def test_recharge_raises_heads_and_the_water_is_kept(model):
    heads = model.get_value_ptr("hydraulic_head").copy()
    assert (heads == 6.0).all()
    model.set_value("groundwater_recharge_flux", np.full(ROWS * COLUMNS, 5.0))
    entered = 0.0
    for _ in range(10):
        model.update()
        fluxes = model.boundary_fluxes()
        given = fluxes["groundwater_recharge_flux"].sum()
        assert given == pytest.approx(5.0 * 48 * 1e4)  # kg in a day
        assert abs(fluxes["rejected_recharge_volume_transport"].sum()) < 1e-6 * given
        assert abs(fluxes["solver_error_volume_transport"].sum()) < 1e-6 * given
        entered += sum(f.sum() for f in fluxes.values())
    assert model.storage()["aquifer"].sum() == pytest.approx(entered, rel=1e-9)
    assert model.get_value_ptr(DRAIN).sum() > 0
    # drainable water by MODFLOW's own heads: specific yield 0.15, 100 m cells
    rise = (model.get_value_ptr("hydraulic_head") - heads).sum() * 1e4 * 0.15 * 1000
    assert model.storage()["aquifer"].sum() == pytest.approx(rise, rel=1e-3)


def test_without_a_value_the_recharge_is_that_of_the_files(model):
    model.update()
    np.testing.assert_allclose(model.get_value_ptr("groundwater_recharge_flux"), 1.0)


@pytest.mark.parametrize("name", ["days", "hours", "seconds", "polygons", "packages", "share"])
def test_heads_are_those_of_the_program_in_every_step(name, start, simulations, program):
    theirs = heads_of_program(simulations / name, program)
    theirs = theirs[:, np.abs(theirs[0]) < 1e29]  # active cells
    component = start(name)
    for step in theirs:
        component.update()
        assert component.get_value_ptr("hydraulic_head").tobytes() == step.tobytes()
    assert component.get_current_time() == component.get_end_time()


@pytest.mark.parametrize("name", ["days", "hours", "seconds", "polygons"])
def test_recharge_that_is_set_is_in_its_units(name, start, simulations, program):
    theirs = heads_of_program(simulations / name, program)
    component = start(name)
    for k, step in enumerate(theirs):
        millimetres = np.multiply(1e3, aquifers.recharge(int(k >= 10)))
        component.set_value("groundwater_recharge_flux", millimetres)
        component.update()
        np.testing.assert_allclose(component.get_value_ptr("hydraulic_head"), step, rtol=1e-7)


def test_recharge_of_the_files_goes_on_where_nobody_sets_it(start):
    component = start("days")
    component.set_value_at_indices("groundwater_recharge_flux", np.array([3]), np.array([9.0]))
    for days, files in ((10.0, 1.0), (30.0, 4.0)):
        component.update_until(days)
        recharge = component.get_value_ptr("groundwater_recharge_flux")
        np.testing.assert_allclose(recharge[[3, 4]], [9.0, files])


def test_all_packages_are_booked(start):
    """Fixed heads, wells, rivers, plants, an inactive column, and what the mover takes."""
    component = start("packages")
    stored = 0.0
    for step in range(20):
        component.update()
        fluxes = component.boundary_fluxes()
        moved = sum(np.abs(flux).sum() for flux in fluxes.values())
        assert abs(fluxes["solver_error_volume_transport"].sum()) < 1e-9 * moved
        entered, before = sum(flux.sum() for flux in fluxes.values()), stored
        stored = component.storage()["aquifer"].sum()
        assert abs(stored - before - entered) < 1e-14 * moved
        wells = component.get_value_ptr("wel_outflow_water_volume_transport") * 86400.0
        np.testing.assert_allclose(wells, [50.0, 20.0] if step < 10 else [80.0, 0.0])
    assert fluxes["drn_to_mover_volume_transport"].sum() < 0
    rejected = component.get_value_ptr("rejected_recharge_volume_transport")
    fixed = [c - 1 for c in range(COLUMNS, ROWS * COLUMNS, COLUMNS)]  # cells of fixed heads
    np.testing.assert_allclose(rejected[fixed], 4e-3 * 1e4 / 86400.0)
    np.testing.assert_allclose(np.delete(rejected, fixed), 0.0, atol=1e-15)


def test_a_dry_cell_has_the_head_of_its_bottom(start):
    component = start("drying")
    component.update()
    heads = component.get_value_ptr("hydraulic_head").reshape(2, -1)
    assert (heads[0] == 0.0).all()
    assert ((heads[1] > -10.0) & (heads[1] < 0.0)).all()


def test_a_recharge_package_with_a_multiplier_has_no_port(start, simulations, library):
    component = start("share")
    assert component.get_input_var_names() == ()
    component.update()
    assert component.boundary_fluxes()["rch_outflow_water_volume_transport"].sum() == pytest.approx(
        0.5 * 1e-3 * 48 * 1e7
    )
    component.finalize()
    with pytest.raises(ComponentError, match=r"no list-based .* 'rch' without a multiplier"):
        start("share", recharge="rch")


def test_values_that_were_set_do_not_go_to_other_cells(start):
    component = start("other cells")
    component.update_until(30.0)  # without values it is MODFLOW's own affair
    component.initialize()
    component.set_value("groundwater_recharge_flux", np.ones(ROWS * COLUMNS))
    component.update_until(10.0)
    with pytest.raises(ComponentError, match=r"lists other cells .* \(6 and 48\).*time 10 d"):
        component.update()


@pytest.mark.parametrize("isolated", [False, True])
def test_a_coupled_run_closes(isolated, simulation, library):
    """Land gives recharge, the drain a river; steps of a day and steps that grow."""
    land, river = np.full(ROWS * COLUMNS, 1e4), np.full(1, 1e5)
    mesh = column_mesh(land, np.stack([np.arange(land.size), np.zeros(land.size)], axis=1))
    options = {"simulation": simulation, "library": library, "recharge_mesh": mesh}
    aquifer = IsolatedComponent("modflow", options=options) if isolated else Modflow(**options)
    model = CoupledModel(
        {
            "land": Template(area=land, inputs={"recharge_flux": np.linspace(1.0, 5.0, land.size)}),
            "aquifer": aquifer,
            "river": Template(area=river),
        },
        [
            Exchange("land.runoff_flux", "aquifer.groundwater_recharge_flux"),
            Exchange(f"aquifer.{DRAIN}", "river.recharge_flux", remap=np.zeros(COLUMNS, int)),
        ],
    )
    model.run("30 d", progress=False)
    aquifer.finalize()
    books = model.ledger()
    total = dict(zip(books.flux.values, books.total_boundary_flux.values, strict=True))
    moved = total["aquifer.groundwater_recharge_flux"]
    assert np.abs(books.residual).max() < 1e-12 * moved
    assert total["land.runoff_flux"] == pytest.approx(-moved, rel=1e-12)
    assert total["river.recharge_flux"] == pytest.approx(-total[f"aquifer.{DRAIN}"], rel=1e-12)
    assert abs(total["aquifer.solver_error_volume_transport"]) < 1e-9 * moved


def test_steps_are_those_of_the_simulation(model):
    assert model.get_time_units() == "d"
    assert model.get_time_step() == 1.0
    model.update_until(10.0)
    assert 0.7 < model.get_time_step() < 0.8  # the first of ten that grow by 1.2 to 20 days
    with pytest.raises(ComponentError, match="not the end of a coming time step"):
        model.update_until(10.5)
    model.update_until(30.0)
    with pytest.raises(ComponentError, match="no step beyond the end"):
        model.update()


def test_it_cannot_go_back_and_says_so(model):
    assert not model.has_state
    with pytest.raises(ComponentError, match=r"cannot go back.*explicit coupling only.*lag = true"):
        model.get_state()


def test_passes_the_checker_but_for_state(simulation, library):
    findings = check(Modflow(simulation=simulation, library=library))
    assert {f.rule: f.state for f in findings if f.state != "ok"} == {"state": "skipped"}


def test_runs_in_its_own_process(simulation, library, model):
    there = IsolatedComponent(
        "modflow", options={"simulation": simulation, "library": library}, timeout=120.0
    )
    there.initialize()
    there.update()
    model.update()
    ours = model.get_value_ptr("hydraulic_head")
    np.testing.assert_array_equal(there.get_value("hydraulic_head", np.empty(48)), ours)
    there.finalize()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"model": "lake"}, "no flow model 'LAKE'"),
        ({"recharge": "rain"}, "no list-based recharge package 'rain'"),
    ],
)
def test_names_that_are_not_there_are_refused(simulation, library, options, sentence):
    component = Modflow(simulation=simulation, library=library, **options)
    with pytest.raises(ComponentError, match=sentence):
        component.initialize()
    assert component._mf6 is None


def test_a_second_simulation_in_one_process_is_refused(model, simulation, library):
    with pytest.raises(ComponentError, match=r"one simulation per process.*IsolatedComponent"):
        Modflow(simulation=simulation, library=library).initialize()
    model.initialize()  # again, itself
    model.update()
    assert model.get_current_time() == 1.0


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("beds", "compacting beds"),
        ("two models", "crosses between its models"),
        ("adaptive", "chooses its time steps"),
        ("no length", "has the length 0"),
    ],
)
def test_what_cannot_be_booked_or_stepped_is_refused(name, sentence, start):
    with pytest.raises(ComponentError, match=sentence):
        start(name)


def test_errors_in_the_files_do_not_end_the_process(simulation, library, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(simulation, broken)
    file = broken / "aquifer.rch"
    file.write_text(file.read_text().replace("BEGIN period", "BEGIN perriod"))
    with pytest.raises(ComponentError, match=r"does not take the simulation: .*PERRIOD.*mfsim.lst"):
        Modflow(simulation=broken, library=library).initialize()


def test_a_file_that_is_no_library_is_named(simulation, tmp_path):
    pytest.importorskip("modflowapi", reason="the package modflowapi is not installed")
    (tmp_path / "libmf6.so").write_text("no library")
    with pytest.raises(MissingDependency, match=r"cannot be loaded .*libmf6\.so.*LIBMF6"):
        Modflow(simulation=simulation, library=tmp_path / "libmf6.so").initialize()


def test_a_mesh_of_other_cells_is_refused(start):
    mesh = column_mesh([1.0, 1.0], [[0.0, 0.0], [1.0, 0.0]], name="two")
    with pytest.raises(ComponentError, match="'two' has 2 cells, but the recharge package has 48"):
        start("days", recharge_mesh=mesh)


def test_a_missing_simulation_is_named(library, tmp_path):
    with pytest.raises(ComponentError, match=r"'mfsim.nam' does not exist"):
        Modflow(simulation=tmp_path, library=library).initialize()


def test_a_missing_library_comes_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("LIBMF6", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    for library in (None, tmp_path / "libmf6.so"):
        with pytest.raises(MissingDependency, match=r"libmf6.*LIBMF6"):
            find_library(library)


def test_the_library_is_found_beside_the_program_or_where_it_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv("LIBMF6", raising=False)
    for name in ("bin/mf6", "bin/mf6.exe", "lib/libmf6.so", "own.so"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert find_library() == (tmp_path / "lib" / "libmf6.so").resolve()
    assert find_library(tmp_path / "own.so") == (tmp_path / "own.so").resolve()
    monkeypatch.setenv("LIBMF6", str(tmp_path / "own.so"))
    assert find_library() == (tmp_path / "own.so").resolve()
    monkeypatch.setenv("LIBMF6", str(tmp_path / "none.so"))  # not another one in its place
    with pytest.raises(MissingDependency, match=r"none\.so"):
        find_library()


def test_a_solver_that_fails_is_named(model, monkeypatch):
    def fail():
        raise RuntimeError("no convergence")

    monkeypatch.setattr(model._mf6, "do_time_step", fail)
    with pytest.raises(ComponentFailed, match=r"no convergence.*component 'modflow', time 0 d"):
        model.update()


def test_a_step_that_does_not_converge_is_named(start):
    component = start("one pass")
    with pytest.raises(ComponentFailed, match=r"failed to converge.*time 0 d.*mfsim.lst"):
        component.update()
