"""Learned dynamics of a mesh or a river network, in the place of a model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater import units
from hybridwater.components.base import Variable
from hybridwater.components.configuration import per_cell
from hybridwater.components.declared import DeclaredComponent
from hybridwater.components.grids import Grid, cells
from hybridwater.errors import ComponentError, UnitError, nearest

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from hybridwater.mgn import Dynamics

UNMET = "unmet_flux"


class LearnedDynamics(DeclaredComponent):
    """What trained `FluxDynamics` or `IncrementDynamics` do on any cells, step by step.

    States are outputs and forcings inputs, of the names, units and step of the episodes of the
    training. With `FluxDynamics` whose first state is water, that water is the storage, and the
    forcing that is its source is a flux of water into cells. What bounds keep from going in or out
    is the output ``unmet_flux``; nothing else crosses the boundary, outlets of rivers included.
    Other dynamics conserve nothing, and have no storage.

    Parameters
    ----------
    weights : Dynamics, str or path-like
        Trained dynamics, or their file; without, a configuration file names them.
    mesh : Mesh or RiverNetwork
        The cells.
    initial : mapping of str to array_like
        Each state at time zero: a number, or one per cell.
    static : mapping of str to array_like, optional
        Static features of cells, likewise.
    graph : HeteroData, optional
        Of the cells, where the training had choices of `make_graph`; with its defaults if left out.
    storativity : float
        Water per cell and change of the first state: 1 for a depth of water, the specific yield
        for a head.
    start : str or date, optional
        Date of time zero.
    inputs : mapping, optional
        First values of inputs.

    Raises
    ------
    ComponentError
        If there is no mesh, the weights know no units or step, states or features are not those of
        the training, or values are not one per cell.
    DataError
        If an initial state leaves its bounds.
    WeightsError
        If weights cannot be read.
    """

    name = "learned-dynamics"
    title = "learned dynamics of a mesh or a river network"
    time_units = "s"

    def __init__(
        self,
        *,
        weights: Dynamics | str | Path | None = None,
        mesh: Any = None,
        initial: Mapping[str, Any] | None = None,
        static: Mapping[str, Any] | None = None,
        graph: HeteroData | None = None,
        storativity: float = 1.0,
        start: str | dt.date | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        import torch

        from hybridwater.mgn import Dynamics, FluxDynamics, load_dynamics, make_graph
        from hybridwater.mgn.normaliser import Normaliser

        super().__init__(start=start, inputs=inputs, meshes={0: mesh})
        if weights is None:  # the configuration file names them
            return
        if mesh is None:
            raise ComponentError(
                "Learned dynamics need cells.", f"component '{self.name}'", "Give a mesh"
            )
        made = weights if isinstance(weights, Dynamics) else load_dynamics(weights)
        if made.step is None or not all(made.units):
            raise ComponentError(
                "The learned dynamics know no step or not all units.",
                f"component '{self.name}'",
                "Train them on episodes that do, such as those of Episode.from_dataset",
            )
        self._step = made.step
        self.dynamics = made.eval()
        self.graph = make_graph({made.component: mesh}) if graph is None else graph
        self._measure = self.graph[made.component].measure.numpy()
        last = len(made.names) - len(static or {})
        self._names = made.names[: made.state_count]
        self._forcings = made.names[made.state_count : last]
        self._initial = self._table("initial", initial or {}, self._names)
        self._static = self._table("static", static or {}, made.names[last:])
        made.check_states(torch.from_numpy(self._initial))
        unit = dict(zip(made.names, made.units, strict=True))
        self._source, self._kilograms = "", None
        if isinstance(made, FluxDynamics):
            self._kilograms = self._water(unit[self._names[0]], storativity)
            if made.source is not None:
                if self._kilograms is None:
                    raise ComponentError(
                        f"'{self._names[0]}' in '{unit[self._names[0]]}' is no water, and has a "
                        "source of water.",
                        f"component '{self.name}'",
                        "Train dynamics of a depth or an amount, and give its storativity",
                    )
                self._source = made.names[made.state_count + made.source]
                if self._source not in self._forcings:
                    raise ComponentError(
                        f"'{self._source}' is the source of the dynamics, and no static feature.",
                        f"component '{self.name}'",
                    )
                unit[self._source] = "kg m-2 s-1" if self._areas is not None else "kg s-1"
        self.has_storage = self._kilograms is not None
        seen = made.network.normalisers[made.component]
        assert isinstance(seen, Normaliser)
        typical = dict(zip(made.names, seen.mean.tolist(), strict=False)) | {self._source: 0.0}
        self.variables = (
            *(Variable(n, unit[n], "out", "state", "learned state") for n in self._names),
            *(
                Variable(n, unit[n], "in", "rate", "forcing of the training", typical=typical[n])
                for n in self._forcings
            ),
        )
        if self._source:
            what = "what bounds kept from going in (negative) or out"
            self.variables += (Variable(UNMET, unit[self._source], "out", "rate", what),)

    @property
    def _areas(self) -> np.ndarray | None:
        from hybridwater.meshes import Mesh

        mesh = self._meshes[0]
        return mesh.areas if isinstance(mesh, Mesh) else None

    def _table(self, what: str, values: Mapping[str, Any], names: tuple[str, ...]) -> np.ndarray:
        """Return values of the names of the training, in its order, shape (cell, name)."""
        size = self._measure.size
        if set(values) != set(names):
            hints = [f"{n} ({nearest(n, names)})" for n in values if n not in names]
            raise ComponentError(
                f"'{what}' has {', '.join(hints or values) or 'nothing'}, the training "
                f"{', '.join(names) or 'nothing'}.",
                f"component '{self.name}'",
            )
        if not names:
            return np.zeros((size, 0))
        # the measure says how many cells there are
        found = per_cell(self.name, cells=self._measure, **{n: values[n] for n in names})
        return np.stack([found[n] for n in names], axis=1)

    def _water(self, unit: str, storativity: float) -> np.ndarray | None:
        """Return what makes kilograms of the first state, shape (cell,); None if it is no water."""
        per = "kg m-2" if self._areas is not None else "kg m-1"
        try:
            slope, offset, power = units.linear(unit, per)
        except UnitError:
            slope, offset, power = 0.0, 0.0, 0
        if slope > 0.0 and offset == 0.0 and power == 0 and storativity > 0.0:
            return slope * storativity * self._measure
        return None

    def _make_grids(self) -> dict[int, Grid]:
        return {0: cells(self._measure.size)}

    def _cell_areas(self, grid: int) -> np.ndarray | None:
        return self._areas

    def _configuration(self) -> dict[str, Any]:
        weights = {k: v.numpy() for k, v in self.dynamics.state_dict().items()}
        return {"measure": self._measure, "static": self._static, **weights}

    def _reset(self) -> None:
        self._states = self._initial.copy()
        self._brought = np.zeros(self._measure.size)
        self._show()

    def _show(self) -> None:
        for name, values in zip(self._names, self._states.T, strict=True):
            self._values[name][:] = values

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {"states": self._states, "brought": self._brought}

    def _asked(self) -> np.ndarray:
        """Return what the source gives in a step [kg], shape (cell,)."""
        rate = self._values[self._source] * self._step
        return rate if self._areas is None else rate * self._areas

    def _advance(self) -> None:
        import torch

        from hybridwater.mgn import FluxDynamics

        columns = []
        for name in self._forcings:
            of_water = name == self._source and self._kilograms is not None
            columns.append(self._asked() / self._kilograms if of_water else self._values[name])
        table = np.stack(columns, axis=1) if columns else np.zeros((self._measure.size, 0))
        states, forcing, static = map(torch.from_numpy, (self._states, table, self._static))
        with torch.no_grad():
            if isinstance(self.dynamics, FluxDynamics):
                after, brought = self.dynamics.exchange(self.graph, states, forcing, static)
                self._brought[:] = brought.numpy()
            else:
                after = self.dynamics(self.graph, states, forcing, static)
        self._states[:] = after.numpy()
        self._show()
        if self._source and self._kilograms is not None:
            unmet = (self._brought * self._kilograms - self._asked()) / self._step
            self._values[UNMET][:] = unmet if self._areas is None else unmet / self._areas

    def storage(self) -> dict[str, np.ndarray]:
        """Return the water of the first state [kg], shape (cell,); nothing where it is no water."""
        if self._kilograms is None:
            return {}
        return {self._names[0]: self._states[:, 0] * self._kilograms}

    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return what crossed the boundary in the last step [kg], each of shape (cell,)."""
        if not self._steps or self._kilograms is None or not self._source:
            return {}
        asked = self._asked()
        return {self._source: asked, UNMET: self._brought * self._kilograms - asked}
