"""A problem of SciML, made with diffeqpy for example, as an analytic component."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater import units
from hybridwater.components.base import Variable
from hybridwater.components.declared import DeclaredComponent
from hybridwater.components.grids import Grid, cells_of_mesh
from hybridwater.components.ports import SOLVER_ERROR, conversion
from hybridwater.components.registry import find
from hybridwater.errors import ComponentError, ComponentFailed, nearest

if TYPE_CHECKING:
    from hybridwater.engines.julia import SciMLProblem
    from hybridwater.engines.julia.quantities import Quantity


class SciMLComponent(DeclaredComponent):
    """An ``ODEProblem`` over cells: side by side, or with the cells inside it.

    If all quantities of the problem are single numbers, it is solved for every cell, with
    parameters of its own, on all threads. If some lie on cells, it is solved once, and its single
    numbers are those of the whole. Forcings of the problem are the inputs; states and fluxes the
    outputs, each under its own name and in its own unit.

    Parameters
    ----------
    problem : SciMLProblem or str, optional
        The problem under names and units, or ``"module:name"`` of one or of a function that returns
        one; left out if the configuration file names it.
    area : float or array_like
        Area of each cell [m2].
    ports : mapping of str to str, optional
        Name of a variable to the quantity that it is, where the two differ.
    boundary : mapping of str to {"in", "out"}, optional
        Forcings and fluxes that carry water over the boundary. Without, the ledger books only what
        crosses exchanges.
    storages : sequence of str, optional
        States that hold water; all with a name if left out.
    parameters, initial : mapping, optional
        Values of each cell, shapes (cell,) or a number; those of the problem where left out.
    method : str or juliacall object
        As in `SciMLProblem.solve`.
    rtol, atol : float
        Tolerances. What the solver makes up or loses is the flux ``solver_error_flux``.
    step : float
        Time step [d].
    start, end : str or date, optional
        Date of time zero, and the date beyond which there is no step.
    inputs : mapping, optional
        First values of inputs; those of the problem where left out.
    mesh : Mesh, optional
        Mesh of the cells.

    Raises
    ------
    ComponentError, UnitError, DeclarationError
        If problem, ports and cells do not fit together.
    """

    name = "sciml"
    title = "ODEProblem of SciML or diffeqpy (needs Julia)"
    engine = "julia"

    def __init__(
        self,
        *,
        problem: SciMLProblem | str | None = None,
        area: Any = 1e6,
        ports: Mapping[str, str] | None = None,
        boundary: Mapping[str, str] | None = None,
        storages: Any = None,
        parameters: Mapping[str, Any] | None = None,
        initial: Mapping[str, Any] | None = None,
        method: Any = "auto",
        rtol: float = 1e-8,
        atol: float = 1e-8,
        step: float = 1.0,
        start: str | dt.date | None = None,
        end: str | dt.date | None = None,
        inputs: Mapping[str, Any] | None = None,
        mesh: Any = None,
    ) -> None:
        super().__init__(step=step, start=start, end=end, inputs=inputs, meshes={0: mesh})
        if problem is None:  # the configuration file names it
            return
        self._problem = made = _problem(problem)
        self._area = np.atleast_1d(np.asarray(area, float)).copy()
        if self._area.ndim != 1 or not (np.isfinite(self._area) & (self._area > 0)).all():
            raise ComponentError("An area is not a positive number.", fix="Give m2, one per cell")
        self._width = _width(made, self._area.size)
        self._batch = self._area.size // self._width
        self._initial, self._parameters = made.arrays(self._batch, parameters, initial)
        self._how = {"method": method, "rtol": rtol, "atol": atol}
        named = {q.name: q for q in (*made.forcings, *made.states, *made.fluxes)}
        names = {name: name for name in named}
        for port, quantity in (ports or {}).items():
            if quantity not in named:
                raise _unknown(quantity, named)
            names[quantity] = port
        self._ports = names
        forcings, states = set(made.forcings), set(made.states)
        self._in = [q for q in named.values() if q in forcings]
        self._out = [q for q in named.values() if q not in forcings and q not in states]
        self._held = [q for q in named.values() if q in states]
        self._boundary = self._signed(boundary or {}, named)
        self.has_storage = bool(self._boundary)
        stores = [q.name for q in made.states] if storages is None else list(storages)
        for name in stores:
            if name not in {q.name for q in states}:
                raise _unknown(name, [q.name for q in states])
        self._stores = (
            [(named[n], conversion(named[n].unit, "kg", self._areas(named[n]))[0]) for n in stores]
            if self.has_storage
            else []
        )
        self.variables = tuple(self._declared(q) for q in named.values())
        if self.has_storage:
            error = Variable(
                SOLVER_ERROR,
                "kg m-2 d-1",
                "out",
                "rate",
                "water that the solver's tolerance makes up",
                location="node" if self._width == 1 else "none",
            )
            self.variables += (error,)

    def _declared(self, quantity: Quantity) -> Variable:
        own = self._problem.values[quantity.places] if quantity in self._in else np.zeros(1)
        return Variable(
            self._ports[quantity.name],
            units.spell(quantity.unit),
            "in" if quantity in self._in else "out",
            "state" if quantity in self._held else "rate",
            f"'{quantity.name}' of the problem '{self._problem.name}'",
            location="node" if quantity.places.size == self._width else "none",
            typical=float(own.mean()),
            default=float(own.mean()) if quantity in self._in else None,
        )

    def _areas(self, quantity: Quantity) -> np.ndarray:
        """Return the area [m2] that each value of a quantity stands for."""
        one = quantity.places.size == self._width
        return self._area if one else self._area.sum(keepdims=True)

    def _signed(
        self, boundary: Mapping[str, str], named: Mapping[str, Quantity]
    ) -> dict[str, np.ndarray]:
        """Return the mass [kg] that one unit of each boundary port brings in a step, signed."""
        rates = [q.name for q in (*self._in, *self._out)]
        found = {}
        for name, way in boundary.items():
            if name not in rates:
                raise _unknown(name, rates)
            if way not in ("in", "out"):
                raise ComponentError(
                    f"'{name}' crosses the boundary '{way}'.", fix="Say 'in' or 'out'"
                )
            quantity = named[name]
            scale, _ = conversion(quantity.unit, f"kg {self.time_units}-1", self._areas(quantity))
            found[self._ports[name]] = scale * self._step * (1 if way == "in" else -1)
        return found

    # ---- the component

    def _make_grids(self) -> dict[int, Grid]:
        if not self.variables:
            raise ComponentError(
                "The component has no problem.",
                fix="Give problem=..., or a configuration file with problem = 'module:name'",
            )
        return {0: cells_of_mesh(self._area.size, self._meshes.get(0))}

    def _cell_areas(self, grid: int) -> np.ndarray:
        return self._area

    def _configuration(self) -> dict[str, Any]:
        return {"area": self._area, "parameters": self._parameters}

    def _reset(self) -> None:
        self._state = self._initial.copy()
        made = self._problem
        self._duration = float(units.convert(self._step, self.time_units, made.time_unit))
        self._show_states()

    def _show_states(self) -> None:
        for q in self._held:
            self._values[self._ports[q.name]][:] = self._state[:, q.places].reshape(-1)

    def _advance(self) -> None:
        parameters = self._parameters.copy()
        for q in self._in:
            values = self._values[self._ports[q.name]]
            parameters[:, q.places] = values.reshape(self._batch, q.places.size)
        begin = self._problem.start + float(self._steps) * self._duration
        edges = np.array([begin, begin + self._duration])
        before = self._stored()
        solution = self._problem.run(self._state, parameters[:, None, :], edges, **self._how)
        if solution.failures:
            failure = solution.failures[0]
            raise ComponentFailed(
                failure.reason,
                f"{self._place()}, cell {failure.batch}",
                "Look at the inputs of that cell, and go on from the last checkpoint",
            )
        self._state[:] = solution.final_state
        for q in self._out:
            values = solution.fluxes[:, 0, q.places]
            self._values[self._ports[q.name]][:] = values.reshape(-1)
        self._show_states()
        if self.has_storage:
            lost = self._stored() - before - self._whole(self._booked())
            area = self._area.reshape(self._batch, -1).sum(axis=1)
            self._values[SOLVER_ERROR][:] = lost / (area * self._step)

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {"state": self._state}

    def _booked(self) -> dict[str, np.ndarray]:
        return {name: self._values[name] * kilograms for name, kilograms in self._boundary.items()}

    def _whole(self, kilograms: Mapping[str, np.ndarray]) -> np.ndarray:
        """Add up all water that is solved together, shape (batch,)."""
        parts = (k.reshape(self._batch, -1).sum(axis=1) for k in kilograms.values())
        return sum(parts, np.zeros(self._batch))

    def _stored(self) -> np.ndarray:
        return self._whole(self.storage())

    def storage(self) -> dict[str, np.ndarray]:
        """Return the water in each store [kg], shape (cell,), or (1,) where it is on no cell."""
        return {q.name: self._state[:, q.places].reshape(-1) * scale for q, scale in self._stores}

    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return what crossed the boundary in the last step [kg], shapes as of `storage`."""
        if not self._steps or not self.has_storage:
            return {}
        area = self._area.reshape(self._batch, -1).sum(axis=1)
        return self._booked() | {SOLVER_ERROR: self._values[SOLVER_ERROR] * (area * self._step)}


def _problem(given: SciMLProblem | str) -> SciMLProblem:
    from hybridwater.engines.julia import SciMLProblem

    found = find(given) if isinstance(given, str) else given
    if callable(found):
        found = found()
    if not isinstance(found, SciMLProblem):
        raise ComponentError(
            f"{given!r} is not a problem.",
            fix="Give SciMLProblem(ode.ODEProblem(...), states=...), or 'module:name' of one",
        )
    return found


def _width(problem: SciMLProblem, n: int) -> int:
    """Return how many cells the problem holds."""
    sizes = {q.places.size for q in problem.quantities}
    width = max(sizes, default=1)
    if sizes - {1, width}:
        raise ComponentError(
            f"The problem '{problem.name}' has quantities on {sorted(sizes)} cells.",
            fix="A component has one grid: give all of them one or as many places",
        )
    if width > 1 and width != n:
        raise ComponentError(
            f"The problem '{problem.name}' is one of {width} cells, but {n} areas were given.",
            fix="Give one area per cell of the problem",
        )
    return width


def _unknown(name: str, known: Any) -> ComponentError:
    return ComponentError(f"The problem has no '{name}' here ({nearest(name, known)}).")
