"""Members that step together are the members that run alone."""

import numpy as np
import pytest
import xarray as xr
from coupled_case import CASE, SOURCES, Burst, write_case

from hybridwater.cases import load_coupled, load_ensemble
from hybridwater.cases.coupled_simulator import CoupledSimulator
from hybridwater.ensembles import Design, Ensemble, Parameters, Residual
from hybridwater.errors import CaseError, EnsembleError

RAIN = 'source = "netcdf"\npath = "rain.nc"\nvariables = { rain = "rain" }'
MANY = (
    CASE.replace('source = "csv"\npath = "hill.csv"\nunits = { rain = "mm d-1" }', RAIN)
    .replace("area = 2e6", "area = [2e6, 1e6, 3e6]")
    .replace("area = 1e6", "area = [1e6, 5e6]")
    .replace("remap = [0]", "remap = [[0.5, 1.0, 0.0], [0.25, 0.0, 1.0]]\nlag = true")
)
GR4J = """
[components.slope]
kind = "gr4j"
area = [2e6, 1e6, 3e6]
x4 = [1.7, 2.2, 9.5]
inputs = { water_potential_evaporation_flux = 1.0 }

[[exchange]]
source = "hill.runoff_flux"
target = "slope.precipitation_flux"
share = 0.5
minimum = 0.1
"""
WHOLE = """
from hybridwater.components.template import Template


class Whole(Template):
    can_stack = False
"""
OUTPUTS = 'variables = { lake = ["reservoir_amount", "runoff_flux"], slope = ["runoff_flux"] }'


def case_of(folder, batch, text=MANY + SOURCES):
    (folder / str(batch)).mkdir()
    rain = np.random.default_rng(2).gamma(0.3, 12.0, (90, 3))
    records = {"rain": (("time", "basin"), rain, {"units": "kg m-2 d-1"})}
    days = np.datetime64("2001-01-01", "ns") + np.arange(90) * np.timedelta64(1, "D")
    xr.Dataset(records, {"time": days, "basin": ["a", "b", "c"]}).to_netcdf(
        folder / str(batch) / "rain.nc"
    )
    (folder / str(batch) / "whole.py").write_text(WHOLE)
    return write_case(folder / str(batch), text.replace("seed = 4", f"seed = 4\nbatch = {batch}"))


def run(folder, batch, text=MANY + SOURCES):
    with load_ensemble(case_of(folder, batch, text)).run(progress=False) as found:
        return found.load()


def test_a_member_of_a_batch_is_that_member_alone(tmp_path):
    head, _, tail = MANY.partition("[[exchange]]")
    text = head + GR4J + "\n[[exchange]]" + tail
    text = text.replace(
        'target = "lake.recharge_flux"', 'target = "lake.recharge_flux"\nshare = 0.5'
    )
    last = next(line for line in text.splitlines() if line.startswith("variables = { lake"))
    drawn = '"slope.x4" = { uniform = [1.0, 4.0] }, "slope.inputs.water_potential_evaporation_flux"'
    values = f"values = {{ {drawn} = {{ uniform = [0.5, 2.0] }}, "
    text = text.replace(last, OUTPUTS) + SOURCES.replace("values = {", values)
    alone, together = run(tmp_path, 1, text), run(tmp_path, 4, text)  # batches of 4 and of 2
    assert alone.sizes["member"] == 6
    for name in ("lake.reservoir_amount", "lake.runoff_flux", "slope.runoff_flux"):
        assert alone[name].std("member").min() > 0
        xr.testing.assert_identical(alone[name], together[name])
    assert float(together["ledger_residual"].max()) < 1e-14
    np.testing.assert_allclose(together["ledger_residual"], alone["ledger_residual"], atol=1e-15)


def test_errors_of_each_member_go_into_its_own_cells(tmp_path):
    gages = xr.DataArray([1, 0], {"gage": ["lower", "upper"]})
    sources = {
        "error": Residual("lake.runoff_flux", Burst(), inject="lake.recharge_flux"),
        "rate": Parameters({"lake.rate": {"uniform": [0.005, 0.02]}}),
    }
    found = {}
    for batch in (1, 3):
        path = case_of(tmp_path, batch, MANY)
        runs = CoupledSimulator(path, sites={"lake.runoff_flux": gages}, batch=batch)
        with Ensemble(runs, sources, Design(3)).run(tmp_path / f"{batch}.nc") as members:
            found[batch] = members.load()
    assert found[3]["lake.runoff_flux"].dims == ("member", "gage", "time")
    for name in ("lake.runoff_flux", "lake.reservoir_amount"):
        xr.testing.assert_identical(found[1][name], found[3][name])
    assert float(found[3]["ledger_residual"].max()) < 1e-14


def test_one_that_fails_is_told_with_its_seed_and_the_others_are_kept(tmp_path):
    """A rate below zero is refused by the component, in one of the members."""
    text = SOURCES.replace("uniform = [0.005, 0.02]", "uniform = [-0.002, 0.02]")
    text = MANY + text.replace("members = 6", "members = 6\nfailed = 'leave_out'")
    alone, together = run(tmp_path, 1, text), run(tmp_path, 3, text)
    failed = together["failure"] != ""
    assert int(failed.sum()) == 1
    assert "'rate'" in str(together["failure"][failed].item())
    assert [str(w).replace("/1/", "/3/") for w in alone["failure"].values] == list(
        together["failure"].values
    )
    xr.testing.assert_identical(alone["lake.runoff_flux"], together["lake.runoff_flux"])
    text = text.replace("failed = 'leave_out'", "")
    with pytest.raises(EnsembleError, match="with the seed 4: member"):
        load_ensemble(case_of(tmp_path, 2, text)).run(progress=False)


def test_finished_batches_are_kept_and_not_run_again(tmp_path, monkeypatch):
    case = case_of(tmp_path, 2)
    load_ensemble(case).run(tmp_path / "whole.nc", progress=False).close()
    simulate, ran = CoupledSimulator.simulate, []

    def interrupted(self, members):
        if members[0].number == 4 and len(ran) == 2:
            raise KeyboardInterrupt
        ran.append([member.number for member in members])
        return simulate(self, members)

    monkeypatch.setattr(CoupledSimulator, "simulate", interrupted)
    with pytest.raises(KeyboardInterrupt, match="4 of 6 members"):
        load_ensemble(case).run(tmp_path / "part.nc", progress=False)
    ran.append("interrupted")
    load_ensemble(case).run(tmp_path / "part.nc", resume=True, progress=False).close()
    assert ran == [[0, 1], [2, 3], "interrupted", [4, 5]]
    assert (tmp_path / "whole.nc").read_bytes() == (tmp_path / "part.nc").read_bytes()


TEMPLATE = 'kind = "hybridwater.components.template:Template"\narea = [1e6'


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (TEMPLATE, 'kind = "whole:Whole"\narea = [1e6', r"'lake' \(whole:Whole\)"),
        ("rate = 0.01", "rate = 0.01\ntimeout = 5", r"'lake' \(hybridwater"),
        ("[run]", "[run]\niteration = { tolerance = 1e-6 }", "iterated"),
    ],
)
def test_what_cannot_step_together_is_named(tmp_path, old, new, told):
    assert old in MANY
    with pytest.raises(CaseError, match=f"cannot step together, as it has .*{told}"):
        load_ensemble(case_of(tmp_path, 2, MANY.replace(old, new) + SOURCES))


def test_a_batch_of_none_is_refused(tmp_path):
    with pytest.raises(CaseError, match="batch of 0"):
        load_ensemble(case_of(tmp_path, 0))
    with pytest.raises(EnsembleError, match="batch of 0"):
        CoupledSimulator(case_of(tmp_path, 1), batch=0)


def test_areas_are_those_of_all_members(tmp_path):
    text = SOURCES.replace('"lake.rate"', '"lake.area"').replace("[0.005, 0.02]", "[1e6, 2e6]")
    with pytest.raises(CaseError, match=r"areas .* are the same in all members of a batch"):
        load_ensemble(case_of(tmp_path, 2, MANY + text))


def test_a_batch_is_in_the_fingerprint_of_the_file(tmp_path):
    case = case_of(tmp_path, 2)
    load_ensemble(case).run(progress=False).close()
    case.write_text(case.read_text().replace("batch = 2", "batch = 3"))
    with pytest.raises(EnsembleError, match="batch was 2"):
        load_ensemble(case).run(resume=True, progress=False)
    assert load_coupled(case).build().copies == 1
