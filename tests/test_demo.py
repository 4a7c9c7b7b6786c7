"""The demo in a reduced form: three catchments, few epochs."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from hybridwater import demo
from hybridwater.errors import MissingDependency, SettingsError
from hybridwater.training import Stage, Surrogate

GAGES = ("01440000", "01440400", "01449360")

needs_data = pytest.mark.skipif(
    importlib.util.find_spec("pywatershed") is None,
    reason="pywatershed, which carries the data, is not installed",
)


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def made(tmp_path_factory, told) -> demo.Demo:
    stages = (Stage("skeleton", 5, 0.1), Stage("pretrain", 5), Stage("joint", 5))
    return demo.run_demo(
        tmp_path_factory.mktemp("demo") / "out",
        seed=1,
        gages=GAGES,
        schedule=stages,
        say=told.append,
        show_progress=False,
        coupled=False,
    )


@needs_data
def test_it_compares_with_the_conceptual_model_on_held_out_time(made, told):
    assert list(made.skill["NSE"].columns) == ["hybrid", "conceptual"]
    assert tuple(made.skill["NSE"].index) == GAGES
    assert np.isfinite(made.skill["NSE"].to_numpy()).all()
    assert made.surrogate.weights.ndim == 1
    text = made.summary()
    assert "Held-out time 1980-04-01 to 1980-12-31, 3 catchments" in text
    assert f"{made.skill['NSE']['conceptual'].median():.3f}" in text
    assert any("3 catchments" in line for line in told)
    assert not made.interrupted


@needs_data
def test_it_leaves_a_run_directory_with_a_report(made):
    folder = made.report.parent
    assert made.report.read_text().count("<img") == len(list((folder / "figures").iterdir()))
    assert Surrogate.load(folder).basins == GAGES
    with pytest.raises(SettingsError, match="a run in this folder already"):
        demo.run_demo(folder)


@needs_data
def test_gages_are_chosen_by_rules_not_by_skill():
    gages = demo.usable_gages()
    assert len(gages) > 50
    assert set(GAGES) <= set(gages)
    assert "01436000" not in gages  # below a reservoir of New York City
    assert "01463500" not in gages  # the whole river


def test_without_the_data_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"hybridwater\[demo\]"):
        demo.run_demo(tmp_path / "out")
    assert not (tmp_path / "out").exists()
