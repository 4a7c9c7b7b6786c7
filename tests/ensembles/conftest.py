import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # toys.py is imported by name, in processes too


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("HYBRIDWATER_PROGRESS", "off")
