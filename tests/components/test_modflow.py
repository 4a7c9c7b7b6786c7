import subprocess
import sys

import numpy as np
import pytest

from hybridwater.components import check
from hybridwater.components.isolation import IsolatedComponent
from hybridwater.components.modflow import Modflow
from hybridwater.components.modflow_simulation import find_library
from hybridwater.errors import ComponentError, ComponentFailed, MissingDependency

ROWS, COLUMNS, STEPS = 6, 8, 20


@pytest.fixture(scope="module")
def library():
    pytest.importorskip("modflowapi", reason="the package modflowapi is not installed")
    try:
        return find_library()
    except MissingDependency as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def simulation(library, tmp_path_factory):
    """A square aquifer with recharge and a drain, written by flopy in a process of its own."""
    pytest.importorskip("flopy", reason="the package flopy is not installed")
    folder = tmp_path_factory.mktemp("modflow")
    program = f"""
import flopy.mf6 as mf6
s = mf6.MFSimulation(sim_name="s", sim_ws={str(folder)!r}, exe_name="mf6")
mf6.ModflowTdis(s, nper=2, perioddata=[(10.0, 10, 1.0), (20.0, 10, 1.2)], time_units="days")
mf6.ModflowIms(s, outer_dvclose=1e-9, inner_dvclose=1e-10, rcloserecord="1e-9 strict",
               outer_maximum=100, inner_maximum=200, linear_acceleration="bicgstab")
g = mf6.ModflowGwf(s, modelname="aquifer", newtonoptions="newton")
mf6.ModflowGwfdis(g, length_units="meters", nlay=1, nrow={ROWS}, ncol={COLUMNS}, delr=100.0,
                  delc=100.0, top=10.0, botm=0.0)
mf6.ModflowGwfic(g, strt=6.0)
mf6.ModflowGwfnpf(g, icelltype=1, k=10.0)
mf6.ModflowGwfsto(g, iconvert=1, ss=1e-5, sy=0.15, transient={{0: True}})
mf6.ModflowGwfdrn(g, pname="drn",
                  stress_period_data=[((0, {ROWS - 1}, j), 5.0, 200.0) for j in range({COLUMNS})])
mf6.ModflowGwfrch(g, pname="rch", stress_period_data=[
    ((0, i, j), 1e-3) for i in range({ROWS}) for j in range({COLUMNS})])
s.write_simulation(silent=True)
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    return folder


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
    assert model.get_value_ptr("drn_water_volume_transport").sum() < 0
    # drainable water by MODFLOW's own heads: specific yield 0.15, 100 m cells
    rise = (model.get_value_ptr("hydraulic_head") - heads).sum() * 1e4 * 0.15 * 1000
    assert model.storage()["aquifer"].sum() == pytest.approx(rise, rel=1e-3)


def test_without_a_value_the_recharge_is_that_of_the_files(model):
    model.update()
    np.testing.assert_allclose(model.get_value_ptr("groundwater_recharge_flux"), 1.0)


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


def test_a_missing_simulation_is_named(library, tmp_path):
    with pytest.raises(ComponentError, match=r"'mfsim.nam' does not exist"):
        Modflow(simulation=tmp_path, library=library).initialize()


def test_a_missing_library_comes_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("LIBMF6", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependency, match=r"libmf6.*LIBMF6"):
        find_library(tmp_path / "libmf6.so")


def test_a_solver_that_fails_is_named(model, monkeypatch):
    def fail():
        raise RuntimeError("no convergence")

    monkeypatch.setattr(model._mf6, "do_time_step", fail)
    with pytest.raises(ComponentFailed, match=r"no convergence.*component 'modflow', time 0 d"):
        model.update()
