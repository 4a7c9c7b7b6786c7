"""Training a surrogate on what another component does, and saying how well it does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater import units
from hybridwater.components.base import Component
from hybridwater.components.component_file import Description, write_description
from hybridwater.components.emulation_errors import compare
from hybridwater.components.ports import SOLVER_ERROR, Port, make_ports
from hybridwater.components.recording import INITIAL, Recorder, drive, record
from hybridwater.components.surrogate import SurrogateComponent
from hybridwater.errors import DataError, nearest
from hybridwater.files import write_bytes
from hybridwater.training import Surrogate, fit
from hybridwater.training.problem import Period, find_period
from hybridwater.ude.model import UDE

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: File of the errors in a run directory.
ERRORS = "emulation.csv"
#: Steps that are timed, the surrogate's and the component's in turn.
_TIMED = 100


@dataclass(frozen=True, eq=False, repr=False)
class Emulation:
    """A surrogate of a component, and what is known about it.

    Parameters
    ----------
    surrogate : Surrogate
        The fit.
    description : Description
        Ports and cells.
    recording : xarray.Dataset
        What the component was fed and what it gave, dims (basin, time).
    emulated : xarray.Dataset
        The same of the surrogate, which ran freely from the first state.
    errors : pandas.DataFrame
        One row per output and period; see `hybridwater.components.emulation_errors.compare`.
    balance : float
        Largest gap of the surrogate's water balance in a step, relative to the water in store.
    solver_error : float
        Water that its solver made up or lost, relative to the water that moved.
    seconds : dict of str to float
        Median time of a step, of ``component`` and ``surrogate``, measured in turn.
    """

    surrogate: Surrogate
    description: Description
    recording: xr.Dataset
    emulated: xr.Dataset
    errors: pd.DataFrame
    balance: float
    solver_error: float
    seconds: dict[str, float]

    @property
    def speed_up(self) -> float:
        """How many steps the surrogate takes while the component takes one."""
        return self.seconds["component"] / self.seconds["surrogate"]

    def as_component(self, **options: Any) -> SurrogateComponent:
        """Return the surrogate as a component, not initialized; options as of its class."""
        return SurrogateComponent(model=self.surrogate, description=self.description, **options)

    def summary(self) -> str:
        """Return errors, balance and speed in lines for people."""
        times = {name: f"{1e3 * s:.3g} ms" for name, s in self.seconds.items()}
        return "\n".join(
            (
                self.errors.to_string(float_format=lambda v: f"{v:.4g}"),
                f"balance: closes to {self.balance:.1e} of the water in store",
                f"solver: made up or lost {self.solver_error:.1e} of the water that moved",
                f"a step takes {times['surrogate']}, the component's {times['component']}: "
                f"{self.speed_up:.3g} times as fast",
            )
        )

    def __repr__(self) -> str:
        return f"<Emulation of '{self.description.replaces}' by '{self.surrogate.ude.name}'>"


def emulate(
    component: Component,
    model: UDE,
    inputs: xr.Dataset,
    *,
    ports: Mapping[str, str | float],
    train: Period | slice,
    validation: Period | slice | float | None = None,
    test: Period | slice | None = None,
    targets: Sequence[str] | None = None,
    area: Any = None,
    attributes: xr.Dataset | None = None,
    config_file: str = "",
    directory: str | Path | None = None,
    engine: str | None = None,
    **options: Any,
) -> Emulation:
    """Run a component, train a model on its states and fluxes, and compare the two.

    The component runs once over the inputs; what it was fed, its states and its fluxes are the data
    of the fit. If every state of the model has a port, training begins at the component's
    states, in every window. Then the surrogate runs as a component over the same inputs, freely
    from the first state on, and is judged by that run.

    Parameters
    ----------
    component : Component
        Will be initialized and run, and initialized again to measure its speed.
    model : UDE
        What is to emulate it.
    inputs : xarray.Dataset
        Inputs of the component, with units, dims (time) or (basin, time).
    ports : mapping of str to str or float
        Port of the component to term of the model; see `make_ports`.
    train, validation, test : (str, str), slice or float
        Periods, as in `hybridwater.fit`.
    targets : sequence of str, optional
        Outputs to train on; all that have a term if left out, fluxes first.
    area : array_like, optional
        Area of each cell [m2]; of the mesh, or what the component's ledger says, if left out.
    attributes : xarray.Dataset, optional
        Static attributes (basin), for a fit in which cells get their parameters from them; all of
        them are used.
    config_file : str
        What the component's ``initialize`` gets.
    directory : str or pathlib.Path, optional
        Run directory. It then holds all that the component ``surrogate`` needs, and
        ``emulation.csv`` with the errors.
    engine : str, optional
        Name of the engine.
    **options
        Arguments of `hybridwater.fit`: schedule, share, loss, solver options, ...

    Returns
    -------
    Emulation

    Raises
    ------
    ComponentError, DataError, UnitError, DeclarationError, SettingsError
        If component, inputs, ports and model do not fit together.
    """
    component.initialize(config_file)
    size = component.get_value_ptr(component.variables[0].name).size
    observed = _targets(
        model, make_ports(model, np.ones(size), ports, component.variables), targets
    )
    recorder = record(component, inputs)
    recording = recorder.dataset()
    areas = recorder.areas() if area is None else np.broadcast_to(np.asarray(area, float), (size,))
    made = make_ports(model, areas, ports, component.variables)
    data = _training_data(model, made, recording, attributes)
    complete = {s.name for s in model.states} <= observed.keys()
    surrogate = fit(
        model,
        data,
        observed=observed,
        train=train,
        validation=validation,
        test=test,
        begin="observed" if complete else "initial",
        attributes=None if attributes is None else [str(n) for n in attributes.data_vars],
        directory=directory,
        engine=engine,
        **{"warmup": 0, **options},
    )
    described = Description(
        replaces=component.get_component_name(),
        variables=component.variables,
        ports=dict(ports),
        area=np.array(areas),
        step=float(units.convert(component.get_time_step(), component.get_time_units(), "d")),
        initial=_initial(model, made, recording),
    )
    component.initialize(config_file)  # from the beginning again, for its speed
    emulation = _judged(surrogate, component, described, recording, list(observed.values()), engine)
    if directory is not None:
        write_description(directory, described)
        write_bytes(Path(directory) / ERRORS, emulation.errors.to_csv().encode())
    return emulation


def _targets(model: UDE, ports: Sequence[Port], wanted: Sequence[str] | None) -> dict[str, str]:
    """Return term to port of what is trained on, fluxes first."""
    states = {s.name for s in model.states}
    outputs = [p for p in ports if p.term is not None and not p.variable.is_input]
    known = {p.variable.name: p.term for p in outputs}
    for name in wanted or ():
        if name not in known:
            raise DataError(f"There is no output '{name}' to train on ({nearest(name, known)}).")
    chosen = [p for p in outputs if wanted is None or p.variable.name in wanted]
    chosen.sort(key=lambda p: p.term in states)
    return {str(p.term): p.variable.name for p in chosen}


def _training_data(
    model: UDE, ports: Sequence[Port], recording: xr.Dataset, attributes: xr.Dataset | None
) -> xr.Dataset:
    """Return forcings by their terms and outputs by their ports, in the units of the model."""
    import xarray as xr

    data = xr.Dataset(coords=recording.coords)
    for port in ports:
        if port.term is None or port.variable.name not in recording:
            continue
        values = port.to_term(recording[port.variable.name].values.T).T
        name = port.term if port.variable.is_input else port.variable.name
        attrs = {"units": model.units[port.term], "long_name": port.variable.description}
        data[name] = (("basin", "time"), values, attrs)
    if attributes is None:
        return data
    if attributes.sizes.get("basin") != data.sizes["basin"]:
        raise DataError(
            f"There are attributes of {attributes.sizes.get('basin', 0)} basins, but the component "
            f"has {data.sizes['basin']} cells.",
            fix="Give one basin per cell, in their order",
        )
    return data.merge(attributes.assign_coords(basin=data["basin"]))


def _initial(model: UDE, ports: Sequence[Port], recording: xr.Dataset) -> dict[str, np.ndarray]:
    """Return the component's first states in the units of the model."""
    states = {s.name for s in model.states}
    return {
        str(p.term): p.to_term(recording[INITIAL + p.variable.name].values)
        for p in ports
        if p.term in states and INITIAL + p.variable.name in recording
    }


def _judged(
    surrogate: Surrogate,
    component: Component,
    description: Description,
    recording: xr.Dataset,
    outputs: list[str],
    engine: str | None,
) -> Emulation:
    """Let the surrogate run freely over the whole recording, and beside the component."""
    stepped = SurrogateComponent(
        model=surrogate, description=description, start=component.origin, engine=engine
    )
    stepped.initialize()
    inputs = recording[[n for n in component.get_input_var_names() if n in recording]]
    run = record(stepped, inputs)
    emulated = run.dataset()
    area = description.area
    assert area is not None
    time = recording.indexes["time"]
    periods = {name: find_period(time, p, name) for name, p in surrogate.periods.items()}
    if SOLVER_ERROR in emulated:
        made_up = float((np.abs(emulated[SOLVER_ERROR].values) * area[:, None]).sum())
        solver_error = made_up * description.step / run.moved
    else:
        solver_error = np.nan
    return Emulation(
        surrogate=surrogate,
        description=description,
        recording=recording,
        emulated=emulated,
        errors=compare(recording, emulated, outputs, periods, area),
        balance=max(run.gaps, default=np.nan),
        solver_error=solver_error,
        seconds=_seconds(component, stepped, inputs),
    )


def _seconds(component: Component, surrogate: Component, inputs: xr.Dataset) -> dict[str, float]:
    """Step both in turn, and return the median time that each takes."""
    surrogate.initialize("")
    recorders = {"component": Recorder(component), "surrogate": Recorder(surrogate)}
    drive(list(recorders.values()), inputs.isel(time=slice(_TIMED)))
    return {name: float(np.median(r.seconds[1:])) for name, r in recorders.items()}
