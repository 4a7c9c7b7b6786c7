import sys
from pathlib import Path

import pytest

# The helper module beside the tests (coupled_case) is imported by name.
sys.path.insert(0, str(Path(__file__).parent))

from coupled_case import CASE, write_case


@pytest.fixture
def case_file(tmp_path):
    """Return the small coupled case."""
    return write_case(tmp_path)


@pytest.fixture
def changed(tmp_path):
    """Return what writes the small coupled case with one text in the place of another."""

    def write(old, new):
        assert old in CASE, old
        return write_case(tmp_path, CASE.replace(old, new, 1))

    return write
