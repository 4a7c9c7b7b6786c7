"""Coupled runs from the command line."""

import shutil
import sys
from pathlib import Path

import pytest
import xarray as xr
from typer.testing import CliRunner

from hybridwater.cli import app

sys.path.insert(0, str(Path(__file__).parent / "cases"))

from coupled_case import CASE, write_case
from test_bmi_case import CASE as PLAIN


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_run_prints_the_ledger_and_writes_a_report(tmp_path):
    case = write_case(tmp_path)
    done = call("run", case)
    assert done.exit_code == 0, done.output
    for word in ("hill", "lake", "change of storage", "to nowhere", "Missing in a coupling step"):
        assert word in done.output
    report = (tmp_path / "run" / "report.html").read_text()
    assert report.count("<img") == 2
    assert "hill and lake" in report
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "case.toml",
        "checkpoint.npz",
        "lake.nc",
        "ledger.nc",
        "report.html",
    ]


@pytest.mark.filterwarnings("default:No checkpoint:UserWarning")
def test_run_of_models_that_tell_neither_storage_nor_state(tmp_path):
    shutil.copy(Path(__file__).parent / "components" / "bmi_models.py", tmp_path)
    spread = PLAIN.replace('mesh = "one"', 'mesh = "three"')
    for line in ("remap = [0]", "report = false"):
        spread = spread.replace(line, "")
    case = write_case(tmp_path, spread)
    done = call("run", case)
    assert done.exit_code == 0, done.output
    assert "Warning: No checkpoint is written, as bucket has no state" in done.output
    assert "coupled.py" not in done.output  # no line of code
    assert "Missing in a coupling step" in done.output
    assert "bucket" in (tmp_path / "run" / "report.html").read_text()
    level = xr.load_dataset(tmp_path / "run" / "bucket.nc")["level"]
    assert (level.isel({level.dims[1]: 0}) == level).all()  # one series of rain in all cells


def test_run_in_parts(tmp_path):
    case, out = write_case(tmp_path), tmp_path / "out"
    assert call("run", case, "--until", "2001-01-15", "--out", out).exit_code == 0
    again = call("run", case, "--out", out)
    assert again.exit_code == 2
    assert "--restart" in again.output
    done = call("run", case, "--out", out, "--restart", out / "checkpoint.npz")
    assert done.exit_code == 0, done.output


def test_what_cannot_be_run_ends_with_2(tmp_path):
    assert call("run", tmp_path / "none.toml").exit_code == 2
    done = call("run", write_case(tmp_path, CASE.replace("kind", "kid", 1)))
    assert done.exit_code == 2
    assert "did you mean" in done.output or "missing" in done.output
    leak = CASE.replace("end = 2001-03-01", "end = 2011-03-01")
    done = call("run", write_case(tmp_path, leak))
    assert done.exit_code == 2
    assert "no step beyond the end" in done.output


def test_graph(tmp_path):
    case = write_case(tmp_path)
    done = call("graph", case, "--out", tmp_path / "g.svg")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "g.svg").read_text()
    assert "svg" in text
    assert call("graph", case, "--out", tmp_path / "g.gif").exit_code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(tmp_path, monkeypatch):
    import signal

    from hybridwater.components.template import Template

    advance, case = Template._advance, write_case(tmp_path)

    def interrupted(self):
        advance(self)
        if self._steps == 10 and self._p["rate"][0] == 0.01:  # the lake
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Template, "_advance", interrupted)
    done = call("run", case)
    assert done.exit_code == 130
    assert f"--restart {tmp_path / 'run' / 'checkpoint.npz'}" in done.output.replace("\n", "")
    monkeypatch.setattr(Template, "_advance", advance)
    done = call("run", case, "--restart", tmp_path / "run" / "checkpoint.npz")
    assert done.exit_code == 0, done.output


def test_couple_writes_a_case_that_can_be_drawn(tmp_path):
    path = tmp_path / "proposed.toml"
    template = "hybridwater.components.template:Template"
    done = call("couple", f"hill={template}", "lake=gr4j", "--out", path)
    assert done.exit_code == 0, done.output
    assert "hybridwater graph" in done.output
    assert call("graph", path, "--out", tmp_path / "g.png").exit_code == 0
    shown = call("couple", "gr4j", "hbv")
    assert "[components.gr4j]" in shown.output
    assert call("couple", "gr4j").exit_code == 2


def test_couple_knows_modules_beside_the_case_as_the_case_does(tmp_path, monkeypatch):
    (tmp_path / "somebodys_lake.py").write_text(
        "from hybridwater.components.template import Template\nclass Lake(Template): pass\n"
    )
    path = tmp_path / "proposed.toml"
    done = call("couple", "somebodys_lake:Lake", "gr4j", "--out", path)
    assert done.exit_code == 0, done.output
    assert call("graph", path, "--out", tmp_path / "g.png").exit_code == 0
    monkeypatch.delitem(sys.modules, "somebodys_lake")
    monkeypatch.chdir(tmp_path)
    assert "[components.lake]" in call("couple", "somebodys_lake:Lake", "gr4j").output
    wrong = call("couple", "nobodys_lake:Lake", "gr4j")
    assert wrong.exit_code == 2
    assert "cannot be imported" in wrong.output
    assert "without arguments" not in wrong.output


def test_init_delaware(tmp_path):
    done = call("init", tmp_path / "basin", "--delaware")
    assert done.exit_code == 0
    assert "hybridwater run" in done.output
    assert (tmp_path / "basin" / "delaware.toml").is_file()
