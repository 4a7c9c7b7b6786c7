"""Starting Julia for others, which would start it in their own way."""

from __future__ import annotations

import os
import shutil

from hybridwater import _julia


def dask_setup(worker: object) -> None:
    """Start Julia in a worker of Dask, before its threads: ``--preload hybridwater.engines.julia``.

    Parameters
    ----------
    worker : distributed.Worker
        Dask gives it; it is not used.
    """
    start()


def start() -> None:
    """Start Julia now, as the settings say, for packages that would otherwise start it themselves.

    diffeqpy, PySR and all that use juliacall take the Julia that runs, and its project. Without
    this, the first solve with ``engine="julia"`` starts it. A second call does nothing.

    diffeqpy downloads a Julia where there is no program ``julia`` on the ``PATH`` of the process,
    whichever runs: so the folder of the one that was started is put at its end.

    Raises
    ------
    MissingDependency
        If Julia has not been set up, or does not start.
    SettingsError
        If the settings cannot be read, or name a system image that is not there.
    HybridwaterError
        If this process is a fork of one in which Julia runs, or this is not its main thread.

    Examples
    --------
    >>> from hybridwater.engines import julia
    >>> julia.start()  # doctest: +SKIP
    >>> from diffeqpy import ode  # doctest: +SKIP
    """
    _julia.start()
    program = _julia.available().executable
    if program is not None and shutil.which("julia") is None:
        os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), str(program.parent)])
