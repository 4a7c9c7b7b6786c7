"""Whether Julia has been set up, found out without starting it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hybridwater import settings
from hybridwater.errors import MissingDependency

#: The Julia package: a folder of the repository, and of an installed wheel.
PACKAGE = Path(__file__).parent / "HybridWater"
UUID = "5cfeb82b-a1db-41f4-b869-873c182ab61d"

# Large packages that are not installed without being asked for: name and UUID.
#: What the gradients by adjoint equations need.
ADJOINTS = ("SciMLSensitivity", "1ed8b502-d754-442c-8d5d-10ac956f44a1")
#: What the search for equations of any form needs.
SYMBOLIC_REGRESSION = ("SymbolicRegression", "8254be44-1295-4e6a-a16d-46603ac705cb")
#: What diffeqpy's solvers of ordinary differential equations, ``diffeqpy.ode``, need.
DIFFEQPY = (
    ("OrdinaryDiffEq", "1dea7af3-3e70-54e6-95c3-0bf5283fa5ed"),
    ("OrdinaryDiffEqDefault", "50262376-6c5a-4cf5-baba-aaf4f84d72d7"),
)

# By the option of ``hybridwater julia install`` that adds them: what for, and which.
_EXTRAS = {
    "adjoints": ("gradients by adjoint equations", (ADJOINTS,)),
    "discovery": ("the search for equations of any form", (SYMBOLIC_REGRESSION,)),
    "diffeqpy": ("diffeqpy.ode", DIFFEQPY),
}

NO_BRIDGE = "The Python package juliacall is not installed"
INSTALL = "Run 'hybridwater julia install'"


@dataclass(frozen=True)
class Extra:
    """A package that is not installed without being asked for.

    Parameters
    ----------
    name : str
        Of the Julia package.
    purpose : str
        What it is for.
    command : str
        What installs it.
    version : str, optional
        The one in the project; None if it is not there.
    """

    name: str
    purpose: str
    command: str
    version: str | None


@dataclass(frozen=True)
class Availability:
    """What would be used if Julia were started now.

    Parameters
    ----------
    ready : bool
        Whether Julia can be started with all that the package needs.
    executable, project : pathlib.Path, optional
        The Julia program and the folder with ``Project.toml`` and its manifest.
    source : {"settings", "environment", "juliapkg", ""}
        Who says so.
    reason, fix : str
        Why it is not ready and what to do about it; empty if it is.
    library, binaries : str, optional
        Where libjulia and the programs are, if that is known; saves a search.
    """

    ready: bool
    executable: Path | None = None
    project: Path | None = None
    source: str = ""
    reason: str = ""
    fix: str = ""
    library: str | None = None
    binaries: str | None = None

    @property
    def where(self) -> str:
        """Which Julia and which project, and who says so."""
        if not self.source:
            return "no Julia"
        program, project = self.executable or "no Julia", self.project or "no project"
        return f"{program} with {project} ({self.source})"

    @property
    def named(self) -> bool:
        """Whether the user, and not juliapkg, chooses program and project."""
        return self.source in ("settings", "environment")

    def demand(self) -> None:
        """Raise :class:`MissingDependency` unless Julia is ready."""
        if not self.ready:
            raise MissingDependency(f"Julia cannot be used: {self.reason}", self.where, self.fix)


def available() -> Availability:
    """Find the Julia that would be used, without starting it.

    The settings ``julia_executable`` and ``julia_project`` come first, then the environment
    variables ``PYTHON_JULIACALL_EXE`` and ``PYTHON_JULIACALL_PROJECT``, then what
    ``hybridwater julia install`` has installed.

    Returns
    -------
    Availability

    Raises
    ------
    SettingsError
        If the settings cannot be read.
    """
    chosen = settings.current()
    if chosen.julia_project is not None:
        return _named(chosen.julia_executable, chosen.julia_project, "settings")
    program = os.environ.get("PYTHON_JULIACALL_EXE", "").strip()
    project = os.environ.get("PYTHON_JULIACALL_PROJECT", "").strip()
    if chosen.julia_executable is None and (program or project):
        executable = Path(shutil.which(program) or program) if program else None
        return _named(executable, Path(project).absolute() if project else None, "environment")
    return _resolved()


def _named(program: Path | None, project: Path | None, source: str) -> Availability:
    state = Availability(True, program, project, source)
    if program is None or project is None:
        pair = "julia_executable and julia_project"
        if source == "environment":
            pair = "PYTHON_JULIACALL_EXE and PYTHON_JULIACALL_PROJECT"
        reason = f"The {source} name a project without a Julia program"
        if project is None:
            reason = f"The {source} names a Julia program without a project"
        return _not_ready(state, reason, f"Set both {pair}, or neither of the two")
    if not _runs(program):
        reason = f"There is no Julia program at {program}"
        return _not_ready(state, reason, f"Correct the path in the {source}")
    return _checked(state)


def _resolved() -> Availability:
    """Look at what juliapkg, the installer of juliacall, has recorded."""
    try:
        from juliapkg.state import STATE
    except ImportError:
        return Availability(False, reason=NO_BRIDGE, fix='pip install "juliacall"')
    try:
        record = json.loads(Path(STATE["meta"]).read_text("utf-8"))
        program, files = Path(record["executable"]), record["deps_files"]
        prints = {entry["hash_sha256"] for entry in files.values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Availability(False, reason="Julia has not been set up", fix=INSTALL)
    state = Availability(
        True,
        program,
        Path(STATE["project"]),
        "juliapkg",
        library=record.get("libjulia"),
        binaries=record.get("bindir"),
    )
    chosen = settings.current().julia_executable
    if chosen is not None and chosen != program:
        return _not_ready(state, f"Julia was set up with another program than {chosen}")
    if not _runs(program):
        return _not_ready(state, f"The Julia that was installed is gone: {program}")
    if _fingerprint() not in prints:
        return _not_ready(state, "Julia was set up for another version of hybridwater")
    return _checked(state)


def _not_ready(state: Availability, reason: str, fix: str = INSTALL) -> Availability:
    return replace(state, ready=False, reason=reason, fix=fix)


def _runs(program: Path) -> bool:
    return program.is_file() and os.access(program, os.X_OK)


def _fingerprint() -> str:
    needs = Path(__file__).parents[1] / "juliapkg.json"
    return hashlib.sha256(needs.read_bytes()).hexdigest()


def _checked(state: Availability) -> Availability:
    """Check that the project holds what the Julia package needs, in versions that fit."""
    assert state.project is not None
    reason = next(_shortcomings(state.project), "")
    return _not_ready(state, reason) if reason else state


def _shortcomings(project: Path) -> Iterator[str]:
    packages = manifest(project)
    if packages is None:
        yield f"The project {project} has no manifest: its packages were never resolved"
        return
    if packages.get("HybridWater", {}).get("uuid") != UUID:
        yield f"The project {project} has no package HybridWater"
        return
    needed = tomllib.loads((PACKAGE / "Project.toml").read_text("utf-8"))
    held = packages["HybridWater"].get("version")
    if held != needed["version"]:
        yield f"The project holds HybridWater {held}, and this is {needed['version']}"
    known = set(packages) & set(packages["HybridWater"].get("deps", ()))
    for name in sorted(set(needed.get("deps", {})) - known):
        doubt = "or does not know that HybridWater needs it"
        yield f"The project lacks the Julia package {name}, {doubt}"
    bridge = packages.get("PythonCall", {}).get("version")
    juliacall = bridge_version()
    if juliacall is None:
        yield NO_BRIDGE
    elif bridge is None:
        yield "The project lacks the Julia package PythonCall"
    elif bridge != juliacall:
        yield f"The project holds PythonCall {bridge}, and juliacall is {juliacall}"


def bridge_version() -> str | None:
    """Return the version of the Python package juliacall; None if it is not installed."""
    try:
        return importlib.metadata.version("juliacall")
    except importlib.metadata.PackageNotFoundError:
        return None


def extras(project: Path | None) -> list[Extra]:
    """Look for the packages that are not installed without being asked for.

    Parameters
    ----------
    project : path, optional
        Folder of the project.

    Returns
    -------
    list of Extra
        All that there are, in the project or not.
    """
    held = manifest(project) if project is not None else None
    return [
        Extra(
            name,
            purpose,
            f"hybridwater julia install --{option}",
            (held or {}).get(name, {}).get("version"),
        )
        for option, (purpose, packages) in _EXTRAS.items()
        for name, _ in packages
    ]


def sources(project: Path) -> str:
    """Tell the sources of the Julia package that a project holds from others.

    Parameters
    ----------
    project : path
        Folder of the project.

    Returns
    -------
    str
        A digest; empty if the project does not name a folder.
    """
    place = (manifest(project) or {}).get("HybridWater", {}).get("path")
    if place is None:
        return ""
    folder = project / place / "src"
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.jl")):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def manifest(project: Path) -> dict[str, dict[str, Any]] | None:
    """Read which packages a Julia project holds.

    Parameters
    ----------
    project : path
        Folder of the project.

    Returns
    -------
    dict of str to dict or None
        Package name to its manifest entry; None if there is no manifest that can be read.
    """
    newest = sorted(project.glob("Manifest*.toml"), key=lambda f: (f.stat().st_mtime, f.name))
    for file in reversed(newest):
        try:
            content = tomllib.loads(file.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        entries = content.get("deps", {}) if "manifest_format" in content else content
        return {name: versions[0] for name, versions in entries.items() if versions}
    return None
