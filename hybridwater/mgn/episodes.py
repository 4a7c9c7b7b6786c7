"""What dynamics are learned from: states of the cells of one component over time."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hybridwater.data.times import check_time
from hybridwater.errors import DataError, nearest
from hybridwater.mgn.configuration import levels_of
from hybridwater.units import linear

if TYPE_CHECKING:
    import xarray as xr
    from torch_geometric.data import HeteroData


@dataclass(frozen=True, eq=False)
class Episode:
    """States of the cells of a component, at equal steps of time.

    Parameters
    ----------
    graph : torch_geometric.data.HeteroData
        Of one component, from :func:`hybridwater.mgn.make_graph`.
    states : array_like
        Shape (n_times, n_cells, n_states), at least two times.
    forcing : array_like, optional
        Shape (n_times - 1, n_cells, n_forcings), means over each step.
    static : array_like, optional
        Shape (n_cells, n_static).
    weights : array_like, optional
        Shape (n_cells,): how much a cell counts in the loss, not negative. By default, its measure.
    names : sequence of str, optional
        Of states, forcings and static features, in this order.
    units : sequence of str, optional
        Of the same; empty where not known.
    step : float, optional
        Length of a step [s]; None if it is not known.

    Raises
    ------
    DataError
        If shapes or numbers of names or units do not fit, the graph has several components, a value
        is not finite, or no cell counts.
    """

    graph: HeteroData
    states: Tensor
    forcing: Tensor
    static: Tensor
    weights: Tensor
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    step: float | None = None

    def __init__(
        self,
        graph: HeteroData,
        states: np.ndarray | Tensor,
        *,
        forcing: np.ndarray | Tensor | None = None,
        static: np.ndarray | Tensor | None = None,
        weights: np.ndarray | Tensor | None = None,
        names: Sequence[str] = (),
        units: Sequence[str] = (),
        step: float | None = None,
    ) -> None:
        components = list(levels_of(graph))
        if len(components) != 1:
            raise DataError(
                f"The graph has the components {', '.join(components)}; dynamics are of one.",
                fix="Make a graph of that component alone",
            )
        measure = graph[components[0]].measure
        x = torch.as_tensor(states, dtype=torch.float64)
        times, cells = x.shape[0], len(measure)
        f = torch.zeros(max(times - 1, 0), cells, 0) if forcing is None else forcing
        s = torch.zeros(cells, 0) if static is None else static
        w = measure if weights is None else weights
        tensors = {
            "states": (x, (times, cells, x.shape[-1])),
            "forcing": (torch.as_tensor(f, dtype=torch.float64), (times - 1, cells, None)),
            "static": (torch.as_tensor(s, dtype=torch.float64), (cells, None)),
            "weights": (torch.as_tensor(w, dtype=torch.float64), (cells,)),
        }
        for name, (tensor, shape) in tensors.items():
            _check(name, tensor, shape, components[0])
            object.__setattr__(self, name, tensor)
        if times < 2:
            raise DataError("There is only one time.", fix="Give at least two")
        mean = self.weights.mean()
        if not mean > 0.0 or bool((self.weights < 0.0).any()):
            raise DataError(
                "A weight is negative, or all are zero.",
                f"component '{components[0]}'",
                "Give weights of cells that are positive, and zero where a cell does not count",
            )
        object.__setattr__(self, "weights", self.weights / mean)
        object.__setattr__(self, "graph", graph)
        object.__setattr__(self, "names", tuple(names) or self._numbered())
        object.__setattr__(self, "units", tuple(units) or ("",) * sum(self.sizes))
        object.__setattr__(self, "step", step)
        if not len(self.names) == len(self.units) == sum(self.sizes):
            raise DataError(
                f"There are {len(self.names)} names and {len(self.units)} units of "
                f"{sum(self.sizes)} states, forcings and static features.",
                f"component '{components[0]}'",
            )

    @classmethod
    def from_dataset(
        cls,
        graph: HeteroData,
        data: xr.Dataset,
        *,
        states: Sequence[str],
        forcing: Sequence[str] = (),
        static: Sequence[str] = (),
        cell: str = "cell",
    ) -> Episode:
        """Make an episode of a dataset.

        Parameters
        ----------
        graph : HeteroData
            As in the class.
        data : xarray.Dataset
            Variables over ``time`` and ``cell``; static ones over ``cell``. Forcings have a value
            per time, of the step that begins there; the last one is not used. Attributes
            ``units`` and equal steps of a coordinate ``time`` are kept.
        states, forcing, static : sequence of str
            Names of variables.
        cell : str
            Name of the dimension of cells.

        Raises
        ------
        DataError
            As the class, and if a variable is missing or has other dimensions, or times are not
            dates, or are unsorted, duplicate or irregular.
        """
        for name in (*states, *forcing, *static):
            dims = (cell,) if name in static else ("time", cell)
            if name not in data:
                raise DataError(f"'{name}' is missing: {nearest(name, map(str, data.data_vars))}")
            if set(data[name].dims) != set(dims):
                raise DataError(
                    f"The dimensions of '{name}' are {data[name].dims}, not {dims}.",
                    fix=f"Rename or transpose them, or name the cells with cell=... (now '{cell}')",
                )

        def stacked(names: Sequence[str], *dims: str) -> np.ndarray | None:
            if not names:
                return None
            return np.stack([data[n].transpose(*dims).values for n in names], axis=-1)

        force = stacked(forcing, "time", cell)
        names = (*states, *forcing, *static)
        return cls(
            graph,
            stacked(states, "time", cell),  # type: ignore[arg-type]
            forcing=None if force is None else force[:-1],
            static=stacked(static, cell),
            names=names,
            units=[str(data[n].attrs.get("units", "")) for n in names],
            step=check_time(data).total_seconds() if "time" in data.coords else None,
        )

    @property
    def component(self) -> str:
        """Name of the component."""
        return next(iter(levels_of(self.graph)))

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Number of states, forcings and static features."""
        return self.states.shape[-1], self.forcing.shape[-1], self.static.shape[-1]

    def to(self, device: torch.device | str) -> Episode:
        """Return it on another device; itself if it is there."""
        if self.states.device == torch.device(device):
            return self
        moved = copy.copy(self)
        for name in ("states", "forcing", "static", "weights"):
            object.__setattr__(moved, name, getattr(self, name).to(device))
        object.__setattr__(moved, "graph", copy.copy(self.graph).to(device))
        return moved

    def digest(self) -> str:
        """Return a digest of the numbers, of what they are, and of the graph."""
        found = hashlib.sha256(repr((self.names, self.units, self.step)).encode())
        ground = [
            store[key]
            for store in self.graph.stores
            for key in ("measure", "edge_index", "edge_attr")
            if key in store
        ]
        for tensor in (self.states, self.forcing, self.static, self.weights, *ground):
            found.update(tensor.cpu().numpy().tobytes())
        return found.hexdigest()

    def check_like(
        self, component: str, names: Sequence[str], units: Sequence[str], step: float | None
    ) -> None:
        """Refuse this episode where another one is wanted.

        Parameters
        ----------
        component : str
            Name of the component.
        names, units, step
            As in the class.

        Raises
        ------
        DataError
            If the component, names or their order, or, where both are known, units or lengths of
            steps differ.
        """
        where = f"component '{self.component}'"
        if (self.component, self.names) != (component, tuple(names)):
            raise DataError(
                f"The episode has {', '.join(self.names)}, not {', '.join(names)} "
                f"of '{component}'.",
                where,
                "Give the states, forcings and static features of the training, in their order",
            )
        for name, mine, wanted in zip(names, self.units, units, strict=False):
            if mine and wanted and linear(mine, wanted) != (1.0, 0.0, 0):
                raise DataError(
                    f"'{name}' is in '{mine}', in the training it was in '{wanted}'.",
                    where,
                    "Convert it with hybridwater.units.to_units",
                )
        if step and self.step and not math.isclose(step, self.step):
            raise DataError(
                f"The steps of the episode are {self.step:g} s long, those of the training "
                f"{step:g} s.",
                where,
                "Resample the episode; the network takes longer steps with span=...",
            )

    def _numbered(self) -> tuple[str, ...]:
        kinds = ("state", "forcing", "static")
        return tuple(
            f"{kind}_{k}" for kind, n in zip(kinds, self.sizes, strict=True) for k in range(n)
        )


def _check(name: str, tensor: Tensor, shape: tuple[int | None, ...], component: str) -> None:
    fits = tensor.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, tensor.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise DataError(
            f"'{name}' has the shape {tuple(tensor.shape)}, not ({wanted}).",
            f"component '{component}'",
        )
    bad = ~torch.isfinite(tensor)
    if bool(bad.any()):
        place = torch.nonzero(bad)[0].tolist()
        raise DataError(
            f"{int(bad.sum())} values of '{name}' are not finite.",
            f"component '{component}', index {tuple(place)}",
            "Fill gaps before, or leave these cells out",
        )
