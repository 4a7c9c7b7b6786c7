"""What is looked up in a simulation of MODFLOW 6: its library, time steps, flow model and packages.

Names of arrays are those of MODFLOW's memory manager ("MODEL/PACKAGE/VARIABLE"): Hughes, Russcher,
Langevin, Morway and McDonald (2022), doi:10.1016/j.envsoft.2021.105257.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hybridwater.errors import ComponentError, MissingDependency, nearest

#: Returns the array of a name, as MODFLOW itself has it.
Get = Callable[[str], np.ndarray]

_TIME_UNITS = {1: ("s", 1.0), 2: ("min", 60.0), 3: ("h", 3600.0), 4: ("d", 86400.0)}  # ITMUNI
_METRES = 2  # LENUNI
_GRIDS = ("DIS", "DISV", "DISU")
_STORAGE = ("STRGSS", "STRGSY")
_TRIAL = """
import ctypes, os, sys
model = ctypes.CDLL(sys.argv[1])
os.chdir(sys.argv[2])
status = model.initialize(b"")
adapts = ctypes.POINTER(ctypes.c_int)()
if not status and not model.get_value_ptr_int(b"TDIS/INATS", ctypes.byref(adapts)) and adapts[0]:
    print("adaptive")
sys.exit(status)
"""


def find_library(library: str | Path | None = None) -> Path:
    """Find the shared library of MODFLOW 6, ``libmf6``.

    Parameters
    ----------
    library : str or pathlib.Path, optional
        The file. If left out: the environment variable ``LIBMF6``, or beside the program ``mf6`` on
        the path, or in the folder ``lib`` beside its own.

    Raises
    ------
    MissingDependency
        If there is none.
    """
    named, program = library or os.environ.get("LIBMF6"), shutil.which("mf6")
    if named:
        files = [Path(named)]
    elif program:
        folder = Path(program).resolve().parent
        beside = (folder, folder.parent / "lib")
        files = [d / f"libmf6{end}" for d in beside for end in (".so", ".dll", ".dylib")]
    else:
        files = []
    for path in files:
        if path.is_file():
            return path.resolve()
    raise MissingDependency(
        "The component 'modflow' needs the shared library of MODFLOW 6 (libmf6), which was not "
        "found.",
        where=str(named) if named else None,
        fix="Install it with the command get-modflow of the package flopy, or from the releases of "
        "MODFLOW-ORG/executables, and set library = ... or the environment variable LIBMF6",
    )


def try_simulation(library: Path, folder: Path) -> None:
    """Load a simulation in another process, since MODFLOW 6 ends its process where it finds errors.

    Parameters
    ----------
    library : pathlib.Path
        The shared library.
    folder : pathlib.Path
        Folder with ``mfsim.nam``.

    Raises
    ------
    ComponentError
        If the simulation cannot be loaded, with what MODFLOW says of it, or adapts its time steps.
    MissingDependency
        If the library cannot be loaded.
    """
    if not (folder / "mfsim.nam").is_file():
        raise ComponentError(
            "There is no MODFLOW 6 simulation: 'mfsim.nam' does not exist.", str(folder)
        )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _TRIAL, str(library), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.strip() for line in done.stderr.split("\n") if line.strip()]
    if lines and lines[0].startswith("Traceback"):
        raise MissingDependency(
            f"The library of MODFLOW 6 cannot be loaded ({lines[-1]}).",
            str(library),
            "Set library = ... or the environment variable LIBMF6 to the file libmf6",
        )
    if done.returncode:
        printed = folder / "mfsim.stdout"
        report = printed.read_text(errors="replace") if printed.is_file() else ""
        errors = report.partition("ERROR REPORT:")[2].split()
        raise ComponentError(
            "MODFLOW 6 does not take the simulation: "
            f"{' '.join(errors or lines or ['it does not say why.'])}",
            str(folder),
            f"Mend its files; {folder / 'mfsim.lst'} says more",
        )
    if "adaptive" in done.stdout:  # it would fail in the next simulation of the process, too
        raise ComponentError(
            "The simulation chooses its time steps while it runs (ATS6), and a coupled run has to "
            "know them.",
            str(folder),
            "Take ATS6 out of the TDIS file, and set NSTP and TSMULT",
        )


@dataclass(frozen=True, eq=False)
class Clock:
    """The time steps of a simulation.

    Parameters
    ----------
    units : str
        Unit of time, of UDUNITS.
    seconds : float
        Its length [s].
    edges : numpy.ndarray
        Ends of the steps, the first one's start included; shape (step + 1,).
    """

    units: str
    seconds: float
    edges: np.ndarray


def read_clock(get: Get, folder: Path) -> Clock:
    """Read the time steps of a simulation.

    Raises
    ------
    ComponentError
        If its unit of time is not known, or a stress period has no length.
    """
    code = int(get("TDIS/ITMUNI")[0])
    if code not in _TIME_UNITS:
        raise ComponentError(
            "The simulation's unit of time is not seconds, minutes, hours or days.",
            str(folder),
            "Set TIME_UNITS in the TDIS file",
        )
    lengths = []
    for span, n, growth in zip(
        get("TDIS/PERLEN"), get("TDIS/NSTP"), get("TDIS/TSMULT"), strict=True
    ):
        weights = growth ** np.arange(n)
        lengths.extend(span * weights / weights.sum())
    if not min(lengths) > 0:
        raise ComponentError(
            "A stress period has the length 0.", str(folder), "Give it a PERLEN above 0"
        )
    return Clock(*_TIME_UNITS[code], edges=np.concatenate([[0.0], np.cumsum(lengths)]))


@dataclass(frozen=True, eq=False)
class FlowModel:
    """A flow model and its boundary packages, by their addresses.

    Parameters
    ----------
    name : str
        In capitals.
    grid : str
        Of its discretization.
    packages : dict of str to str
        Packages with flows into the aquifer: name, in small letters, to address; by the alphabet.
    recharge : str or None
        Name of the recharge package that a port sets.
    tells_cells : bool
        Whether that package has a list of its cells, ``CELLID``.
    stores : tuple of str
        Flows out of storage.
    movers : tuple of str
        Names of the packages of which the mover takes water.
    """

    name: str
    grid: str
    packages: dict[str, str]
    recharge: str | None
    tells_cells: bool
    stores: tuple[str, ...]
    movers: tuple[str, ...]


def read_flow_model(
    get: Get, names: Collection[str], folder: Path, wanted: str | None, recharge: str | None
) -> FlowModel:
    """Find the flow model of a simulation, and what of it is to be booked.

    Parameters
    ----------
    get : callable
        Returns arrays.
    names : collection of str
        Names of all arrays.
    folder : pathlib.Path
        Of the simulation, for errors.
    wanted : str or None
        Name of the model; the first if None.
    recharge : str or None
        Name of the recharge package; the first of the alphabet, if there is one, if None.

    Raises
    ------
    ComponentError
        If there is no such model or package, lengths are not metres, or the model moves water in a
        way that is not booked.
    """
    grids = {n.split("/")[0]: n for d in _GRIDS for n in names if n.endswith(f"/{d}/NODES")}
    flows = [m for m in grids if f"{m}/NPF/HDRY" in names]  # no model of transport
    models = sorted(flows, key=lambda m: int(get(f"{m}/ID")[0]))
    name = models[0] if wanted is None and models else (wanted or "").upper()
    if name not in models:
        raise ComponentError(
            f"The simulation has no flow model '{name}' ({nearest(name, models)}).", str(folder)
        )
    where, grid = f"{folder}, model {name}", grids[name].removesuffix("/NODES")
    if int(get(f"{grid}/LENUNI")[0]) != _METRES:
        raise ComponentError(
            "The model's unit of length is not metres.",
            where,
            "Set LENGTH_UNITS METERS in the discretization file",
        )
    _refuse_unbooked(get, names, name, where)
    bound = (n.removesuffix("/SIMVALS") for n in names if n.endswith("/SIMVALS"))
    packages = {a.split("/")[1].lower(): a for a in sorted(bound) if a.startswith(f"{name}/")}
    charged = _recharge_package(get, names, packages, recharge, where)
    cells = f"{packages[charged]}/CELLID" if charged else ""
    return FlowModel(
        name,
        grid,
        packages,
        charged,
        cells in names and get(cells).ndim == 2,
        tuple(f"{name}/STO/{s}" for s in _STORAGE if f"{name}/STO/{s}" in names),
        tuple(p for p, a in packages.items() if _moves(get, a)),
    )


def _moves(get: Get, package: str) -> bool:
    """Say whether the mover takes water of a package; advanced ones hand over their own."""
    return bool(get(f"{package}/IMOVER")[0]) and not get(f"{package}/ISADVPAK")[0]


def _refuse_unbooked(get: Get, names: Collection[str], model: str, where: str) -> None:
    """Refuse what moves or stores water beside storage and boundary packages."""
    others = {n.split("/")[0] for n in names if n.count("/") == 1 and n.endswith("/SIMVALS")}
    flows = sorted(n for n in others if n.startswith(("GWF-GWF", "SWF-GWF", "CHF-GWF", "OLF-GWF")))
    if flows:
        raise ComponentError(
            f"The simulation has water that crosses between its models ({flows[0]}), which is not "
            "booked.",
            where,
            "Make one model of them, or couple each as a component of its own",
        )
    if int(get(f"{model}/INCSUB")[0]):
        raise ComponentError(
            "The model stores water in compacting beds (CSUB), which is not booked.",
            where,
            "Use the storage package alone",
        )


def _recharge_package(
    get: Get,
    names: Collection[str],
    packages: dict[str, str],
    wanted: str | None,
    where: str,
) -> str | None:
    charged = [
        p
        for p, a in packages.items()
        if f"{a}/RECHARGE" in names and not int(get(f"{a}/IAUXMULTCOL")[0])
    ]
    if wanted is not None and wanted.lower() not in charged:
        raise ComponentError(
            f"The model has no list-based recharge package '{wanted}' without a multiplier "
            f"({nearest(wanted, charged)}).",
            where,
        )
    return wanted.lower() if wanted is not None else next(iter(charged), None)
