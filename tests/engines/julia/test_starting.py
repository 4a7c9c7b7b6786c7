"""Starting Julia for others: in front of diffeqpy, and behind it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hybridwater import _julia
from hybridwater._julia.availability import manifest
from hybridwater.engines import julia

SOLVE = """
import numpy as np
import hybridwater as hw

decay = ode.ODEProblem(ode.seval("(u, p, t) -> -p[1] * u"), 20.0, (0.0, 2.0), (0.5,))
store = hw.SciMLProblem(decay, states={"store": "mm"}, parameters={"k": "d-1"})
ours = store.solve(times=[0, 1, 2], rtol=1e-10, atol=1e-10)["store"].values
theirs = ode.solve(decay, ode.Tsit5(), saveat=[0.0, 1.0, 2.0], reltol=1e-10, abstol=1e-10)
assert np.allclose(ours, 20 * np.exp([-0.5, -1]), rtol=1e-8), ours
assert np.allclose(np.array(theirs.u)[1:], ours, rtol=1e-8), theirs.u
import juliacall
print(juliacall.CONFIG["project"], juliacall.Main.seval("Threads.nthreads()"))
"""
OURS = "from hybridwater.engines import julia\njulia.start()\n"
THEIRS = "from diffeqpy import ode\n"


def started(monkeypatch, program):
    """Call ``start`` as if that program had been started."""
    state = _julia.Availability(True, program)
    monkeypatch.setattr(_julia, "start", lambda: None)
    monkeypatch.setattr(_julia, "available", lambda: state)
    julia.start()


@pytest.mark.skipif(os.name != "posix", reason="a program of POSIX")
def test_julia_is_found_on_the_path_afterwards(monkeypatch, tmp_path):
    program = tmp_path / "bin" / "julia"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("julia") is None
    started(monkeypatch, program)
    assert shutil.which("julia") == str(program)


def test_a_path_with_julia_stays(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: f"/somewhere/{name}")
    before = os.environ["PATH"]
    started(monkeypatch, tmp_path / "julia")
    assert os.environ["PATH"] == before


@pytest.mark.julia
@pytest.mark.slow
@pytest.mark.parametrize("order", [OURS + THEIRS, THEIRS + OURS], ids=["ours", "theirs"])
def test_diffeqpy_solves_in_the_same_julia(order):
    state = _julia.available()
    assert state.project is not None
    if not {name for name, _ in _julia.DIFFEQPY} <= set(manifest(state.project) or ()):
        pytest.skip("no OrdinaryDiffEq in the Julia project (julia install --diffeqpy)")
    variables = {
        "PYTHON_JULIACALL_EXE": str(state.executable),
        "PYTHON_JULIACALL_PROJECT": str(state.project),
        "PYTHON_JULIACALL_HANDLE_SIGNALS": "yes",
        "PYTHON_JULIACALL_THREADS": "2",
        "PATH": os.pathsep.join([os.environ["PATH"], str(Path(str(state.executable)).parent)]),
    }
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler=0", "-W", "error::UserWarning", "-c", order + SOLVE],
        capture_output=True,
        text=True,
        env=os.environ | variables,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"{state.project} 2"
