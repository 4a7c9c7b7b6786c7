import numpy as np
import pandas as pd
import pytest
import xarray as xr
from coupled_case import CASE, write_case

import hybridwater as hw
from hybridwater import cases
from hybridwater.components.component_file import Description, write_description
from hybridwater.components.isolation import IsolatedComponent
from hybridwater.components.template import Template
from hybridwater.coupling import CoupledModel
from hybridwater.errors import CaseError, ComponentError


def test_a_run_is_what_the_same_model_in_python_does(case_file):
    case = cases.load_coupled(case_file)
    model = case.run()
    rain = pd.read_csv(case_file.parent / "hill.csv")["rain"].values
    hill, lake = Template(area=2e6, initial=5.0), Template(area=1e6, rate=0.01)
    by_hand = CoupledModel(
        {"hill": hill, "lake": lake},
        [{"source": "hill.runoff_flux", "target": "lake.recharge_flux", "remap": [0]}],
    )
    for amount in rain[:59]:
        hill.set_value("recharge_flux", np.array([amount]))
        by_hand.step()
    written = xr.load_dataset(case.directory / "lake.nc", engine="netcdf4")
    assert written.sizes["time"] == 59
    assert written["reservoir_amount"][-1] == lake.get_value_ptr("reservoir_amount")
    assert abs(model.ledger()["total_residual"]) < 1e-12 * model.ledger()["total_inflow"].sum()
    assert (case.directory / "case.toml").read_bytes() == case_file.read_bytes()


def test_a_run_goes_on_from_its_checkpoint(case_file, tmp_path):
    case = cases.load_coupled(case_file)
    whole = case.run(directory=tmp_path / "whole").component("lake").get_state()
    case.run(directory=tmp_path / "parts", until="2001-01-20").close()
    with pytest.raises(CaseError, match="--restart"):
        case.run(directory=tmp_path / "parts")
    resumed = case.run(directory=tmp_path / "parts", restart=tmp_path / "parts/checkpoint.npz")
    state = resumed.component("lake").get_state()
    assert all((state.arrays[k] == v).all() for k, v in whole.arrays.items())
    resumed.close()
    names = ("lake.nc", "ledger.nc")
    for name in names:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_months_are_written_instead_of_days(case_file, changed, tmp_path):
    days = cases.load_coupled(case_file).run(directory=tmp_path / "days")
    path = changed(
        '["reservoir_amount", "runoff_flux"]',
        """{ variables = ["reservoir_amount", "runoff_flux"], every = "month",
        methods = { runoff_flux = "sum" } }""".replace("\n", " "),
    )
    months = cases.load_coupled(path).run()
    kept, steps = (m.output("lake").load() for m in (months, days))
    assert list(kept["time"].values.astype("datetime64[M]").astype(str)) == ["2001-01", "2001-02"]
    expected = steps["runoff_flux"].resample(time="MS").sum()
    np.testing.assert_allclose(kept["runoff_flux"], expected, rtol=1e-13)


def test_a_checkpoint_of_another_case_is_refused(case_file, changed, tmp_path):
    cases.load_coupled(case_file).run(until="2001-01-20").close()
    other = cases.load_coupled(changed("area = 1e6", "area = 3e6"))
    with pytest.raises(ComponentError, match="not a state of the component 'template'"):
        other.run(directory=tmp_path / "other", restart=tmp_path / "run/checkpoint.npz")


def test_an_end_can_be_a_duration(changed):
    model = cases.load_coupled(changed("end = 2001-03-01", 'end = "10 d"')).build()
    assert model.time.isoformat() == "2001-01-01T00:00:00"
    end = cases.load_coupled(changed("end = 2001-03-01", 'end = "10 d"')).end_of(model)
    assert end == np.timedelta64(10, "D")


def test_an_index_can_be_in_a_file(changed, tmp_path):
    path = changed("remap = [0]", 'remap = { file = "to.nc", variable = "to" }')
    xr.Dataset({"to": ("cell", [0])}).to_netcdf(tmp_path / "to.nc")
    cases.load_coupled(path).build().run("5 d")
    wrong = changed("remap = [0]", 'remap = { file = "to.nc", variable = "too" }')
    with pytest.raises(CaseError, match="did you mean 'to'"):
        cases.load_coupled(wrong).build()


def test_meshes_are_made_and_given(tmp_path):
    text = CASE.replace("area = 2e6", 'mesh = "square"')
    text += '\n[meshes.square]\nkind = "columns"\nareas = [2e6]\n'
    model = cases.load_coupled(write_case(tmp_path, text)).build()
    assert model.component("hill").mesh(0).areas == pytest.approx([2e6])


def test_the_graph_says_what_is_late(tmp_path):
    text = CASE + (
        '\n[[exchange]]\nsource = "lake.runoff_flux"\ntarget = "hill.recharge_flux"\n'
        "remap = [0]\nshare = 0.1\nadditive = true\n"
    )
    text = text.replace("water = true", "water = true\nadditive = true")
    nodes, edges = cases.load_coupled(write_case(tmp_path, text)).graph()
    assert [n.name for n in nodes] == ["weather", "hill", "lake"]
    assert [n.kind for n in nodes] == ["records", "analytic", "analytic"]
    assert {(e.source, e.target): e.late for e in edges} == {
        ("weather", "hill"): False,
        ("hill", "lake"): False,
        ("lake", "hill"): True,
    }


@pytest.mark.slow
def test_a_class_beside_the_case_in_its_own_process_and_its_surrogate_from_a_date(tmp_path):
    (tmp_path / "hill_beside.py").write_text(
        "from hybridwater.components.template import Template\n\n\n"
        "class Hill(Template):\n    name = 'hill-beside'\n"
    )

    @hw.model
    def reservoir(m):
        recharge = m.forcing("recharge", "mm d-1")
        k = m.parameter("k", "d-1", (1e-3, 1), 0.05)
        store = m.state("store", "mm", initial=5)
        m.derivative(store, recharge - m.flux("q", k * store, "mm d-1"))

    days = pd.date_range("2001-01-01", periods=40)
    data = xr.Dataset(
        {n: (("basin", "time"), np.ones((1, 40)), {"units": "mm d-1"}) for n in ("recharge", "q")},
        {"basin": ["hill"], "time": days},
    )
    hw.fit(
        reservoir,
        data,
        observed={"q": "q"},
        train=("2001-01-01", "2001-02-09"),
        warmup=0,
        schedule=[hw.Stage("joint", 1)],
        directory=tmp_path / "emulated",
        engine="embedded",
    )
    ports = {"recharge_flux": "recharge", "runoff_flux": "q", "reservoir_amount": "store"}
    area = np.array([2e6])
    described = Description("template", Template.variables, ports, area, 1.0, {})
    write_description(tmp_path / "emulated", described)
    text = CASE.replace(
        'kind = "hybridwater.components.template:Template"\narea = 2e6',
        'kind = "hill_beside:Hill"\narea = 2e6\ntimeout = 60',
    )
    text += '\n[components.hill.surrogate]\nmodel = "emulated"\nfrom = 2001-01-21\n'
    text += 'engine = "embedded"\n'
    model = cases.load_coupled(write_case(tmp_path, text)).run(until="2001-01-15", progress=False)
    assert model.component("hill").get_component_name() == "hill-beside"
    assert isinstance(model.component("hill"), IsolatedComponent)
    model.run("15 d", progress=False)
    assert model.component("hill").get_component_name() == "surrogate-hill-beside"
    ledger = model.ledger()
    assert abs(ledger["residual"]).max() < 1e-12 * ledger["storage"].sum("component").max()
    model.close()
