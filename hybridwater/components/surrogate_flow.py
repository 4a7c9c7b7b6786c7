"""What a surrogate gives for what it gets, so that torch can differentiate it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridwater.components.ports import Port, conversion
from hybridwater.engines import Solver
from hybridwater.errors import ComponentError, ComponentFailed, nearest
from hybridwater.training.bridge import solve


@dataclass(frozen=True, eq=False)
class Solved:
    """What a surrogate solves, as it is now.

    Parameters
    ----------
    name : str
        Of the component.
    solver : Solver
        Of its model.
    parameters, weights, state : numpy.ndarray
        As `hybridwater.engines.Solver.solve` takes them, one batch entry per cell.
    duration : float
        Of a step, in the unit of time of the model.
    ports : sequence of Port
        Its variables.
    values : mapping of str to numpy.ndarray
        Their values, shape (cell,).
    area : numpy.ndarray
        Of the cells [m2], shape (cell,).
    """

    name: str
    solver: Solver
    parameters: np.ndarray
    weights: np.ndarray
    state: np.ndarray
    duration: float
    ports: Sequence[Port]
    values: Mapping[str, np.ndarray]
    area: np.ndarray


class SurrogateFlow:
    """One input and one output of a surrogate, over many steps at once and differentiable.

    Made by `SurrogateComponent.flow`. It solves the equations of the component with its solver,
    from record to record, so that it gives what the component gives in a coupled run. With an
    adaptive solver that is so within its tolerance, as the component begins anew in each step.
    Other inputs, and the state where it begins, are those that the component has now.

    Parameters
    ----------
    solved : Solved
        The component; nothing of it is changed or kept but its solver.
    taken, given : str
        The input and the output.
    units : str
        In which both are.
    inputs : mapping of str to array_like
        Series of other inputs, shape (step, cell), in units of the ports.

    Raises
    ------
    ComponentError
        If there is no such port of the model, or an input has no value.
    UnitError
        If the units of a port do not measure the same thing.
    """

    def __init__(
        self,
        solved: Solved,
        taken: str,
        given: str,
        units: str,
        inputs: Mapping[str, Any],
    ) -> None:
        self._where, self._solver = f"component '{solved.name}'", solved.solver
        self._duration, self.cells = solved.duration, len(solved.state)
        forcings = list(solved.solver.ude.program.forcings)
        fluxes = list(solved.solver.flux_names)
        into = {p.variable.name: p for p in solved.ports if p.term in forcings}
        out = {p.variable.name: p for p in solved.ports if p.term in fluxes}
        self._refuse_unknown([taken], into, "input")
        self._refuse_unknown([given], out, "output that is a rate")
        self._refuse_unknown(inputs, [n for n in into if n != taken], "other input")
        self._column = forcings.index(str(into[taken].term))
        self._flux = fluxes.index(str(out[given].term))
        area, source, target = solved.area, into[taken], out[given]
        scale, offset = conversion(units, source.variable.units, area)
        self._into = _tensors(scale / source.scale, (offset - source.offset) / source.scale)
        scale, offset = conversion(target.variable.units, units, area)
        self._out = _tensors(scale * target.scale, scale * target.offset + offset)
        self._others: dict[int, Tensor] = {}
        for name, port in into.items():
            if name != taken:
                series = np.asarray(inputs.get(name, solved.values[name][None]), float)
                (values,) = _tensors(port.to_term(self._sound(name, series)))
                self._others[forcings.index(str(port.term))] = values
        own = solved.parameters, solved.weights, solved.state
        self._parameters, self._weights, self.initial = _tensors(*own)

    def _refuse_unknown(self, names: Iterable[str], known: Collection[str], what: str) -> None:
        for name in names:
            if name not in known:
                raise ComponentError(
                    f"'{name}' is no {what} of the model ({nearest(name, known)}).", self._where
                )

    def _sound(self, name: str, series: np.ndarray) -> np.ndarray:
        if series.ndim != 2 or series.shape[1] != self.cells or not np.isfinite(series).all():
            raise ComponentError(
                f"The input '{name}' was never set, or its series of the shape {series.shape} is "
                f"not one finite number for each step and each of {self.cells} cells.",
                self._where,
                f"Give inputs={{'{name}': ...}}, or set it before",
            )
        return series

    def __call__(
        self, inflow: Tensor, state: Tensor | None = None, first: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Solve some steps.

        Parameters
        ----------
        inflow : torch.Tensor
            Shape (step, cell), on any device.
        state : torch.Tensor, optional
            Where it begins, shape (cell, n_states); that of the component if left out.
        first : int
            Which step of the series of other inputs is the first one.

        Returns
        -------
        outflow : torch.Tensor
            Shape (step, cell), the mean of each step, in float64.
        states : torch.Tensor
            Shape (step, cell, n_states), at the end of each step, in units of the model.

        Raises
        ------
        ComponentError
            If shapes do not fit, or series of other inputs are too short.
        ComponentFailed
            If a cell cannot be solved.
        """
        steps, device = len(inflow), inflow.device
        if inflow.shape != (steps, self.cells):
            raise ComponentError(
                f"The inflow has the shape {tuple(inflow.shape)}, not (step, {self.cells}).",
                self._where,
            )
        slope, offset = self._into
        columns = {self._column: inflow.double().cpu() * slope + offset}
        for k, values in self._others.items():
            held = len(values) == 1
            rows = values.expand(steps, -1) if held else values[first : first + steps]
            if len(rows) != steps:
                raise ComponentError(
                    f"A series of inputs has {len(values)} steps, and step {first + steps} is "
                    "needed.",
                    self._where,
                )
            columns[k] = rows
        begin = self.initial if state is None else state.double().cpu()
        fluxes, states, solution = solve(
            self._solver,
            self._parameters,
            self._weights,
            torch.stack([columns[k] for k in sorted(columns)], dim=-1).transpose(0, 1),
            begin,
            self._duration,
        )
        if solution.failures:
            failure = solution.failures[0]
            raise ComponentFailed(
                failure.reason,
                f"{self._where}, cell {failure.batch}",
                "Look at what that cell gets, or choose a method for stiff equations",
            )
        slope, offset = self._out
        outflow = fluxes[..., self._flux].T * slope + offset
        return outflow.to(device), states.transpose(0, 1).to(device)

    def digest(self) -> str:
        """Return a digest of all that it depends on."""
        found = hashlib.sha256()
        own = self._parameters, self._weights, self.initial
        for tensor in (*own, *self._into, *self._out, *self._others.values()):
            found.update(np.ascontiguousarray(tensor.numpy()).tobytes())
        settings = self._solver.ude.fingerprint, self._solver.options
        found.update(repr((settings, self._column, self._flux, self._duration)).encode())
        return found.hexdigest()


def _tensors(*arrays: np.ndarray) -> tuple[Tensor, ...]:
    """Copy: the component goes on writing into its own."""
    return tuple(torch.tensor(array) for array in arrays)
