"""Training curve."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hybridwater.errors import DataError
from hybridwater.report import save_figures, training_curve


def test_stages_and_labels(metrics):
    figure = training_curve(metrics)
    loss, skill = figure.axes
    assert [text.get_text() for text in loss.texts] == ["calibrate", "pretrain", "together"]
    assert len(loss.patches) == len(skill.patches) == 3
    assert loss.get_yscale() == "log"
    assert skill.get_xlabel() == "epoch"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["train", "validation", "best validation NSE 0.650 at epoch 20"]
    assert "best validation NSE 0.650 at epoch 20" in figure.caption


def test_loss_is_not_joined_across_stages(metrics):
    lines = training_curve(metrics).axes[0].get_lines()
    assert [len(line.get_xdata()) for line in lines] == [5, 5, 10]


def test_very_low_skill_is_cut_off_and_said(metrics):
    figure = training_curve(metrics)
    assert figure.axes[1].get_ylim()[0] == -1
    assert "NSE below −1 is not shown" in figure.caption  # noqa: RUF001


def test_epochs_that_start_anew_are_numbered_through(metrics):
    metrics["epoch"] = np.r_[1:6, 1:6, 1:11]
    lines = training_curve(metrics).axes[0].get_lines()
    assert lines[2].get_xdata()[0] == 11


def test_one_epoch_without_validation_draws(metrics, tmp_path):
    one = metrics.head(1).assign(validation_nse=np.nan, train_nse=np.nan)
    save_figures(tmp_path, {"one": training_curve(one)})


def test_negative_loss_is_linear(metrics):
    metrics["loss"] -= 1
    assert training_curve(metrics).axes[0].get_yscale() == "linear"


def test_missing_column_is_refused(metrics):
    with pytest.raises(DataError, match=r"no column 'validation_nse'.*did you mean 'val_nse'"):
        training_curve(metrics.rename(columns={"validation_nse": "val_nse"}))


@pytest.mark.parametrize("bad", ["empty", "nan"])
def test_nothing_to_draw_is_refused(metrics, bad):
    table: pd.DataFrame = metrics.head(0) if bad == "empty" else metrics.assign(loss=np.nan)
    with pytest.raises(DataError, match="no finite loss"):
        training_curve(table)
