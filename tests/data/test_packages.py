import importlib.util

import pytest

from hybridwater.data import packages, read_delaware, read_schwingbach
from hybridwater.errors import MissingDependency


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.mark.parametrize(
    ("reader", "package"), [(read_delaware, "pywatershed"), (read_schwingbach, "spotpy")]
)
def test_missing_package_says_what_to_install(nothing_installed, reader, package):
    with pytest.raises(
        MissingDependency, match=rf"'{package}'.*not installed.*pip install \"hybridwater\[demo\]\""
    ):
        reader()


def test_folder_that_a_package_lacks():
    with pytest.raises(MissingDependency, match="does not carry the folder 'no/such'"):
        packages.package_folder("xarray", "no", "such")


def test_folder_is_found():
    assert (packages.package_folder("xarray", "core") / "dataset.py").is_file()
