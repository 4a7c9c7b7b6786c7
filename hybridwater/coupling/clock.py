"""Time in a coupled run: seconds since its start, and the steps of each component."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from hybridwater import units as unit_room
from hybridwater.components.base import Component, State, Variable
from hybridwater.coupling.sums import total
from hybridwater.errors import (
    ComponentFailed,
    CouplingError,
    HybridwaterError,
    UnitError,
)

# Share of the shortest step by which two times may differ and be the same.
SAME = 1e-9


def seconds(duration: str | dt.timedelta | np.timedelta64, what: str = "duration") -> float:
    """Return a duration in seconds.

    Parameters
    ----------
    duration : str, timedelta or numpy.timedelta64
        For example ``"6 h"``, ``"30 d"``.
    what : str
        What it is, for the error.

    Raises
    ------
    CouplingError
        If it is not a duration, or a number without a unit.
    """
    if isinstance(duration, dt.timedelta):
        return duration.total_seconds()
    if isinstance(duration, np.timedelta64):
        return float(duration / np.timedelta64(1, "ns")) / 1e9
    number, _, unit = str(duration).strip().partition(" ")
    try:
        return float(unit_room.convert(float(number), unit, "s"))
    except (ValueError, UnitError) as error:
        raise CouplingError(
            f"'{duration}' is not a duration.", what, "Write a number and a unit, as in '6 h'"
        ) from error


def until_seconds(until: Any, origin: dt.datetime | None, now: float) -> float:
    """Return the end of a run in seconds since the start of the coupled model.

    Parameters
    ----------
    until : str, date, datetime, timedelta or numpy.timedelta64
        A date, or a duration from now on.
    origin : datetime or None
        Date of time zero.
    now : float
        Current time [s].

    Raises
    ------
    CouplingError
        If it is neither, lies in the past, or is a date where no component knows dates.
    """
    if isinstance(until, dt.timedelta | np.timedelta64):
        end = now + seconds(until)
    else:
        try:
            date: Any = np.datetime64(until, "us").item()
        except (ValueError, TypeError):
            end = now + seconds(until, "run(until)")
        else:
            if origin is None:
                raise CouplingError(
                    f"'{until}' is a date, but no component knows its dates.",
                    "run(until)",
                    "Give the components a start, as in start = 1990-10-01, or a duration: "
                    "run('30 d')",
                )
            end = (date - origin).total_seconds()
    if end < now:
        raise CouplingError(
            f"The run is at {moment(now, origin)} and cannot go back to {until}.",
            "run(until)",
            "Resume an earlier checkpoint",
        )
    return end


def moment(time: float, origin: dt.datetime | None) -> str:
    """Say a time in words: a date if there are dates, and seconds otherwise."""
    if origin is None:
        return f"{time:g} s"
    return (origin + dt.timedelta(seconds=time)).isoformat(sep=" ")


class Participant:
    """A component in a coupled run: its clock in seconds, and errors that name it.

    Parameters
    ----------
    name : str
        What the case calls it.
    component : Component
        Initialized.
    copies : int
        How many runs it holds: their cells follow one another in its arrays.

    Attributes
    ----------
    time, end : float
        Now, and the end of the next step [s].
    step, length : float
        Length of the next step and of the last one [s].
    crossed : dict of str to numpy.ndarray
        Water that crossed the boundary in the last step [kg], positive inwards.
    seconds : float
        Time on this computer that the component itself took [s].
    """

    def __init__(self, name: str, component: Component, copies: int = 1) -> None:
        self.name, self.copies = name, copies
        self.time = 0.0
        self.length = 0.0
        self.seconds = 0.0
        self.crossed: dict[str, np.ndarray] = {}
        self._start: float | None = None  # of the run, on the component's own clock [s]
        self.use(component)

    def use(self, component: Component) -> None:
        """Use this component from now on; its clock goes on where that of the last one was."""
        self.component = component
        self._pointers: dict[str, np.ndarray] = {}
        self._buffers: dict[str, np.ndarray] = {}  # for values that have no pointer
        self.checked = False
        try:
            self.factor = float(unit_room.convert(1.0, component.get_time_units(), "s"))
        except UnitError as error:
            raise CouplingError(
                f"The component '{self.name}' counts time in '{component.get_time_units()}', "
                "which is no unit of time.",
                f"component '{self.name}'",
                "Let get_time_units return 's', 'h' or 'd'",
            ) from error
        if self._start is None:
            self._start = float(component.get_current_time()) * self.factor
        self._zero = self._start / self.factor
        self._look_at_step()
        if not self.step > 0:
            raise CouplingError(f"The component '{self.name}' has the time step {self.step:g} s.")

    def _look_at_step(self) -> None:
        """Take up the length of the next step [s], and forget what was read before."""
        self.checked = False
        self._plan(float(self.component.get_time_step()))

    def _plan(self, step: float) -> None:
        self.step = step * self.factor
        self.end = self.time + self.step
        # Outputs that need no look: those of a component that has looked at all of them itself.
        self._sound = dict(self._pointers) if self.checked else {}
        self._stored: dict[str, np.ndarray] | None = None

    @property
    def origin(self) -> dt.datetime | None:
        """Date of time zero of the coupled run."""
        origin = self.component.origin
        return None if origin is None else origin + dt.timedelta(seconds=self._zero * self.factor)

    def advance(self, inputs: Iterable[tuple[str, np.ndarray]] = ()) -> None:
        """Set inputs and do one step.

        Parameters
        ----------
        inputs : iterable of (str, numpy.ndarray)
            Names and values, shape (cell,).

        Raises
        ------
        ComponentFailed
            If it raises, or its time does not move forward.
        """
        component, step, before, method = self.component, self.step, self.time, "set_value"
        self.crossed = {}
        began = time.perf_counter()
        try:
            for name, values in inputs:
                component.set_value(name, values)
            method = "update"
            component.update()
            clock, following = component.get_current_time(), component.get_time_step()
            if component.has_storage:
                method = "boundary_fluxes"
                self.crossed = component.boundary_fluxes()
        except Exception as error:  # the code of a third party may raise anything
            raise self._named(method, error) from error
        finally:
            self.seconds += time.perf_counter() - began
        now = (float(clock) - self._zero) * self.factor
        if not now > before:
            how = "does not move" if now == before else "goes backwards"
            raise ComponentFailed(
                f"The time of the component '{self.name}' {how}: from {before:g} to {now:g} s.",
                f"component '{self.name}'",
                "Mend its get_current_time, or leave it out",
            )
        # What it counts as its step is exact; a difference of times far from zero is not.
        self.length = step if abs(now - before - step) <= 1e-6 * step else now - before
        self.time, self.checked = now, component.checks_outputs
        self._plan(float(following))

    def _call(self, method: str, *arguments: Any) -> Any:
        """Call the component; whatever it raises becomes an error that names it."""
        began = time.perf_counter()
        try:
            return getattr(self.component, method)(*arguments)
        except Exception as error:  # the code of a third party may raise anything
            raise self._named(method, error) from error
        finally:
            self.seconds += time.perf_counter() - began

    def _named(self, method: str, error: Exception) -> HybridwaterError:
        """Return an error as one that names the component."""
        place = f"component '{self.name}'"
        if isinstance(error, HybridwaterError):
            known = error.where or ""
            where = known if known.startswith(place) else f"{place}: {known}".rstrip(": ")
            return type(error)(error.what, where, error.fix)
        return ComponentFailed(
            f"The component raised {type(error).__name__} in {method}: {error}",
            f"{place}, time {self.time:g} s",
            "Mend its cause, and go on from the last checkpoint",
        )

    def storage(self) -> dict[str, np.ndarray]:
        """Return the water in each store [kg], asked for once after each step."""
        stored = self._stored
        if stored is None:
            stored = self._stored = self._call("storage")
        return stored

    def read(self, variable: Variable) -> np.ndarray:
        """Return the values of an output, not to be changed or kept.

        Shape (cell,), in a batch of runs (copy, cell).

        Raises
        ------
        ComponentFailed
            If a value is not finite.
        """
        values = self._sound.get(variable.name)
        return self._look_at(variable) if values is None else values

    def _look_at(self, variable: Variable) -> np.ndarray:
        """Ask the component for an output, and see that it is finite."""
        name = variable.name
        if name not in self._pointers and name not in self._buffers:
            try:
                values = self.component.get_value_ptr(name)
                one = self.copies == 1
                self._pointers[name] = values if one else values.reshape(self.copies, -1)
            except NotImplementedError:  # a component in a process of its own
                self._buffers[name] = self.blank(variable)
        values = self._pointers.get(name)
        if values is None:
            values = self._call("get_value", name, self._buffers[name])
        sound = self.checked or math.isfinite(total(values))
        if not sound and not np.isfinite(values).all():
            cell = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ComponentFailed(
                f"'{name}' became {values[cell]}.",
                f"component '{self.name}', variable '{name}', cell {cell}, time {self.time:g} s",
                "Look at the inputs of that cell, and go on from the last checkpoint",
            )
        self._sound[name] = values
        return values

    def blank(self, variable: Variable) -> np.ndarray:
        """Return an empty array for the values of a variable."""
        size = self.component.get_var_nbytes(variable.name)
        return np.empty(size // self.component.get_var_itemsize(variable.name), variable.dtype)

    def set_state(self, state: State) -> None:
        """Go to a state of the component; its time goes with it."""
        self.component.set_state(state)
        self._pointers = {}
        self.time = (float(self.component.get_current_time()) - self._zero) * self.factor
        self._look_at_step()
