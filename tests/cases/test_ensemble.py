"""Ensembles of cases: what the file says, and members against runs of the case by hand."""

import dataclasses
import os
import signal
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from coupled_case import CASE, SOURCES, Burst, write_case
from typer.testing import CliRunner

from hybridwater import scores
from hybridwater.cases import load_coupled, load_ensemble
from hybridwater.cases.coupled_simulator import CoupledSimulator
from hybridwater.cases.ensemble_report import ensemble_sections
from hybridwater.cli import app
from hybridwater.ensembles import Design, Ensemble, Residual
from hybridwater.ensembles.fields import correlated
from hybridwater.errors import CaseError, EnsembleError
from hybridwater.units import to_units

OBSERVED = """
[ensemble.observed]
output = "lake.runoff_flux"
file = "gages.nc"
variable = "runoff"
index = "cell"
"""


def call(*arguments):
    return CliRunner().invoke(app, ["ensemble", *map(str, arguments)])


@pytest.fixture
def case(tmp_path):
    return write_case(tmp_path, CASE + SOURCES)


@pytest.fixture
def observed(tmp_path):
    days = np.datetime64("2001-01-01", "ns") + np.arange(59) * np.timedelta64(1, "D")
    flow = np.random.default_rng(0).gamma(3, 0.1, (1, 59))
    data = xr.Dataset(
        {"runoff": (("gage", "time"), flow, {"units": "kg m-2 d-1"}), "cell": ("gage", [0])},
        {"gage": ["outlet"], "time": days},
    )
    data.to_netcdf(tmp_path / "gages.nc")


def test_members_are_runs_of_the_case(case):
    loaded = load_ensemble(case)
    with loaded.run() as found:
        assert found["lake.runoff_flux"].dims == ("member", "time", "lake_cell")
        assert found["lake.runoff_flux"].attrs["units"] == "kg m-2 d-1"
        assert float(found["ledger_residual"].max()) < 1e-12
        draws = loaded.ensemble.member(2).draws
        rates = loaded.ensemble.sources["rates"].drawn(draws["rates"])
        factor = loaded.ensemble.sources["start"].drawn(draws["start"])["lake.content"][0]
        coupled = load_coupled(case)
        tables = dict(coupled.components)
        for name, keyword, value in (
            ("lake", "rate", rates["lake.rate"][0]),
            ("hill", "initial", 5.0 * rates["hill.initial"][0]),
        ):
            model = tables[name].analytic
            model = dataclasses.replace(model, options={**model.options, keyword: value})
            tables[name] = dataclasses.replace(tables[name], analytic=model)
        lake = tables["lake"].analytic  # the state of the template is its keyword
        lake = dataclasses.replace(lake, options={**lake.options, "initial": 10.0 * factor})
        tables["lake"] = dataclasses.replace(tables["lake"], analytic=lake)
        records = coupled.forcing["weather"].read()
        rain = loaded.ensemble.sources["rain"].apply(records, draws["rain"], "rain")
        weather = dataclasses.replace(coupled.forcing["weather"], records=records.assign(rain=rain))
        changed = dataclasses.replace(coupled, components=tables, forcing={"weather": weather})
        model = changed.build()
        model.run("2001-03-01", progress=False)
        alone = model.output("lake")["runoff_flux"]
        np.testing.assert_allclose(
            found["lake.runoff_flux"].sel(member=2), alone, rtol=1e-12, atol=1e-12
        )


def test_a_shorter_run_is_the_beginning_of_a_longer_one(tmp_path, monkeypatch):
    """Errors are drawn of the records that a run uses; others do not change them."""
    drawn, members = [], []

    def spy(rng, times, *correlation):
        drawn.append(times)
        return correlated(rng, times, *correlation)

    monkeypatch.setattr("hybridwater.ensembles.sources.correlated", spy)
    for end in ("2001-02-01", "2001-03-01", "59 d"):
        (tmp_path / end).mkdir()
        text = CASE.replace("end = 2001-03-01", f"end = '{end}'") + SOURCES
        with load_ensemble(write_case(tmp_path / end, text)).run(progress=False) as found:
            members.append(found["lake.runoff_flux"].load())
    assert drawn == 6 * [31] + 6 * [59] + 6 * [90]
    short, long, of_a_duration = members
    np.testing.assert_allclose(short, long[:, :31], rtol=1e-13)
    np.testing.assert_allclose(of_a_duration, long, rtol=1e-13)


def test_a_state_put_before_the_first_step_is_no_missing_water(case):
    model = load_coupled(case).build()
    state = model.component("lake").get_state()
    arrays = {k: v * 3 if k == "state/content" else v for k, v in state.arrays.items()}
    model.put_state("lake", dataclasses.replace(state, arrays=arrays))
    model.step()
    assert abs(model.ledger()["residual"].values).max() < 1e-6
    assert float(model.ledger()["storage"].sel(component="lake")[0]) > 2.9e7
    from hybridwater.errors import CouplingError

    with pytest.raises(CouplingError, match="run has begun"):
        model.put_state("lake", state)


def test_command_writes_members_and_report(case, observed, tmp_path):
    case.write_text(CASE + SOURCES + OBSERVED)
    done = call(case)
    assert done.exit_code == 0, done.output
    assert "6 of 6 members, uncertain: rain, rates, start" in done.output
    report = (tmp_path / "run" / "ensemble.html").read_text()
    for word in ("lognormal(0.4)", "CRPS", "within the central 90 %", "of the members", "outlet"):
        assert word in report
    assert report.count("<img") == 3  # two fans, coverage; too few records for the PIT
    with xr.open_dataset(tmp_path / "run" / "ensemble.nc") as found:
        assert found["lake.runoff_flux"].dims == ("member", "gage", "time")
    assert call(case).exit_code == 2
    done = call(case, "--off", "rain", "--members", "4", "--out", tmp_path / "e.nc")
    assert "4 of 4 members, uncertain: rates, start" in done.output, done.output
    with xr.open_dataset(tmp_path / "e.nc") as found:
        assert found.sizes["source"] == 2


def test_a_warmup_of_the_whole_run_is_said_in_words(case):
    case.write_text(CASE + SOURCES.replace("members = 6", "members = 2\nwarmup = 59"))
    done = call(case)
    assert done.exit_code == 2
    assert "leaves none of 59" in done.output.replace("\n", " ")


def test_attribution_is_in_the_report(case, tmp_path):
    text = CASE + SOURCES.replace("members = 6", "members = 4\nattribution = true")
    case.write_text(text)
    done = call(case, "--off", "start")
    assert done.exit_code == 0, done.output
    assert "16 of 16 members" in done.output
    assert "Whose variance it is" in (tmp_path / "run" / "ensemble.html").read_text()


def test_a_report_of_what_is_left(case, observed, tmp_path, monkeypatch):
    """A member of an attribution failed, and observations begin after the warmup."""
    head = "members = 4\nattribution = true\nwarmup = 10\nfailed = 'leave_out'\nretries = 0"
    case.write_text(CASE + SOURCES.replace("members = 6", head) + OBSERVED)
    with xr.open_dataset(tmp_path / "gages.nc") as opened:
        late = opened.load().isel(time=slice(15, None))
    late.to_netcdf(tmp_path / "gages.nc")
    simulate = CoupledSimulator.simulate

    def failing(self, members):
        if members[0].number == 1:
            raise ValueError("it rained too much")
        return simulate(self, members)

    monkeypatch.setattr(CoupledSimulator, "simulate", failing)
    loaded = load_ensemble(case, off=["start"])
    with loaded.run(progress=False) as found:
        first, *_, section = ensemble_sections(loaded, found)
        members = found["lake.runoff_flux"].drop_sel(member=1).load()
    assert "1 of 16 members failed" in first.text
    assert any("Whose variance it is" in figure.caption for figure in section.figures)
    table = section.tables[0].frame
    expected = scores.crps(members, late["runoff"]).mean("time")
    assert table["CRPS"].to_numpy() == pytest.approx(expected.values)
    assert "So few members reach no further than the central 88 %" in section.text


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_and_resume_give_the_same_bytes(case, tmp_path, monkeypatch):
    assert call(case, "--out", tmp_path / "whole.nc").exit_code == 0
    simulate = CoupledSimulator.simulate

    def interrupted(self, members):
        if members[0].number == 3:
            signal.raise_signal(signal.SIGINT)
        return simulate(self, members)

    monkeypatch.setattr(CoupledSimulator, "simulate", interrupted)
    done = call(case)
    assert done.exit_code == 130
    assert "3 of 6 members are done" in done.output
    assert "--resume" in done.output
    monkeypatch.setattr(CoupledSimulator, "simulate", simulate)
    done = call(case, "--resume")
    assert done.exit_code == 0, done.output
    whole, resumed = tmp_path / "whole.nc", tmp_path / "run" / "ensemble.nc"
    assert whole.read_bytes() == resumed.read_bytes()


def test_with_other_records_it_is_not_resumed(case, tmp_path, monkeypatch):
    simulate = CoupledSimulator.simulate

    def interrupted(self, members):
        if members[0].number == 3:
            raise KeyboardInterrupt
        return simulate(self, members)

    monkeypatch.setattr(CoupledSimulator, "simulate", interrupted)
    with pytest.raises(KeyboardInterrupt, match="3 of 6 members"):
        load_ensemble(case).run()
    monkeypatch.setattr(CoupledSimulator, "simulate", simulate)
    (tmp_path / "hill.csv").write_text((tmp_path / "hill.csv").read_text().replace(",0.0", ",1.0"))
    with pytest.raises(EnsembleError, match="of another ensemble: simulator was"):
        load_ensemble(case).run(resume=True)


@pytest.mark.slow
def test_processes_give_the_same_bytes(case, tmp_path):
    for workers in (1, 2):
        done = call(case, "--workers", workers, "--out", tmp_path / f"{workers}.nc")
        assert done.exit_code == 0, done.output
    assert (tmp_path / "1.nc").read_bytes() == (tmp_path / "2.nc").read_bytes()


class Wetter:
    """A residual model by which half a millimetre is missing every day, in its own unit."""

    draws: ClassVar = {}

    def sample(self, simulated, members, seed):
        drawn = (simulated + 0.5).expand_dims(member=members)
        return to_units(drawn.assign_attrs(units="kg m-2 d-1"), "kg m-2 s-1")


def test_an_injected_error_is_water_in_the_ledger(case, tmp_path):
    sources = {"error": Residual("lake.runoff_flux", Wetter(), inject="lake.recharge_flux")}
    ensemble = Ensemble(CoupledSimulator(case), sources, Design(1))
    model = load_coupled(case).build()
    model.run("2001-03-01", progress=False)
    with ensemble.run(tmp_path / "e.nc") as found:
        assert float(found["ledger_residual"][0]) < 1e-12
        assert "lake.runoff_flux_observable" not in found
        before = model.output("lake")["reservoir_amount"].values[:, 0]
        more = found["lake.reservoir_amount"].values[0, :, 0] - before
    t = np.arange(1, len(more) + 1)
    np.testing.assert_allclose(more, 50 * (1 - np.exp(-0.01 * t)), rtol=1e-10)  # 0.5 / rate


def test_errors_of_gages_go_into_their_cells_on_their_day(tmp_path):
    case = write_case(tmp_path, CASE.replace("area = 1e6", "area = [1e6, 2e6, 4e6]"))
    gages = xr.DataArray([2, 0], {"gage": ["lower", "upper"]})
    runs = CoupledSimulator(case, sites={"lake.runoff_flux": gages})
    sources = {"error": Residual("lake.runoff_flux", Burst(), inject="lake.recharge_flux")}
    model = load_coupled(case).build()
    model.run("2001-03-01", progress=False)
    with Ensemble(runs, sources, Design(1)).run(tmp_path / "e.nc") as found:
        assert float(found["ledger_residual"][0]) < 1e-12
        more = found["lake.reservoir_amount"][0].values
    more = more - model.output("lake")["reservoir_amount"].values
    late = np.arange(len(more)) - 10
    left = np.where(late < 0, 0, 100 * (1 - np.exp(-0.01)) * np.exp(-0.01 * late))
    np.testing.assert_allclose(more, left[:, None] * [2.0, 0.0, 1.0], atol=1e-10)


def test_an_error_that_cannot_be_injected_is_refused(case, tmp_path):
    def run(**more):
        sources = {"error": Residual("lake.runoff_flux", Wetter(), **more)}
        name = f"{len(list(tmp_path.iterdir()))}.nc"
        return Ensemble(CoupledSimulator(case), sources, Design(1)).run(tmp_path / name)

    with pytest.raises(EnsembleError, match="did you mean 'recharge_flux'"):
        run(inject="lake.recharg_flux")
    with pytest.raises(EnsembleError, match="did you mean 'lake'"):
        run(inject="laek.recharge_flux")
    sources = {"weather": Residual("lake.runoff_flux", Wetter(), inject="lake.recharge_flux")}
    with pytest.raises(EnsembleError, match="Rename one"):
        Ensemble(CoupledSimulator(case), sources, Design(1)).run(tmp_path / "w.nc")


def edited(old, new):
    return CASE + SOURCES.replace(old, new)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (CASE, "no ensemble"),
        (edited("members", "memebrs"), "did you mean 'members'"),
        (edited("members = 6", 'members = "6"'), "a whole number"),
        (edited("members = 6", "members = 0"), "0 members"),
        (edited("members = 6", "members = 1"), "a report needs two"),
        (edited("seed = 4", 'design = "sobol"'), "power of two"),
        (edited("seed = 4", 'outputs = ["q"]'), "of the ensemble of a fit"),
        (edited('kind = "forcing"', 'kind = "forcings"'), "did you mean 'forcing'"),
        (edited('variable = "w', 'varaible = "w'), "did you mean 'variable'"),
        (edited("weather.rain", "wether.rain"), "did you mean 'weather'"),
        (edited("weather.rain", "rain"), "names no forcing"),
        (edited("lognormal = 0.4", "lognromal = 0.4"), "did you mean 'lognormal'"),
        (edited('time = "2 d"', 'time = "2"'), "cannot be taken as a time"),
        (edited("lake.rate", "lake.rat"), "no keyword 'rat'"),
        (edited("lake.rate", "laek.rate"), "did you mean 'lake'"),
        (edited("values =", 'within_bounds = ["k"]\nvalues ='), "coupled case"),
        (CASE + SOURCES + OBSERVED, "no file or folder"),
        (CASE + SOURCES.partition("[ensemble.sources")[0], "key 'sources' is missing"),
    ],
)
def test_what_cannot_be_is_refused_at_the_door(tmp_path, text, told):
    with pytest.raises(CaseError, match=told):
        load_ensemble(write_case(tmp_path, text))


@pytest.mark.parametrize(("cell", "told"), [(-1, "no whole numbers"), (np.nan, "no whole numbers")])
def test_sites_in_no_cell_are_refused_at_the_door(case, observed, tmp_path, cell, told):
    case.write_text(CASE + SOURCES + OBSERVED)
    with xr.open_dataset(tmp_path / "gages.nc") as opened:
        moved = opened.load().assign(cell=("gage", [float(cell)]))
    moved.to_netcdf(tmp_path / "gages.nc")
    with pytest.raises(CaseError, match=told):
        load_ensemble(case)


def test_what_only_a_run_can_tell_is_told_by_the_member(tmp_path):
    days = pd.date_range("2001-01-01", periods=9)
    gages = xr.Dataset(
        {"runoff": (("gage", "time"), np.ones((1, 9)), {"units": "mm d-1"}), "cell": ("gage", [7])},
        {"gage": ["sea"], "time": days},
    )
    gages.to_netcdf(tmp_path / "gages.nc")
    case = write_case(tmp_path, CASE + SOURCES + OBSERVED)
    with pytest.raises(EnsembleError, match="has 1 cells, and a site is in number 7"):
        load_ensemble(case, members=2).run(tmp_path / "sites.nc")
    case = write_case(tmp_path, edited("lake.content", "lake.contnet"))
    with pytest.raises(EnsembleError, match="did you mean 'content'"):
        load_ensemble(case).run()
    case = write_case(tmp_path, edited("hill.initial", "lake.initial"))
    with pytest.raises(EnsembleError, match="a factor has nothing to act on"):
        load_ensemble(case).run(tmp_path / "other.nc")


def test_factors_reach_into_tables(tmp_path):
    from hybridwater.cases.coupled_simulator import _with_keyword

    table = load_coupled(write_case(tmp_path)).components["lake"]
    model = dataclasses.replace(table.analytic, options={"parameters": {"k": [1.0, 2.0]}})
    table = dataclasses.replace(table, analytic=model)
    changed = _with_keyword(table, "parameters.k", 3.0, factor=True)
    assert changed.analytic.options == {"parameters": {"k": [3.0, 6.0]}}
    assert table.analytic.options == {"parameters": {"k": [1.0, 2.0]}}


def test_a_case_without_outputs_leaves_nothing(tmp_path):
    case = write_case(tmp_path, CASE.replace("variables = {", "# variables = {"))
    with pytest.raises(EnsembleError, match="writes no outputs"):
        CoupledSimulator(case)
