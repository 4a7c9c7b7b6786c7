"""Rollouts of learned dynamics on a mesh or river network that is made anew on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hybridwater.errors import DataError, MeshError, SettingsError
from hybridwater.meshes import Mesh, Remap, RiverNetwork, Sizing, conservative_remap, remesh
from hybridwater.meshes.river_pieces import RiverPieces
from hybridwater.mgn.graph import make_graph

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from hybridwater.mgn.dynamics import Dynamics

Part = Mesh | RiverNetwork
Ground = Mesh | RiverPieces


@dataclass(frozen=True, eq=False)
class AdaptiveRun:
    """What an adaptive rollout made.

    Attributes
    ----------
    parts : tuple of Mesh or RiverPieces
        One per time: the cells of that time. The same object as before where they did not change.
    states : tuple of torch.Tensor
        One per time, shape (n_cells, n_states), in float64.
    """

    parts: tuple[Ground, ...]
    states: tuple[Tensor, ...]

    @property
    def sizes(self) -> np.ndarray:
        """Number of cells at each time."""
        return np.array([len(states) for states in self.states])

    def amounts(self) -> np.ndarray:
        """Return sums over all cells of state times measure, shape (n_times, n_states)."""
        pairs = zip(self.parts, self.states, strict=True)
        return np.stack([_measure(_cells(part)) @ states.numpy() for part, states in pairs])


def adaptive_rollout(
    dynamics: Dynamics,
    part: Part | RiverPieces,
    states: np.ndarray,
    *,
    steps: int,
    sizing: Sizing,
    every: int = 1,
    forcing: np.ndarray | Callable[[Part, int], np.ndarray] | None = None,
    static: np.ndarray | Callable[[Part], np.ndarray] | None = None,
    span: float = 1.0,
    order: int = 2,
    graph: Callable[[Part], HeteroData] | None = None,
) -> AdaptiveRun:
    """Run learned dynamics on cells that are made anew where states ask for it.

    Before the first step and every ``every`` steps, sizes follow from the gradients of the
    states, the mesh is made anew (:func:`~hybridwater.meshes.remesh`) or the rivers are cut anew
    (:class:`~hybridwater.meshes.RiverPieces`), states are moved conservatively, and the graph
    with its levels is made for the new cells (as in the rollouts of Pfaff et al. 2021,
    arXiv:2010.03409, section 3.2).

    Parameters
    ----------
    dynamics : Dynamics
        Trained on meshes whose cells differ in size, at best.
    part : Mesh, RiverNetwork or RiverPieces
        Where states, and forcing and static features that are arrays, are given. The finer, the
        more is known of them.
    states : array_like
        Shape (n_cells, n_states), means of cells, or per metre of river.
    steps : int
        Steps of the network.
    sizing : Sizing
        What sizes may be; one change per state.
    every : int
        Steps between two meshes.
    forcing : array_like or callable, optional
        Shape (steps, n_cells, n_forcings) on the first cells; moved conservatively. Or a function
        of cells and number of the step.
    static : array_like or callable, optional
        Shape (n_cells, n_static) on the first cells; or a function of cells.
    span : float
        Length of a step, as of `Dynamics`.
    order : int
        Of the remap of states: 1, or 2 with bounded gradients.
    graph : callable, optional
        Cells to graph, with the choices of the training; :func:`~hybridwater.mgn.make_graph`
        with its defaults if left out.

    Returns
    -------
    AdaptiveRun
        With ``steps + 1`` times.

    Raises
    ------
    DataError, MeshError, SettingsError
        If shapes do not fit, a value is not finite, a number is not possible, or the cells cannot
        be made anew.
    MissingDependency
        For meshes, if mmgpy is not installed.
    """
    if steps < 1 or every < 1 or not 0.0 < span < np.inf:
        raise SettingsError(
            f"steps={steps}, every={every} or span={span} is not positive.", "adaptive rollout"
        )
    place: np.ndarray | slice = slice(None)
    if isinstance(part, RiverNetwork):
        first = RiverPieces.of(part)
        place = first.line.order  # pieces lie along the rivers, reaches in any order
    else:
        first = part
    size = _cells(first).size
    made = graph or (lambda cells: make_graph({dynamics.component: cells}))
    lead = {"states": (size,), "static": (size,), "forcing": (steps, size)}
    given = {
        name: _table(name, values, lead[name], place)
        for name, values in (("states", states), ("static", static), ("forcing", forcing))
    }
    here, now = first, given["states"]
    assert isinstance(now, np.ndarray)
    fields = given["static"], given["forcing"]
    moving = any(isinstance(field, np.ndarray) and field.size for field in fields)
    from_first: Remap | None = None
    parts, kept = [], []
    dynamics.eval()
    with torch.no_grad():
        for step in range(steps):
            if step % every == 0:
                fresh = _anew(here, now, sizing)
                now = _moved(_between(here, fresh, order), now)
                here = fresh
                cells = _cells(here)
                nodes = made(cells)
                if moving:
                    from_first = _between(first, here, 1)
                fixed = _given(given["static"], from_first, cells)
            if step == 0:
                parts.append(here)
                kept.append(torch.from_numpy(now))
            drive = _given(given["forcing"], from_first, cells, step)
            after = dynamics(nodes, torch.from_numpy(now), drive, fixed, span)
            now = after.numpy()
            parts.append(here)
            kept.append(after)
    return AdaptiveRun(tuple(parts), tuple(kept))


def _measure(part: Part) -> np.ndarray:
    return part.areas if isinstance(part, Mesh) else part.lengths


def _cells(ground: Ground) -> Part:
    return ground.network if isinstance(ground, RiverPieces) else ground


def _table(
    name: str,
    values: np.ndarray | Callable[..., np.ndarray] | None,
    lead: tuple[int, ...],
    place: np.ndarray | slice,
) -> np.ndarray | Callable[..., np.ndarray]:
    if callable(values):
        return values
    table = np.zeros((*lead, 0)) if values is None else np.asarray(values, dtype=float)
    if table.ndim != len(lead) + 1 or table.shape[:-1] != lead:
        raise DataError(
            f"'{name}' has the shape {table.shape}, not ({', '.join(map(str, lead))}, any).",
            "adaptive rollout",
        )
    if not np.isfinite(table).all():
        raise DataError(
            f"{int((~np.isfinite(table)).sum())} values of '{name}' are not finite.",
            "adaptive rollout",
            "Fill gaps before",
        )
    return table[..., place, :]


def _given(
    values: np.ndarray | Callable[..., np.ndarray], remap: Remap | None, cells: Part, *step: int
) -> Tensor:
    """Return forcing or static features of the cells that there are now."""
    if callable(values):
        found = np.asarray(values(cells, *step), dtype=float)
        if found.ndim != 2 or len(found) != cells.size or not np.isfinite(found).all():
            raise DataError(
                f"A function gave the shape {found.shape} for {cells.size} cells, or what is not "
                "finite.",
                "adaptive rollout",
            )
    elif values.size:
        assert remap is not None
        found = _moved(remap, values[step[0]] if step else values)
    else:
        found = np.zeros((cells.size, 0))
    return torch.tensor(found)


def _anew(ground: Ground, states: np.ndarray, sizing: Sizing) -> Ground:
    if isinstance(ground, RiverPieces):
        return ground.resized(states, sizing)
    return remesh(ground, states, sizing)


def _between(here: Ground, there: Ground, order: int) -> Remap:
    if isinstance(here, RiverPieces) and isinstance(there, RiverPieces):
        return here.remap_to(there, order=order)
    if isinstance(here, Mesh) and isinstance(there, Mesh):
        return conservative_remap(here, there, order=order)
    raise MeshError("Cells of a mesh do not become reaches.", "adaptive rollout")


def _moved(remap: Remap, values: np.ndarray) -> np.ndarray:
    """Move means of cells, shape (n_cells, n)."""
    return np.ascontiguousarray(remap.means(values.T).T)
