"""The command line, as people call it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import hybridwater
from hybridwater import doctor
from hybridwater.cli import app
from hybridwater.training import Surrogate

CASE = """
[model]
library = "linear_reservoir"

[data]
source = "csv"
path = "hill.csv"
units = { prcp = "mm d-1", pet = "mm d-1", qobs = "mm d-1" }

[fit]
observed = { q = "qobs" }
train = ["2001-01-01", "2001-03-31"]
test = ["2001-04-01", "2001-04-30"]
warmup = 20

[[fit.schedule]]
kind = "joint"
epochs = 5
learning_rate = 0.05

[output]
directory = "run"
report = false
"""


def call(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def hill(tmp_path_factory) -> Path:
    """Return a folder with a case file and its table."""
    folder = tmp_path_factory.mktemp("hill")
    rng = np.random.default_rng(1)
    days = pd.date_range("2001-01-01", "2001-04-30")
    rain = rng.gamma(0.3, 12.0, len(days)).round(2)
    table = pd.DataFrame({"date": days, "prcp": rain, "pet": 1.5, "qobs": 0.5 * rain + 1})
    table.to_csv(folder / "hill.csv", index=False)
    (folder / "case.toml").write_text(CASE)
    return folder


@pytest.fixture(scope="module")
def run(hill) -> Path:
    """Return the run directory of a fit."""
    result = call("fit", hill / "case.toml")
    assert result.exit_code == 0, result.output
    assert "train NSE" in result.stdout
    assert f"Run directory: {hill / 'run'}" in result.stdout
    return hill / "run"


def test_version():
    result = call("--version")
    assert result.exit_code == 0
    assert result.stdout == f"hybridwater {hybridwater.__version__}\n"


def test_help_names_every_command_and_starts_nothing_heavy():
    code = (
        "import sys\nfrom hybridwater.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "print('loaded:', [m for m in ('jax', 'torch', 'xarray', 'juliacall') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "loaded: []" in done.stdout
    for command in ("demo", "init", "fit", "simulate", "emulate", "component", "julia", "doctor"):
        assert command in done.stdout
        assert call(command, "--help").exit_code == 0


def test_init_writes_a_case_once(tmp_path):
    first = call("init", tmp_path / "new")
    assert first.exit_code == 0
    assert (tmp_path / "new" / "case.toml").is_file()
    assert "hybridwater fit" in first.stdout
    second = call("init", tmp_path / "new")
    assert second.exit_code == 2
    assert "There is a case.toml already." in second.stderr
    assert "Traceback" not in second.stderr


def test_library_errors_are_sentences(hill, tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text(CASE.replace("warmup", "warmpu"))
    (tmp_path / "hill.csv").write_bytes((hill / "hill.csv").read_bytes())
    result = call("fit", bad)
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "Error: The key 'warmpu' is not known (did you mean 'warmup'?)."
    )
    assert "[fit]" in result.stderr
    assert not result.stdout


def test_a_run_is_not_overwritten(run):
    result = call("fit", run.parent / "case.toml")
    assert result.exit_code == 2
    assert "a run in this directory already" in result.stderr


def test_simulate_writes_netcdf_with_attributes(run, tmp_path):
    result = call("simulate", run, run.parent / "case.toml", "--out", tmp_path / "q.nc")
    assert result.exit_code == 0, result.output
    simulated = xr.load_dataset(tmp_path / "q.nc")
    assert dict(simulated.sizes) == {"basin": 1, "time": 120}
    assert simulated["q"].attrs["units"] == "mm d-1"
    assert simulated["q"].attrs["cell_methods"] == "time: mean"
    assert simulated.attrs["model"] == "linear_reservoir"
    assert [p.name for p in tmp_path.iterdir()] == ["q.nc"]


def test_simulate_takes_forcing_of_a_file_with_one_basin(run, tmp_path):
    table = pd.read_csv(run.parent / "hill.csv", parse_dates=["date"]).rename(
        columns={"date": "time"}
    )
    forcing = table.set_index("time")[["prcp", "pet"]].to_xarray()
    for name in forcing:
        forcing[name].attrs["units"] = "mm d-1"
    forcing.to_netcdf(tmp_path / "future.nc")
    command = ("simulate", run, tmp_path / "future.nc", "--out", tmp_path / "q.nc")
    unnamed = call(*command)
    assert unnamed.exit_code == 2
    assert "The basin 'future' is not among those of the fit." in unnamed.stderr
    assert not (tmp_path / "q.nc").exists()
    named = call(*command, "--basin", "hill")
    assert named.exit_code == 0, named.output
    assert xr.load_dataset(tmp_path / "q.nc")["basin"].item() == "hill"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing", "case.toml"), "surrogate.json"),
        (("run", "nothing.nc"), "does not exist"),
        (("run", "case.toml", "--conceptual"), "No conceptual skeleton"),
        (("run", "case.toml", "--basin", "hil"), "The basin 'hil' is not among those"),
    ],
)
def test_simulate_refuses(run, tmp_path, arguments, message):
    places = [a if a.startswith("--") or a == "hil" else run.parent / a for a in arguments]
    result = call("simulate", *places, "--out", tmp_path / "q.nc")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_said(run, tmp_path):
    (tmp_path / "blocked").write_text("a file, not a folder")
    out = tmp_path / "blocked" / "q.nc"
    result = call("simulate", run, run.parent / "case.toml", "--out", out)
    assert result.exit_code == 2
    assert "'q.nc' could not be written" in result.stderr


def test_interruption_ends_with_130_and_keeps_the_result(hill, monkeypatch):
    from hybridwater.training.trainer import Trainer

    step, calls = Trainer._step, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return step(self, *arguments)

    monkeypatch.setattr(Trainer, "_step", interrupted)
    first = call("fit", hill / "case.toml", "--out", hill / "stopped")
    assert first.exit_code == 130
    assert "--resume" in first.stdout
    assert Surrogate.load(hill / "stopped").basins == ("hill",)
    second = call("fit", hill / "case.toml", "--out", hill / "stopped", "--resume")
    assert second.exit_code == 0, second.output


def test_interruption_before_the_fit_ends_with_130(hill, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("hybridwater.data.read_csv", stop)
    result = call("fit", hill / "case.toml", "--out", hill / "never")
    assert result.exit_code == 130
    assert not (hill / "never").exists()


def test_doctor_prints_and_ends_by_what_it_found(monkeypatch):
    fine = doctor.Finding("Optional packages", "landlab", "not installed", "missing", "pip [x]")
    monkeypatch.setattr(doctor, "examine", lambda: [fine])
    good = call("doctor")
    assert good.exit_code == 0
    assert "pip [x]" in good.stdout
    broken = doctor.Finding("Needed packages", "numpy", "not installed", "broken")
    monkeypatch.setattr(doctor, "examine", lambda: [fine, broken])
    bad = call("doctor")
    assert bad.exit_code == 1
    assert "Broken: numpy." in bad.stdout


def test_julia_install_and_precompile_print_the_trial(monkeypatch, tmp_path):
    from hybridwater._julia import setup

    monkeypatch.setattr(setup, "install", lambda **options: f"Julia starts with {options}.")
    monkeypatch.setattr(setup, "precompile", lambda image, offline: f"Julia starts from {image}.")
    for offline in (False, True):
        for more in (False, True):
            chosen = ["--offline"] * offline + ["--adjoints", "--discovery", "--diffeqpy"] * more
            options = {"offline": offline}
            options |= dict.fromkeys(("adjoints", "discovery", "diffeqpy"), more)
            assert call("julia", "install", *chosen).stdout == f"Julia starts with {options}.\n"
    assert call("julia", "precompile").stdout == "Julia starts from None.\n"
    image = tmp_path / "hw.so"
    lines = call("julia", "precompile", "--sysimage", image).stdout.splitlines()
    assert lines[0] == f"Julia starts from {image}."
    assert f'julia_sysimage = "{image}"' in lines[1]


def test_julia_status_says_what_is_missing(monkeypatch):
    from hybridwater import _julia
    from hybridwater._julia import setup

    monkeypatch.setattr(setup, "status", lambda: [("state", "[some]"), ("threads", "auto")])
    monkeypatch.setattr(
        _julia, "available", lambda: _julia.Availability(False, reason="No Julia", fix="Run 'it'")
    )
    absent = call("julia", "status")
    assert absent.exit_code == 1
    assert "[some]" in absent.stdout
    assert absent.stdout.endswith("No Julia.\n→ Run 'it'.\n")
    monkeypatch.setattr(_julia, "available", lambda: _julia.Availability(True))
    assert call("julia", "status").exit_code == 0


def test_every_julia_command_is_in_the_reference():
    from typer.main import get_command

    page = (Path(__file__).parents[1] / "docs" / "reference" / "command-line.md").read_text("utf-8")
    for name, command in get_command(app).commands["julia"].commands.items():
        assert f"`hybridwater julia {name}`" in page
        for option in (o for p in command.params for o in p.opts if o.startswith("--")):
            assert f"`{name} {option}" in page, (name, option)


def test_discover_prints_and_draws_the_front(run, tmp_path):
    nothing = call("discover", run)
    assert nothing.exit_code == 2
    assert "has no network" in nothing.stderr
    text = CASE.replace('library = "linear_reservoir"', BUCKET)
    text = text.replace("epochs = 5", "epochs = 30\nnetwork_rate = 0.1")
    (tmp_path / "case.toml").write_text(text)
    (tmp_path / "hill.csv").write_text((run.parent / "hill.csv").read_text())
    assert call("fit", tmp_path / "case.toml").exit_code == 0
    result = call("discover", tmp_path / "run", tmp_path / "case.toml", "--term", "q")
    assert result.exit_code == 0, result.output
    assert "Equations for q [mm d-1]" in result.stdout
    assert "Fit the shortlist to the data before you believe it" in result.stdout
    assert (tmp_path / "run" / "figures" / "equations_q.png").is_file()
    case = tmp_path / "case.toml"
    beside = call("discover", tmp_path / "run", case, "--beside", tmp_path / "run")
    assert beside.exit_code == 0, beside.output
    fronts = [r.stdout.partition("Equations for")[2] for r in (result, beside)]
    assert fronts[0] == fronts[1]  # two equal fits disagree nowhere
    other = call("discover", tmp_path / "run", case, "--beside", run)
    assert other.exit_code == 2
    assert "different models" in other.stderr
    options = ["--term", "q", "--max-operations", "3", "--method", "spars"]
    refused = call("discover", tmp_path / "run", tmp_path / "case.toml", *options)
    assert refused.exit_code == 2
    assert "did you mean 'sparse'" in refused.stderr


def test_discover_goes_on_after_a_network_that_cannot_be_searched(run, tmp_path):
    text = CASE.replace('library = "linear_reservoir"', TWO_NETWORKS)
    (tmp_path / "case.toml").write_text(text.replace("epochs = 5", "epochs = 2"))
    (tmp_path / "hill.csv").write_text((run.parent / "hill.csv").read_text())
    assert call("fit", tmp_path / "case.toml").exit_code == 0
    result = call("discover", tmp_path / "run", tmp_path / "case.toml")
    assert result.exit_code == 2
    assert "network 'idle'" in result.stderr
    assert "never exercised" in result.stderr
    assert "Equations for q [mm d-1]" in result.stdout


BUCKET = """name = "bucket"
forcings = { prcp = { unit = "mm d-1" }, pet = { unit = "mm d-1" } }
states = { soil = { unit = "mm", initial = 50, equation = "prcp - pet - q" } }

[model.networks.q]
unit = "mm d-1"
inputs = { soil = [0, 300] }
hidden = [4]
positive = true
zero_when_empty = "soil"
"""

#: The first network sees a store that is always empty, and is zero with it.
TWO_NETWORKS = """name = "bucket"
forcings = { prcp = { unit = "mm d-1" }, pet = { unit = "mm d-1" } }

[model.states]
soil = { unit = "mm", initial = 50, equation = "prcp - pet - q - idle" }
never = { unit = "mm", initial = 0, equation = "-idle" }

[model.networks.idle]
unit = "mm d-1"
inputs = { never = [0, 300] }
hidden = [4]
positive = true
zero_when_empty = "never"

[model.networks.q]
unit = "mm d-1"
inputs = { soil = [0, 300] }
hidden = [4]
positive = true
zero_when_empty = "soil"
"""
