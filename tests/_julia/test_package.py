"""What the wheel must hold, and who may import juliacall."""

import importlib.util
import json
import re
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

import hybridwater
from hybridwater import _julia
from hybridwater._julia import setup

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def needs():
    """Return what ``juliapkg.json`` asks for."""
    return json.loads((ROOT / "hybridwater" / "juliapkg.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def project():
    """Return the project file of the Julia package."""
    return tomllib.loads((ROOT / "julia" / "HybridWater" / "Project.toml").read_text("utf-8"))


def named(package):
    """Return the packages that the ``juliapkg.json`` of a Python package names."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    text = Path(spec.origin).with_name("juliapkg.json").read_text("utf-8")
    return json.loads(text)["packages"]


def test_the_bounds_are_those_of_the_julia_package(needs, project):
    developers = tomllib.loads((ROOT / "Project.toml").read_text("utf-8"))
    assert needs["julia"] == project["compat"]["julia"] == developers["compat"]["julia"]
    # Bounds of packages are written once, in the project file of the Julia package.
    assert set(needs["packages"]) == {"HybridWater"}
    listed = {**project["deps"], **project["weakdeps"], **project["extras"]}
    assert set(project["compat"]) == {"julia", *listed}
    assert set(developers["compat"]) == {"julia"}


def test_there_is_one_version_of_both_halves(project):
    assert project["version"] == hybridwater.__version__


def test_the_project_of_developers_is_the_package(project):
    developers = tomllib.loads((ROOT / "Project.toml").read_text("utf-8"))
    assert developers["deps"] == {"HybridWater": project["uuid"]}
    place = developers["sources"]["HybridWater"]["path"]
    assert ROOT / place == _julia.PACKAGE.resolve()


def test_packages_by_request_are_those_that_the_julia_package_extends(project):
    for name, uuid in (_julia.ADJOINTS, _julia.SYMBOLIC_REGRESSION):
        assert project["weakdeps"][name] == uuid


def test_the_bridge_is_that_of_juliacall():
    assert f'uuid = "{named("juliacall")["PythonCall"]["uuid"]}"' in setup._INSTALL


def test_the_wheel_holds_the_julia_package(tmp_path):
    """Also one built from the source distribution, as pip does: the folder is a symbolic link."""
    (source,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(source) as file:
        file.extraction_filter = getattr(tarfile, "data_filter", None)  # not before Python 3.11.4
        file.extractall(tmp_path / "source")
    (unpacked,) = (tmp_path / "source").iterdir()
    package = ROOT / "julia" / "HybridWater"
    files = [package / "Project.toml", *package.glob("src/*.jl"), *package.glob("ext/*.jl")]
    needed = {f"hybridwater/_julia/HybridWater/{f.relative_to(package).as_posix()}" for f in files}
    for root in (ROOT, unpacked):
        builder = WheelBuilder(str(root))
        (wheel,) = builder.build(directory=str(tmp_path / "wheel"), versions=["standard"])
        with zipfile.ZipFile(wheel) as file:
            assert needed | {"hybridwater/juliapkg.json"} <= set(file.namelist())


def test_the_julia_package_is_named_by_a_path_that_is_there(needs, project):
    entry = needs["packages"]["HybridWater"]
    assert entry["dev"] is True
    assert entry["uuid"] == project["uuid"] == _julia.UUID
    place = ROOT / "hybridwater" / entry["path"]
    assert place == _julia.PACKAGE
    assert (place / "src" / "HybridWater.jl").is_file()
    assert place.resolve() == ROOT / "julia" / "HybridWater"


def test_packages_of_diffeqpy_are_those_that_it_names():
    theirs = named("diffeqpy")
    assert {n: theirs[n]["uuid"] for n, _ in _julia.DIFFEQPY} == dict(_julia.DIFFEQPY)


def test_juliapkg_finds_it():
    deps = pytest.importorskip("juliapkg.deps")
    assert str(ROOT / "hybridwater" / "juliapkg.json") in deps.deps_files()


def test_only_this_room_imports_juliacall():
    sources = (ROOT / "hybridwater").rglob("*.py")
    statement = re.compile(r"^\s*(import|from)\s+(juliacall|juliapkg)\b", flags=re.MULTILINE)
    rooms = {f.relative_to(ROOT).parts[1] for f in sources if statement.search(f.read_text())}
    assert rooms == {"_julia"}
