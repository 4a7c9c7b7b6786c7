"""Importing hybridwater is quick: nothing heavy is loaded before it is used."""

import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hybridwater

ROOT = Path(__file__).parents[2]

HEAVY = {
    "dask",
    "diffrax",
    "jax",
    "juliacall",
    "matplotlib",
    "numpy",
    "pandas",
    "pint",
    "pyro",
    "rich",
    "scipy",
    "sympy",
    "torch",
    "typer",
    "xarray",
}


def loaded_after(statement):
    """Return the top-level modules that a fresh interpreter holds after a statement."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "statement",
    [
        "import hybridwater",
        "import hybridwater; dir(hybridwater); hybridwater.__version__",
        "import hybridwater; hybridwater.errors.HybridwaterError",
        "import hybridwater; hybridwater.settings.current()",
    ],
)
def test_nothing_heavy_is_loaded(statement):
    assert not loaded_after(statement) & HEAVY


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("units", {"torch", "jax", "juliacall", "matplotlib"}),
        ("model", {"torch", "jax", "juliacall", "matplotlib"}),
        ("data", {"torch", "jax", "juliacall", "matplotlib"}),
        ("meshes", {"numpy", "torch", "jax", "juliacall", "matplotlib"}),
        ("report", {"torch", "jax", "juliacall"}),
        ("simulate", {"juliacall"}),
        ("fit", {"juliacall"}),
        ("_julia", {"torch", "jax", "juliacall", "xarray"}),
    ],
)
def test_a_name_loads_only_its_own_room(name, absent):
    start = f"import hybridwater; from hybridwater import {name}"
    assert not loaded_after(start) & absent


def test_looking_for_julia_does_not_start_it():
    look = "from hybridwater._julia import available; available()"
    assert not loaded_after(look) & {"torch", "jax", "juliacall"}


@pytest.mark.parametrize("name", hybridwater.__all__)
def test_every_public_name_is_there(name):
    assert getattr(hybridwater, name) is not None
    assert name in dir(hybridwater)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'hybridwater' has no attribute 'modle'"):
        hybridwater.modle  # noqa: B018 - the access itself is what is tested


def test_the_julia_package_has_the_same_version():
    project = tomllib.loads((ROOT / "julia/HybridWater/Project.toml").read_text("utf-8"))
    assert project["version"] == hybridwater.__version__


def test_the_reference_lists_every_public_module():
    page = (ROOT / "docs/reference/index.md").read_text("utf-8")
    listed = set(re.findall(r"^ *hybridwater\.(\w+)$", page, flags=re.MULTILINE))
    rooms = {room.name for room in pkgutil.iter_modules(hybridwater.__path__)}
    # The command line has a page for people instead.
    assert {room for room in rooms if not room.startswith("_")} - {"cli", "__main__"} == listed
