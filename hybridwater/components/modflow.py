"""MODFLOW 6 through its programming interface, with a library that the user supplies.

Langevin et al. (2017), USGS Techniques and Methods 6-A55, doi:10.3133/tm6A55; Hughes, Russcher,
Langevin, Morway and McDonald (2022), doi:10.1016/j.envsoft.2021.105257 (the interface).
"""

from __future__ import annotations

import datetime as dt
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np

from hybridwater.components.base import State, Variable
from hybridwater.components.grids import cells
from hybridwater.components.modflow_simulation import (
    Clock,
    find_library,
    read_clock,
    read_flow_model,
    try_simulation,
)
from hybridwater.components.tables import TableComponent
from hybridwater.errors import ComponentError, ComponentFailed, HybridwaterError

_RECHARGE, _HEAD = "groundwater_recharge_flux", "hydraulic_head"
_REJECTED = "rejected_recharge_volume_transport"
_SOLVER_ERROR = "solver_error_volume_transport"
_MM_DAY = 1000.0 * 86400.0  # kg m-2 d-1 in a m s-1


class Modflow(TableComponent):
    """A groundwater flow model of MODFLOW 6.

    The time steps are those of the simulation. Besides recharge and heads there is one output per
    boundary package, for example ``drn_outflow_water_volume_transport``, positive out of the
    aquifer (unlike MODFLOW's own flows), as an exchange takes it; what the mover of MODFLOW takes
    is one more. A cell that MODFLOW lets fall dry has the head of
    its bottom. Recharge is that of the simulation's files until it is set.

    MODFLOW 6 cannot go back in time, hence it has no state and takes part in explicit coupling
    only. Storage is counted from the start. The library holds one simulation per process, and ends
    the process where it finds errors in the input of a later stress period: use
    :class:`hybridwater.components.isolation.IsolatedComponent` for two, or where that may be.

    Parameters
    ----------
    simulation : str or pathlib.Path
        Folder with ``mfsim.nam``. Lengths must be metres; time seconds, minutes, hours or days, in
        steps that do not adapt.
    model : str, optional
        Name of the flow model; the first if left out.
    recharge : str, optional
        Name of the recharge package that the port sets; if left out, the first of the alphabet, if
        there is one. It must list the same cells in all stress periods, and have no multiplier.
    library : str or pathlib.Path, optional
        The shared library; see :func:`find_library`.
    start : str or date, optional
        Date of time zero.
    inputs : mapping, optional
        First value of the recharge; the one in the simulation's files if left out.
    mesh : Mesh, optional
        Mesh of the active cells, in MODFLOW's order.
    recharge_mesh : Mesh, optional
        Mesh of the cells of the recharge package, in the order of its list; exchanges of recharge
        need its areas, which must be those of MODFLOW's cells.
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
        mesh: Any = None,
        recharge_mesh: Any = None,
    ) -> None:
        self._folder, self._wanted, self._rch = Path(simulation), model, recharge
        self._library, self._meshes = library, {0: mesh, 1: recharge_mesh}
        self._start = None if start is None else np.datetime64(start, "us").item()
        self._first_inputs = dict(inputs or {})
        self._mf6: Any = None
        self._steps, self._clock = 0, Clock("d", 86400.0, np.zeros(1))
        self._grids, self._values, self.variables = {}, {}, ()

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

        library = find_library(self._library)
        try_simulation(library, self._folder)
        self._take_the_library()
        self._mf6 = ModflowApi(str(library), working_directory=str(self._folder))
        self._mf6.initialize()
        try:
            self._begin()
        except Exception:
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
        names = set(self._mf6.get_input_var_names())
        self._steps, self._clock = 0, read_clock(self._get, self._folder)
        self._model = read_flow_model(self._get, names, self._folder, self._wanted, self._rch)
        self._declare()
        self._stored = np.zeros(self._grids[0].size)
        self._last: dict[str, np.ndarray] = {}
        for name, values in self._first_inputs.items():
            size = self._array(name).size
            self.set_value(name, np.broadcast_to(np.asarray(values, float), (size,)))

    def _get(self, address: str) -> np.ndarray:
        return self._mf6.get_value_ptr(address)

    def _bound(self, package: str, variable: str) -> np.ndarray:
        """Return an array of a package, as long as its list in this stress period."""
        address = self._model.packages[package]
        return self._get(f"{address}/{variable}")[: int(self._get(f"{address}/NBOUND")[0])]

    def _declare(self) -> None:
        model, heads = self._model, self._heads()
        sizes = {p: int(self._get(f"{a}/MAXBOUND")[0]) for p, a in model.packages.items()}
        self._grids = {0: cells(heads.size)}
        table = [Variable(_HEAD, "m", "out", "state", "head of the active cells")]
        table.append(
            _total(
                _SOLVER_ERROR,
                "what storage and boundaries of MODFLOW's own solution differ by, in total",
            )
        )
        if model.recharge is not None:
            self._grids[1] = cells(sizes[model.recharge])
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
                    "recharge given that did not reach the aquifer",
                    grid=1,
                )
            )
        self._outflows = tuple(p for p in sizes if p != model.recharge)
        for k, package in enumerate(self._outflows, start=2):
            self._grids[k] = cells(sizes[package])
            table.append(
                Variable(
                    _outflow(package),
                    "m3 s-1",
                    "out",
                    "rate",
                    f"what the package {package} takes out of the aquifer",
                    grid=k,
                )
            )
        for package in model.movers:
            table.append(
                _total(
                    _moved(package),
                    f"what the mover takes, by the package {package}, out of the aquifer, in total",
                )
            )
        for grid, mesh in self._meshes.items():
            if mesh is not None and grid in self._grids and mesh.size != self._grids[grid].size:
                raise ComponentError(
                    f"The mesh '{mesh.name}' has {mesh.size} cells, but the "
                    f"{('model', 'recharge package')[grid]} has {self._grids[grid].size}.",
                    f"{self._folder}, model {model.name}",
                )
        self.variables = tuple(table)
        self._values = {
            v.name: np.zeros(self._grids[v.grid].count(v.location)) for v in self.variables
        }
        self._values[_HEAD][:] = heads
        if model.recharge is not None:
            self._values[_RECHARGE][:] = np.nan
            self._is_set = np.zeros(self._grids[1].size, bool)
            self._listed: np.ndarray | None = None

    def set_value(self, name: str, src: np.ndarray) -> None:  # noqa: D102
        super().set_value(name, src)
        self._is_set[:] = True

    def set_value_at_indices(  # noqa: D102
        self, name: str, inds: np.ndarray, src: np.ndarray
    ) -> None:
        super().set_value_at_indices(name, inds, src)
        self._is_set[np.asarray(inds)] = True

    def update(self) -> None:
        """Do the next time step of the simulation.

        Raises
        ------
        ComponentError
            If there is none.
        ComponentFailed
            If MODFLOW 6 fails, or heads are not finite.
        """
        if self._mf6 is None or self._steps >= len(self._clock.edges) - 1:
            raise ComponentError("There is no step beyond the end.", self._place())
        step = self.get_time_step() * self._clock.seconds
        try:
            self._mf6.prepare_time_step(0.0)
            self._put_recharge()
            self._mf6.do_time_step()
            self._mf6.finalize_time_step()
        except HybridwaterError:
            raise
        except Exception as error:  # modflowapi raises plain exceptions
            raise ComponentFailed(
                f"MODFLOW 6 raised {type(error).__name__}: {error}",
                self._place(),
                f"Read mfsim.lst in {self._folder}",
            ) from error
        self._steps += 1
        self._read_step(step)

    def _put_recharge(self) -> None:
        package = self._model.recharge
        if package is None:
            return
        if int(self._get("TDIS/KSTP")[0]) == 1:
            self._refuse_other_cells(package)
        theirs, own = self._bound(package, "RECHARGE"), ~self._is_set
        ours, per_day = self._values[_RECHARGE], _MM_DAY / self._clock.seconds
        shown = np.zeros(ours.size)
        shown[: theirs.size] = theirs * per_day
        ours[own] = shown[own]
        given = ~own[: theirs.size]
        theirs[given] = ours[: theirs.size][given] / per_day

    def _refuse_other_cells(self, package: str) -> None:
        """Refuse a stress period in which values that were set would go to other cells."""
        told = self._bound(package, "CELLID" if self._model.tells_cells else "NODELIST")
        listed = told.copy() if self._model.tells_cells else np.arange(told.size)
        if self._listed is not None and self._is_set.any():
            if not np.array_equal(listed, self._listed):
                raise ComponentError(
                    f"The recharge package '{package}' lists other cells in this stress period "
                    f"than in the first ({len(listed)} and {len(self._listed)}).",
                    self._place(_RECHARGE),
                    "List the same cells in all stress periods, with a recharge of 0 if need be",
                )
        if self._listed is None:
            self._listed = listed

    def _heads(self) -> np.ndarray:
        """Return the heads of the active cells; MODFLOW has unknowns of wells behind them."""
        bottoms = self._get(f"{self._model.grid}/BOT")
        heads = self._get(f"{self._model.name}/X")[: bottoms.size]
        return np.where(heads == self._get(f"{self._model.name}/NPF/HDRY"), bottoms, heads)

    def _read_step(self, step: float) -> None:
        heads, model, values = self._heads(), self._model, self._values
        if not np.isfinite(heads).all():
            cell = int(np.flatnonzero(~np.isfinite(heads))[0])
            raise ComponentFailed(
                f"'{_HEAD}' became {heads[cell]}.", f"{self._place(_HEAD)}, cell {cell}"
            )
        values[_HEAD][:] = heads
        rate, kilograms = 1.0 / self._clock.seconds, step * 1000.0
        for package in self._outflows:
            flow = self._bound(package, "SIMVALS")
            values[_outflow(package)][: flow.size] = -flow * rate
            values[_outflow(package)][flow.size :] = 0.0
        for package in model.movers:
            values[_moved(package)][:] = -self._bound(package, "SIMTOMVR").sum() * rate
        leaving = (*map(_outflow, self._outflows), *map(_moved, model.movers))
        self._last = {name: -values[name] * kilograms for name in leaving}
        if model.recharge is not None:
            self._last |= self._recharge(model.recharge, step)
        change = -sum(self._get(store) for store in model.stores) * (rate * kilograms)
        self._stored += change
        error = np.sum(change) - sum(flux.sum() for flux in self._last.values())
        values[_SOLVER_ERROR][:] = error / kilograms
        self._last[_SOLVER_ERROR] = np.array([error])

    def _recharge(self, package: str, step: float) -> dict[str, np.ndarray]:
        """Return the recharge as it was given, for the ledger's edges, less what was rejected."""
        nodes, taken = self._bound(package, "NODELIST"), np.zeros(self._grids[1].size)
        areas, listed = np.zeros(taken.size), nodes > 0
        areas[: nodes.size][listed] = self._get(f"{self._model.grid}/AREA")[nodes[listed] - 1]
        taken[: nodes.size] = self._bound(package, "SIMVALS") / self._clock.seconds
        given = self._values[_RECHARGE] * areas / _MM_DAY
        self._values[_REJECTED][:] = given - taken
        return {
            _RECHARGE: given * (step * 1000.0),
            _REJECTED: self._values[_REJECTED] * (-step * 1000.0),
        }

    def update_until(self, time: float) -> None:
        """Do steps up to a time, which must be the end of one.

        Raises
        ------
        ComponentError
            If it is not, or lies in the past.
        """
        ends = np.flatnonzero(np.isclose(self._clock.edges, time, rtol=1e-9, atol=1e-12))
        if not ends.size or ends[0] < self._steps:
            raise ComponentError(
                f"Time {time:g} {self._clock.units} is not the end of a coming time step.",
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
        return float(self._clock.edges[self._steps])

    def get_start_time(self) -> float:  # noqa: D102
        return 0.0

    def get_end_time(self) -> float:  # noqa: D102
        return float(self._clock.edges[-1])

    def get_time_units(self) -> str:  # noqa: D102
        return self._clock.units

    def get_time_step(self) -> float:
        """Return the length of the next step, or of the last one at the end."""
        lengths = np.diff(self._clock.edges)
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
        """Return what the packages put into the aquifer, negative if out of it [kg]."""
        return dict(self._last)


def _outflow(package: str) -> str:
    return f"{package}_outflow_water_volume_transport"


def _moved(package: str) -> str:
    return f"{package}_to_mover_volume_transport"


def _total(name: str, description: str) -> Variable:
    return Variable(name, "m3 s-1", "out", "rate", description, location="none")
