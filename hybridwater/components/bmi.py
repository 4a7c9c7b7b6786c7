"""Any BMI model as a component, as it is.

What BMI does not tell is not guessed at: without a state the model can be coupled explicitly only,
and without storage the ledger books what crosses its edges. Models whose insides are known (PRMS,
landlab, MODFLOW 6) have adapters of their own, which book their water.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

import numpy as np
from bmipy import Bmi

from hybridwater import units as unit_room
from hybridwater.components.base import Component, State, Variable
from hybridwater.components.forwarding import BY_VARIABLE, METHODS, hand_on
from hybridwater.errors import ComponentError, ComponentFailed, UnitError

_EXPLICIT_ONLY = (
    "The component '{}' is a plain BMI model: it has no state that can be taken and put back, so "
    "it can take part in explicit coupling only."
)


@hand_on(lambda self, method, *arguments: getattr(self.model, method)(*arguments))
class BmiComponent(Component):
    """A BMI 2.0 model in this process.

    Parameters
    ----------
    model : bmipy.Bmi
        The model, not initialized. Models that follow BMI without inheriting from it do as well.
    name : str, optional
        What to call it; the model's own name if left out.
    units : mapping of str to str, optional
        Units of variables whose own are missing or not UDUNITS.
    rates : collection of str, optional
        Variables that are means over the step; those whose unit is per time if left out.
    gaps : collection of str, optional
        Outputs that may be NaN.
    origin : datetime, optional
        Date of the model's time zero.
    meshes : mapping of int to Mesh, optional
        Meshes by grid.
    """

    has_state = False
    has_storage = False

    def __init__(
        self,
        model: Bmi,
        *,
        name: str | None = None,
        units: Mapping[str, str] | None = None,
        rates: Collection[str] | None = None,
        gaps: Collection[str] = (),
        origin: dt.datetime | None = None,
        meshes: Mapping[int, Any] | None = None,
    ) -> None:
        self.model = model
        self._name, self._units, self._rates = name, dict(units or {}), rates
        self._gaps, self._origin, self._meshes = frozenset(gaps), origin, dict(meshes or {})
        self.variables = ()

    @property
    def origin(self) -> dt.datetime | None:
        """Date of the model's time zero, or None."""
        return self._origin

    def mesh(self, grid: int) -> Any | None:
        """Return the mesh that the component was given, or None."""
        return self._meshes.get(grid)

    def get_component_name(self) -> str:  # noqa: D102 - BMI documents its own methods
        return self._name or self.model.get_component_name()

    # ---- life

    def initialize(self, config_file: str = "") -> None:
        """Initialize the model and read its declarations."""
        self._call("initialize", config_file)
        inputs = tuple(self.model.get_input_var_names())
        outputs = tuple(self.model.get_output_var_names())
        self.variables = tuple(
            self._declared(name, inputs, outputs) for name in dict.fromkeys((*inputs, *outputs))
        )

    def _declared(self, name: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Variable:
        unit = self._units.get(name) or self.model.get_var_units(name)
        per_time = name in self._rates if self._rates is not None else _is_per_time(unit)
        return Variable(
            name,
            unit,
            "inout" if name in inputs and name in outputs else "in" if name in inputs else "out",
            "rate" if per_time else "state",
            f"as declared by {self.model.get_component_name()}",
            location=self.model.get_var_location(name),  # type: ignore[arg-type]
            grid=self.model.get_var_grid(name),
            dtype=self.model.get_var_type(name),
        )

    def update(self) -> None:
        """Do one step.

        Raises
        ------
        ComponentFailed
            If the model raises, does not move forward in time, or an output is not finite.
        """
        before = self.get_current_time()
        self._call("update")
        self._look_after(before)

    def update_until(self, time: float) -> None:
        """Step to a time.

        Raises
        ------
        ComponentError
            If the time lies in the past.
        ComponentFailed
            As `update`.
        """
        before = self.get_current_time()
        if time < before:
            raise ComponentError(f"The component cannot go back to time {time:g}.", self._place())
        if time > before:
            self._call("update_until", time)
            self._look_after(before)

    def _look_after(self, before: float) -> None:
        now = self.get_current_time()
        if not now > before:
            raise ComponentFailed(
                f"A step went from time {before:g} to {now:g}: time does not move forward.",
                self._place(),
                "Mend the component, or leave it out",
            )
        for variable in self.variables:
            if variable.is_output and variable.name not in self._gaps:
                self._refuse_gap(variable)

    def _refuse_gap(self, variable: Variable) -> None:
        if np.dtype(variable.dtype).kind != "f":
            return
        values = self.get_value(variable.name, self._buffer(variable.name))
        if not np.isfinite(values).all():
            cell = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ComponentFailed(
                f"'{variable.name}' became {values[cell]}.",
                f"{self._place(variable.name)}, cell {cell}",
                "Look at the inputs of that cell, and go on from the last checkpoint",
            )

    def _buffer(self, name: str) -> np.ndarray:
        size = self.model.get_var_nbytes(name) // self.model.get_var_itemsize(name)
        return np.empty(size, self.model.get_var_type(name))

    def finalize(self) -> None:  # noqa: D102
        self._call("finalize")

    def _call(self, method: str, *arguments: Any) -> Any:
        """Call the model; what it raises becomes an error that says where."""
        try:
            return getattr(self.model, method)(*arguments)
        except Exception as error:  # a third party's code may raise anything
            variable = arguments[0] if method in BY_VARIABLE else None
            raise ComponentFailed(
                f"The model raised {type(error).__name__} in {method}: {error}",
                self._place(variable),
                "Go on from the last checkpoint once its cause is mended",
            ) from error

    def _place(self, variable: str | None = None) -> str:
        try:
            time = f", time {self.model.get_current_time():g} {self.model.get_time_units()}"
        except Exception:  # not every model knows the time before it is initialized
            time = ""
        of = "" if variable is None else f", variable '{variable}'"
        return f"component '{self.get_component_name()}'{of}{time}"

    # ---- what BMI lacks

    def get_state(self) -> State:  # noqa: D102
        self._without_state()

    def set_state(self, state: State) -> None:  # noqa: D102
        self._without_state()

    def _without_state(self) -> NoReturn:
        raise ComponentError(
            _EXPLICIT_ONLY.format(self.get_component_name()),
            fix="Say lag = true in an exchange of its cycle, or give it get_state and set_state as "
            "in hybridwater.components.Component",
        )

    def storage(self) -> dict[str, np.ndarray]:  # noqa: D102
        self._without_storage()

    def boundary_fluxes(self) -> dict[str, np.ndarray]:  # noqa: D102
        self._without_storage()

    def _without_storage(self) -> NoReturn:
        raise ComponentError(
            f"The component '{self.get_component_name()}' is a plain BMI model: it does not tell "
            "its storage, so that the ledger can book only what crosses its edges.",
            fix="Give it storage and boundary_fluxes as in hybridwater.components.Component",
        )

    # ---- values, at the door

    def set_value(self, name: str, src: np.ndarray) -> None:
        """Set an input; wrong sizes and NaN are refused before they reach the model.

        The model gets a copy, as it may keep it or change it.
        """
        self._refuse(name, src, self._buffer(name).size)
        self._call("set_value", name, np.array(src).reshape(-1))

    def set_value_at_indices(  # noqa: D102
        self, name: str, inds: np.ndarray, src: np.ndarray
    ) -> None:
        self._refuse(name, src, np.size(inds))
        self._call("set_value_at_indices", name, inds, src)

    def _refuse(self, name: str, src: np.ndarray, size: int) -> None:
        values = np.asarray(src)
        if values.size != size:
            raise ComponentError(
                f"'{name}' was given {values.size} values, but has {size}.", self._place(name)
            )
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ComponentError(f"'{name}' was given NaN or infinity.", self._place(name))

    def get_var_units(self, name: str) -> str:  # noqa: D102
        return self._units.get(name) or self.model.get_var_units(name)


def _is_per_time(unit: str) -> bool:
    """Whether a unit is per time; units that do not parse are not."""
    try:
        return float(unit_room.parse(unit).dimensionality.get("[time]", 0).real) < 0
    except UnitError:
        return False


def plug_in(model: type) -> type[BmiComponent]:
    """Make a component class of a BMI class.

    Parameters
    ----------
    model : type
        Follows BMI 2.0; its constructor needs no arguments.

    Returns
    -------
    type of BmiComponent
        Its constructor takes the keywords of `BmiComponent`, and ``mesh``, that of grid 0.

    Raises
    ------
    ComponentError
        If the class lacks methods of BMI.
    """
    missing = sorted(m for m in METHODS if not callable(getattr(model, m, None)))
    if missing:
        raise ComponentError(
            f"'{model.__name__}' is not a BMI 2.0 model: it lacks {', '.join(missing[:5])}"
            + (", ..." if len(missing) > 5 else "")
            + ".",
            fix="Implement them, or inherit from bmipy.Bmi to see which there are",
        )

    class Plugged(BmiComponent):
        def __init__(self, *, mesh: Any = None, **options: Any) -> None:
            options["meshes"] = {0: mesh, **(options.get("meshes") or {})}
            super().__init__(model(), **options)

    Plugged.__name__ = Plugged.__qualname__ = model.__name__
    Plugged.__doc__ = f"The BMI model {model.__name__} as a component."
    return Plugged
