"""The public names of the report, and that asking for them stays cheap."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hybridwater import report

PROGRAM = """
import sys
import hybridwater.report as report
assert "matplotlib" not in sys.modules and "jinja2" not in sys.modules
report.Section("title")
assert "matplotlib" not in sys.modules
report.hydrograph, report.save_figures
assert "matplotlib.pyplot" not in sys.modules
"""


@pytest.mark.parametrize("name", report.__all__)
def test_public_name_is_callable_and_documented(name):
    # twice, because importing a module of the package sets an attribute of the package
    assert callable(getattr(report, name))
    assert callable(getattr(report, name))
    assert getattr(report, name).__doc__
    assert name in dir(report)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'hydrographe'"):
        _ = report.hydrographe


def test_import_starts_neither_matplotlib_nor_jinja():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
