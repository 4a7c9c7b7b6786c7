"""What is installed, which settings hold and where they come from, and whether it works."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import hybridwater
from hybridwater import settings
from hybridwater.errors import HybridwaterError, SettingsError

if TYPE_CHECKING:
    from hybridwater._julia.availability import Extra

#: Distribution to the module that must load, or "" where loading it would start Julia.
NEEDED = {
    "numpy": "numpy",
    "scipy": "scipy",
    "shapely": "shapely",
    "pandas": "pandas",
    "xarray": "xarray",
    "netCDF4": "netCDF4",
    "bmipy": "bmipy",
    "cf-xarray": "cf_xarray",
    "dask": "dask",
    "pint": "pint",
    "sympy": "sympy",
    "jax": "jax",
    "equinox": "equinox",
    "diffrax": "diffrax",
    "torch": "torch",
    "torch-geometric": "torch_geometric",
    "pyro-ppl": "pyro",
    "safetensors": "safetensors",
    "scoringrules": "scoringrules",
    "matplotlib": "matplotlib",
    "jinja2": "jinja2",
    "rich": "rich",
    "typer": "typer",
    "tomlkit": "tomlkit",
    "platformdirs": "platformdirs",
    "juliacall": "",
    "diffeqpy": "",
}

#: Distribution to what it is for and the extra that installs it.
OPTIONAL = {
    "pywatershed": ("the demo and its data", "demo"),
    "spotpy": ("the Schwingbach data", "demo"),
    "landlab": ("analytic components", "components"),
    "mmgpy": ("meshes that follow states", "remeshing"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    group : str
        Such as ``"Needed packages"``.
    name : str
        What was looked at.
    value : str
        What was found.
    state : {"ok", "missing", "broken"}
        ``missing`` is something optional, ``broken`` something needed.
    advice : str
        What to do about it.
    """

    group: str
    name: str
    value: str
    state: Literal["ok", "missing", "broken"] = "ok"
    advice: str = ""


def examine() -> list[Finding]:
    """Look at the installation without starting Julia.

    Returns
    -------
    list of Finding
        In order of the groups.
    """
    found = [
        Finding("This machine", "hybridwater", hybridwater.__version__),
        Finding("This machine", "Python", f"{platform.python_version()} ({sys.executable})"),
        Finding("This machine", "system", platform.platform()),
        Finding("This machine", "processors", str(os.cpu_count())),
    ]
    found += [_needed(name, module) for name, module in NEEDED.items()]
    found += [_optional(name, *what) for name, what in OPTIONAL.items()]
    found += _settings()
    if not any(f.state == "broken" for f in found):
        found += _engine()
    return [*found, *_julia()]


def _needed(name: str, module: str) -> Finding:
    group = "Needed packages"
    again = f'pip install --force-reinstall "{name}"'
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(group, name, "not installed", "broken", f'pip install "{name}"')
    try:
        if module:
            importlib.import_module(module)
    except Exception as error:  # whatever a damaged package may raise
        reason = f"{version}, does not load ({type(error).__name__}: {error})"
        return Finding(group, name, reason, "broken", again)
    return Finding(group, name, version)


def _optional(name: str, purpose: str, extra: str) -> Finding:
    group = "Optional packages"
    try:
        return Finding(group, name, f"{importlib.metadata.version(name)}, for {purpose}")
    except importlib.metadata.PackageNotFoundError:
        advice = f'pip install "hybridwater[{extra}]"'
        return Finding(group, name, f"not installed, for {purpose}", "missing", advice)


def _settings() -> list[Finding]:
    group = "Settings"
    try:
        described = settings.describe()
    except SettingsError as error:
        return [Finding(group, "settings", error.what, "broken", error.fix or "")]
    found = []
    for name, (value, source) in described.items():
        text = "not set" if value is None else str(value)
        if isinstance(value, Path) and name.startswith("julia") and not value.exists():
            found.append(
                Finding(
                    group, name, f"{text}, which does not exist", "broken", f"Correct the {source}"
                )
            )
        else:
            found.append(Finding(group, name, f"{text} ({source})"))
    return [*found, _cache(Path(described["cache_dir"].value))]


def _cache(folder: Path) -> Finding:
    probe = folder / f".doctor-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        advice = "Set HYBRIDWATER_CACHE_DIR to a folder that you may write to"
        reason = f"not writable ({error.strerror or error})"
        return Finding("Settings", "cache folder", reason, "broken", advice)
    return Finding("Settings", "cache folder", "writable")


def _engine() -> list[Finding]:
    from hybridwater.engines.registry import automatic, get_engine

    group = "Engine"
    name, why = settings.current().engine, "as the settings say"
    if name == "auto":
        name, why = automatic()
        why = f"auto; {why}"
    try:
        get_engine(name)
    except HybridwaterError as error:
        return [Finding(group, "engine in use", error.what, "broken", error.fix or "")]
    return [Finding(group, "engine in use", f"{name} ({why})"), _trial()]


def _trial() -> Finding:
    """Solve a linear reservoir over three days, with the engine that every installation has."""
    import numpy as np
    import xarray as xr

    days = np.datetime64("2000-01-01", "ns") + np.arange(3) * np.timedelta64(1, "D")
    unit = {"units": "mm d-1"}
    forcing = xr.Dataset(
        {"prcp": ("time", np.ones(3), unit), "pet": ("time", np.ones(3), unit)}, {"time": days}
    )
    try:
        model = hybridwater.models.linear_reservoir()
        result = hybridwater.simulate(model, forcing, engine="embedded")
    except Exception as error:  # whatever a damaged installation may raise
        reason = f"failed ({type(error).__name__}: {error})"
        return Finding("Engine", "trial solve", reason, "broken", "Install jax and diffrax again")
    if not bool(np.isfinite(result["q"]).all()):
        return Finding("Engine", "trial solve", "gives NaN", "broken", "Install jax again")
    return Finding("Engine", "trial solve", "works")


def _julia() -> list[Finding]:
    """Look for the Julia that would be used, without starting or installing it."""
    from hybridwater import _julia

    group = "Julia"
    try:
        found = _julia.available()
    except SettingsError:  # told among the settings
        return []
    if found.ready:
        return [Finding(group, "julia", found.where), *map(_extra, _julia.extras(found.project))]
    asked = settings.current().engine == "julia"
    reason = found.reason if asked else f"{found.reason}; the embedded engine needs none"
    return [Finding(group, "julia", reason, "broken" if asked else "missing", found.fix)]


def _extra(extra: Extra) -> Finding:
    group = "Julia"
    if extra.version is not None:
        return Finding(group, extra.name, f"{extra.version}, for {extra.purpose}")
    reason = f"not in the Julia project, for {extra.purpose}"
    return Finding(group, extra.name, reason, "missing", f"Run '{extra.command}'")
