"""Settings: precedence, validation and where each value came from."""

import dataclasses
import os

import pytest
import rich

from hybridwater import settings
from hybridwater.errors import SettingsError


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """Give every test an empty environment and an empty configuration folder."""
    for variable in list(os.environ):
        if variable.startswith("HYBRIDWATER_"):
            monkeypatch.delenv(variable)
    monkeypatch.setattr(settings, "user_file", lambda: tmp_path / "config" / "settings.toml")
    settings.current.cache_clear()
    yield
    settings.current.cache_clear()


@pytest.fixture
def write(tmp_path):
    def write(text, name="settings.toml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_defaults_need_no_file():
    found = settings.load()
    assert found.engine == "auto"
    assert found.progress is True
    assert found.julia_executable is None
    assert found.cache_dir.is_absolute()
    assert "hybridwater" in str(found.cache_dir)


def test_each_source_overrides_the_one_before(monkeypatch, write):
    path = write('engine = "julia"\njulia_threads = 2\nlog_level = "info"\n')
    monkeypatch.setenv("HYBRIDWATER_JULIA_THREADS", "3")
    monkeypatch.setenv("HYBRIDWATER_LOG_LEVEL", "error")
    found = settings.describe(path, log_level="DEBUG")
    assert found["engine"] == ("julia", f"settings file {path}")
    assert found["julia_threads"] == (3, "environment variable HYBRIDWATER_JULIA_THREADS")
    assert found["log_level"] == ("DEBUG", "argument log_level")
    assert found["progress"] == (True, "default")
    assert list(found) == [field.name for field in dataclasses.fields(settings.Settings)]
    assert settings.load(path, log_level="DEBUG").julia_threads == 3


def test_user_file_is_read_when_it_exists(write):
    write('engine = "embedded"', "config/settings.toml")
    assert settings.load().engine == "embedded"


def test_variable_names_the_file_and_argument_wins_over_it(monkeypatch, write):
    monkeypatch.setenv("HYBRIDWATER_SETTINGS", str(write('engine = "julia"', "a.toml")))
    assert settings.load().engine == "julia"
    assert settings.load(write('engine = "embedded"', "b.toml")).engine == "embedded"


def test_data_folder_variable_is_not_a_setting(monkeypatch):
    monkeypatch.setenv("HYBRIDWATER_DATA", "somewhere")
    assert "data" not in settings.describe()


@pytest.mark.parametrize("name", ["engine", "julia_threads", "cache_dir"])
def test_empty_variables_and_none_count_as_not_given(monkeypatch, name):
    monkeypatch.setenv(f"HYBRIDWATER_{name.upper()}", " ")
    assert settings.describe(**{name: None})[name].source == "default"


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("YES", True), ("true", True), ("off", False), ("0", False)]
)
def test_flags_from_the_environment(monkeypatch, text, value):
    monkeypatch.setenv("HYBRIDWATER_PROGRESS", text)
    assert settings.load().progress is value


def test_paths_in_a_file_are_relative_to_it(write, tmp_path):
    path = write('julia_project = "julia/env"\ncache_dir = "~/cache"\n')
    found = settings.load(path)
    assert found.julia_project == tmp_path / "julia" / "env"
    assert found.cache_dir.is_absolute()
    assert "~" not in str(found.cache_dir)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("engine", "jula", "must be one of 'auto', 'embedded', 'julia', and is 'jula'"),
        ("engine", 3, "must be one of"),
        ("julia_threads", 0, "must be 'auto' or a whole number of at least 1, and is 0"),
        ("julia_threads", True, "must be 'auto' or a whole number"),
        ("julia_threads", 1.5, "must be 'auto' or a whole number"),
        ("progress", 1, "must be true or false, and is 1"),
        ("cache_dir", "", "must be a path"),
        ("julia_executable", 7, "must be a path, and is 7"),
        ("log_level", "loud", "must be one of 'DEBUG'"),
    ],
)
def test_wrong_values_are_refused_with_their_source(name, value, message):
    with pytest.raises(SettingsError) as caught:
        settings.load(**{name: value})
    assert message in str(caught.value)
    assert f"Where: argument {name}." in str(caught.value)
    with pytest.raises(SettingsError):
        settings.Settings(**{name: value})


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("HYBRIDWATER_PROGRESS", "maybe", "must be true or false, and is 'maybe'"),
        ("HYBRIDWATER_JULIA_THREADS", "-1", "whole number of at least 1, and is '-1'"),
        ("HYBRIDWATER_ENGINE", "torch", "must be one of"),
    ],
)
def test_wrong_values_in_the_environment(monkeypatch, variable, text, message):
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert message in str(caught.value)
    assert f"Where: environment variable {variable}." in str(caught.value)


def test_unknown_names_get_the_nearest_known_one(monkeypatch, write):
    path = write('engin = "julia"')
    with pytest.raises(SettingsError, match=r"no setting 'engin'.*did you mean 'engine'") as caught:
        settings.load(path)
    assert str(path) in str(caught.value)
    with pytest.raises(SettingsError, match="did you mean 'julia_threads'"):
        settings.load(julia_thread=2)
    monkeypatch.setenv("HYBRIDWATER_ENGIN", "julia")
    with pytest.raises(SettingsError, match="did you mean 'HYBRIDWATER_ENGINE'"):
        settings.load()


@pytest.mark.parametrize("content", [b"engine = julia", b"\xff\xfe", b"engine = "])
def test_a_file_that_is_not_toml(tmp_path, content):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="is not TOML") as caught:
        settings.load(path)
    assert str(path) in str(caught.value)


def test_a_named_file_must_exist(monkeypatch, tmp_path):
    missing = tmp_path / "missing.toml"
    with pytest.raises(SettingsError, match="cannot be read"):
        settings.load(missing)
    monkeypatch.setenv("HYBRIDWATER_SETTINGS", str(missing))
    with pytest.raises(SettingsError, match=r"missing\.toml"):
        settings.load()


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.load().engine = "julia"


def test_current_is_read_once(monkeypatch):
    first = settings.current()
    monkeypatch.setenv("HYBRIDWATER_ENGINE", "embedded")
    assert settings.current() is first
    settings.current.cache_clear()
    assert settings.current().engine == "embedded"


@pytest.mark.parametrize(
    ("progress", "notebook", "widgets", "asked", "shown"),
    [
        (True, False, False, None, True),
        (False, False, True, None, False),
        (False, False, True, True, True),
        (True, True, True, None, True),
        (True, True, False, None, False),
        (True, True, False, True, True),
        (True, True, True, False, False),
    ],
)
def test_progress_bars(monkeypatch, progress, notebook, widgets, asked, shown):
    """In a notebook without ipywidgets rich has warnings in the place of bars."""
    monkeypatch.setenv("HYBRIDWATER_PROGRESS", str(progress))
    monkeypatch.setattr(rich.get_console(), "is_jupyter", notebook)
    monkeypatch.setattr(settings, "find_spec", lambda _: object() if widgets else None)
    assert settings.shows_progress(asked) is shown
