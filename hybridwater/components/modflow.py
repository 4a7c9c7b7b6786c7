"""MODFLOW 6 through its programming interface, with a library that the user supplies.

Langevin et al. (2017), USGS Techniques and Methods 6-A55, doi:10.3133/tm6A55; Hughes, Russcher,
Langevin, Morway and McDonald (2022), doi:10.1016/j.envsoft.2021.105257 (the interface).
"""

from __future__ import annotations

import ctypes.util
import datetime as dt
import os
import shutil
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np

from hybridwater.components.base import State, Variable
from hybridwater.components.grids import cells
from hybridwater.components.tables import TableComponent
from hybridwater.errors import ComponentError, ComponentFailed, MissingDependency, nearest

_TIME_UNITS = {1: ("s", 1.0), 3: ("h", 3600.0), 4: ("d", 86400.0)}  # ITMUNI of TDIS
_METRES = 2  # LENUNI of DIS
_STORAGE = ("STRGSS", "STRGSY")
_RECHARGE, _HEAD = "groundwater_recharge_flux", "hydraulic_head"
_REJECTED = "rejected_recharge_volume_transport"


def find_library(library: str | Path | None = None) -> Path:
    """Find the shared library of MODFLOW 6, ``libmf6``.

    Parameters
    ----------
    library : str or pathlib.Path, optional
        The file. If left out: the environment variable ``LIBMF6``, beside the program ``mf6`` on
        the path, or where the system keeps libraries.

    Raises
    ------
    MissingDependency
        If there is none.
    """
    program = shutil.which("mf6")
    beside = [] if program is None else [Path(program).parent, Path(program).parents[1] / "lib"]
    named = [library] if library else [os.environ.get("LIBMF6"), ctypes.util.find_library("mf6")]
    files = [Path(p) for p in named if p]
    files += [d / f"libmf6{end}" for d in beside for end in (".so", ".dll", ".dylib")]
    for path in files:
        if path.is_file():
            return path.resolve()
    raise MissingDependency(
        "The component 'modflow' needs the shared library of MODFLOW 6 (libmf6), which was not "
        "found.",
        where=str(library) if library else None,
        fix="Download it from the MODFLOW-ORG/executables releases and set library = ... or the "
        "environment variable LIBMF6",
    )


class Modflow(TableComponent):
    """A groundwater flow model of MODFLOW 6.

    The time steps are those of the simulation. Besides recharge and heads there is one output per
    boundary package, for example ``drn_water_volume_transport``, positive into the aquifer.
    MODFLOW 6 cannot go back in time, hence it has no state and takes part in explicit coupling
    only. Storage is counted from the start. The library holds one simulation per process: for two,
    use :class:`hybridwater.components.isolation.IsolatedComponent`.

    Parameters
    ----------
    simulation : str or pathlib.Path
        Folder with ``mfsim.nam``. Lengths must be metres; time seconds, hours or days.
    model : str, optional
        Name of the flow model; the first if left out.
    recharge : str, optional
        Name of the list-based recharge package that the port sets; the first RCH package, if there
        is one, if left out.
    library : str or pathlib.Path, optional
        The shared library; see :func:`find_library`.
    start : str or date, optional
        Date of time zero.
    inputs : mapping, optional
        First value of the recharge; the one in the simulation's files if left out.
    meshes : mapping of int to Mesh, optional
        Meshes: grid 0 are the active cells, grid 1 the cells with recharge.
    """

    has_state = False

    _running: ClassVar[weakref.ref[Modflow] | None] = None

    def __init__(
        self,
        *,
        simulation: str | Path = ".",
        model: str | None = None,
        recharge: str | None = None,
        library: str | Path | None = None,
        start: str | dt.date | None = None,
        inputs: Mapping[str, Any] | None = None,
        meshes: Mapping[int, Any] | None = None,
    ) -> None:
        self._folder, self._wanted, self._rch = Path(simulation), model, recharge
        self._library, self._meshes = library, dict(meshes or {})
        self._start = None if start is None else np.datetime64(start, "us").item()
        self._first_inputs = dict(inputs or {})
        self._mf6: Any = None
        self._steps, self._edges = 0, np.zeros(1)
        self._units, self._seconds = "d", 86400.0
        self._grids, self._values, self.variables = {}, {}, ()
        self._packages: dict[str, str] = {}

    # ---- life

    def get_component_name(self) -> str:  # noqa: D102
        return "modflow"

    def initialize(self, config_file: str = "") -> None:
        """Load the simulation.

        Raises
        ------
        ComponentError
            If the simulation cannot be used.
        MissingDependency
            If modflowapi or the library is missing.
        """
        if config_file:
            from hybridwater.components.configuration import read_configuration

            self.__init__(**read_configuration(type(self), config_file))
        from modflowapi import ModflowApi

        if not (self._folder / "mfsim.nam").is_file():
            raise ComponentError(
                "There is no MODFLOW 6 simulation: 'mfsim.nam' does not exist.", str(self._folder)
            )
        library = find_library(self._library)
        self._take_the_library()
        self._mf6 = ModflowApi(str(library), working_directory=str(self._folder))
        self._mf6.initialize()
        try:
            self._begin()
        except ComponentError:
            self.finalize()
            raise

    def _take_the_library(self) -> None:
        """Refuse a second simulation in this process: the library would mix them up."""
        other = None if Modflow._running is None else Modflow._running()
        if other is not None and other._mf6 is not None:
            if other is not self:
                raise ComponentError(
                    "The library of MODFLOW 6 holds one simulation per process, and there is one.",
                    str(other._folder),
                    "Run one of them as IsolatedComponent('modflow', ...), or finalize the other",
                )
            self.finalize()
        Modflow._running = weakref.ref(self)

    def _begin(self) -> None:
        self._steps = 0
        self._read_time()
        self._read_packages()
        self._declare()
        self._stored = np.zeros(self._grids[0].size)
        self._last: dict[str, np.ndarray] = {}
        for name, values in self._first_inputs.items():
            size = self._array(name).size
            self.set_value(name, np.broadcast_to(np.asarray(values, float), (size,)))

    def _get(self, address: str) -> np.ndarray:
        return self._mf6.get_value_ptr(address)

    def _read_time(self) -> None:
        code = int(self._get("TDIS/ITMUNI")[0])
        if code not in _TIME_UNITS:
            raise ComponentError(
                "The simulation's unit of time is not seconds, hours or days.",
                str(self._folder),
                "Set TIME_UNITS in the TDIS file",
            )
        self._units, self._seconds = _TIME_UNITS[code]
        lengths = []
        for span, n, growth in zip(
            self._get("TDIS/PERLEN"), self._get("TDIS/NSTP"), self._get("TDIS/TSMULT"), strict=True
        ):
            weights = growth ** np.arange(n)
            lengths.extend(span * weights / weights.sum())
        self._edges = np.concatenate([[0.0], np.cumsum(lengths)])

    def _read_packages(self) -> None:
        names = self._mf6.get_input_var_names()
        models = [n.split("/")[0] for n in names if n.endswith("/DIS/NODES") or "/DISV/NODES" in n]
        name = models[0] if self._wanted is None and models else (self._wanted or "").upper()
        if name not in models:
            raise ComponentError(
                f"The simulation has no flow model '{name}' on a DIS or DISV grid "
                f"({nearest(name, models)}).",
                str(self._folder),
            )
        self._model = name
        self._dis = next(d for d in ("DIS", "DISV") if f"{name}/{d}/NODES" in names)
        if int(self._get(f"{name}/{self._dis}/LENUNI")[0]) != _METRES:
            raise ComponentError(
                "The model's unit of length is not metres.",
                f"{self._folder}, model {name}",
                "Set LENGTH_UNITS METERS in the discretization file",
            )
        bound = [n.split("/")[1] for n in names if n.startswith(f"{name}/") and "/SIMVALS" in n]
        self._packages = {p.lower(): f"{name}/{p}" for p in bound}
        charged = [p for p, a in self._packages.items() if f"{a}/RECHARGE" in names]
        if self._rch is None and charged:
            self._rch = charged[0]
        if self._rch is not None and self._rch.lower() not in charged:
            raise ComponentError(
                f"The model has no list-based recharge package '{self._rch}' "
                f"({nearest(self._rch, charged)}).",
                f"{self._folder}, model {name}",
            )
        self._stores = [s for s in _STORAGE if f"{name}/STO/{s}" in names]

    def _declare(self) -> None:
        heads = self._get(f"{self._model}/X")
        sizes = {p: int(self._get(f"{a}/MAXBOUND")[0]) for p, a in self._packages.items()}
        self._grids = {0: cells(heads.size)}
        table = [Variable(_HEAD, "m", "out", "state", "head of the active cells")]
        table.append(
            Variable(
                "solver_error_volume_transport",
                "m3 s-1",
                "out",
                "rate",
                "what storage and boundaries of MODFLOW's own solution differ by, in total",
                location="none",
            )
        )
        if self._rch is not None:
            self._grids[1] = cells(sizes[self._rch.lower()])
            table.append(
                Variable(
                    _RECHARGE,
                    "kg m-2 d-1",
                    "in",
                    "rate",
                    "recharge of the cells of the recharge package",
                    grid=1,
                    typical=1.0,
                )
            )
            table.append(
                Variable(
                    _REJECTED,
                    "m3 s-1",
                    "out",
                    "rate",
                    "recharge given that did not reach the aquifer, as negative, in total",
                    location="none",
                )
            )
        for k, (package, size) in enumerate(sizes.items(), start=2):
            self._grids[k] = cells(size)
            table.append(
                Variable(
                    _transport(package),
                    "m3 s-1",
                    "out",
                    "rate",
                    f"what the package {package} puts into the aquifer",
                    grid=k,
                )
            )
        self.variables = tuple(table)
        self._values = {
            v.name: np.zeros(self._grids[v.grid].count(v.location)) for v in self.variables
        }
        self._values[_HEAD][:] = heads
        if self._rch is not None:
            self._values[_RECHARGE][:] = np.nan

    def update(self) -> None:
        """Do the next time step of the simulation.

        Raises
        ------
        ComponentError
            If there is none.
        ComponentFailed
            If MODFLOW 6 fails, or heads are not finite.
        """
        if self._mf6 is None or self._steps >= len(self._edges) - 1:
            raise ComponentError("There is no step beyond the end.", self._place())
        step = self.get_time_step() * self._seconds
        try:
            self._mf6.prepare_time_step(0.0)
            self._put_recharge()
            self._mf6.do_time_step()
            self._mf6.finalize_time_step()
        except Exception as error:  # modflowapi raises plain exceptions
            raise ComponentFailed(
                f"MODFLOW 6 raised {type(error).__name__}: {error}",
                self._place(),
                f"Read mfsim.lst in {self._folder}",
            ) from error
        self._steps += 1
        self._read_step(step)

    def _put_recharge(self) -> None:
        if self._rch is None:
            return
        theirs = self._get(f"{self._packages[self._rch.lower()]}/RECHARGE")
        ours, per_day = self._values[_RECHARGE], 1000.0 * 86400.0 / self._seconds
        unset = ~np.isfinite(ours)
        ours[unset] = theirs[unset] * per_day  # nobody set it: the simulation's own
        theirs[:] = ours / per_day

    def _read_step(self, step: float) -> None:
        heads = self._get(f"{self._model}/X")
        if not np.isfinite(heads).all():
            cell = int(np.flatnonzero(~np.isfinite(heads))[0])
            raise ComponentFailed(
                f"'{_HEAD}' became {heads[cell]}.", f"{self._place(_HEAD)}, cell {cell}"
            )
        self._values[_HEAD][:] = heads
        entered = 0.0
        for package, address in self._packages.items():
            flow = self._get(f"{address}/SIMVALS") / self._seconds
            self._values[_transport(package)][:] = flow
            entered += float(flow.sum())
        released = sum(self._get(f"{self._model}/STO/{s}") for s in self._stores) / self._seconds
        self._stored -= released * (step * 1000.0)
        self._values["solver_error_volume_transport"][:] = -np.sum(released) - entered
        self._book(step * 1000.0)

    def _book(self, kilograms: float) -> None:
        """Note what crossed the boundary; recharge as it was given, for the ledger's edges."""
        self._last = {
            name: self._values[name] * kilograms
            for name in self._values
            if name.endswith("_volume_transport")
        }
        if self._rch is None:
            return
        address = self._packages[self._rch.lower()]
        nodes = self._get(f"{address}/NODELIST")[: int(self._get(f"{address}/NBOUND")[0])]
        areas = np.zeros(self._grids[1].size)
        areas[: nodes.size] = self._get(f"{self._model}/{self._dis}/AREA")[nodes - 1]
        given = self._values[_RECHARGE] * areas * (kilograms / (1000.0 * 86400.0))
        taken = self._last.pop(_transport(self._rch.lower()))
        self._last[_RECHARGE] = given
        self._last[_REJECTED] = np.array([taken.sum() - given.sum()])
        self._values[_REJECTED][:] = self._last[_REJECTED] / kilograms

    def update_until(self, time: float) -> None:
        """Do steps up to a time, which must be the end of one.

        Raises
        ------
        ComponentError
            If it is not, or lies in the past.
        """
        ends = np.flatnonzero(np.isclose(self._edges, time, rtol=1e-9, atol=1e-12))
        if not ends.size or ends[0] < self._steps:
            raise ComponentError(
                f"Time {time:g} {self._units} is not the end of a coming time step.",
                self._place(),
                "Step to the ends of the steps in the simulation's TDIS file",
            )
        while self._steps < ends[0]:
            self.update()

    def finalize(self) -> None:
        """End the simulation; its own output files are complete afterwards."""
        if self._mf6 is not None:
            self._mf6.finalize()
        self._mf6, self._values = None, {}

    # ---- time

    @property
    def origin(self) -> dt.datetime | None:
        """Date of time zero, or None."""
        return self._start

    def get_current_time(self) -> float:  # noqa: D102
        return float(self._edges[self._steps])

    def get_start_time(self) -> float:  # noqa: D102
        return 0.0

    def get_end_time(self) -> float:  # noqa: D102
        return float(self._edges[-1])

    def get_time_units(self) -> str:  # noqa: D102
        return self._units

    def get_time_step(self) -> float:
        """Return the length of the next step, or of the last one at the end."""
        lengths = np.diff(self._edges)
        return float(lengths[min(self._steps, len(lengths) - 1)]) if lengths.size else 0.0

    # ---- what BMI lacks

    def get_state(self) -> State:  # noqa: D102
        self._no_state()

    def set_state(self, state: State) -> None:  # noqa: D102
        self._no_state()

    def _no_state(self) -> NoReturn:
        raise ComponentError(
            "The component 'modflow' has no state that can be taken and put back, since MODFLOW 6 "
            "cannot go back in time, so it can take part in explicit coupling only.",
            fix="Say lag = true in an exchange of its cycle",
        )

    def storage(self) -> dict[str, np.ndarray]:
        """Return the water in the aquifer, more than at the start [kg], shape (cell,)."""
        return {"aquifer": self._stored.copy()}

    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return what the packages put into the aquifer in the last step [kg]."""
        return dict(self._last)


def _transport(package: str) -> str:
    return f"{package}_water_volume_transport"
