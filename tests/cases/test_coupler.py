"""Training the learned exchanges of a case from a reference run."""

import dataclasses
import signal

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from learned_case import AIR, CASE, LAND, write
from typer.testing import CliRunner

from hybridwater import cases
from hybridwater.cases.coupler import train_coupler
from hybridwater.cli import app
from hybridwater.coupling import CoupledModel
from hybridwater.errors import CaseError, CouplingError, DataError, SettingsError
from hybridwater.meshes import conservative_remap, write_remap
from hybridwater.mgn import fitting
from hybridwater.mgn.released import verify_weights

LEARNS = (
    CASE.replace('"8 d"', '"40 d"').replace(
        'reads = ["land.reservoir_amount"]',
        'reads = ["land.reservoir_amount"]\nnetwork = { width = 8, memory = 1 }',
    )
    + """
[train]
reference = "reference"
iterations = 60
rate = 1e-2
window = 2
"""
)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Run a case in which high land gets more, and keep what came and what arrived."""
    folder = tmp_path_factory.mktemp("reference")
    baseline = conservative_remap(AIR, LAND)
    height = np.where(np.arange(16) % 8 < 4, 0.2, 1.8)
    shares = baseline.shares.multiply(height[:, None]).tocsr()
    shares = shares.multiply(1.0 / shares.sum(axis=0)[None, :]).tocsr()
    write_remap(dataclasses.replace(baseline, shares=shares), folder / "truth.nc")
    text = CASE.replace('remap = "learned"', 'remap = "truth.nc"').replace('"8 d"', '"40 d"')
    text = text.replace(
        'land = ["reservoir_amount"]',
        'land = ["reservoir_amount", "recharge_flux"], air = ["runoff_flux"]',
    )
    xr.Dataset({"height": ("cell", height)}).to_netcdf(folder / "land.nc")
    cases.load_coupled(write(folder, text)).run(directory=folder / "reference").close()
    return folder


@pytest.fixture
def case_file(reference, tmp_path):
    """Return a case that learns from it."""
    (tmp_path / "land.nc").write_bytes((reference / "land.nc").read_bytes())
    (tmp_path / "reference").symlink_to(reference / "reference")
    return write(tmp_path, LEARNS)


def test_a_case_is_trained_and_run_with_what_was_learned(case_file, tmp_path):
    shown = CliRunner().invoke(app, ["train-coupler", str(case_file)])
    assert shown.exit_code == 0, shown.output
    errors = pd.read_csv(tmp_path / "case-training/errors.csv")
    assert list(errors["part"]) == ["train", "held out"]
    assert list(errors["samples"]) == [29, 10]
    assert (errors["reduction"] > 0.5).all()
    assert "held out" in shown.output
    shown = CliRunner().invoke(app, ["weights", "verify", str(tmp_path / "rain.safetensors")])
    assert shown.exit_code == 0, shown.output
    card = verify_weights(tmp_path / "rain.safetensors").card
    assert card["data"]["exchange"] == "air.runoff_flux -> land.recharge_flux"
    assert len(card["commit"]) >= 40
    assert "| held out | 10 |" in (tmp_path / "rain.md").read_text()
    learned = cases.load_coupled(case_file).run()
    truth = xr.load_dataset(tmp_path / "reference/land.nc", engine="netcdf4")["reservoir_amount"]
    plain = write(tmp_path, LEARNS.replace('remap = "learned"', 'remap = "conservative"'))
    baseline = cases.load_coupled(plain).run(directory=tmp_path / "plain")
    wrong = [
        float(np.abs(model.output("land")["reservoir_amount"].values - truth.values).mean())
        for model in (learned, baseline)
    ]
    assert wrong[0] < 0.5 * wrong[1]
    for model in (learned, baseline):
        model.close()


def test_a_bound_holds_in_the_training_in_the_unit_of_the_target(case_file, tmp_path):
    true = xr.load_dataset(tmp_path / "reference/land.nc", engine="netcdf4")["recharge_flux"]
    bounds = ((1.01 * float(true.max()), 0.3, 30), (0.01 * float(true.min()), -1.0, 2))
    for most, reduction, iterations in bounds:
        text = LEARNS.replace("reads = [", f"most = {most}\nreads = [")
        text = text.replace("iterations = 60", f"iterations = {iterations}")
        text = text.replace("[train]", f'[train]\ndirectory = "{most}"')
        errors = train_coupler(cases.load_coupled(write(tmp_path, text))).errors
        assert (errors["reduction"] > reduction).all()
    assert errors["reduction"].tolist() == pytest.approx([0.0, 0.0], abs=1e-12)


def watched(monkeypatch):
    """Return a list that gets every model that is closed."""
    closed, close = [], CoupledModel.close

    def counted(model):
        closed.append(model)
        close(model)

    monkeypatch.setattr(CoupledModel, "close", counted)
    return closed


def test_a_training_goes_on(case_file, tmp_path, monkeypatch):
    step = fitting._Course._step

    def pressed(course):
        if len(course.losses) == 2:
            signal.raise_signal(signal.SIGINT)
        step(course)

    closed = watched(monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(fitting._Course, "_step", pressed)
        shown = CliRunner().invoke(app, ["train-coupler", str(case_file)])
    assert shown.exit_code == 130
    assert len(closed) == 1
    assert "--resume" in shown.output
    assert not (tmp_path / "rain.safetensors").exists()
    with pytest.raises(SettingsError, match="a run in this directory already"):
        train_coupler(cases.load_coupled(case_file))
    assert not train_coupler(cases.load_coupled(case_file), resume=True).interrupted
    assert (tmp_path / "rain.safetensors").exists()


def test_what_cannot_be_trained_on_is_refused(case_file, tmp_path):
    case = cases.load_coupled(write(tmp_path, LEARNS.partition("[train]")[0]))
    with pytest.raises(CaseError, match=r"no table \[train\]"):
        train_coupler(case)
    with pytest.raises(CaseError, match="no file or folder"):
        cases.load_coupled(write(tmp_path, LEARNS.replace('"reference"', '"refrence"')))
    with pytest.raises(CaseError, match="did you mean 'iterations'"):
        cases.load_coupled(write(tmp_path, LEARNS.replace("iterations =", "iteration =")))
    with pytest.raises(CaseError, match="neither a run directory nor"):
        cases.load_coupled(write(tmp_path, LEARNS.replace('"reference"', '"case.toml"')))
    case = cases.load_coupled(write(tmp_path, LEARNS.replace('"learned"', '"conservative"')))
    with pytest.raises(CaseError, match="No exchange is learned"):
        train_coupler(case)
    case = cases.load_coupled(write(tmp_path, LEARNS.replace('"rain.safetensors"', '"rain"')))
    with pytest.raises(CaseError, match="come with the package"):
        train_coupler(case)


def test_a_training_that_cannot_be_tested_does_not_begin(case_file, tmp_path, monkeypatch):
    closed = watched(monkeypatch)
    text = LEARNS.replace("window = 2", "window = 20\nwarmup = 10")
    with pytest.raises(DataError, match="10 times are held out, and 10 of them do not count"):
        train_coupler(cases.load_coupled(write(tmp_path, text)))
    assert len(closed) == 1
    assert not (tmp_path / "case-training").exists()


@pytest.mark.parametrize("choice", ["widht", "levels", "step"])
def test_choices_that_a_network_has_not_are_refused(case_file, tmp_path, choice):
    text = LEARNS.replace("width = 8", f"{choice} = 2")
    with pytest.raises(CouplingError, match=f"no choice '{choice}' of a network .*exchange 'air"):
        train_coupler(cases.load_coupled(write(tmp_path, text)))


def test_a_reference_of_something_else_is_refused(reference, case_file, tmp_path):
    files = {n: reference / f"reference/{n}.nc" for n in ("air", "land")}
    data = {n: xr.load_dataset(path, engine="netcdf4") for n, path in files.items()}

    def give(air, land):
        joined = {f"air.{n}": v.rename(cell="air_cell") for n, v in air.data_vars.items()}
        joined |= {f"land.{n}": v.rename(cell="land_cell") for n, v in land.data_vars.items()}
        keep = {n: v for n, v in joined.items() if v.ndim == 2 and "time" in v.dims}
        xr.Dataset(keep).to_netcdf(tmp_path / "all.nc")
        return cases.load_coupled(write(tmp_path, LEARNS.replace('"reference"', '"all.nc"')))

    air, land = (data[n].drop_vars("time_bounds", errors="ignore") for n in ("air", "land"))
    with pytest.raises(DataError, match="arrived of"):
        train_coupler(give(air, land.assign(recharge_flux=2 * land["recharge_flux"])))
    with pytest.raises(DataError, match=r"did you mean 'land\.recharge_fluxes'"):
        train_coupler(give(air, land.rename(recharge_flux="recharge_fluxes")))
    with pytest.raises(DataError, match="not time and 16 cells"):
        train_coupler(give(air, land.isel(cell=slice(8))))
