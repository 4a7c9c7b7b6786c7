"""What the wheel must hold, and who may import juliacall."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path

import pytest

from hybridwater import _julia

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def needs():
    """Return what ``juliapkg.json`` asks for."""
    return json.loads((ROOT / "hybridwater" / "juliapkg.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def project():
    """Return the project file of the Julia package."""
    return tomllib.loads((ROOT / "julia" / "HybridWater" / "Project.toml").read_text("utf-8"))


def test_the_bounds_are_those_of_the_julia_package(needs, project):
    assert needs["julia"] == project["compat"]["julia"]
    for name, entry in needs["packages"].items():
        if "version" in entry:
            assert entry["version"] == project["compat"][name], name
            assert entry["uuid"] == project["deps"][name], name


def test_the_julia_package_is_named_by_a_path_that_is_there(needs, project):
    entry = needs["packages"]["HybridWater"]
    assert entry["dev"] is True
    assert entry["uuid"] == project["uuid"] == _julia.UUID
    place = ROOT / "hybridwater" / entry["path"]
    assert place == _julia.PACKAGE
    assert (place / "src" / "HybridWater.jl").is_file()
    assert place.resolve() == ROOT / "julia" / "HybridWater"


def test_packages_of_diffeqpy_are_those_that_it_names():
    diffeqpy = importlib.util.find_spec("diffeqpy")
    assert diffeqpy is not None
    assert diffeqpy.origin is not None
    text = Path(diffeqpy.origin).with_name("juliapkg.json").read_text("utf-8")
    named = json.loads(text)["packages"]
    assert {n: named[n]["uuid"] for n, _ in _julia.DIFFEQPY} == dict(_julia.DIFFEQPY)


def test_juliapkg_finds_it():
    deps = pytest.importorskip("juliapkg.deps")
    assert str(ROOT / "hybridwater" / "juliapkg.json") in deps.deps_files()


def test_only_this_room_imports_juliacall():
    sources = (ROOT / "hybridwater").rglob("*.py")
    statement = re.compile(r"^\s*(import|from)\s+(juliacall|juliapkg)\b", flags=re.MULTILINE)
    rooms = {f.relative_to(ROOT).parts[1] for f in sources if statement.search(f.read_text())}
    assert rooms == {"_julia"}
