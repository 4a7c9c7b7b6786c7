import pytest


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("HYBRIDWATER_PROGRESS", "off")
