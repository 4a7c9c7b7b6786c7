"""What doctor finds."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest

from hybridwater import _julia, doctor, settings
from hybridwater._julia import startup
from hybridwater.engines import registry


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Let settings come from the environment of the test alone."""
    (tmp_path / "settings.toml").write_text("")
    monkeypatch.setenv("HYBRIDWATER_SETTINGS", str(tmp_path / "settings.toml"))
    monkeypatch.setenv("HYBRIDWATER_CACHE_DIR", str(tmp_path / "cache"))
    settings.current.cache_clear()
    yield monkeypatch
    settings.current.cache_clear()


def named(findings, name):
    return next(f for f in findings if f.name == name)


def test_this_installation_is_fine(environment):
    found = doctor.examine()
    assert not [f for f in found if f.state == "broken"]
    assert named(found, "engine in use").value.startswith("embedded (")
    assert named(found, "trial solve").value == "works"
    assert named(found, "cache_dir").value.endswith("(environment variable HYBRIDWATER_CACHE_DIR)")
    assert named(found, "xarray").value == importlib.metadata.version("xarray")
    assert "juliacall" not in sys.modules


@pytest.mark.parametrize(
    ("engine", "shown"),
    [("auto", "julia (auto; Julia has been set up)"), ("julia", "julia (as the settings say)")],
)
def test_julia_is_not_started(environment, engine, shown):
    def start():
        raise AssertionError("Julia was started")

    there = _julia.Availability(True, Path("julia"), Path("project"), "settings")
    environment.setenv("HYBRIDWATER_ENGINE", engine)
    environment.setattr(_julia, "available", lambda: there)
    environment.setattr(_julia, "start", start)
    environment.setattr(startup, "start", start)
    registry._julia_is_ready.cache_clear()
    try:
        found = doctor.examine()
    finally:
        registry._julia_is_ready.cache_clear()
    assert named(found, "engine in use").value == shown
    assert named(found, "trial solve").value == "works"


def test_every_dependency_is_looked_at():
    project = Path(__file__).parents[1] / "pyproject.toml"
    needed = tomllib.loads(project.read_text())["project"]["dependencies"]
    assert {re.split("[>=<[]", line)[0] for line in needed} == set(doctor.NEEDED)


def test_missing_and_damaged_packages_are_broken(environment):
    environment.setattr(doctor, "NEEDED", {"not-there": "x", "numpy": "no_such_module"})
    found = doctor.examine()
    assert named(found, "not-there").state == "broken"
    assert named(found, "not-there").advice == 'pip install "not-there"'
    assert "does not load (ModuleNotFoundError" in named(found, "numpy").value
    assert not [f for f in found if f.group == "Engine"]


def test_optional_packages_come_with_the_command(environment):
    environment.setattr(doctor, "OPTIONAL", {"not-there": ("rivers", "demo")})
    finding = named(doctor.examine(), "not-there")
    assert finding.state == "missing"
    assert finding.advice == 'pip install "hybridwater[demo]"'


def test_bad_settings_are_broken(environment):
    environment.setenv("HYBRIDWATER_ENGIN", "embedded")
    finding = named(doctor.examine(), "settings")
    assert finding.state == "broken"
    assert "HYBRIDWATER_ENGIN" in finding.value


def test_a_julia_that_is_not_there_is_broken(environment, tmp_path):
    environment.setenv("HYBRIDWATER_JULIA_EXECUTABLE", str(tmp_path / "julia"))
    finding = named(doctor.examine(), "julia_executable")
    assert finding.state == "broken"
    assert "does not exist" in finding.value


@pytest.mark.parametrize(
    ("engine", "state"), [("auto", "missing"), ("embedded", "missing"), ("julia", "broken")]
)
def test_a_julia_that_is_not_ready_comes_with_the_command(environment, engine, state):
    environment.setenv("HYBRIDWATER_ENGINE", engine)
    absent = _julia.Availability(False, reason="Julia has not been set up", fix="Run 'it'")
    environment.setattr(_julia, "available", lambda: absent)
    (finding,) = doctor._julia()
    assert finding.state == state
    assert finding.value.startswith("Julia has not been set up")
    assert ("the embedded engine needs none" in finding.value) == (state == "missing")
    assert finding.advice == "Run 'it'"


def test_a_julia_that_is_ready_is_named(environment):
    there = _julia.Availability(True, Path("julia"), Path("project"), "settings")
    environment.setattr(_julia, "available", lambda: there)
    finding, *_ = doctor._julia()
    assert finding.state == "ok"
    assert finding.value == "julia with project (settings)"


def test_julia_packages_that_are_not_there_come_with_the_command(environment, tmp_path):
    held = '[[deps.SymbolicRegression]]\nversion = "1.2.3"\n'
    (tmp_path / "Manifest.toml").write_text(f'manifest_format = "2.0"\n{held}')
    there = _julia.Availability(True, Path("julia"), tmp_path, "settings")
    environment.setattr(_julia, "available", lambda: there)
    found = doctor._julia()
    assert named(found, "SymbolicRegression").state == "ok"
    assert named(found, "SymbolicRegression").value.startswith("1.2.3, for the search")
    absent = named(found, "SciMLSensitivity")
    assert absent.state == "missing"
    assert absent.advice == "Run 'hybridwater julia install --adjoints'"


def test_a_cache_that_cannot_be_written_is_broken(environment, tmp_path):
    (tmp_path / "file").write_text("")
    environment.setenv("HYBRIDWATER_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert named(doctor.examine(), "cache folder").state == "broken"
