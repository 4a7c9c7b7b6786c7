"""Start Julia, once per process and only when it is needed."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import hybridwater
from hybridwater import settings
from hybridwater._julia.availability import INSTALL, UUID, Availability, available, sources
from hybridwater._julia.interruption import Bell, blocked, give_back
from hybridwater.errors import HybridwaterError, MissingDependency, SettingsError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Julia:
    """A running Julia.

    Parameters
    ----------
    module : juliacall.ModuleValue
        The Julia package HybridWater.
    release : callable
        Lets go of what Julia's collector found while Python's lock was not held.
    bell : Bell
        How a call is asked to end.
    version : str
        Of Julia.
    threads : int
        How many threads Julia computes with.
    """

    module: Any
    release: Callable[[], None]
    bell: Bell
    version: str
    threads: int


# Loaded by its identity: nothing gets a name in Main.
_LOAD = f'Base.require(Base.PkgId(Base.UUID("{UUID}"), "HybridWater"))'

_lock = threading.Lock()
_running: Julia | None = None
_failure: HybridwaterError | None = None  # for good: Julia cannot be initialised twice


def _after_fork() -> None:
    """Refuse a Julia that runs in the parent, whoever has started it there."""
    global _failure
    if _failure is None and "juliacall" in sys.modules:
        _failure = HybridwaterError(
            "Julia does not survive a fork: it runs in the parent of this process",
            f"process {os.getpid()}, forked from {os.getppid()}",
            "Start processes with multiprocessing.get_context('spawn')",
        )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def started() -> bool:
    """Return whether Julia runs in this process, started by this package."""
    return _running is not None and _failure is None


def obstacle() -> HybridwaterError | None:
    """Return what `start` would raise in this process and thread, as far as that is known.

    Returns
    -------
    HybridwaterError or None
        Of a fork, of a start that has failed, or of a thread other than the main one.
    """
    if _failure is not None:
        return _failure
    if _running is None and threading.current_thread() is not threading.main_thread():
        return HybridwaterError(
            "Julia can only be started by the main thread of a process",
            f"thread '{threading.current_thread().name}'",
            "Call hybridwater.engines.julia.start() in the main thread before you start others; "
            "workers of Dask do so with --preload hybridwater.engines.julia",
        )
    return None


def start() -> Julia:
    """Start Julia with the package HybridWater, if it has not been started.

    Options are read once, from the settings and from ``PYTHON_JULIACALL_*`` variables; the
    settings win. Nothing is defined in Julia's module ``Main``.

    Returns
    -------
    Julia

    Raises
    ------
    MissingDependency
        If Julia has not been set up, or does not start.
    SettingsError
        If the settings cannot be read, or name a system image that is not there.
    HybridwaterError
        If this process is a fork of one in which Julia runs, or this is not its main thread.
    """
    global _running, _failure
    if _failure is not None:  # before the lock, which another thread may have held in a fork
        raise _failure
    with _lock:
        if (trouble := obstacle()) is not None:
            raise trouble
        if _running is not None:
            return _running
        begin = time.perf_counter()
        foreign = "juliacall" in sys.modules
        where = available()
        if not foreign:
            where.demand()
            _warn_of_torch()
            configure(where)
        try:
            _running = _begin(where, foreign)
        except HybridwaterError as error:
            _failure = error
            raise
        logger.info(
            "Julia %s started in %.1f s with %d threads",
            _running.version,
            time.perf_counter() - begin,
            _running.threads,
        )
        return _running


def configure(where: Availability) -> None:
    """Set the options of juliacall, which reads them when it is imported.

    The optimisation level is left as it is: another one than that of ``hybridwater julia
    precompile`` would compile all packages again.

    Parameters
    ----------
    where : Availability
        Which Julia to use.

    Raises
    ------
    SettingsError
        If the system image that the settings name is not there.
    """
    chosen = settings.current()
    image = chosen.julia_sysimage
    if image is not None and not image.is_file():
        raise SettingsError(
            f"There is no system image at {image}",
            "setting 'julia_sysimage'",
            f"Run 'hybridwater julia precompile --sysimage {image}', or leave the setting out",
        )
    # Julia's garbage collector stops threads by faults, which end a process that has no handler.
    os.environ["PYTHON_JULIACALL_HANDLE_SIGNALS"] = "yes"
    os.environ.setdefault("PYTHON_JULIACALL_AUTOLOAD_IPYTHON_EXTENSION", "no")
    options = {
        "THREADS": None if chosen.julia_threads == "auto" else str(chosen.julia_threads),
        "SYSIMAGE": image,
        "EXE": where.executable,
        "PROJECT": where.project,
        "LIB": where.library,
        "BINDIR": where.binaries,
    }
    for name, value in options.items():
        if value is not None:
            os.environ[f"PYTHON_JULIACALL_{name}"] = str(value)
    os.environ.setdefault("PYTHON_JULIACALL_THREADS", "auto")


def _warn_of_torch() -> None:
    """Warn if torch was imported first, where that is known to do harm.

    Both torch and Julia bring symbols of libuv. The macOS loader can mix the two up (PythonCall
    issue 215, PyTorch issue 78829). On Linux torch keeps its own to itself, and both orders work.
    """
    if sys.platform == "darwin" and "torch" in sys.modules:
        warnings.warn(
            "torch was imported before Julia was started, which has corrupted memory on macOS. To "
            "mend it: call hybridwater.engines.julia.start() before 'import torch'.",
            stacklevel=3,
        )


def _begin(where: Availability, foreign: bool) -> Julia:
    before = set() if foreign else blocked()
    try:
        with warnings.catch_warnings():
            # Said by _warn_of_torch where it matters.
            warnings.filterwarnings("ignore", message="torch was imported before juliacall")
            import juliacall
    except Exception as error:  # whatever a damaged installation may raise
        what = f"Julia does not start ({type(error).__name__}: {error})"
        raise MissingDependency(what, where.where, INSTALL) from error
    finally:
        give_back(before)
    project = str(juliacall.CONFIG["project"])
    try:
        module = juliacall.Main.seval(_LOAD)
        version = str(juliacall.Base.pkgversion(module))
    except Exception as error:  # whatever loading a package may raise
        _refuse_project(project, foreign, error)
    if version != hybridwater.__version__:
        what = f"The Julia package is version {version}, and hybridwater {hybridwater.__version__}"
        raise MissingDependency(what, project, f"{INSTALL}, and build a system image again")
    if str(getattr(module, "BUILT_FROM", "")) not in ("", sources(Path(project))):
        what = (
            "The system image was built from other sources of HybridWater than those that are there"
        )
        build = f"hybridwater julia precompile --sysimage {settings.current().julia_sysimage}"
        raise MissingDependency(what, project, f"Build it again: '{build}'")
    bell = Bell()
    module.listen(bell.address, bell.size)
    _let_collect(int(juliacall.Main.seval("UInt(cglobal(:jl_gc_safe_enter))")))
    threads = int(juliacall.Base.Threads.nthreads())
    if foreign:
        _say_what_is_fixed(juliacall.CONFIG, where, threads)
    release = juliacall.PythonCall.GC.gc
    version = str(juliacall.Base.VERSION)
    return Julia(module, release, bell, version, threads)


def _let_collect(enter: int) -> None:
    """Let Julia collect garbage in other threads while the main thread is in Python.

    juliacall leaves the main thread in a state in which the collector waits for it until it is
    back in Julia: for ever, if it waits for a thread that computes there (PythonCall issue 578).
    Each call into Julia leaves this state and restores it.

    Parameters
    ----------
    enter : int
        Address of the C function ``jl_gc_safe_enter``.
    """
    ctypes.PYFUNCTYPE(ctypes.c_int8)(enter)()


def _refuse_project(project: str, foreign: bool, error: Exception) -> NoReturn:
    first = str(error).strip().split("\n", 1)[0]
    what, fix = f"The Julia package HybridWater does not load: {first}", INSTALL
    if foreign:
        what = f"Another package has started Julia in a project without HybridWater ({first})"
        fix = "Call hybridwater.engines.julia.start() before that package is imported"
    raise MissingDependency(what, project, fix) from error


def _say_what_is_fixed(config: dict[str, Any], where: Availability, threads: int) -> None:
    """Warn of options that cannot be changed because juliacall was imported by someone else."""
    wanted = settings.current().julia_threads
    fixed = []
    if wanted not in ("auto", threads):
        fixed.append(f"it has {threads} threads, and the settings say {wanted}")
    if threads > 1 and config.get("opt_handle_signals") != "yes":
        fixed.append("its signal handling is off, and with several threads it may crash")
    if where.ready and Path(config["project"]) != where.project:
        fixed.append(f"its project is {config['project']}, and not {where.project}")
    if fixed:
        warnings.warn(
            f"Julia was started by another package: {'; '.join(fixed)}. To mend it: call "
            "hybridwater.engines.julia.start() before that package is imported, or set the "
            "PYTHON_JULIACALL_ variables.",
            stacklevel=2,
        )
