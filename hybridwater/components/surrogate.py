"""A surrogate as a component: a fitted or bare UDE over the cells of a mesh."""

from __future__ import annotations

import dataclasses
import datetime as dt
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hybridwater import units
from hybridwater.components.base import Component, State, Variable
from hybridwater.components.cell_model import CellModel, cell_model, stacked
from hybridwater.components.component_file import Description, read_description
from hybridwater.components.configuration import require_same
from hybridwater.components.declared import DeclaredComponent
from hybridwater.components.grids import Grid, cells_of_mesh
from hybridwater.components.handover import last_values, require_carried, steps_at, summed
from hybridwater.components.ports import SOLVER_ERROR, Port, conversion, make_ports
from hybridwater.engines import Options, Solver, get_engine
from hybridwater.engines.records import initial_states, program_values
from hybridwater.engines.shapes import side_by_side
from hybridwater.engines.simulation import read_options
from hybridwater.errors import ComponentError, ComponentFailed, HybridwaterError, nearest
from hybridwater.training.ranges import MARGIN, OutsideTrainingRange, seen_by_networks
from hybridwater.ude.model import UDE

if TYPE_CHECKING:
    import xarray as xr

    from hybridwater.components.surrogate_flow import SurrogateFlow
    from hybridwater.training import Surrogate


class SurrogateComponent(DeclaredComponent):
    """A UDE in the place of a model, batched over cells, in either engine.

    Its ports are those of the component that it replaces, in their units. It steps record by record
    from a warm state, so a step costs one call of a solver that has been compiled once. What the
    solver's tolerance makes up or loses is a flux of its own, ``solver_error_flux``.

    Parameters
    ----------
    model : UDE, Surrogate, str or pathlib.Path, optional
        A model, a fit, or the run directory of one; left out if the configuration file names it.
        A directory that ``hybridwater.emulate`` wrote also knows ports, areas and initial states.
    area : float or array_like, optional
        Area of each cell [m2]; that of the mesh or the run directory if left out.
    replaces : str, type or Component, optional
        The component whose ports it has: a name of `component_names`, a class or an object.
    ports : mapping of str to str or float, optional
        Port to term of the model; see `hybridwater.components.ports.make_ports`.
    parameters : mapping of str to array_like, optional
        Parameters of the cells, in place of those of the fit or the defaults.
    weights : array_like, optional
        Weights of the networks of a bare UDE, shape (n_weights,) or (cell, n_weights).
    attributes : xarray.Dataset, str or pathlib.Path, optional
        Static attributes (dim ``basin``) of the cells, or a NetCDF file with them: a regional fit
        then gives the cells their parameters.
    initial : mapping of str to array_like, optional
        Initial values of states, in the units of the model; declared ones where left out.
    engine : str, optional
        ``"embedded"``, ``"julia"`` or ``"auto"``; the one in the settings if left out.
    options : mapping, optional
        Solver options other than those of the fit.
    step : float, optional
        Time step [d]; a day, or that of the run directory.
    start, end : str or date, optional
        Date of time zero, and the date beyond which there is no step.
    inputs : mapping, optional
        First values of inputs.
    mesh : Mesh, optional
        Mesh of the cells.
    description : Description, optional
        Ports, areas, step and initial states, where nothing else is said; as the run directory
        says them if left out.

    Raises
    ------
    ComponentError, UnitError, DeclarationError, WeightsError
        If model, ports and cells do not fit together.
    """

    name = "surrogate"
    title = "fitted model in place of another component (embedded or julia engine)"
    can_stack = True

    def __init__(
        self,
        *,
        model: UDE | Surrogate | str | Path | None = None,
        area: Any = None,
        replaces: str | type[Component] | Component | None = None,
        ports: Mapping[str, str | float] | None = None,
        parameters: Mapping[str, Any] | None = None,
        weights: Any = None,
        attributes: xr.Dataset | str | Path | None = None,
        initial: Mapping[str, Any] | None = None,
        engine: str | None = None,
        options: Mapping[str, Any] | None = None,
        step: float | None = None,
        start: str | dt.date | None = None,
        end: str | dt.date | None = None,
        inputs: Mapping[str, Any] | None = None,
        mesh: Any = None,
        description: Description | None = None,
    ) -> None:
        known = Description() if description is None else description
        if description is None and isinstance(model, str | Path):
            known = read_description(model)
        super().__init__(
            step=known.step if step is None else step,
            start=start,
            end=end,
            inputs=inputs,
            meshes={0: mesh},
        )
        if model is None:  # the configuration file names it
            return
        self._area = _areas(area, mesh, known)
        self._model = cell_model(
            model,
            self._area.size,
            parameters=parameters,
            weights=weights,
            attributes=attributes,
        )
        ude = self._model.ude
        _refuse_columns(ude)
        variables, replaced = _variables(replaces, known)
        self.name = f"surrogate-{replaced or ude.name}"
        mapping = known.ports if ports is None else ports
        self._ports = make_ports(ude, self._area, mapping, variables)
        self._options = _solver_options(self._model, self._ports, options)
        self._engine, self._stacked = engine, False
        initial = known.initial if initial is None else initial
        self._initial = _initial_values(self._model, self._area.size, initial)
        self.has_storage = bool(ude.boundary)
        error = Variable(
            SOLVER_ERROR, "kg m-2 d-1", "out", "rate", "water that the solver's tolerance makes up"
        )
        self.variables = tuple(self._declared(p) for p in self._ports)
        self.variables += (error,) if self.has_storage else ()

    def _stack(self, parts: Sequence[Self]) -> None:
        for what, values in (
            ("area", [p._area for p in parts]),
            ("model", [p._model.ude.fingerprint for p in parts]),
            ("options", [p._options for p in parts]),
        ):
            require_same(self.name, what, values)
        self._model = stacked([p._model for p in parts], self._area.size)
        self._area, self._stacked = np.concatenate([p._area for p in parts]), True
        self._initial = np.concatenate([p._initial for p in parts])
        self._ports = tuple(
            dataclasses.replace(
                own[0],
                scale=np.concatenate([p.scale for p in own]),
                offset=np.concatenate([p.offset for p in own]),
            )
            for own in zip(*(p._ports for p in parts), strict=True)
        )

    def _declared(self, port: Port) -> Variable:
        """Give an input that has no typical value the middle of the range of training."""
        limits = self._model.limits.get(port.term or "")
        if port.variable.typical or limits is None or not port.variable.is_input:
            return port.variable
        middle = port.to_port(np.full(self._area.shape, sum(limits) / 2))
        return dataclasses.replace(port.variable, typical=float(np.median(middle)))

    def flow(
        self,
        taken: str,
        given: str,
        units: str = "kg m-2 d-1",
        inputs: Mapping[str, Any] | None = None,
    ) -> SurrogateFlow:
        """Return what it gives for what it gets, so that torch can differentiate it.

        Parameters
        ----------
        taken, given : str
            An input, and an output that is a rate.
        units : str
            In which both are.
        inputs : mapping of str to array_like, optional
            Series of other inputs, shape (step, cell); their present values if left out.

        Raises
        ------
        ComponentError, UnitError
            If it has no such ports, units do not fit, or it was not initialized.
        """
        from hybridwater.components.surrogate_flow import Solved, SurrogateFlow

        if self.engine is None:
            raise ComponentError(
                "The surrogate has no solver yet.", f"component '{self.name}'", "Initialize it"
            )
        solved = Solved(
            self.name,
            self._solver,
            self._parameters,
            self._weights,
            self._state,
            self._duration,
            self._ports,
            self._values,
            self._area,
        )
        return SurrogateFlow(solved, taken, given, units, inputs or {})

    # ---- the component

    def _make_grids(self) -> dict[int, Grid]:
        if not self.variables:
            raise ComponentError(
                "The surrogate has no model.",
                fix="Give model=..., or a configuration file with model = 'a run directory'",
            )
        # the mesh is that of one run
        return {0: cells_of_mesh(self._area.size, None if self._stacked else self._meshes.get(0))}

    def _cell_areas(self, grid: int) -> np.ndarray:
        return self._area

    def _configuration(self) -> dict[str, Any]:
        model = self._model
        settings = f"{model.ude.fingerprint} {self._options}"
        own = {"area": self._area, "weights": model.weights, "settings": settings}
        return own | {f"parameter/{n}": v for n, v in model.parameters.items()}

    def _reset(self) -> None:
        model, n = self._model, self._area.size
        self._parameters = program_values(model.ude, model.parameters, n)
        self._weights = model.weights.copy()
        for fixed in (self._parameters, self._weights):
            fixed.flags.writeable = False  # so that an engine need not take them up in every step
        engine = get_engine(self._engine, self._options)
        self.engine = engine.name
        self._solver: Solver = engine.compile(model.ude, self._options)
        self._forcing = side_by_side(n, 1, len(model.ude.forcings))
        self._state = side_by_side(*self._initial.shape)
        self._state[:] = self._initial
        self._duration = float(units.convert(self._step, self.time_units, model.ude.time_unit))
        forcings = [f.name for f in model.ude.forcings]
        states = [s.name for s in model.ude.states]
        fluxes = list(self._solver.flux_names)
        named = [p for p in self._ports if p.term is not None]
        self._in = [(p, forcings.index(p.term)) for p in named if p.term in forcings]
        self._out = [(p, fluxes.index(p.term)) for p in named if p.term in fluxes]
        self._held = [(p, states.index(p.term)) for p in named if p.term in states]
        self._take_inputs()
        # solvers say where states or fluxes are not finite
        own = (*self._out, *self._held)
        self._finite = {p.variable.name for p, _ in own if self._is_own(p)}
        self._in = self._apart(self._in, self._forcing[:, 0])
        self._held = self._apart(self._held, self._state)
        stores = model.ude.storages if self.has_storage else ()
        self._stores = [
            (name, states.index(name), conversion(model.ude.units[name], "kg", self._area)[0])
            for name in stores
        ]
        self._boundary = self._kilograms()
        self._error_kilograms = self._area * self._step  # that one unit of the error is
        self._crossed: dict[str, np.ndarray] = {}  # in the last step [kg]
        self._watched, self._warned = list(self._views()), set()
        for port in self._ports:
            if port.term is None:
                self._values[port.variable.name][:] = port.offset
        self._show_states()

    def _apart(
        self, ports: Sequence[tuple[Port, int]], columns: np.ndarray
    ) -> list[tuple[Port, int]]:
        """Let values of ports be the columns of their terms; return the ports whose differ."""
        for port, k in ports:
            if self._is_own(port):
                self._values[port.variable.name] = columns[:, k]
        return [(port, k) for port, k in ports if not self._is_own(port)]

    def _is_own(self, port: Port) -> bool:
        """Whether values of a port are those of its term, bit by bit."""
        return port.same and self._values[port.variable.name].dtype == np.float64

    def _views(self) -> Iterator[tuple[str, float, float, np.ndarray]]:
        """Yield what the networks see: name, range with its margin, and a view of the values."""
        program = self._model.ude.program
        for names, arrays in (
            (program.forcings, self._forcing[:, 0]),
            (program.states, self._state),
        ):
            for k, name in enumerate(names):
                if name in self._model.limits and name in seen_by_networks(self._model.ude):
                    low, high = self._model.limits[name]
                    margin = MARGIN * (high - low)
                    yield name, low - margin, high + margin, arrays[:, k]

    def _kilograms(self) -> dict[str, np.ndarray]:
        """Return the mass [kg] that one unit of each boundary port brings in a step, signed."""
        ude, found = self._model.ude, {}
        for port in self._ports:
            if port.term in ude.boundary and port.term not in {p.term for p, _ in found.values()}:
                role, coefficient = ude.boundary[port.term]
                scale, _ = conversion(port.variable.units, f"kg {self.time_units}-1", self._area)
                sign = coefficient if role == "in" else -coefficient
                found[port.variable.name] = (port, sign * self._step * scale)
        return {name: kilograms for name, (_, kilograms) in found.items()}

    def _take_inputs(self) -> None:
        for port, k in self._in:
            self._forcing[:, 0, k] = port.to_term(self._values[port.variable.name])

    def _show_states(self) -> None:
        for port, k in self._held:
            self._values[port.variable.name][:] = port.to_port(self._state[:, k])

    def _advance(self) -> None:
        self._take_inputs()
        self._warn_outside()
        solution = self._solver.solve(
            self._parameters, self._weights, self._forcing, self._state, self._duration
        )
        if solution.failures:
            failure = solution.failures[0]
            raise ComponentFailed(
                failure.reason,
                f"{self._place()}, cell {failure.batch}",
                "Look at the inputs of that cell, and go on from the last checkpoint",
            )
        for port, k in self._out:
            self._values[port.variable.name][:] = port.to_port(solution.fluxes[:, 0, k])
        if self.has_storage:
            new, old = solution.final_state, self._state
            made, *others = [(new[:, k] - old[:, k]) * scale for _, k, scale in self._stores]
            for gained in others:
                made += gained
            self._crossed = {n: self._values[n] * kg for n, kg in self._boundary.items()}
            for kilograms in self._crossed.values():
                made -= kilograms
            self._crossed[SOLVER_ERROR] = made
            np.divide(made, self._error_kilograms, out=self._values[SOLVER_ERROR])
        self._state[:] = solution.final_state
        self._show_states()

    def _warn_outside(self) -> None:
        """Warn once of each variable that leaves what the networks have seen."""
        for name, low, high, values in self._watched:
            if name not in self._warned and (values.min() < low or values.max() > high):
                self._warned.add(name)
                warnings.warn(
                    f"'{name}' leaves the range of training ({self._place()}): it is "
                    f"{values.min():.4g} to {values.max():.4g} there.",
                    OutsideTrainingRange,
                    stacklevel=4,
                )

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {"state": self._state}

    def storage(self) -> dict[str, np.ndarray]:
        """Return the water in each store [kg], shape (cell,)."""
        return {name: self._state[:, k] * scale for name, k, scale in self._stores}

    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return what crossed the boundary in the last step [kg], each of shape (cell,)."""
        if not self._steps or not self.has_storage:
            return {}
        if not self._crossed:  # since a state was set
            kilograms = {**self._boundary, SOLVER_ERROR: self._error_kilograms}
            self._crossed = {n: self._values[n] * kg for n, kg in kilograms.items()}
        return dict(self._crossed)

    def set_state(self, state: State) -> None:
        """Go to a state; see `DeclaredComponent.set_state`."""
        super().set_state(state)
        self._crossed = {}

    def take_over(
        self, component: Component, stores: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Go on from where another component is: with its time, its water and its last values.

        Parameters
        ----------
        component : Component
            What the surrogate replaces from now on; it is not changed.
        stores : mapping of str to sequence of str, optional
            State of the model to the variables of the component whose sum it takes, none for zero.
            A state that is not named takes the variable that has the name of its port.

        Raises
        ------
        ComponentError
            If a state of the model has no value there, the time lies between two steps, or not all
            of the water can be carried over. Nothing is changed then.
        UnitError
            If a variable does not measure what its port or state does.
        """
        stores = dict(stores or {})
        names = [s.name for s in self._model.ude.states]
        for name in stores:
            if name not in names:
                raise ComponentError(
                    f"The model '{self._model.ude.name}' has no state '{name}' "
                    f"({nearest(name, names)})."
                )
        before = self.get_state()
        try:
            self._steps[()] = steps_at(self, component)
            for port in self._ports:
                needed = port.term in names and port.term not in stores
                values = last_values(self, component, port.variable, needed=needed)
                if values is not None and port.term is not None:
                    self._values[port.variable.name][:] = values
            for port, k in self._held:
                if port.term not in stores:
                    self._state[:, k] = port.to_term(self._values[port.variable.name])
            for name, those in stores.items():
                unit = self._model.ude.units[name]
                self._state[:, names.index(name)] = summed(component, those, unit, self._area)
            require_carried(self, component)
        except HybridwaterError:
            self.set_state(before)
            raise
        self._show_states()
        self._crossed = {}
        if self.has_storage:
            self._values[SOLVER_ERROR][:] = 0.0


def _refuse_columns(ude: UDE) -> None:
    """Refuse a model whose states are profiles: a port has one number per cell."""
    if ude.columns:
        raise ComponentError(
            f"The model '{ude.name}' has columns ({', '.join(c.name for c in ude.columns)}), and a "
            "port of a surrogate is one number per cell.",
            fix="Declare a model without columns, such as one bucket of the same soil",
        )


def _areas(area: Any, mesh: Any, known: Description) -> np.ndarray:
    if area is None:
        area = known.area if mesh is None else mesh.areas
    if area is None:
        raise ComponentError(
            "The surrogate does not know the areas of its cells.",
            fix="Give area=... in m2, or a mesh",
        )
    areas = np.atleast_1d(np.asarray(area, float)).copy()
    if areas.ndim != 1 or not (np.isfinite(areas) & (areas > 0)).all():
        raise ComponentError("An area is not a positive number.", fix="Give m2, one per cell")
    return areas


def _variables(
    replaces: str | type[Component] | Component | None, known: Description
) -> tuple[tuple[Variable, ...], str]:
    """Return the ports of what is replaced, and its name."""
    if replaces is None:
        return known.variables, known.replaces
    if isinstance(replaces, str):
        from hybridwater.components.registry import get_component

        replaces = get_component(replaces)
    name = getattr(replaces, "name", "")
    if isinstance(replaces, Component):
        name = replaces.get_component_name()
    return replaces.variables, name


def _solver_options(
    model: CellModel, ports: tuple[Port, ...], given: Mapping[str, Any] | None
) -> Options:
    """Return what to solve with: means over records, and the fluxes of the ports."""
    fluxes = tuple(dict.fromkeys(p.term for p in ports if p.term in model.ude.order))
    chosen = dataclasses.asdict(model.options) | dict(given or {}) | {"fluxes": fluxes}
    options = read_options(chosen)
    for name, needed in (("interpolation", "constant"), ("output", "mean")):
        if getattr(options, name) != needed:
            raise ComponentError(
                f"The model is solved with {name}={getattr(options, name)!r}, but the rates of a "
                "component are means over its step.",
                f"model '{model.ude.name}'",
                f"Fit it with {name}='{needed}', or pass options={{'{name}': '{needed}'}}",
            )
    return options


def _initial_values(model: CellModel, n: int, given: Mapping[str, Any]) -> np.ndarray:
    """Return the initial states, shape (cell, n_states)."""
    names = [s.name for s in model.ude.states]
    values = initial_states(model.ude, model.parameters, n)
    for name, value in given.items():
        if name not in names:
            raise ComponentError(
                f"The model '{model.ude.name}' has no state '{name}' ({nearest(name, names)})."
            )
        column = np.asarray(value, float)
        if column.shape not in {(), (n,)} or not np.isfinite(column).all():
            raise ComponentError(
                f"The initial '{name}' is not one finite number per cell.",
                fix=f"Give one, or {n} of them, in {model.ude.units[name]}",
            )
        values[:, names.index(name)] = column
    return values
