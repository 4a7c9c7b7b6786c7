"""A component from its declaration table: what is left to write is one time step."""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from hybridwater.components.base import State, unknown_variable
from hybridwater.components.configuration import read_configuration, require_same
from hybridwater.components.grids import Grid
from hybridwater.components.tables import TableComponent
from hybridwater.errors import ComponentError, ComponentFailed


class DeclaredComponent(TableComponent):
    """Base class of components with a fixed time step.

    A subclass sets ``name``, ``title``, ``variables`` and ``time_units``, and writes `_make_grids`,
    `_reset`, `_advance`, `_state_arrays`, `storage` and `boundary_fluxes`; see
    ``hybridwater/components/template.py``. Inputs that have no default are NaN until someone sets
    them, and `update` refuses to go on without.

    Parameters
    ----------
    step : float
        Time step, in ``time_units``.
    start, end : str or datetime, optional
        Date of time zero, and the date beyond which there is no step.
    inputs : mapping of str to array_like, optional
        Values of inputs until someone sets others; one number stands for all cells.
    meshes : mapping of int to Mesh, optional
        Mesh of each grid.
    """

    name: str
    title: ClassVar[str] = ""
    time_units: ClassVar[str] = "d"
    checks_outputs = True

    def __init__(
        self,
        *,
        step: float = 1.0,
        start: str | dt.date | None = None,
        end: str | dt.date | None = None,
        inputs: Mapping[str, Any] | None = None,
        meshes: Mapping[int, Any] | None = None,
    ) -> None:
        self._step = float(step)
        self._start, self._end = _date(start), _date(end)
        self._first_inputs = dict(inputs or {})
        self._meshes = {k: m for k, m in (meshes or {}).items() if m is not None}
        self._steps = np.zeros((), np.int64)
        self._grids, self._values = {}, {}
        self._finite: set[str] = set()  # outputs that `_advance` itself knows to be

    # ---- to be written by a component

    @abstractmethod
    def _make_grids(self) -> dict[int, Grid]:
        """Return the grids; called by `initialize`, before `_reset`."""

    @abstractmethod
    def _reset(self) -> None:
        """Make the initial state, and set the outputs that are states from it."""

    @abstractmethod
    def _advance(self) -> None:
        """Do one step: read inputs from, and write outputs into, ``self._values[name][:]``."""

    @abstractmethod
    def _state_arrays(self) -> dict[str, np.ndarray]:
        """Return the live arrays that, with the values and the time, are the whole state."""

    def _cell_areas(self, grid: int) -> np.ndarray | None:
        """Return the areas of cells [m2], shape (cell,), where the component knows them."""
        return None

    def mesh(self, grid: int) -> Any | None:
        """Return the mesh that the component was made with, or columns of the areas it knows."""
        from hybridwater.meshes import column_mesh

        known = grid in self._meshes or grid not in self._grids
        areas = None if known else self._cell_areas(grid)
        if areas is not None:
            points = self._grids[grid].coordinates
            lonlat = len(points) == 2
            centroids = points if lonlat else (np.arange(areas.size), np.zeros(areas.size))
            self._meshes[grid] = column_mesh(
                areas, np.stack(centroids, axis=1), name=self.name, lonlat=lonlat
            )
        return super().mesh(grid)

    def _configuration(self) -> dict[str, Any]:
        """Return what tells one configuration from another: numbers and arrays."""
        return {}

    def _stack(self, parts: Sequence[Self]) -> None:
        """Take the parameters of all parts in place of those of the first; see `stacked`."""
        raise ComponentError(f"The component '{self.name}' cannot hold several runs.")

    @classmethod
    def stacked(cls, parts: Sequence[Self]) -> Self:
        """Make one component of several; see `hybridwater.components.Component.stacked`."""
        first = parts[0]
        made = copy.copy(first)
        for what in ("_step", "_start", "_end", "variables"):
            require_same(first.name, what.strip("_"), [getattr(p, what) for p in parts])
        made._steps, made._grids, made._values = np.zeros((), np.int64), {}, {}
        made._finite = set()
        meshes = {grid: first.mesh(grid) for grid in first._grids}
        made._meshes = {grid: mesh for grid, mesh in meshes.items() if mesh is not None}
        given = {name for part in parts for name in part._first_inputs}
        made._first_inputs = {n: np.concatenate([p._values[n] for p in parts]) for n in given}
        made._stack(parts)
        return made

    # ---- life

    def get_component_name(self) -> str:  # noqa: D102
        return self.name

    def initialize(self, config_file: str = "") -> None:
        """Begin at time zero.

        Parameters
        ----------
        config_file : str
            TOML file with the keywords of the constructor, which replace those that it was given;
            empty for none.

        Raises
        ------
        ComponentError
            If the configuration cannot be used.
        """
        if config_file:
            self.__init__(**read_configuration(type(self), config_file))
        self._steps[()] = 0
        self._grids = self._make_grids()
        self._values = {v.name: self._blank(v.name) for v in self.variables}
        self._reset()
        for name, values in self._first_inputs.items():
            if name not in self._values:
                raise unknown_variable(self.name, name, list(self.get_input_var_names()))
            target = self._values[name]
            values = np.asarray(values, float)
            self.set_value(
                name, np.broadcast_to(values, target.shape) if values.ndim == 0 else values
            )

    def _blank(self, name: str) -> np.ndarray:
        v = self.variable(name)
        size = self._grid(v.grid).count(v.location)
        unset = np.nan if v.intent == "in" and np.dtype(v.dtype).kind == "f" else 0
        return np.full(size, unset if v.default is None else v.default, v.dtype)

    def update(self) -> None:
        """Do one time step.

        Raises
        ------
        ComponentError
            If an input was never set, or there is no step beyond the end.
        ComponentFailed
            If an output is not finite afterwards.
        """
        self._refuse_unready()
        self._advance()
        self._steps += 1
        self._refuse_broken()

    def update_until(self, time: float) -> None:
        """Do whole steps up to a time.

        Raises
        ------
        ComponentError
            If the time lies in the past, or between two steps.
        """
        n = (time - self.get_current_time()) / self._step
        if n < -1e-9:
            raise ComponentError(
                f"The component cannot go back to time {time:g} {self.time_units}.",
                self._place(),
                "Use set_state with a state of that time",
            )
        if abs(n - round(n)) > 1e-9 * max(1.0, abs(n)):
            raise ComponentError(
                f"Time {time:g} {self.time_units} lies between two steps of "
                f"{self._step:g} {self.time_units}.",
                self._place(),
                "Step to a multiple of the step; an exchange redistributes in time",
            )
        for _ in range(round(n)):
            self.update()

    def finalize(self) -> None:
        """End the component; `initialize` begins anew."""
        self._values = {}

    def _refuse_unready(self) -> None:
        if not self._values:
            raise ComponentError(
                f"The component '{self.name}' was stepped before it was initialized.",
                fix="Call initialize() first",
            )
        if self.get_current_time() + self._step > self.get_end_time() * (1 + 1e-12):
            raise ComponentError("There is no step beyond the end.", self._place())
        for v in self.variables:
            values = self._values[v.name]
            if v.is_input and values.dtype.kind == "f" and not np.isfinite(values).all():
                cell = int(np.flatnonzero(~np.isfinite(values))[0])
                raise ComponentError(
                    f"The input '{v.name}' is {values[cell]}.",
                    f"{self._place(v.name)}, cell {cell}",
                    f"Set it before each step, in {v.units}: set_value('{v.name}', ...)",
                )

    def _refuse_broken(self) -> None:
        for v in self.variables:
            if not v.is_output or v.name in self._finite:
                continue
            values = self._values[v.name]
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                cell = int(np.flatnonzero(~np.isfinite(values))[0])
                raise ComponentFailed(
                    f"'{v.name}' became {values[cell]}.",
                    f"{self._place(v.name)}, cell {cell}",
                    "Look at the inputs of that cell, and go on from the last checkpoint",
                )

    # ---- time

    @property
    def origin(self) -> dt.datetime | None:
        """Date of time zero, or None."""
        return self._start

    def date(self) -> dt.datetime:
        """Return the date of the current time.

        Raises
        ------
        ComponentError
            If the component was not given a date to start at.
        """
        if self._start is None:
            raise ComponentError(
                f"The component '{self.name}' has no date of its start.",
                fix="Give it one: start = 1979-01-01",
            )
        return self._start + self.get_current_time() * _unit(self.time_units)

    def get_current_time(self) -> float:  # noqa: D102
        return float(self._steps) * self._step

    def get_start_time(self) -> float:  # noqa: D102
        return 0.0

    def get_end_time(self) -> float:
        """Return the last time, or the largest number if there is no end."""
        if self._end is None or self._start is None:
            return float(np.finfo(float).max)
        return (self._end - self._start) / _unit(self.time_units)

    def get_time_step(self) -> float:  # noqa: D102
        return self._step

    def get_time_units(self) -> str:  # noqa: D102
        return self.time_units

    # ---- state

    def get_state(self) -> State:
        """Return a copy of values, state and time."""
        arrays = {name: array.copy() for name, array in self._live().items()}
        return State(arrays, {"component": self.name, "configuration": self.fingerprint})

    def set_state(self, state: State) -> None:
        """Go to a state, its values and its time.

        Raises
        ------
        ComponentError
            If it is not a state of this component with this configuration.
        """
        live = self._live()
        theirs, ours = state.metadata.get("configuration"), self.fingerprint
        if theirs != ours or set(state.arrays) != set(live):
            raise ComponentError(
                f"This is not a state of the component '{self.name}' as it is configured, but of "
                f"'{state.metadata.get('component', '?')}' ({theirs}, not {ours}).",
                self._place(),
                "Restart with the case that wrote the checkpoint",
            )
        for name, array in state.arrays.items():
            live[name][...] = array

    def _live(self) -> dict[str, np.ndarray]:
        values = {f"value/{name}": array for name, array in self._values.items()}
        own = {f"state/{name}": array for name, array in self._state_arrays().items()}
        return {"steps": self._steps, **values, **own}

    @property
    def fingerprint(self) -> str:
        """What this configuration is called in a checkpoint: 16 hexadecimal digits."""
        digest = hashlib.blake2b(digest_size=8)
        digest.update(f"{self.name} {self._step!r} {self._start}".encode())
        for name, value in sorted({**self._configuration(), **self._values}.items()):
            array = np.asarray(value)
            digest.update(f"{name} {array.shape} {array.dtype}".encode())
            if name not in self._values:
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def _date(value: str | dt.date | None) -> dt.datetime | None:
    if value is None:
        return None
    try:
        return np.datetime64(value, "us").item()
    except ValueError as error:
        raise ComponentError(
            f"'{value}' is not a date.", fix="Write it as in 1979-01-01"
        ) from error


def _unit(time_units: str) -> dt.timedelta:
    return {
        "s": dt.timedelta(seconds=1),
        "h": dt.timedelta(hours=1),
        "d": dt.timedelta(days=1),
    }[time_units]
