import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from hybridwater import _julia, settings
from hybridwater.engines import Options, get_engine, registry
from hybridwater.engines.base import METHODS
from hybridwater.errors import MissingDependency, SettingsError


@pytest.fixture
def julia_ready(monkeypatch):
    """Choose what the probe says; a start then does nothing, or raises an error."""

    def choose(ready, error=None):
        def start():
            starts.append(1)
            if error is not None:
                raise error

        starts = []
        monkeypatch.setattr(_julia, "start", start)
        why = "Julia has been set up" if ready else "Julia has not been set up"
        monkeypatch.setattr(registry, "_julia_is_ready", lambda: (ready, why))
        return starts

    return choose


def test_engines_are_made_once():
    assert get_engine("embedded") is get_engine("embedded")
    assert get_engine("embedded").name == "embedded"


def test_default_is_that_of_the_settings(monkeypatch):
    asked = []
    monkeypatch.setattr(registry, "_automatic", lambda options: asked.append(options) or "embedded")
    for name in ("auto", "embedded"):
        monkeypatch.setattr(settings, "current", lambda name=name: settings.Settings(engine=name))
        assert get_engine() is get_engine("embedded")
    assert asked == [None]


def test_unknown_engines_are_refused():
    with pytest.raises(SettingsError, match="did you mean 'embedded'"):
        get_engine("embeded")


def test_auto_is_embedded_without_julia_and_says_so(julia_ready, caplog):
    julia_ready(False)
    with caplog.at_level(logging.INFO, logger="hybridwater"):
        assert get_engine("auto").name == "embedded"
    assert "Engine: embedded (Julia has not been set up)" in caplog.text


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (None, "julia"),
        (Options(), "julia"),
        (Options(method="rodas5p"), "julia"),
        (Options(method="kvaerno5"), "embedded"),
        (Options(precision="float32"), "embedded"),
    ],
)
def test_auto_takes_an_engine_that_can_do_it(julia_ready, options, name):
    starts = julia_ready(True)
    assert registry._automatic(options) == name
    assert bool(starts) == (name == "julia" and options != Options(method="rodas5p"))


def test_auto_is_embedded_where_julia_does_not_start_and_warns(julia_ready):
    julia_ready(True, MissingDependency("Julia does not start", fix="Run this"))
    with pytest.warns(
        UserWarning, match=r"Julia does not start.*Run this.*embedded engine is used"
    ):
        assert get_engine("auto").name == "embedded"


def test_auto_is_embedded_in_threads_that_cannot_start_julia(julia_ready, caplog):
    starts = julia_ready(True)
    with caplog.at_level(logging.INFO, logger="hybridwater"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(get_engine, "auto").result().name == "embedded"
    assert not starts
    assert "Engine: embedded (Julia can only be started by the main thread" in caplog.text


def test_every_engine_has_a_name_and_methods():
    assert set(registry.ENGINES) == {"auto", *METHODS}
    assert get_engine("embedded").methods == METHODS["embedded"]


def test_julia_that_is_not_there_is_one_sentence(monkeypatch):
    absent = _julia.Availability(False, reason="Julia has not been set up", fix="Run this")
    monkeypatch.setattr(_julia, "available", lambda: absent)
    monkeypatch.setattr(_julia, "started", lambda: False)
    with pytest.raises(MissingDependency, match=r"Julia has not been set up.*Run this"):
        get_engine("julia")
