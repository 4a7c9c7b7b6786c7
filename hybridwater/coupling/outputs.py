"""Outputs of a coupled run: chosen variables, after each step of their component or gathered."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater import units
from hybridwater.components.base import Variable
from hybridwater.coupling.cadence import Cadence
from hybridwater.coupling.clock import SAME, Participant
from hybridwater.coupling.exchange import declared, find_end
from hybridwater.coupling.records import Field, Layout, Records
from hybridwater.errors import CouplingError, UnitError, nearest

if TYPE_CHECKING:
    import xarray as xr


def _last(gathered: np.ndarray, values: np.ndarray, length: float) -> None:
    gathered[:] = values


def _integral(gathered: np.ndarray, values: np.ndarray, length: float) -> None:
    gathered += values * length


def _maximum(gathered: np.ndarray, values: np.ndarray, length: float) -> None:
    np.maximum(gathered, values, out=gathered)


def _minimum(gathered: np.ndarray, values: np.ndarray, length: float) -> None:
    np.minimum(gathered, values, out=gathered)


# What an interval begins with, and what each step does to it.
_METHODS: dict[str, tuple[float, Callable[[np.ndarray, np.ndarray, float], None]]] = {
    "mean": (0.0, _integral),
    "sum": (0.0, _integral),
    "point": (0.0, _last),
    "maximum": (-np.inf, _maximum),
    "minimum": (np.inf, _minimum),
}
_ALLOWED = {
    "rate": ("mean", "sum", "maximum", "minimum"),
    "state": ("point", "mean", "maximum", "minimum"),
}


@dataclass(frozen=True)
class Output:
    """What is kept of a component.

    Parameters
    ----------
    variables : sequence of str
        Names of variables, or their CF standard names; of inputs, what the component got in its
        step is kept.
    every : str, optional
        How long the intervals are: a duration as in ``"30 d"``, or ``"month"`` or ``"year"``. An
        interval ends with the first step that reaches its end, and only whole ones are kept. Every
        step by default.
    methods : mapping of str to str, optional
        What is kept of the steps of an interval, by variable. Of rates ``"mean"`` (the default),
        ``"sum"``, which is the integral over time, ``"maximum"`` or ``"minimum"``; of states
        ``"point"``, at the end of the interval (the default), ``"mean"``, ``"maximum"`` or
        ``"minimum"``.
    sites : mapping of str to sequence of int, optional
        Numbers of the cells that are kept, counted from 0, by variable; all cells of others. They
        are a coordinate of what is kept.

    Raises
    ------
    CouplingError
        If methods are given without intervals, methods or sites of a variable that is not kept, or
        sites that are no numbers of cells.
    """

    variables: Sequence[str]
    every: str | None = None
    methods: Mapping[str, str] = field(default_factory=dict)
    sites: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = (self.variables,) if isinstance(self.variables, str) else tuple(self.variables)
        object.__setattr__(self, "variables", named)
        for what, given in (("A method is", self.methods), ("Sites are", self.sites)):
            for name in given:
                if name not in named:
                    raise CouplingError(
                        f"{what} given for '{name}', which is not kept ({nearest(name, named)}).",
                        "outputs",
                    )
        sites = {name: _numbers(name, cells) for name, cells in self.sites.items()}
        object.__setattr__(self, "sites", sites)
        if self.methods and self.every is None:
            raise CouplingError(
                "Methods are given, but no interval over which they apply.",
                "outputs",
                "Say every = '30 d', or leave out the methods",
            )


def _numbers(name: str, cells: Any) -> tuple[int, ...]:
    """Return the numbers of cells at which a variable is kept."""
    numbers = np.asarray(cells)
    if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iu" or numbers.min() < 0:
        raise CouplingError(
            f"The sites of '{name}' are no whole numbers of 0 or more.",
            "outputs",
            "Give the numbers of one or more cells, counted from 0",
        )
    return tuple(numbers.tolist())


def wanted_of(entry: Any) -> Output:
    """Return an output from its declaration, its table, or the names of variables."""
    if isinstance(entry, Output | Mapping):
        return declared(Output, entry)
    return Output(entry)


def at_cells(kept: xr.DataArray, cells: np.ndarray | Sequence[int]) -> xr.DataArray:
    """Return what was kept at some cells.

    Parameters
    ----------
    kept : xarray.DataArray
        Output (time, cell) of a run, of all cells or of sites.
    cells : array_like of int
        Numbers of the cells, from 0.

    Returns
    -------
    xarray.DataArray
        Shape (time, len(cells)), with the numbers as a coordinate.

    Raises
    ------
    CouplingError
        If one was not kept.
    """
    dimension = str(kept.dims[1])
    if dimension not in kept.indexes:
        kept = kept.assign_coords({dimension: range(kept.shape[1])})
    missing = [int(cell) for cell in cells if cell not in kept.indexes[dimension]]
    if missing:
        raise CouplingError(
            f"Of '{kept.name}', {missing} is none of the {kept.shape[1]} cells that were kept.",
            fix="Keep them in the run: leave out sites in its outputs, or add them there",
        )
    return kept.sel({dimension: list(cells)})


class Outputs(Records):
    """Records of one component.

    Parameters
    ----------
    participant : Participant
        The component.
    wanted : Output
        What is kept of it.
    origin : datetime or None
        Date of time zero.
    path : pathlib.Path or None
        The file, None for memory.

    Raises
    ------
    CouplingError
        If the component has no such output, a method does not fit its variable, or a site lies in
        no cell of it.
    """

    def __init__(
        self,
        participant: Participant,
        wanted: Output,
        origin: dt.datetime | None,
        path: Path | None,
    ) -> None:
        name = participant.name
        where = f"outputs of '{name}'"
        ends = [
            find_end({name: participant.component}, f"{name}.{text}", "", "any", where)
            for text in wanted.variables
        ]
        self.participant, self.variables = participant, [variable for _, variable in ends]
        self._cadence = None if wanted.every is None else Cadence(wanted.every, origin, where)
        given = [wanted.methods.get(text) for text in wanted.variables]
        kept = [
            _Kept(variable, method, participant.step if self._cadence else None, where)
            for variable, method in zip(self.variables, given, strict=True)
        ]
        solved = participant.component.engine
        by = {} if solved is None else {"engine": solved}
        self._sites = [
            tuple(wanted.sites[text]) if text in wanted.sites else None for text in wanted.variables
        ]
        spans = [(v.grid, v.location, s) for v, s in zip(self.variables, self._sites, strict=True)]
        fields = [
            Field(
                variable.name,
                _dimension(variable, sites, set(spans)),
                _size(participant, variable, sites, where),
                variable.dtype if self._cadence is None else "float64",
                kept_as.attributes | by,
                sites if participant.copies == 1 else None,
            )
            for variable, sites, kept_as in zip(self.variables, self._sites, kept, strict=True)
        ]
        title = f"outputs of the component '{name}' in a coupled run"
        interval = "step" if self._cadence is None else "interval"
        super().__init__(Layout(fields, origin, title, interval), path)
        methods = {v.name: k.method for v, k in zip(self.variables, kept, strict=True)}
        self.label = f"{name}: {methods}, every {wanted.every or 'step'}"
        if wanted.sites:
            self.label += f", at {dict(wanted.sites)}"
        self._kept = list(zip(kept, self.layout.slices, strict=True))
        self._gathered: np.ndarray | None = None
        self._begin, self._length = 0.0, 0.0
        self._before: tuple[np.ndarray | None, float, float] = None, 0.0, 0.0

    def record(self) -> None:
        """Take up the values after a step."""
        p = self.participant
        values = np.concatenate(
            [
                p.read(v) if sites is None else p.read(v)[..., sites]
                for v, sites in zip(self.variables, self._sites, strict=True)
            ],
            axis=None,
        )
        begin = p.time - p.length
        if self._cadence is None:
            self.append(begin, p.time, values)
            return
        if self._gathered is None:
            self._begin, self._length = begin, 0.0
            self._gathered = np.empty(self.layout.width)
            for kept, where in self._kept:
                self._gathered[where] = kept.first
        for kept, where in self._kept:
            kept.take(self._gathered[where], values[where], p.length)
        self._length += p.length
        if p.time >= self._cadence.end(self._begin) - SAME * p.length:
            for kept, where in self._kept:
                self._gathered[where] *= kept.scale(self._length)
            self.append(self._begin, p.time, self._gathered)
            self._gathered = None

    # ---- what is gathered of an interval that has not ended

    def _copy(self) -> tuple[np.ndarray | None, float, float]:
        gathered = None if self._gathered is None else self._gathered.copy()
        return gathered, self._begin, self._length

    def hold(self) -> None:
        """From now on keep records so that `drop` can forget them."""
        super().hold()
        self._before = self._copy()

    def drop(self) -> None:
        """Forget what was recorded since `hold`."""
        super().drop()
        self._gathered, self._begin, self._length = self._before
        self._before = self._copy()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what is gathered, for a checkpoint."""
        if self._gathered is None:
            return {}
        return {"gathered": self._gathered, "clock": np.array([self._begin, self._length])}

    def set_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what is gathered from a checkpoint."""
        self._gathered = arrays["gathered"].copy() if arrays else None
        if arrays:
            self._begin, self._length = (float(x) for x in arrays["clock"])


def _dimension(
    variable: Variable, sites: tuple[int, ...] | None, spans: set[tuple[object, ...]]
) -> str:
    """Return the name of the dimension of what is kept; ``spans`` are those of all variables."""
    if len(spans) == 1:
        return "cell"
    return f"{variable.location}_{variable.grid}" if sites is None else f"{variable.name}_site"


def _size(
    participant: Participant, variable: Variable, sites: tuple[int, ...] | None, where: str
) -> int:
    """Return how many values of a variable are kept of a step."""
    size, copies = participant.blank(variable).size, participant.copies
    if sites is None:
        return size
    if max(sites) >= size // copies:
        raise CouplingError(
            f"'{participant.name}.{variable.name}' has {size // copies} cells, and a site is in "
            f"number {max(sites)}.",
            where,
            "Count cells from 0",
        )
    return len(sites) * copies


class _Kept:
    """How one variable is gathered; ``step`` [s] is None where every step is kept."""

    def __init__(self, variable: Variable, method: str | None, step: float | None, where: str):
        allowed = _ALLOWED[variable.kind]
        self.method = allowed[0] if method is None else method
        if self.method not in allowed:
            raise CouplingError(
                f"'{variable.name}' is a {variable.kind} and cannot be kept as '{self.method}' "
                f"({nearest(self.method, allowed)}).",
                where,
                f"Choose one of {', '.join(allowed)}",
            )
        self.first, self.take = _METHODS[self.method]
        unit, self._time_unit = variable.units, 1.0
        if self.method == "sum":
            unit, self._time_unit = _integrated(variable, where)
        said = f"time: {self.method}"
        if step is not None and allowed.index(self.method):
            said += f" (interval: {step:g} s)"
        self.attributes = {"units": unit, "long_name": variable.description, "cell_methods": said}
        if self.method == "point":
            self.attributes["comment"] = "at the end of the time bounds"
        if variable.standard_name and self.method != "sum":
            self.attributes["standard_name"] = variable.standard_name

    def scale(self, length: float) -> float:
        """Return what the gathered values are multiplied with at the end of an interval."""
        if self.method == "mean":
            return 1.0 / length
        return 1.0 / self._time_unit


def _integrated(variable: Variable, where: str) -> tuple[str, float]:
    """Return the unit of the integral of a rate over time, and the seconds in its unit of time."""
    parts = variable.units.split()
    for i, part in enumerate(parts):
        if part.endswith("-1"):
            try:
                time_unit = float(units.convert(1.0, part.removesuffix("-1"), "s"))
            except UnitError:
                continue
            return " ".join(parts[:i] + parts[i + 1 :]) or "1", time_unit
    raise CouplingError(
        f"'{variable.name}' is in '{variable.units}', which is not per time: it has no sum.",
        where,
        "Choose mean, maximum or minimum",
    )
