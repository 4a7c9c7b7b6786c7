"""Interruption and resumption of fits."""

import contextlib
import logging
from collections.abc import Iterator

import numpy as np
import pytest
import torch

import hybridwater as hw
from hybridwater.training import Stage, fitting
from hybridwater.training.rundir import Run
from hybridwater.training.trainer import Best

CHECKPOINT, TENSORS = "checkpoint.pt", "surrogate.safetensors"


@pytest.fixture
def interrupt(monkeypatch):
    """Press Ctrl-C when metrics of a stage and epoch are reported."""

    def interrupt_(kind: str, epoch: int) -> None:
        def report(stage: Stage, row: dict) -> None:
            if (row["stage"], row["epoch"]) == (kind, epoch):
                raise KeyboardInterrupt

        @contextlib.contextmanager
        def progress(*_: object) -> Iterator:
            yield report

        monkeypatch.setattr(fitting, "progress", progress)

    return interrupt_


@pytest.mark.parametrize(
    ("kind", "epoch"),
    [("skeleton", 0), ("skeleton", 4), ("pretrain", 2), ("joint", 0), ("joint", 4)],
)
def test_interrupted_fit_resumes_to_the_same_bytes(
    fit, hybrid, pair, fitted, interrupt, monkeypatch, tmp_path, caplog, kind, epoch
):
    interrupt(kind, epoch)
    with caplog.at_level(logging.WARNING):
        early = fit(hybrid, pair, directory=tmp_path, **fitted.keywords)
    assert f"Interrupted in stage '{kind}', epoch {epoch}" in caplog.text
    assert ("not trained yet" in caplog.text) == (kind != "joint")
    assert np.isfinite(early.parameters["k"]).all()
    assert bool(early.skeleton)
    assert hw.Surrogate.load(tmp_path).basins == early.basins
    monkeypatch.undo()
    resumed = fit(hybrid, pair, directory=tmp_path, resume=True, **fitted.keywords)
    assert (tmp_path / TENSORS).read_bytes() == (fitted.directory / TENSORS).read_bytes()
    history = ["stage", "epoch", "loss", "train_nse", "validation_nse"]
    whole = fitted.surrogate.metrics
    assert resumed.metrics[history].equals(whole[history])
    assert not (tmp_path / CHECKPOINT).exists()


def test_interrupted_fit_keeps_the_best_so_far(fit, reservoir, pair, interrupt):
    interrupt("joint", 6)
    surrogate = fit(
        reservoir,
        pair,
        train=("2000-01", "2000-10"),
        schedule=[Stage("joint", 50, 0.9)],  # far too fast: gets worse and better
        assess_every=1,
    )
    history = surrogate.metrics
    assert len(history) == 7
    q = surrogate.simulate(pair)["q"].sel(time=slice(*surrogate.periods["train"]))
    nse = hw.scores.nse(q, pair["qobs"].sel(time=q["time"]))
    assert float(nse.median()) >= history["train_nse"].max() - 1e-6


def test_interruption_in_the_middle_of_a_step(fit, hybrid, pair, fitted, monkeypatch, tmp_path):
    calls = 0
    whole = fitting.Trainer._whole

    def interrupted(self, *args):
        nonlocal calls
        calls += 1
        if calls == 9:  # the third of the joint stage
            raise KeyboardInterrupt
        return whole(self, *args)

    monkeypatch.setattr(fitting.Trainer, "_whole", interrupted)
    fit(hybrid, pair, directory=tmp_path, **fitted.keywords)
    fit(hybrid, pair, directory=tmp_path, resume=True, **fitted.keywords)
    assert (tmp_path / TENSORS).read_bytes() == (fitted.directory / TENSORS).read_bytes()


def test_windows_batches_and_dropout_resume_to_the_same_bytes(
    fit, reservoir, pair, interrupt, monkeypatch, tmp_path
):
    keywords = {
        "train": ("2000-01", "2000-10"),
        "schedule": [Stage("joint", 6, window=60, batch=1)],
        "attributes": ["slope"],
        "attribute_hidden": (4,),
        "dropout": 0.5,
        "assess_every": 2,
    }
    fit(reservoir, pair, directory=tmp_path / "whole", **keywords)
    interrupt("joint", 4)
    fit(reservoir, pair, directory=tmp_path / "parts", **keywords)
    monkeypatch.undo()
    fit(reservoir, pair, directory=tmp_path / "parts", resume=True, **keywords)
    whole, parts = ((tmp_path / d / TENSORS).read_bytes() for d in ("whole", "parts"))
    assert whole == parts


def test_early_stop_is_resumed_as_a_stop(fit, reservoir, pair, monkeypatch, tmp_path):
    keywords = {
        "train": ("2000-01", "2000-10"),
        "schedule": [Stage("joint", 200, 0.9)],
        "assess_every": 1,
        "patience": 2,
    }
    fit(reservoir, pair, directory=tmp_path / "whole", **keywords)
    monkeypatch.setattr(Run, "finish", lambda *_: None)  # as if the machine stopped here
    fit(reservoir, pair, directory=tmp_path / "parts", **keywords)
    monkeypatch.undo()
    fit(reservoir, pair, directory=tmp_path / "parts", resume=True, **keywords)
    whole, parts = ((tmp_path / d / TENSORS).read_bytes() for d in ("whole", "parts"))
    assert whole == parts


class Rows(torch.nn.Module):
    """Two entries, each with one number of its own."""

    rows = ("free",)

    def __init__(self) -> None:
        super().__init__()
        self.free = torch.nn.Parameter(torch.zeros(2, 1))


def offered(best: Best, module: Rows, value: float, losses: list[float]) -> list[float]:
    with torch.no_grad():
        module.free[:] = value
    best.offer(np.array(losses), module, patience=2)
    return best.tensors["free"][:, 0].tolist()


def test_best_is_kept_entry_by_entry():
    best, module = Best(np.full(2, np.inf), {}, np.zeros(2, int)), Rows()
    assert offered(best, module, 1.0, [1.0, np.nan]) == [1.0, 1.0]
    assert offered(best, module, 2.0, [2.0, 5.0]) == [1.0, 2.0]
    assert offered(best, module, 3.0, [0.5, 6.0]) == [3.0, 2.0]
    np.testing.assert_array_equal(best.loss, [0.5, 5.0])


def test_entry_without_patience_stays():
    best, module = Best(np.full(2, np.inf), {}, np.zeros(2, int)), Rows()
    for value, losses in enumerate([[1.0, 5.0], [2.0, 4.0], [2.0, 3.0]]):
        offered(best, module, value, losses)
    assert offered(best, module, 9.0, [0.1, 2.0]) == [0.0, 9.0]


def test_entries_that_share_are_judged_together():
    best, module = Best(np.full(1, np.inf), {}, np.zeros(1, int)), Rows()
    assert offered(best, module, 1.0, [1.0, 2.0]) == [1.0, 1.0]
    assert offered(best, module, 2.0, [0.1, 3.0]) == [1.0, 1.0]
    assert offered(best, module, 3.0, [0.1, 2.0]) == [3.0, 3.0]
    assert offered(best, module, 4.0, [0.0, np.nan]) == [3.0, 3.0]
