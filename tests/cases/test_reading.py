"""Case files: what they make, and how they are refused."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hybridwater import cases
from hybridwater.errors import CaseError, DataError
from hybridwater.ude import models

BUCKET = """
[model]
name = "bucket"

[model.forcings]
prcp = { unit = "mm d-1" }
pet = { unit = "mm d-1" }

[model.parameters]
k = { unit = "d-1", bounds = [1e-3, 1], default = 0.05, log = true }

[model.states]
soil = { unit = "mm", initial = 50, equation = "prcp - et - q" }

[model.fluxes]
q = { unit = "mm d-1", equation = "k * soil" }

[model.networks.et]
unit = "mm d-1"
inputs = { soil = [0, 300], pet = [0, 8] }
hidden = [4]
positive = true
zero_when_empty = "soil"
"""

CASE = """
[model]
library = "linear_reservoir"
pet = "forcing"

[data]
source = "csv"
path = "hill.csv"
time = "day"
units = { prcp = "mm d-1", pet = "mm d-1", qobs = "mm d-1" }

[fit]
observed = { q = "qobs" }
train = ["2001-01-01", "2001-04-30"]
test = [2001-05-01, 2001-06-30]
warmup = 20
seed = 3

[[fit.schedule]]
kind = "joint"
epochs = 6
learning_rate = 0.05

[solver]
substeps = 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a table of a hill that drains like a linear reservoir."""
    rng = np.random.default_rng(1)
    days = pd.date_range("2001-01-01", "2001-06-30")
    rain = rng.gamma(0.3, 12.0, len(days)).round(2)
    store, flow = 60.0, []
    for amount in rain:
        flow.append(0.06 * store)
        store += amount - 0.06 * store - min(1.5, 0.02 * store)
    table = pd.DataFrame({"day": days, "prcp": rain, "pet": 1.5, "qobs": flow})
    table.to_csv(tmp_path / "hill.csv", index=False)
    return tmp_path


def write(folder: Path, text: str = CASE) -> Path:
    path = folder / "case.toml"
    path.write_text(text)
    return path


def test_a_case_with_levenberg_marquardt_is_fitted(folder):
    text = CASE.replace("learning_rate = 0.05", 'optimiser = "lm"')
    case = cases.load(write(folder, text))
    assert [stage.optimiser for stage in case.fit_arguments["schedule"]] == ["lm"]
    fitted = case.fit()
    assert fitted.metrics["train_nse"].iloc[-1] > fitted.metrics["train_nse"].iloc[0]
    assert len(fitted.metrics) > 1


def test_a_case_is_read(folder):
    case = cases.load(write(folder))
    assert case.ude == models.linear_reservoir()
    assert case.directory == folder / "case-run"
    assert case.fit_arguments["train"] == ("2001-01-01", "2001-04-30")
    assert case.fit_arguments["test"] == ("2001-05-01", "2001-06-30")
    assert [stage.epochs for stage in case.fit_arguments["schedule"]] == [6]
    assert case.solver == {"substeps": 1}
    data = case.read_data()
    assert dict(data.sizes) == {"basin": 1, "time": 181}
    with pytest.raises(dataclasses.FrozenInstanceError):
        case.source = "netcdf"


def test_equations_are_a_model(folder):
    case = cases.load(write(folder, BUCKET + CASE[CASE.index("[data]") :]))
    assert case.ude.name == "bucket"
    assert case.ude.network("et").hidden == (4,)
    written = tomllib.loads(BUCKET)["model"]
    assert case.ude.to_dict()["networks"]["et"]["inputs"] == written["networks"]["et"]["inputs"]


def replaced(before: str, after: str) -> str:
    assert before in CASE
    return CASE.replace(before, after, 1)


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        (replaced("[solver]", "[solvr]"), "'solvr' is not known .did you mean 'solver'", ""),
        (replaced("[fit]", "[fit"), "not TOML", ""),
        (replaced("substeps", "substep"), "did you mean 'substeps'", "[solver]"),
        (replaced("substeps = 1", 'method = "rk5"'), "'rk4'", "[solver]"),
        (replaced("substeps = 1", "substeps = 0"), "positive whole number", "[solver]"),
        (replaced("warmup = 20", 'warmup = "20"'), "must be a whole number", "key 'warmup'"),
        (replaced("warmup = 20", "warmup = true"), "must be a whole number", "key 'warmup'"),
        (replaced("warmup", "warm_up"), "did you mean 'warmup'", "[fit]"),
        (replaced('{ q = "qobs" }', '{ Q = "qobs" }'), "no flux or state 'Q'", "key 'observed'"),
        (replaced('{ q = "qobs" }', '"qobs"'), "must be a table of names", "key 'observed'"),
        (replaced('["2001-01-01", "2001-04-30"]', '"2001"'), "first and a last day", "key 'train'"),
        (replaced("seed = 3", "validation = 0.95"), "fraction between 0 and 0.9", "'validation'"),
        (replaced("seed = 3", "loss = { nse = true }"), "table of weights", "key 'loss'"),
        (replaced("epochs", "epoch"), "did you mean 'epochs'", "fit.schedule, stage 1"),
        (replaced('kind = "joint"', 'kind = "jont"'), "no stage 'jont'", "fit.schedule, stage 1"),
        (replaced('kind = "joint"\n', ""), "'kind' is missing", "fit.schedule, stage 1"),
        (replaced('source = "csv"', 'source = "cvs"'), "did you mean 'csv'", "key 'source'"),
        (replaced('source = "csv"', ""), "'source' is missing", "[data]"),
        (replaced('path = "hill.csv"', ""), "'path' is missing", "[data]"),
        (replaced("hill.csv", "hell.csv"), "hell.csv", "key 'path'"),
        (replaced("time =", "tiem ="), "did you mean 'time'", "[data]"),
        (replaced("linear_reservoir", "linear_resevoir"), "'linear_reservoir'", "[model]"),
        (replaced("pet = ", "pte = "), "takes no 'pte' .did you mean 'pet'", "[model]"),
        (replaced('library = "linear_reservoir"', ""), "'pet' is not known", "[model]"),
        (CASE[: CASE.index("[fit]")], r"table \[fit\] is missing", ""),
        (CASE + "[output]\nreport = 1\n", "must be true or false", "key 'report'"),
    ],
)
def test_bad_cases_are_refused(folder, text, message, where):
    path = write(folder, text)
    with pytest.raises(CaseError, match=message) as caught:
        cases.load(path)
    assert str(path) in caught.value.where
    assert where in caught.value.where
    assert sorted(p.name for p in folder.iterdir()) == ["case.toml", "hill.csv"]


def test_equation_that_runs_code_is_refused(folder):
    text = BUCKET.replace("k * soil", "__import__('os').getcwd()", 1)
    with pytest.raises(CaseError, match=r"may not|not arithmetic"):
        cases.load(write(folder, text + CASE[CASE.index("[data]") :]))


def test_a_missing_case_file_is_named(tmp_path):
    with pytest.raises(CaseError, match="hybridwater init"):
        cases.load(tmp_path / "nothing.toml")


def test_a_case_is_fitted_and_not_overwritten(folder):
    case = cases.load(write(folder))
    surrogate = case.fit()
    names = {p.name for p in case.directory.iterdir()}
    assert {"surrogate.json", "surrogate.safetensors", "report.html", "case.toml"} <= names
    assert (case.directory / "figures" / "hydrograph_q.png").is_file()
    assert surrogate.periods["test"][0].startswith("2001-05-01")
    again = cases.load(write(folder)).fit(directory=folder / "other")
    np.testing.assert_array_equal(again.parameters["k"], surrogate.parameters["k"])
    with pytest.raises(Exception, match="a run in this directory already"):
        case.fit()


def test_data_that_cannot_be_used_leave_nothing(folder):
    table = pd.read_csv(folder / "hill.csv")
    table.loc[5, "prcp"] = -1
    table.to_csv(folder / "hill.csv", index=False)
    case = cases.load(write(folder))
    with pytest.raises(DataError, match="negative"):
        case.fit()
    assert not case.directory.exists()


def test_the_template_is_a_case(tmp_path):
    path = cases.write_template(tmp_path / "new")
    assert (tmp_path / "new" / "README.md").is_file()
    case = cases.load(path)
    assert case.source.name == "delaware"
    assert case.ude == models.exp_hydro_hybrid()
    assert case.directory == tmp_path / "new" / "run"
    with pytest.raises(CaseError, match="already"):
        cases.write_template(tmp_path / "new")


def test_the_equations_in_the_template_are_a_model(tmp_path):
    text = cases.write_template(tmp_path).read_text()
    lines = text[text.index('# [model]\n# name = "bucket"') :].splitlines()
    model = "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)
    rest = text[text.index("[data]") : text.index("# --- A model in equations")]
    assert cases.load(write(tmp_path, model + "\n" + rest)).ude.name == "bucket"
