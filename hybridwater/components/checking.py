"""A strict checker of components: what must hold before one may take part in a coupled run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hybridwater import units
from hybridwater.components.base import Component, State
from hybridwater.errors import ComponentError, UnitError

_LOCATIONS = ("node", "edge", "face", "none")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule found.

    Parameters
    ----------
    rule : str
        Name of the rule.
    state : {"ok", "failed", "skipped"}
        How it went.
    detail : str
        One sentence: what was seen, or why it was not looked at.
    """

    rule: str
    state: Literal["ok", "failed", "skipped"]
    detail: str


class _Broken(Exception):
    """A rule is broken; the text says how."""


class _Skipped(Exception):
    """A rule cannot be looked at; the text says why."""


def check(
    component: Component,
    *,
    config_file: str = "",
    inputs: Mapping[str, Any] | None = None,
    steps: int = 4,
    tolerance: float = 1e-10,
    seed: int = 0,
) -> list[Finding]:
    """Run a component and look at everything that its declaration promises.

    Parameters
    ----------
    component : Component
        Not initialized. A plain BMI model is wrapped first; see `hybridwater.components.bmi`.
    config_file : str
        What its ``initialize`` gets.
    inputs : mapping of str to array_like, optional
        Values that are fed to inputs at each step. Inputs that are neither here nor in the
        configuration get their typical value, changed at random from step to step.
    steps : int
        How many steps to take.
    tolerance : float
        Largest gap of the water balance, relative to the water that moved and the storage's
        rounding.
    seed : int
        Seed of the changes.

    Returns
    -------
    list of Finding
        One per rule, in order. The component passes if none has failed.
    """
    return list(_Check(component, config_file, dict(inputs or {}), steps, tolerance, seed).run())


class _Check:
    def __init__(
        self,
        component: Component,
        config_file: str,
        inputs: dict[str, Any],
        steps: int,
        tolerance: float,
        seed: int,
    ) -> None:
        self.c, self.config_file, self.inputs = component, config_file, inputs
        self.steps, self.tolerance = steps, tolerance
        self.random = np.random.default_rng(seed)
        self.fixed: set[str] = set()

    def run(self) -> Iterator[Finding]:
        rules: dict[str, Callable[[], str]] = {
            "initialize": self.initialize,
            "names": self.names,
            "units": self.units,
            "arrays": self.arrays,
            "door": self.door,
            "time": self.time,
            "values": self.values,
            "pointers": self.pointers,
            "state": self.state,
            "mass": self.mass,
            "finalize": self.finalize,
        }
        for rule, look in rules.items():
            try:
                yield Finding(rule, "ok", look())
            except _Skipped as reason:
                yield Finding(rule, "skipped", str(reason))
            except _Broken as problem:
                yield Finding(rule, "failed", str(problem))
            except Exception as error:  # whatever a third party's code raises is a finding
                yield Finding(rule, "failed", f"It raised {type(error).__name__}: {error}")
                if rule == "initialize":
                    return

    # ---- help

    def all_names(self) -> list[str]:
        return list(dict.fromkeys([*self.c.get_input_var_names(), *self.c.get_output_var_names()]))

    def read(self, name: str) -> np.ndarray:
        size = self.c.get_var_nbytes(name) // self.c.get_var_itemsize(name)
        return self.c.get_value(name, np.empty(size, self.c.get_var_type(name)))

    def feed(self) -> None:
        for name in self.c.get_input_var_names():
            now = self.read(name)
            if name in self.inputs:
                self.c.set_value(name, np.broadcast_to(np.asarray(self.inputs[name]), now.shape))
            elif name not in self.fixed and now.dtype.kind == "f":
                typical = self.c.variable(name).typical
                self.c.set_value(name, typical * self.random.uniform(0.5, 1.5, now.shape))

    def step(self) -> None:
        self.feed()
        self.c.update()

    # ---- rules

    def initialize(self) -> str:
        self.c.initialize(self.config_file)
        self.fixed = {
            name
            for name in self.c.get_input_var_names()
            if self.c.variable(name).intent == "inout"
            or (np.isfinite(self.read(name)).all() and self.read(name).dtype.kind == "f")
        }
        return f"'{self.c.get_component_name()}' starts"

    def names(self) -> str:
        declared = [v.name for v in self.c.variables]
        if len(set(declared)) != len(declared):
            raise _Broken("Two variables have one name")
        if set(declared) != set(self.all_names()):
            odd = sorted(set(declared) ^ set(self.all_names()))
            raise _Broken(f"Declared and BMI names differ: {', '.join(odd)}")
        counts = (self.c.get_input_item_count(), self.c.get_output_item_count())
        if counts != (len(self.c.get_input_var_names()), len(self.c.get_output_var_names())):
            raise _Broken(f"The item counts {counts} are not those of the names")
        for v in self.c.variables:
            if not v.name or v.name.split() != [v.name]:
                raise _Broken(f"'{v.name}' is not one word")
            if not v.description:
                raise _Broken(f"'{v.name}' has no description")
        return f"{counts[0]} inputs, {counts[1]} outputs"

    def units(self) -> str:
        for name in self.all_names():
            try:
                units.parse(self.c.get_var_units(name))
            except UnitError as error:
                raise _Broken(f"'{name}': {error}") from None
        time = self.c.get_time_units()
        if not units.parse(time).is_compatible_with("s"):
            raise _Broken(f"The unit of time '{time}' does not measure time")
        return "all parse"

    def arrays(self) -> str:
        for name in self.all_names():
            c, dtype = self.c, np.dtype(self.c.get_var_type(name))
            values = self.read(name)
            if (
                c.get_var_itemsize(name) != dtype.itemsize
                or c.get_var_nbytes(name) != values.nbytes
            ):
                raise _Broken(f"Type, item size and bytes of '{name}' do not fit together")
            location, grid = c.get_var_location(name), c.get_var_grid(name)
            if location not in _LOCATIONS:
                raise _Broken(f"'{name}' lies on '{location}', not on {', '.join(_LOCATIONS)}")
            if location == "node" and values.size != c.get_grid_size(grid):
                raise _Broken(
                    f"'{name}' has {values.size} values, but grid {grid} has "
                    f"{c.get_grid_size(grid)} nodes"
                )
        return "shapes and types fit"

    def door(self) -> str:
        for name in self.c.get_input_var_names():
            right = self.read(name)
            bad = {"too many values": np.zeros(right.size + 1, right.dtype)}
            if right.dtype.kind == "f":
                bad["NaN"] = np.full(right.size, np.nan)
            for what, values in bad.items():
                try:
                    self.c.set_value(name, values)
                except Exception:  # any refusal will do
                    continue
                raise _Broken(f"'{name}' accepts {what}")
        self.feed()
        for name in self.c.get_input_var_names():
            given = self.read(name)
            if given.dtype.kind == "f" and np.isfinite(given).all():
                self.c.set_value(name, given)
                given += 1.0
                if np.array_equal(self.read(name), given):
                    raise _Broken(f"'{name}' keeps the array that it is given, not a copy")
        return "wrong sizes and NaN are refused, and what is given is copied"

    def time(self) -> str:
        step = self.c.get_time_step()
        if not step > 0:
            raise _Broken(f"The time step is {step}")
        for k in range(self.steps):
            before = self.c.get_current_time()
            if k % 2:
                self.feed()
                self.c.update_until(before + self.c.get_time_step())
            else:
                self.step()
            after = self.c.get_current_time()
            if not np.isclose(after - before, step, rtol=1e-9):
                raise _Broken(f"A step of {step:g} went from {before:g} to {after:g}")
            if not self.c.get_start_time() <= after <= self.c.get_end_time():
                raise _Broken(f"Time {after:g} lies outside start and end")
        return f"{self.steps} steps of {step:g} {self.c.get_time_units()}"

    def values(self) -> str:
        for name in self.all_names():
            values = self.read(name)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                cell = int(np.flatnonzero(~np.isfinite(values))[0])
                raise _Broken(f"'{name}' is {values[cell]} in cell {cell}")
        return "all finite"

    def pointers(self) -> str:
        try:
            pointers = {name: self.c.get_value_ptr(name) for name in self.all_names()}
        except NotImplementedError as reason:
            raise _Skipped(str(reason) or "get_value_ptr is not implemented") from None
        self.step()
        for name, pointer in pointers.items():
            if not np.shares_memory(pointer, self.c.get_value_ptr(name)):
                raise _Broken(f"get_value_ptr('{name}') is a copy, not a view")
            if not np.array_equal(np.ravel(pointer), self.read(name)):
                raise _Broken(f"The pointer to '{name}' does not follow the step")
        return "are views that follow the steps"

    def state(self) -> str:
        if not self.c.has_state:
            raise _Skipped("has no state: explicit coupling only")
        self.feed()
        state = self.c.get_state()
        kept = {name: array.copy() for name, array in state.arrays.items()}
        time, random = self.c.get_current_time(), self.random.bit_generator.state
        first = self._two_steps()
        if any(a.tobytes() != kept[name].tobytes() for name, a in state.arrays.items()):
            raise _Broken("The state that was taken changed with the next step: it is a view")
        for back in ("going back", "a restart"):
            if back == "a restart":
                self.c.finalize()
                self.c.initialize(self.config_file)
            self.c.set_state(State(kept, state.metadata))
            if self.c.get_current_time() != time:
                raise _Broken(
                    f"After {back}, the time is {self.c.get_current_time():g}, not {time:g}"
                )
            self.random.bit_generator.state = random
            second = self._two_steps()
            for name, bytes_ in first.items():
                if second[name] != bytes_:
                    raise _Broken(f"After {back}, '{name}' is not the same bit for bit")
        self._refuse_foreign(state)
        return f"{sum(a.nbytes for a in kept.values())} bytes; the same steps bit for bit"

    def _two_steps(self) -> dict[str, bytes]:
        seen: dict[str, bytes] = {}
        for k in range(2):
            self.c.update()
            self.feed()
            seen |= {
                f"{name} (step {k + 1})": self.read(name).tobytes() for name in self.all_names()
            }
            if self.c.has_storage:
                for what, table in (
                    ("storage", self.c.storage()),
                    ("boundary flux", self.c.boundary_fluxes()),
                ):
                    seen |= {
                        f"{what} {name} (step {k + 1})": np.asarray(array).tobytes()
                        for name, array in table.items()
                    }
        return seen

    def _refuse_foreign(self, state: State) -> None:
        foreign = State({**state.arrays, "of another model": np.zeros(3)}, {"component": "other"})
        try:
            self.c.set_state(foreign)
        except Exception:  # any refusal will do
            return
        raise _Broken("It accepts the state of another component")

    def mass(self) -> str:
        if not self.c.has_storage:
            raise _Skipped("does not tell its storage: the ledger books only its edges")
        rates = {v.name for v in self.c.variables if v.kind == "rate"}
        worst = 0.0
        for _ in range(self.steps):
            before = self._stored()
            self.step()
            fluxes = {n: np.asarray(f, float) for n, f in self.c.boundary_fluxes().items()}
            if odd := sorted(set(fluxes) - rates):
                raise _Broken(f"Boundary fluxes that are not declared as rates: {', '.join(odd)}")
            moved = sum(float(np.abs(f).sum()) for f in fluxes.values())
            gap = self._stored() - before - sum(float(f.sum()) for f in fluxes.values())
            scale = moved + 1e-4 * (abs(before) + abs(self._stored()))
            worst = max(worst, abs(gap) / scale if scale else abs(gap))
        if not worst <= self.tolerance:
            raise _Broken(
                f"The storage changes by something else than the boundary fluxes: "
                f"{worst:.1e} of the water that moved, more than {self.tolerance:.0e}"
            )
        return f"closes to {worst:.1e} of the water that moved"

    def _stored(self) -> float:
        return sum(float(np.sum(store)) for store in self.c.storage().values())

    def finalize(self) -> str:
        self.c.finalize()
        return "ends"


def require_sound(findings: list[Finding], component: str) -> None:
    """Raise an error if a component did not pass.

    Raises
    ------
    ComponentError
        With all that failed.
    """
    failed = [f"{f.rule}: {f.detail}" for f in findings if f.state == "failed"]
    if failed:
        raise ComponentError(
            f"The component '{component}' does not keep its promises. {'; '.join(failed)}.",
            fix=f"Mend them; 'hybridwater component check {component}' shows all rules",
        )
