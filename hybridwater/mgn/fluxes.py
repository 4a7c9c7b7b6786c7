"""The conservative head: what a network says about edges becomes water that moves along them.

A network can only move water from one store to another. What leaves one cell enters its neighbour,
in the same number, so that closure does not depend on weights, precision or training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from hybridwater.errors import DataError, MeshError, SettingsError, nearest
from hybridwater.mgn.configuration import label, levels_of
from hybridwater.mgn.limiter import move
from hybridwater.mgn.network import Decoded

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

Form = Literal["free", "difference"]

Bounds = Mapping[str, Tensor | float | None]


@dataclass(frozen=True, eq=False)
class Booked:
    """What a step did to the stores; all in float64 and in the unit of the amounts.

    Attributes
    ----------
    amounts : dict of str to Tensor
        Per component, shape (..., n_cells), after the step.
    fluxes : dict of str to Tensor
        Per relation, shape (..., n_pairs): what went from the first to the second cell.
    unobserved : dict of str to Tensor
        Per component, shape (..., n_cells): what came from outside of all that is known; an entry
        of the ledger, never part of the exchange.
    limited : Tensor
        Shape (...): sum of what was asked for and not done.
    surprise : Tensor
        Shape (...): minus the logarithm of the prior density of the unobserved fluxes, up to a
        constant; to be added to a loss.
    """

    amounts: dict[str, Tensor]
    fluxes: dict[str, Tensor]
    unobserved: dict[str, Tensor]
    limited: Tensor
    surprise: Tensor

    def closure(self, before: Mapping[str, Tensor]) -> Tensor:
        """Return what is not accounted for, relative to all that is held, shape (...).

        Parameters
        ----------
        before : mapping of str to Tensor
            Amounts before the step.
        """
        held = (before, self.amounts)
        size = [sum(x[n].double().abs().sum(dim=-1) for n in before) for x in held]
        error = sum(
            (self.amounts[n] - before[n].double() - self.unobserved.get(n, torch.zeros(()))).sum(-1)
            for n in before
        )
        return torch.as_tensor(error) / torch.maximum(*map(torch.as_tensor, size)).clamp(min=1e-300)


def pairs(graph: HeteroData, relation: str) -> tuple[Tensor, Tensor]:
    """Return the edges along which water moves, each pair of cells once.

    Parameters
    ----------
    graph : HeteroData
        From :func:`hybridwater.mgn.make_graph`.
    relation : str
        Such as ``"land beside land"``.

    Returns
    -------
    edges : torch.Tensor
        Shape (n_pairs,): their places among the edges of the relation.
    index : torch.Tensor
        Shape (2, n_pairs): the two cells.
    """
    index = _edges(graph, relation, "edge_index").edge_index
    if relation.split(" ")[1] != "beside":
        return torch.arange(index.shape[1], device=index.device), index
    edges = torch.nonzero(index[0] < index[1])[:, 0]
    return edges, index[:, edges]


def edge_weight(graph: HeteroData, relation: str, form: Form) -> Tensor:
    """Return by what geometry a flux is scaled, shape (n_pairs,).

    Between neighbours the width of their edge [m], or, where fluxes follow differences, width over
    distance; along rivers the local length [m]; between components the area that a source cell
    shares with its target [m2, or m of reach]. What is left is a number per unit of geometry,
    which does not know the grid.
    """
    source, kind, target = relation.split(" ")
    needed = {"beside": ("width", "distance"), "overlaps": ("share",)}
    store = _edges(graph, relation, *needed.get(kind, ()))
    edges, index = pairs(graph, relation)
    if kind == "beside":
        width = store.width[edges]
        return width / store.distance[edges] if form == "difference" else width
    if kind == "overlaps":
        return store.share * graph[source].measure[index[0]]
    return torch.sqrt(graph[source].length[index[0]] * graph[target].length[index[1]])


class ConservativeHead(nn.Module):
    """Turns the edge outputs of a network into limited fluxes between stores.

    The flux of a pair is a weight of its geometry, times a typical value, times what the network
    says: the difference of what it says for the two directions between neighbours, so that it
    does not matter which cell comes first. With ``"difference"`` it is a positive number,
    the same for both directions, times the difference of a potential: water then only flows down.

    Parameters
    ----------
    typical : mapping of str to float
        Per relation along which water moves: the typical flux of a step, per unit of
        :func:`edge_weight` (and of the potential).
    form : {"free", "difference"}
        See above.
    unobserved : mapping of str to float, optional
        Per component whose cells have an unobserved source or sink: the standard deviation of its
        normal prior, in amounts per m2 (per m of reach) and step. The network then needs one node
        output for it.

    Raises
    ------
    SettingsError
        If a number is not positive, or the form is not known.
    """

    def __init__(
        self,
        typical: Mapping[str, float],
        form: Form = "free",
        unobserved: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        if form not in ("free", "difference"):
            raise SettingsError(
                f"There is no form '{form}' ({nearest(form, ['free', 'difference'])})."
            )
        self.typical = dict(typical)
        self.form: Form = form
        self.unobserved = dict(unobserved or {})
        for name, value in {**self.typical, **self.unobserved}.items():
            if not (value > 0.0 and value < float("inf")):
                raise SettingsError(f"The typical value of '{name}' is {value}, not positive.")

    def forward(
        self,
        graph: HeteroData,
        decoded: Decoded,
        amounts: Mapping[str, Tensor],
        *,
        potentials: Mapping[str, Tensor] | None = None,
        least: Bounds | None = None,
        most: Bounds | None = None,
        span: float = 1.0,
    ) -> Booked:
        """Move water between the stores of all components.

        Parameters
        ----------
        graph : HeteroData
            The graph that the network read.
        decoded : Decoded
            What it said. The first edge output of each relation is its flux, the first node output
            of each component with an unobserved flux that flux.
        amounts : mapping of str to Tensor
            Per component, shape (..., n_cells): amounts of any extensive unit, for example kg.
        potentials : mapping of str to Tensor, optional
            Per component, shape (..., n_cells), for ``"difference"``.
        least, most : mapping of str to Tensor or float, optional
            Bounds of amounts per component, zero and none where left out; None for none.
        span : float
            Length of the step, in steps of the training.

        Returns
        -------
        Booked

        Raises
        ------
        DataError
            If amounts are missing or leave their bounds, or potentials are missing.
        MeshError
            If the graph has no such edges, or they lack what fluxes need.
        """
        names = [n for n in levels_of(graph) if n in amounts]
        sizes = [amounts[n].shape[-1] for n in names]
        start = dict(zip(names, torch.tensor([0, *sizes]).cumsum(0).tolist(), strict=False))
        low, high = (
            self._bounds(names, amounts, least, 0.0),
            self._bounds(names, amounts, most, None),
        )
        stores = torch.cat([amounts[n].double() for n in names], dim=-1)
        _check_amounts(stores, low, high, names, sizes)
        asked, index, places = [], [], {}
        for relation in self.typical:
            edges, ends = pairs(graph, relation)
            flux = self._flux(graph, decoded, relation, edges, ends, potentials)
            source, _, target = relation.split(" ")
            for name in (source, target):
                if name not in start:
                    raise DataError(f"The amounts of '{name}' are missing.", f"edges '{relation}'")
            places[relation] = (sum(i.shape[1] for i in index), ends.shape[1])
            asked.append(span * flux)
            index.append(torch.stack([ends[0] + start[source], ends[1] + start[target]]))
        surprise = stores.new_zeros(stores.shape[:-1])
        for name, spread in self.unobserved.items():
            said = decoded.nodes[name][..., 0].double()
            surprise = surprise + 0.5 * (said**2).sum(dim=-1)
            count = said.shape[-1]
            cells = torch.arange(count, device=stores.device)
            outside = torch.full_like(cells, stores.shape[-1])
            places[name] = (sum(i.shape[1] for i in index), count)
            asked.append(span * spread * graph[name].measure * said)
            index.append(torch.stack([outside, cells + start[name]]))
        moved = move(
            torch.cat([stores, stores.new_zeros(*stores.shape[:-1], 1)], dim=-1),
            torch.cat(asked, dim=-1),
            torch.cat(index, dim=-1),
            least=_with(low, -torch.inf),
            most=_with(high, torch.inf),
        )
        after = moved.amounts[..., :-1].split(sizes, dim=-1)
        parts = {n: moved.fluxes[..., at : at + size] for n, (at, size) in places.items()}
        return Booked(
            dict(zip(names, after, strict=True)),
            {r: parts[r] for r in self.typical},
            {n: parts[n] for n in self.unobserved},
            moved.limited.abs().sum(dim=-1),
            surprise,
        )

    def _flux(
        self,
        graph: HeteroData,
        decoded: Decoded,
        relation: str,
        edges: Tensor,
        ends: Tensor,
        potentials: Mapping[str, Tensor] | None,
    ) -> Tensor:
        """Return the flux of each pair that the network asks for, shape (..., n_pairs)."""
        source, kind, target = relation.split(" ")
        said = decoded.edges[relation][..., 0].double()
        here = said.index_select(-1, edges)
        weight = edge_weight(graph, relation, self.form) * self.typical[relation]
        there = None
        if kind == "beside":
            reverse = _edges(graph, relation, "reverse").reverse[edges]
            there = said.index_select(-1, reverse)
        if self.form == "free":
            return weight * (here if there is None else here - there)
        if potentials is None or source not in potentials or target not in potentials:
            raise DataError(
                "Fluxes that follow differences need the potential of each component.",
                f"edges '{relation}'",
            )
        drop = potentials[source].double().index_select(-1, ends[0])
        drop = drop - potentials[target].double().index_select(-1, ends[1])
        conductance = nn.functional.softplus(here if there is None else 0.5 * (here + there))
        return weight * conductance * drop

    @staticmethod
    def _bounds(
        names: list[str],
        amounts: Mapping[str, Tensor],
        bounds: Bounds | None,
        default: float | None,
    ) -> list[Tensor]:
        found = []
        for name in names:
            value = (bounds or {}).get(name, default)
            if value is None:
                value = -torch.inf if default == 0.0 else torch.inf
            wide = torch.as_tensor(value, dtype=torch.float64, device=amounts[name].device)
            found.append(wide.expand_as(amounts[name]) if wide.ndim < 2 else wide)
        return found


def _edges(graph: HeteroData, relation: str, *needed: str) -> Any:
    """Return the edges of a relation; asking the graph itself would add them to it."""
    known = [label(r) for r in graph.edge_types]
    if relation not in known:
        raise MeshError(f"There are no edges '{relation}': {nearest(relation, known)}")
    store = graph[tuple(relation.split(" "))]
    for key in needed:
        if key not in store:
            raise MeshError(
                f"The edges have no '{key}'.",
                f"edges '{relation}'",
                "Make the graph with hybridwater.mgn.make_graph",
            )
    return store


def _with(bounds: list[Tensor], outside: float) -> Tensor:
    joined = torch.cat(bounds, dim=-1)
    return torch.cat([joined, joined.new_full((*joined.shape[:-1], 1), outside)], dim=-1)


def _check_amounts(
    stores: Tensor, low: list[Tensor], high: list[Tensor], names: list[str], sizes: list[int]
) -> None:
    bad = ~((stores >= torch.cat(low, dim=-1)) & (stores <= torch.cat(high, dim=-1)))
    if not bool(bad.any()):
        return
    place = int(torch.nonzero(bad)[0][-1])
    for name, size in zip(names, sizes, strict=True):
        if place < size:
            raise DataError(
                f"{int(bad.sum())} amounts are not finite or leave their bounds.",
                f"component '{name}', cell {place}",
                "Give amounts within least and most; a flux limiter can keep bounds, not mend them",
            )
        place -= size
