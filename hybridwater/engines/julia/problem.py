"""Problems of SciML that someone else has made, with diffeqpy say, under names and units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import hybridwater
from hybridwater import _julia, units
from hybridwater.data.checks import check_records
from hybridwater.engines.base import FIXED_STEP, METHODS, Failure, Solution
from hybridwater.engines.julia.engine import COUNTED
from hybridwater.engines.julia.quantities import Place, Quantity, name_places
from hybridwater.errors import DataError, DeclarationError, SolveFailed, nearest

if TYPE_CHECKING:
    import xarray as xr

#: What SciML's return codes mean.
_REASONS = {
    "MaxIters": "The solver did not reach the end of an interval within {max_steps} steps.",
    "DtLessThanMin": "The steps of the solver became too short.",
    "Unstable": "The solver met a value that is not finite.",
    "NotFinite": "A state or a flux became a value that is not finite.",
    "Terminated": "A callback of the problem ended it.",
}
_ADVICE = "Try another method, other tolerances, or the problem alone with ode.solve(...)"


class SciMLProblem:
    """An ``ODEProblem`` of SciML, made with diffeqpy or juliacall, under names and units.

    The problem itself is not changed. It is solved by the methods of the Julia engine, or by any
    algorithm of SciML; between two records, or two times, parameters are constant and the solver
    stops at the edge.

    Parameters
    ----------
    problem : juliacall object
        What ``ode.ODEProblem(...)`` returns. Its state is a number or an array, its parameters a
        number, a vector, a tuple, a named tuple, or none; others are left as they are, without a
        name.
    states : mapping of str to str or (str, int or sequence of int)
        Name to unit, in the order of the problem's state, or to unit and place, counted from zero.
        A quantity on cells has one place per cell. States may be left without a name.
    parameters, forcings : mapping, optional
        The same for the problem's parameters, those that stay as they are and those that come with
        each record. Without places, forcings lie behind parameters; in a named tuple, they are
        found by name.
    fluxes : mapping, optional
        The same for what ``flux_function`` returns.
    flux_function : callable, optional
        Function of state, parameters and time that returns fluxes; of Julia
        (``ode.seval("(u, p, t) -> ...")``) or of Python. Its means over each interval are
        integrated with the solver's own interpolation (three Gauss points a step).
    time_unit : str
        Unit of the problem's time.
    name : str
        What it is called.
    calls_python : bool
        Say so if a Julia function of the problem calls Python in a way that its type does not show.
        A Python function that was given to the problem is recognised: it is slow, keeps Python's
        other threads waiting, and is called for one basin or cell after the other.

    Raises
    ------
    DeclarationError
        If it is not an ``ODEProblem``, or names and places do not fit it.
    UnitError
        If a unit is not known.
    MissingDependency
        If Julia cannot be used.
    """

    def __init__(
        self,
        problem: Any,
        *,
        states: Mapping[str, Place],
        parameters: Mapping[str, Place] | None = None,
        forcings: Mapping[str, Place] | None = None,
        fluxes: Mapping[str, Place] | None = None,
        flux_function: Any = None,
        time_unit: str = "d",
        name: str = "problem",
        calls_python: bool = False,
    ) -> None:
        self.name, self.time_unit = name, time_unit
        try:
            found = _julia.call("wrap", problem, flux_function, calls_python, calls_python=True)
        except _julia.JuliaFailed as error:
            raise DeclarationError(
                f"The problem cannot be used: {error.what}",
                f"problem '{name}'",
                "Give what ode.ODEProblem(...) returns, and try it first with ode.solve(...)",
            ) from error
        self._handle, self.initial, self.values, names, self.start, count, self.calls_python = found
        self.states = name_places("state", states, self.initial.size)
        parameters, forcings = parameters or {}, forcings or {}
        given = name_places("parameter", {**parameters, **forcings}, self.values.size, names)
        self.parameters = tuple(q for q in given if q.name not in forcings)
        self.forcings = tuple(q for q in given if q.name in forcings)
        self.fluxes = name_places("flux", fluxes or {}, count)
        kinds = (states, parameters, forcings, fluxes or {})
        if len({name for kind in kinds for name in kind}) != sum(map(len, kinds)):
            raise DeclarationError("Two quantities have the same name.", f"problem '{name}'")

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """States, parameters, forcings and fluxes."""
        return (*self.states, *self.parameters, *self.forcings, *self.fluxes)

    def solve(
        self,
        forcing: xr.Dataset | None = None,
        parameters: Mapping[str, Any] | None = None,
        *,
        times: Sequence[float] | np.ndarray | None = None,
        initial: Mapping[str, Any] | None = None,
        method: Any = "auto",
        rtol: float | None = None,
        atol: float | None = None,
        max_steps: int = 100_000,
    ) -> xr.Dataset:
        """Solve over all records of a forcing dataset, or from time to time.

        Parameters
        ----------
        forcing : xarray.Dataset, optional
            Variables named as the forcings, with units; dims (time) or (basin, time), as for
            `hybridwater.simulate`. The first record begins at the time at which the problem begins.
        parameters : mapping, optional
            Parameter to number, or numbers of shape (basin,) or (basin, cell); those of the problem
            where left out.
        times : array_like, optional
            In the place of ``forcing``: increasing times in the unit of the problem, the first of
            which is the one at which it begins. Forcings keep the values that the problem has.
        initial : mapping, optional
            State to initial value, shapes as for parameters; those of the problem where left out.
        method : str or juliacall object
            An adaptive method of the Julia engine, or an algorithm such as ``ode.Rodas5P()``.
        rtol, atol : float, optional
            Tolerances; those of the problem, or of SciML (1e-3, 1e-6), if left out.
        max_steps : int
            Steps that may be taken per interval, on the average.

        Returns
        -------
        xarray.Dataset
            States at the end of each record, fluxes as means over it, dims (basin, time), and a
            dimension ``cell`` for quantities on cells. With ``times`` dims are (time), the ends of
            the intervals.

        Raises
        ------
        DataError, UnitError
            If forcing or times cannot be used as they are.
        DeclarationError
            If a name or the method is not known, or values have another shape.
        SolveFailed
            If the solver could not reach the end.
        """
        if (forcing is None) == (times is None):
            raise DataError(
                "Either forcing or times are needed.",
                f"problem '{self.name}'",
                "Give a dataset with the forcings, or times=[...]",
            )
        if forcing is not None:
            values, edges, labels = self._read(forcing)
        else:
            edges = np.asarray(times, float)
            if edges.ndim != 1 or edges.size < 2 or not (np.diff(edges) > 0).all():
                raise DataError("The times do not increase, or are fewer than two.", "times")
            unit = {"units": self.time_unit, "long_name": "end of the interval"}
            values, labels = {}, {"time": ("time", edges[1:], unit)}
        basins = labels.get("basin", ["basin"])
        first, flat = self.arrays(len(basins), parameters, initial)
        filled = np.repeat(flat[:, None, :], edges.size - 1, axis=1)
        for quantity in self.forcings:
            if quantity.name in values:
                filled[:, :, quantity.places] = values[quantity.name][:, :, None]
        solution = self.run(
            first, filled, edges, method=method, rtol=rtol, atol=atol, max_steps=max_steps
        )
        if solution.failures:
            failure = solution.failures[0]
            raise SolveFailed(
                failure.reason,
                f"problem '{self.name}', basin '{basins[failure.batch]}', record {failure.record}",
                failure.advice,
            )
        return self._dataset(solution, labels, method)

    def arrays(
        self,
        batch: int,
        parameters: Mapping[str, Any] | None = None,
        initial: Mapping[str, Any] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return initial states (batch, n_states) and parameters (batch, n_parameters).

        Raises
        ------
        DeclarationError
            If a name is not known, or its values have another shape or are not finite.
        """
        return (
            _filled("state", self.initial, self.states, initial, batch),
            _filled("parameter", self.values, self.parameters, parameters, batch),
        )

    def run(
        self,
        initial: np.ndarray,
        parameters: np.ndarray,
        edges: np.ndarray,
        *,
        method: Any = "auto",
        rtol: float | None = None,
        atol: float | None = None,
        max_steps: int = 100_000,
    ) -> Solution:
        """Solve a batch in flat arrays.

        Parameters
        ----------
        initial : numpy.ndarray
            Shape (batch, n_states).
        parameters : numpy.ndarray
            Shape (batch, interval, n_parameters), constant in each interval.
        edges : numpy.ndarray
            Times, one more than there are intervals.
        method, rtol, atol, max_steps
            As in `solve`.

        Returns
        -------
        Solution
            States at the ends of the intervals, fluxes as means over them.
        """
        adaptive = [name for name in METHODS["julia"] if name not in FIXED_STEP]
        if isinstance(method, str) and method not in adaptive:
            raise DeclarationError(
                f"There is no method '{method}' for a problem ({nearest(method, adaptive)}).",
                fix="Use one of these, or an algorithm such as ode.Rodas5P()",
            )
        states, fluxes, failed, reasons, counts = _julia.call(
            "follow",
            self._handle,
            np.asarray(initial, float),
            np.asarray(parameters, float),
            np.asarray(edges, float),
            method,
            (rtol, atol),
            max_steps,
            calls_python=self.calls_python,
        )
        failures = []
        for b in np.flatnonzero(failed):
            k = int(failed[b]) - 1
            before = states[b, k - 1] if k else np.array(initial[b], float)
            reason = _REASONS.get(reasons[b], f"The solver returned '{reasons[b]}'.")
            reason = reason.format(max_steps=max_steps)
            failures.append(Failure(int(b), k, before, reason, _ADVICE))
        return Solution(
            states,
            fluxes,
            states[:, -1].copy(),
            tuple(q.name for q in self.fluxes),
            tuple(failures),
            tuple(q.places.size for q in self.fluxes),
            dict(zip(COUNTED, counts.T, strict=True)),
        )

    def _read(self, forcing: xr.Dataset) -> tuple[dict[str, np.ndarray], np.ndarray, dict]:
        """Return forcings of shape (basin, time), the edges of records, and their labels."""
        checked = check_records(forcing, {q.name: q.unit for q in self.forcings})
        if "member" in checked.dims:
            raise DataError(
                "The forcing has a member dimension.",
                fix="Select or loop over members: data.sel(member=…)",
            )
        time = checked.indexes["time"]
        basins = (
            list(map(str, np.atleast_1d(checked["basin"]))) if "basin" in checked else ["basin"]
        )
        shape = (len(basins), len(time))
        values = {q.name: np.broadcast_to(checked[q.name], shape) for q in self.forcings}
        seconds = (time[1] - time[0]).total_seconds()
        step = float(units.convert(seconds, "s", self.time_unit, what="record length"))
        edges = self.start + step * np.arange(len(time) + 1)
        return values, edges, {"basin": basins, "time": time}

    def _dataset(self, solution: Solution, labels: dict, method: Any) -> xr.Dataset:
        import xarray as xr

        counts = [f"{int(v.sum())} {name}" for name, v in solution.statistics.items()]
        result = xr.Dataset(
            coords=labels,
            attrs={
                "model": self.name,
                "engine": "julia",
                "method": str(method),
                "source": f"hybridwater {hybridwater.__version__}",
                "solver_statistics": ", ".join(counts),
            },
        )
        at_end = {"cell_methods": "time: point", "comment": "value at the end of the record"}
        for quantities, values, said in (
            (self.states, solution.states, at_end),
            (self.fluxes, solution.fluxes, {"cell_methods": "time: mean"}),
        ):
            for q in quantities:
                array = values[:, :, q.places]
                dims = ("basin", "time", "cell")
                if q.places.size == 1:
                    array, dims = array[:, :, 0], dims[:2]
                if "basin" not in labels:
                    array, dims = array[0], dims[1:]
                unit = {"units": units.spell(q.unit), "long_name": q.name}
                result[q.name] = (dims, array, unit | said)
        return result


def _filled(
    kind: str,
    own: np.ndarray,
    quantities: Sequence[Quantity],
    given: Mapping[str, Any] | None,
    batch: int,
) -> np.ndarray:
    """Put given values in the place of a problem's own, shape (batch, place)."""
    array = np.tile(own, (batch, 1))
    known = {q.name: q for q in quantities}
    for name, value in (given or {}).items():
        if name not in known:
            raise DeclarationError(f"The problem has no {kind} '{name}' ({nearest(name, known)}).")
        places = known[name].places
        values = np.asarray(value, float)
        values = values[:, None] if values.shape == (batch,) else values
        shape = (batch, places.size)
        try:
            array[:, places] = np.broadcast_to(values, shape)
        except ValueError:
            raise DeclarationError(
                f"The {kind} '{name}' has the shape {values.shape}, not {shape}.",
                fix=f"Give one number, or one per basin, in {known[name].unit}",
            ) from None
    if not np.isfinite(array).all():
        raise DeclarationError(f"A {kind} is not finite.", fix=f"Give each {kind} a number")
    return array
