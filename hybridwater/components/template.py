"""A component in one file: copy it, and put your model in place of the linear reservoir.

Four things make a component: a table of its variables, its grid, one step, and its water (what is
in store, and what crossed the boundary). The base class does the rest of the Basic Model Interface,
time, state and refusals. Check the result with ``hybridwater component check``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from hybridwater.components.base import Variable
from hybridwater.components.configuration import per_cell, require_range, stacked_cells
from hybridwater.components.declared import DeclaredComponent
from hybridwater.components.grids import Grid, cells


class Template(DeclaredComponent):
    """Say what the model is, over what cells, and where it is published.

    Source: here, a linear reservoir whose outflow is its content times a rate; solved exactly over
    the step for a constant inflow.

    Parameters
    ----------
    area : float or array_like
        Area of each cell [m2].
    rate : float or array_like
        Outflow per content [d-1].
    initial : float or array_like
        Content at time zero [kg m-2].
    start : str or date, optional
        Date of time zero.
    inputs : mapping, optional
        First values of inputs.
    mesh : Mesh, optional
        Mesh of the cells.
    """

    name = "template"
    title = "linear reservoir, exact over the step"

    # One line per variable. Use CF standard names where there are some, and say so; a rate is the
    # mean over the step, a state holds at its end. `typical` is what the checker feeds.
    variables = (
        Variable("recharge_flux", "kg m-2 d-1", "in", "rate", "water that goes in", typical=2.0),
        Variable(
            "runoff_flux",
            "kg m-2 d-1",
            "out",
            "rate",
            "water that comes out",
            standard_name="runoff_flux",
        ),
        Variable("reservoir_amount", "kg m-2", "out", "state", "content at the end of the step"),
    )

    # The constructor's keywords are also the keys of a configuration file (TOML). Refuse here what
    # would fail later.
    def __init__(
        self,
        *,
        area: Any = 1e6,
        rate: Any = 0.05,
        initial: Any = 10.0,
        start: str | dt.date | None = None,
        inputs: Mapping[str, Any] | None = None,
        mesh: Any = None,
    ) -> None:
        super().__init__(step=1.0, start=start, inputs=inputs, meshes={0: mesh})
        self._p = per_cell(self.name, area=area, rate=rate, initial=initial)
        require_range(self.name, "area", self._p["area"], 1e-6)
        require_range(self.name, "rate", self._p["rate"], 1e-12)
        require_range(self.name, "initial", self._p["initial"], 0)

    def _make_grids(self) -> dict[int, Grid]:
        return {0: cells(self._p["area"].size)}

    # Whatever is here tells this configuration from others: a restart file of another is refused.
    def _configuration(self) -> dict[str, Any]:
        return self._p

    # Lets members of an ensemble step together, their cells one after the other. Leave both out if
    # the model cannot; what is derived from parameters then belongs into `_reset`.
    can_stack = True

    def _stack(self, parts: Sequence[Self]) -> None:
        self._p = stacked_cells(self.name, [p._p for p in parts])

    # Make the state, in arrays that live as long as the run, and show it in the outputs.
    def _reset(self) -> None:
        self._content = self._p["initial"].copy()
        self._values["reservoir_amount"][:] = self._content

    # All arrays that a checkpoint must hold, apart from the values of the variables.
    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {"content": self._content}

    # One step. Write into the arrays, `[:]`, never in place of them.
    def _advance(self) -> None:
        inflow, k = self._values["recharge_flux"], self._p["rate"]
        before = self._content.copy()
        steady = inflow / k
        self._content[:] = steady + (before - steady) * np.exp(-k * self._step)
        self._values["runoff_flux"][:] = inflow - (self._content - before) / self._step
        self._values["reservoir_amount"][:] = self._content

    def _cell_areas(self, grid: int) -> np.ndarray:
        return self._p["area"]

    def storage(self) -> dict[str, np.ndarray]:
        """Return the water in store [kg], shape (cell,)."""
        return {"reservoir": self._content * self._p["area"]}

    # Signed, positive inwards; the sum is the change of storage. Keys are names of rates above.
    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return what crossed the boundary in the last step [kg], shape (cell,)."""
        if not self._steps:
            return {}
        per_flux = self._p["area"] * self._step
        return {
            "recharge_flux": self._values["recharge_flux"] * per_flux,
            "runoff_flux": -self._values["runoff_flux"] * per_flux,
        }
