"""The command `component`, as people call it."""

import importlib.util
import sys

import pytest
from typer.testing import CliRunner

from hybridwater.cli import app
from hybridwater.components import component_names


def call(*arguments: object):
    return CliRunner().invoke(app, ["component", *(str(a) for a in arguments)])


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in an empty folder, and forget its modules afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    yield tmp_path
    for name in ("snow_bucket", "leaky_bucket"):
        sys.modules.pop(name, None)


def test_list_names_every_component():
    result = call("list")
    assert result.exit_code == 0
    assert tuple(line.split()[0] for line in result.stdout.splitlines()) == component_names()


def test_list_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    lines = {line.split()[0]: line for line in call("list").stdout.splitlines()}
    assert lines["starfit"].endswith(" pip install pywatershed")
    assert lines["gr4j"] == "gr4j"


def test_a_new_component_passes_the_check(here):
    (here / "snow.toml").write_text("area = [1e6, 2e6]\n")
    first = call("new", "snow-bucket")
    assert first.exit_code == 0, first.output
    assert "Next: hybridwater component check snow_bucket:SnowBucket" in first.stdout
    check = call("check", "snow_bucket:SnowBucket", "--config", here / "snow.toml", "--steps", 2)
    assert check.exit_code == 0, check.output
    assert "failed" not in check.stdout
    assert "2 steps of 1 d" in check.stdout
    again = call("new", "snow-bucket")
    assert again.exit_code == 2
    assert "cannot be written" in again.stderr


def test_new_elsewhere_says_how_to_get_there(here):
    (here / "mine").mkdir()
    result = call("new", "snow-bucket", "--folder", "mine")
    assert "Next: cd mine && hybridwater component check snow_bucket:SnowBucket" in result.stdout


def test_a_broken_promise_is_exit_code_1(here):
    call("new", "leaky-bucket")
    path = here / "leaky_bucket.py"
    text = path.read_text()
    path.write_text(text.replace('"reservoir": self._content', '"reservoir": 0.9 * self._content'))
    assert path.read_text() != text
    result = call("check", "leaky_bucket:LeakyBucket")
    assert result.exit_code == 1, result.output
    assert "mass" in result.stdout
    assert "failed" in result.stdout


def test_an_unknown_component_is_a_sentence():
    result = call("check", "gr4")
    assert result.exit_code == 2
    assert "did you mean 'gr4j'" in result.stderr
    assert "Traceback" not in result.stderr
