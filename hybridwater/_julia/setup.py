"""Install, precompile and describe the Julia side, in Julia processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hybridwater import settings
from hybridwater._julia.availability import (
    ADJOINTS,
    DIFFEQPY,
    INSTALL,
    NO_BRIDGE,
    PACKAGE,
    SYMBOLIC_REGRESSION,
    UUID,
    Availability,
    available,
    bridge_version,
    extras,
    manifest,
    sources,
)
from hybridwater.errors import HybridwaterError, MissingDependency

# Paths and versions reach Julia as arguments, never as source.
_INSTALL = """
import Pkg
package, bridge = ARGS
Pkg.develop(path = package)
Pkg.add(name = "PythonCall", uuid = "6099a3de-0909-46bc-b1f4-468b9a2dfc0d", version = bridge)
"""
_ADD = """
import Pkg
name, uuid = ARGS
Pkg.add(; name, uuid)
"""
_PRECOMPILE = """
import Pkg
Pkg.instantiate()
Pkg.precompile()
"""
_SYSIMAGE = """
import Pkg
target, uuid, sources = ARGS
project = dirname(Base.active_project())
Pkg.activate("hybridwater-sysimage"; shared = true)
Pkg.add("PackageCompiler")
import PackageCompiler
# The image remembers what it was made from: Julia compares that for compiled packages only.
memory = tempname() * ".jl"
name = "HybridWater"
package = "Base.loaded_modules[Base.PkgId(Base.UUID($(repr(uuid))), $(repr(name)))]"
write(memory, "Core.eval($package, :(const BUILT_FROM = $(repr(sources))))")
# Without PythonCall: from an image it would begin before it knows that Python is there already
# (JuliaPy/PythonCall.jl, issue 436).
PackageCompiler.create_sysimage(
    [name];
    sysimage_path = target, project = project, script = memory, import_into_main = false,
)
"""
_TRIAL = """
import time
begin = time.perf_counter()
from hybridwater._julia import start
julia = start()
seconds = time.perf_counter() - begin
print(f"Julia {julia.version} starts in {seconds:.1f} s with {julia.threads} threads.")
"""


def install(
    *,
    offline: bool = False,
    adjoints: bool = False,
    discovery: bool = False,
    diffeqpy: bool = False,
) -> str:
    """Install Julia and its packages, or complete the project that is named, and try it.

    With `julia_executable` and `julia_project` in the settings (or in the environment) nothing but
    that project is touched, and it is left as it is if it holds all packages already. Otherwise
    juliapkg installs into the Python environment; a `julia_executable` alone makes it use that one.

    Parameters
    ----------
    offline : bool
        Use only what has been downloaded before.
    adjoints : bool
        Install SciMLSensitivity as well, for gradients by adjoint equations.
    discovery : bool
        Install SymbolicRegression as well, to search for equations of any form.
    diffeqpy : bool
        Install OrdinaryDiffEq as well, for ``from diffeqpy import ode``. juliapkg does so without
        being asked, as it does with all that diffeqpy names.

    Returns
    -------
    str
        A sentence about the trial start.

    Raises
    ------
    HybridwaterError
        If Julia or its package manager fails; it has printed why.
    """
    state = available()
    more = [ADJOINTS] * adjoints + [SYMBOLIC_REGRESSION] * discovery + [*DIFFEQPY] * diffeqpy
    if state.named:
        _complete(state, offline, more)
    else:
        _resolve(offline, more)
    available().demand()
    return _trial()


def precompile(sysimage: Path | None = None, *, offline: bool = False) -> str:
    """Compile the Julia packages ahead of time.

    Parameters
    ----------
    sysimage : path, optional
        Build a system image of this name as well: Julia with the packages inside, which
        saves a few seconds of each start. Takes some twenty minutes, and must be built again after
        each upgrade.
    offline : bool
        Use only what has been downloaded before.

    Returns
    -------
    str
        A sentence about the trial start.

    Raises
    ------
    HybridwaterError
        If Julia has not been set up, or a Julia process fails.
    """
    state = available()
    state.demand()
    _run(state, _PRECOMPILE, offline=offline)
    if sysimage is None:
        return _trial()
    target = sysimage.expanduser().absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    assert state.project is not None
    _run(state, _SYSIMAGE, str(target), UUID, sources(state.project), offline=offline)
    return _trial(HYBRIDWATER_JULIA_SYSIMAGE=str(target))


def status() -> list[tuple[str, str]]:
    """Describe what would be used.

    Returns
    -------
    list of (str, str)
        What, and its value.
    """
    state = available()
    chosen = settings.current()
    packages = manifest(state.project) if state.project is not None else None
    held = {name: entry.get("version", "") for name, entry in (packages or {}).items()}
    return [
        ("state", "ready" if state.ready else "not ready"),
        ("Julia", str(state.executable or "none")),
        ("project", str(state.project or "none")),
        ("chosen by", state.source or "nobody"),
        ("HybridWater", held.get("HybridWater") or "not in the project"),
        ("PythonCall", held.get("PythonCall") or "not in the project"),
        ("juliacall", bridge_version() or "not installed"),
        *(
            (extra.name, extra.version or f"not in the project ('{extra.command}' adds it)")
            for extra in extras(state.project)
        ),
        ("packages in all", str(len(held))),
        ("threads", str(chosen.julia_threads)),
        ("system image", str(chosen.julia_sysimage or "none")),
    ]


def _complete(state: Availability, offline: bool, more: Sequence[tuple[str, str]]) -> None:
    """Install and compile what the project that the user names lacks."""
    if state.executable is None or state.project is None:
        state.demand()
    elif not state.ready:
        state.project.mkdir(parents=True, exist_ok=True)
        bridge = bridge_version()
        if bridge is None:
            raise MissingDependency(NO_BRIDGE, state.where, 'pip install "juliacall"')
        _run(state, _INSTALL, str(PACKAGE.resolve()), bridge, offline=offline)
    for package in more:
        _run(state, _ADD, *package, offline=offline)
    _run(state, _PRECOMPILE, offline=offline)


def _run(state: Availability, script: str, *arguments: str, offline: bool) -> None:
    environment = os.environ | {
        # PythonCall is to use this Python, and not to install one.
        "JULIA_PYTHONCALL_EXE": sys.executable,
        "JULIA_CONDAPKG_BACKEND": "Null",
    }
    if offline:
        environment["JULIA_PKG_OFFLINE"] = "true"
    command = [str(state.executable), f"--project={state.project}", "--startup-file=no"]
    done = subprocess.run([*command, "-e", script, *arguments], env=environment, check=False)
    if done.returncode:
        raise HybridwaterError(
            f"Julia ended with code {done.returncode}; its message is above",
            state.where,
            "Without internet, copy a depot with all packages (JULIA_DEPOT_PATH) and say --offline",
        )


def _resolve(offline: bool, more: Sequence[tuple[str, str]]) -> None:
    """Let juliapkg install Julia, if need be, and the packages of ``juliapkg.json``."""
    if offline:
        os.environ["PYTHON_JULIAPKG_OFFLINE"] = "yes"
    program = settings.current().julia_executable
    if program is not None:
        os.environ["PYTHON_JULIAPKG_EXE"] = str(program)
    import juliapkg
    from juliapkg.state import reset_state

    reset_state()  # it may have been imported, and read its options, before
    try:
        for name, uuid in more:
            juliapkg.add(name, uuid=uuid)
        juliapkg.resolve(force=True)
    except Exception as error:  # of the network, of Julia, of conflicting packages
        raise HybridwaterError(
            f"Julia could not be installed ({type(error).__name__}: {error})",
            "juliapkg",
            "Read the messages above; without internet name a Julia and a project in the settings",
        ) from error


def _trial(**variables: str) -> str:
    """Start Julia in a Python process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _TRIAL],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise HybridwaterError("Julia was set up but does not start; see above", fix=INSTALL)
    return done.stdout.strip().rpartition("\n")[2]
