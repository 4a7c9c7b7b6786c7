import json

import pytest

import hybridwater as hw
from hybridwater.errors import SettingsError, WeightsError
from hybridwater.training import Stage

QUICK = {"train": ("2000-01", "2000-10"), "schedule": [Stage("joint", 1)]}


def test_contents(fitted, hybrid):
    files = {p.name for p in fitted.directory.iterdir()}
    assert files == {
        "configuration.json",
        "environment.json",
        "metrics.csv",
        "surrogate.json",
        "surrogate.safetensors",
    }
    configuration = json.loads((fitted.directory / "configuration.json").read_text())
    assert hw.UDE.from_dict(configuration["model"]) == hybrid
    assert [s["kind"] for s in configuration["schedule"]] == ["skeleton", "pretrain", "joint"]
    assert configuration["data"]["basins"] == ["b0", "b1"]
    assert configuration["data"]["records"] == 400
    assert configuration["options"]["substeps"] == 1
    assert configuration["engine"] == "embedded"
    assert configuration["seed"] == 0
    versions = json.loads((fitted.directory / "environment.json").read_text())
    assert versions["hybridwater"] == hw.__version__
    assert {"python", "torch", "jax", "numpy"} <= versions.keys()


@pytest.fixture(scope="module")
def finished(fit, reservoir, pair, tmp_path_factory):
    directory = tmp_path_factory.mktemp("finished")
    return directory, fit(reservoir, pair, directory=directory, **QUICK)


def test_finished_run_is_not_overwritten(fit, reservoir, pair, finished):
    with pytest.raises(SettingsError, match="a run in this directory already"):
        fit(reservoir, pair, directory=finished[0], **QUICK)


def test_finished_run_is_loaded(fit, reservoir, pair, finished):
    before = (finished[0] / "surrogate.safetensors").stat().st_mtime_ns
    again = fit(reservoir, pair, directory=finished[0], resume=True, **QUICK)
    assert again.parameters["k"].tolist() == finished[1].parameters["k"].tolist()
    assert (finished[0] / "surrogate.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"seed": 3}, "another seed"),
        ({"loss": {"nse": 1.0, "kge": 1.0}}, "another loss"),
        ({"schedule": [Stage("joint", 2)]}, "another schedule"),
        ({"warmup": 31}, "another periods, warmup"),
        ({"substeps": 2}, "another options"),
    ],
)
def test_other_configuration_is_refused(fit, reservoir, pair, finished, changed, says):
    with pytest.raises(SettingsError, match=says):
        fit(reservoir, pair, directory=finished[0], resume=True, **{**QUICK, **changed})


def test_other_model_or_data_are_refused(fit, reservoir, bucket, pair, finished):
    with pytest.raises(SettingsError, match="another model"):
        fit(bucket, pair, directory=finished[0], resume=True, **QUICK)
    wetter = pair.assign(prcp=(pair["prcp"] * 1.01).assign_attrs(units="mm d-1"))
    with pytest.raises(SettingsError, match="another data"):
        fit(reservoir, wetter, directory=finished[0], resume=True, **QUICK)


def test_other_attributes_are_refused(fit, reservoir, pair, tmp_path):
    keywords = {**QUICK, "attributes": ["slope"], "directory": tmp_path}
    fit(reservoir, pair, **keywords)
    turned = pair.assign(slope=("basin", [1.0, 0.0], {"units": "1"}))
    with pytest.raises(SettingsError, match="another data"):
        fit(reservoir, turned, resume=True, **keywords)


@pytest.fixture
def stopped(fit, reservoir, pair, monkeypatch, tmp_path):
    """A run whose process ended after its last checkpoint."""
    monkeypatch.setattr("hybridwater.training.rundir.Run.finish", lambda *_: None)
    fit(reservoir, pair, directory=tmp_path, **QUICK)
    monkeypatch.undo()
    return tmp_path


@pytest.mark.parametrize("content", [b"", b"rubbish", None])
def test_damaged_checkpoint_is_refused(fit, reservoir, pair, stopped, content):
    path = stopped / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(WeightsError, match="checkpoint cannot be read"):
        fit(reservoir, pair, directory=stopped, resume=True, **QUICK)


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"'])
def test_damaged_configuration_is_refused(fit, reservoir, pair, stopped, content):
    (stopped / "configuration.json").write_text(content)
    with pytest.raises(WeightsError, match="configuration of the run cannot be read"):
        fit(reservoir, pair, directory=stopped, resume=True, **QUICK)


def test_missing_checkpoint_begins_again(fit, reservoir, pair, stopped, finished):
    (stopped / "checkpoint.pt").unlink()
    again = fit(reservoir, pair, directory=stopped, resume=True, **QUICK)
    assert again.parameters["k"].tolist() == finished[1].parameters["k"].tolist()


def test_directory_that_is_a_file_is_refused(fit, reservoir, pair, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(WeightsError, match="could not be written"):
        fit(reservoir, pair, directory=tmp_path / "file", **QUICK)
    assert (tmp_path / "file").read_text() == "mine"
