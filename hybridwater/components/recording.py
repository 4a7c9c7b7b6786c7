"""Recording what a component is fed and what it gives, step by step, as a dataset."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybridwater import units
from hybridwater.components.base import Component, Variable
from hybridwater.components.ports import conversion
from hybridwater.errors import ComponentError, DataError, nearest

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: Put before the name of a state for its values before the first step.
INITIAL = "initial_"
#: Date of time zero of a component that knows no calendar.
_ORIGIN = np.datetime64("2000-01-01")


class Recorder:
    """Keeps the values of a component after each of its steps.

    Parameters
    ----------
    component : Component
        Initialized, and driven by whoever drives it.
    """

    def __init__(self, component: Component) -> None:
        self.component = component
        #: Number of cells.
        self.size = component.get_value_ptr(component.variables[0].name).size
        self._variables = tuple(
            v for v in component.variables if component.get_value_ptr(v.name).size == self.size
        )
        self._begun = component.get_current_time()
        self._initial = {v.name: self._values(v) for v in self._variables if v.kind == "state"}
        self._rows: dict[str, list[np.ndarray]] = {v.name: [] for v in self._variables}
        self._booked = np.zeros((2, self.size))
        self._stored = self._water()
        #: Time that each step took [s].
        self.seconds: list[float] = []
        #: Water that crossed the boundary [kg], in and out.
        self.moved = 0.0
        #: What the water balance of each step lacks, relative to the water in store.
        self.gaps: list[float] = []

    def _values(self, variable: Variable) -> np.ndarray:
        return np.array(self.component.get_value_ptr(variable.name), float).reshape(-1)

    def update(self) -> None:
        """Let the component do one step, and keep what it was fed and what it gave."""
        begun = time.perf_counter()
        self.component.update()
        self.seconds.append(time.perf_counter() - begun)
        for variable in self._variables:
            self._rows[variable.name].append(self._values(variable))
        if not self.component.has_storage:
            return
        booked = self.component.boundary_fluxes()
        for name, kilograms in booked.items():
            if name in self._per_area:
                depth = self._rows[name][-1] * self._per_area[name]
                self._booked += np.abs([kilograms, depth])
        self.moved += sum(float(np.abs(f).sum()) for f in booked.values())
        before, self._stored = self._stored, self._water()
        gap = self._stored - before - sum(float(np.sum(f)) for f in booked.values())
        self.gaps.append(abs(gap) / max(abs(self._stored), abs(before), 1e-300))

    def _water(self) -> float:
        stores = self.component.storage() if self.component.has_storage else {}
        return sum(float(np.sum(s)) for s in stores.values())

    @functools.cached_property
    def _per_area(self) -> dict[str, float]:
        """Return the mass [kg m-2] that one unit of each rate per area brings in a step."""
        c, found = self.component, {}
        target = f"kg m-2 {c.get_time_units()}-1"
        for v in self._variables:
            given = units.parse(v.units)
            for unit in (given, given * units.parse("kg m-3")):
                if v.kind == "rate" and unit.is_compatible_with(units.parse(target)):
                    scale, _ = conversion(v.units, target, np.ones(1))
                    found[v.name] = float(scale[0]) * c.get_time_step()
        return found

    def areas(self) -> np.ndarray:
        """Return the area of each cell [m2], shape (cell,): of the mesh, or as the ledger says.

        Raises
        ------
        ComponentError
            If there is no mesh, and a cell through which no water went.
        """
        mesh = self.component.mesh(0)
        if mesh is not None:
            return np.asarray(mesh.areas, float)
        kilograms, depth = self._booked
        if not (depth > 0).all():
            cell = int(np.flatnonzero(~(depth > 0))[0])
            raise ComponentError(
                "The area of a cell is not known: there is no mesh, and no water went through it.",
                f"component '{self.component.get_component_name()}', cell {cell}",
                "Give area=... in m2",
            )
        return kilograms / depth

    def dataset(self) -> xr.Dataset:
        """Return what was recorded.

        Returns
        -------
        xarray.Dataset
            Dims (basin, time), a basin per cell: every variable in its unit, rates as means over
            the record, states at its end; and, with dim (basin), the states before the first step,
            named ``initial_...``.

        Raises
        ------
        DataError
            If fewer than two steps were recorded.
        """
        import xarray as xr

        if len(self.seconds) < 2:
            raise DataError("A recording needs two steps or more.", fix="Record a longer period")
        result = xr.Dataset(
            coords={"basin": list(_names(self.component)), "time": self._time()},
            attrs={"source": f"component '{self.component.get_component_name()}'"},
        )
        for v in self._variables:
            values = np.stack(self._rows[v.name], axis=1)
            how = "time: mean" if v.kind == "rate" else "time: point"
            attrs = {"units": v.units, "long_name": v.description, "cell_methods": how}
            if v.standard_name:
                attrs["standard_name"] = v.standard_name
            result[v.name] = (("basin", "time"), values, attrs)
            if v.kind == "state":
                attrs = {"units": v.units, "long_name": f"{v.description}, before the first step"}
                result[INITIAL + v.name] = ("basin", self._initial[v.name], attrs)
        return result

    def _time(self) -> pd.DatetimeIndex:
        import pandas as pd

        c = self.component
        step = units.convert(c.get_time_step(), c.get_time_units(), "s")
        since = units.convert(self._begun, c.get_time_units(), "s")
        begun = pd.Timestamp(c.origin or _ORIGIN) + pd.Timedelta(seconds=float(since))
        return pd.date_range(
            begun, periods=len(self.seconds), freq=pd.Timedelta(seconds=float(step))
        )


def record(component: Component, inputs: xr.Dataset) -> Recorder:
    """Run a component on given inputs, and record it.

    Parameters
    ----------
    component : Component
        Initialized.
    inputs : xarray.Dataset
        Inputs that change, named as the component's, with units, dims (time) or (basin, time), one
        record per step. Other inputs keep their values.

    Raises
    ------
    ComponentError, DataError, UnitError
        If the inputs are not those of the component, or it refuses to go on.
    """
    recorder = Recorder(component)
    drive([recorder], inputs)
    return recorder


def drive(recorders: Sequence[Recorder], inputs: xr.Dataset) -> None:
    """Run components in turn, step by step, on the same inputs; see `record`."""
    series = [
        {str(n): _series(r.component, str(n), inputs) for n in inputs.data_vars} for r in recorders
    ]
    for k in range(inputs.sizes["time"]):
        for recorder, own in zip(recorders, series, strict=True):
            for name, values in own.items():
                recorder.component.set_value(name, np.broadcast_to(values[k], recorder.size))
            recorder.update()


def _series(component: Component, name: str, inputs: xr.Dataset) -> np.ndarray:
    """Return one input in the unit of the component, shape (time, cell)."""
    known = component.get_input_var_names()
    if name not in known:
        raise DataError(
            f"The component '{component.get_component_name()}' has no input '{name}' "
            f"({nearest(name, known)}).",
            "inputs",
        )
    data = inputs[name]
    unit, size = units.require(data), component.get_value_ptr(name).size
    if not set(data.dims) <= {"basin", "time"} or "time" not in data.dims:
        raise DataError(
            f"'{name}' has the dimensions {tuple(map(str, data.dims))}.",
            "inputs",
            "Give it (time) or (basin, time)",
        )
    values = data.transpose("time", ...).values.astype(float)
    if values.ndim == 2 and values.shape[1] != size:
        raise DataError(
            f"'{name}' has {values.shape[1]} basins, but the component has {size} cells.",
            "inputs",
            "Give one basin per cell, in their order",
        )
    scale, offset = conversion(unit, component.get_var_units(name), np.ones(size))
    return values.reshape(len(values), -1) * scale + offset


def _names(component: Component) -> tuple[str, ...]:
    mesh = component.mesh(0)
    if mesh is not None and mesh.names:
        return tuple(mesh.names)
    return tuple(map(str, range(component.get_value_ptr(component.variables[0].name).size)))
