import dataclasses
import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hybridwater as hw
from hybridwater.errors import WeightsError


@pytest.fixture
def run(fitted, tmp_path) -> Path:
    """A copy of the run directory, to be damaged."""
    return Path(shutil.copytree(fitted.directory, tmp_path / "copy"))


@pytest.mark.filterwarnings("ignore::hybridwater.training.OutsideTrainingRange")
def test_loaded_surrogate_is_the_same(fitted, pair):
    saved, loaded = fitted.surrogate, hw.Surrogate.load(fitted.directory)
    for conceptual in (False, True):
        xr.testing.assert_identical(
            loaded.simulate(pair, conceptual=conceptual),
            saved.simulate(pair, conceptual=conceptual),
        )
    for name in ("ude", "basins", "options", "ranges", "observed", "periods"):
        assert getattr(loaded, name) == getattr(saved, name)
    pd.testing.assert_frame_equal(loaded.metrics, saved.metrics)


def test_surrogate_without_metrics(fitted, tmp_path):
    bare = dataclasses.replace(fitted.surrogate, metrics=None)
    assert hw.Surrogate.load(bare.save(tmp_path)).metrics is None


def test_surrogate_with_empty_metrics(fitted, tmp_path):
    metrics = fitted.surrogate.metrics.iloc[:0]
    loaded = hw.Surrogate.load(
        dataclasses.replace(fitted.surrogate, metrics=metrics).save(tmp_path)
    )
    assert list(loaded.metrics.columns) == list(metrics.columns)


@pytest.mark.parametrize("name", ["surrogate.json", "surrogate.safetensors"])
def test_missing_file_is_named(run, name):
    (run / name).unlink()
    with pytest.raises(WeightsError, match=f"There is no {name}"):
        hw.Surrogate.load(run)


def test_damaged_weights_are_refused(run):
    path = run / "surrogate.safetensors"
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged or belong to another run"):
        hw.Surrogate.load(run)
    path.write_bytes(content[:100])
    with pytest.raises(WeightsError, match="damaged or belong to another run"):
        hw.Surrogate.load(run)


def test_damaged_document_is_refused(run):
    path = run / "surrogate.json"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="cannot be read"):
        hw.Surrogate.load(run)
    document = json.loads(whole)
    del document["ranges"]
    path.write_text(json.dumps(document))
    with pytest.raises(WeightsError, match=r"cannot be read.*ranges"):
        hw.Surrogate.load(run)


def test_other_schema_is_refused(run):
    path = run / "surrogate.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    with pytest.raises(WeightsError, match="schema 99"):
        hw.Surrogate.load(run)


def contents(directory: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in directory.iterdir()}


@pytest.fixture
def full_disk(monkeypatch):
    """The disk is full after a number of files, the last of which is written by half."""

    def full_disk_(after: int) -> None:
        sync, count = os.fsync, 0

        def fsync(descriptor: int) -> None:
            nonlocal count
            count += 1
            if count > after:
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
                raise OSError(errno.ENOSPC, "No space left on device")
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)

    return full_disk_


@pytest.mark.parametrize("after", [0, 1, 2])
def test_full_disk_leaves_what_was_there(fitted, run, full_disk, after):
    before = contents(run)
    other = dataclasses.replace(fitted.surrogate, weights=np.zeros_like(fitted.surrogate.weights))
    full_disk(after)
    with pytest.raises(WeightsError, match=r"No space left on device.*Free some space"):
        other.save(run)
    assert contents(run) == before


@pytest.mark.parametrize("after", [0, 1])
def test_full_disk_at_the_beginning_of_a_fit_leaves_nothing(
    fit, hybrid, pair, fitted, tmp_path, full_disk, after
):
    full_disk(after)
    with pytest.raises(WeightsError, match="No space left"):
        fit(hybrid, pair, directory=tmp_path / "run", **fitted.keywords)
    assert contents(tmp_path / "run") == {}


def test_full_disk_at_the_end_of_a_fit_can_be_resumed(
    fit, hybrid, pair, fitted, tmp_path, full_disk, monkeypatch
):
    checkpoints = 1 + 3 * 3
    full_disk(2 + checkpoints + 1)
    with pytest.raises(WeightsError, match="No space left"):
        fit(hybrid, pair, directory=tmp_path, **fitted.keywords)
    assert set(contents(tmp_path)) == {"configuration.json", "environment.json", "checkpoint.pt"}
    monkeypatch.undo()
    fit(hybrid, pair, directory=tmp_path, resume=True, **fitted.keywords)
    name = "surrogate.safetensors"
    assert (tmp_path / name).read_bytes() == (fitted.directory / name).read_bytes()
