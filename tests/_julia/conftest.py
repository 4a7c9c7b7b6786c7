"""Julia in processes of its own, and projects and programs that only look like it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from hybridwater import _julia, settings

ROOT = Path(__file__).parents[2]
NEEDS = ROOT / "hybridwater" / "juliapkg.json"


@pytest.fixture
def clean(monkeypatch, tmp_path):
    """Let nothing of this machine be seen: no settings, no Julia, an empty Python environment."""
    for variable in os.environ:
        if variable.startswith(("HYBRIDWATER_", "PYTHON_JULIA", "JULIA_")):
            monkeypatch.delenv(variable)
    monkeypatch.setattr(settings, "user_file", lambda: tmp_path / "settings.toml")
    settings.current.cache_clear()
    state = pytest.importorskip("juliapkg.state")
    place = tmp_path / "julia_env"
    monkeypatch.setitem(state.STATE, "project", str(place))
    monkeypatch.setitem(state.STATE, "meta", str(place / "pyjuliapkg" / "meta.json"))
    yield monkeypatch
    settings.current.cache_clear()


@pytest.fixture
def choose(clean):
    """Set settings of the process."""

    def choose(**values):
        for name, value in values.items():
            clean.setenv(f"HYBRIDWATER_{name.upper()}", str(value))
        settings.current.cache_clear()

    return choose


@pytest.fixture
def program(tmp_path):
    """Return a program that writes its arguments to ``julia.log`` and ends well."""
    file = tmp_path / "julia"
    log = tmp_path / "julia.log"
    file.write_text(f'#!/bin/sh\nfor a in "$@"; do echo "$a" >> {log}; done\nexit ${{CODE:-0}}\n')
    file.chmod(0o755)
    return file


@pytest.fixture
def make_project(tmp_path):
    """Write a manifest that holds what is needed, but for the changes given as versions."""

    def make_project(folder=None, needs=None, **versions):
        folder = folder or tmp_path / "project"
        folder.mkdir(parents=True, exist_ok=True)
        needed = tomllib.loads((_julia.PACKAGE / "Project.toml").read_text("utf-8"))
        needs = needed.get("deps", {}) if needs is None else needs
        held = {
            "HybridWater": needed["version"],
            **dict.fromkeys(needed.get("deps", {}), "1.0.0"),
        }
        held["PythonCall"] = importlib.metadata.version("juliacall")
        lines = ['manifest_format = "2.0"']
        for name, version in (held | versions).items():
            if version is not None:
                uuid = _julia.UUID if name == "HybridWater" else "0"
                lines += [f"[[deps.{name}]]", f'uuid = "{uuid}"', f'version = "{version}"']
                if name == "HybridWater":
                    lines.append(f"deps = {json.dumps(sorted(needs))}")
                    lines.append(f"path = {json.dumps(_julia.PACKAGE.as_posix())}")
        (folder / "Manifest.toml").write_text("\n".join(lines))
        return folder

    return make_project


@pytest.fixture
def resolved(clean, tmp_path, program, make_project):
    """Make juliapkg seem to have installed everything."""
    place = make_project(tmp_path / "julia_env")
    record = {
        "executable": str(program),
        "libjulia": "lib",
        "bindir": "bin",
        "deps_files": {str(NEEDS): {"hash_sha256": hashlib.sha256(NEEDS.read_bytes()).hexdigest()}},
    }
    meta = place / "pyjuliapkg" / "meta.json"
    meta.parent.mkdir()
    meta.write_text(json.dumps(record))
    return place


@pytest.fixture(scope="session")
def python():
    """Return a function that runs Python source in a process of its own."""

    def python(source, *, check=True, options=(), **variables):
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler=0", *options, "-c", textwrap.dedent(source)],
            capture_output=True,
            text=True,
            env=os.environ | variables,
            timeout=900,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    return python
