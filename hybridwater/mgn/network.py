"""Encode, process, decode: a mesh graph network whose processor visits a hierarchy of levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hybridwater.errors import DataError, MeshError, nearest
from hybridwater.mgn.configuration import Architecture, levels_of, relations_of
from hybridwater.mgn.geometry import PARTS
from hybridwater.mgn.graph import node_type
from hybridwater.mgn.layers import EdgeUpdate, NodeUpdate, Perceptron, Prolong, Restrict
from hybridwater.mgn.normaliser import Normaliser
from hybridwater.mgn.validation import check_edges, check_features

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

_NOISE = 1e-8
"""Rounding of features of edges."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a network says.

    Attributes
    ----------
    nodes : dict of str to Tensor
        Per component, shape (..., n_cells, outputs).
    edges : dict of str to Tensor
        Per relation, shape (..., n_edges, outputs).
    memory : dict of str to Tensor
        Per component, shape (..., n_cells, memory), each between -1 and 1: for the next call. Empty
        where nothing is remembered.
    """

    nodes: dict[str, Tensor]
    edges: dict[str, Tensor]
    memory: dict[str, Tensor] = field(default_factory=dict)


class Step(nn.Module):
    """One step of message passing over all relations that are there at a level.

    Parameters
    ----------
    architecture : Architecture
        That of the network.
    within : bool
        Whether it only has relations within components, as levels below the finest do.
    """

    def __init__(self, architecture: Architecture, *, within: bool) -> None:
        super().__init__()
        self.edges = nn.ModuleDict()
        into: dict[str, list[str]] = {name: [] for name in architecture.inputs}
        for name in architecture.relations:
            if within and name.split(" ")[0] != name.split(" ")[2]:
                continue
            self.edges[name] = EdgeUpdate(architecture.layers)
            into[name.split(" ")[2]].append(name)
        self.nodes = nn.ModuleDict(
            {
                name: NodeUpdate(architecture.layers, relations, architecture.aggregation)
                for name, relations in into.items()
            }
        )

    def forward(
        self, nodes: dict[str, Tensor], edges: dict[str, Tensor], index: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return new latents of the nodes of each component and the edges of each relation."""
        edges = dict(edges)
        arriving: dict[str, dict[str, tuple[Tensor, Tensor]]] = {name: {} for name in nodes}
        for name, latents in edges.items():
            source, _, target = name.split(" ")
            change = self.edges[name](latents, nodes[source], nodes[target], index[name])
            arriving[target][name] = (change, index[name][1])
            edges[name] = latents + change
        changed = {n: x + self.nodes[n](x, arriving[n]) for n, x in nodes.items()}
        return changed, edges


class MeshGraphNetwork(nn.Module):
    """A network that reads the states of the cells of meshes, of any size and number of levels.

    Encode-process-decode after Pfaff et al. 2021 (arXiv:2010.03409); levels after Fortunato et
    al. 2022 (MultiScale MeshGraphNets, arXiv:2210.00612), visited as in a multigrid cycle, on
    aggregates in the place of hand-drawn coarse meshes. Latents of aggregates are means weighted
    by measure, and all features of edges are ratios, so that no weight knows a grid.

    Parameters
    ----------
    architecture : Architecture
        See there.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from hybridwater.meshes import latlon_mesh
    >>> from hybridwater.mgn import Architecture, make_graph
    >>> graph = make_graph({"land": latlon_mesh(np.arange(0, 9.0), np.arange(0, 9.0))})
    >>> network = MeshGraphNetwork(
    ...     Architecture.of(graph, {"land": ["storage"]}, outputs={"land": ["runoff"]}, width=8)
    ... )
    >>> network(graph, {"land": torch.rand(64, 1)}).nodes["land"].shape
    torch.Size([64, 1])
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = a = architecture
        size, width = a.layers, a.width
        self.normalisers = nn.ModuleDict({n: Normaliser(len(f)) for n, f in a.inputs.items()})
        # Features of edges are ratios of coordinates that may be large: noise is none of them.
        self.edge_normalisers = nn.ModuleDict(
            {r: Normaliser(n, noise=_NOISE) for r, n in a.relations.items()}
        )
        self.encoders = nn.ModuleDict(
            {n: Perceptron(len(f) + a.memory, size, width) for n, f in a.inputs.items()}
        )
        self.edge_encoders = nn.ModuleDict(
            {r: Perceptron(n, size, width) for r, n in a.relations.items()}
        )
        per_level = 1 if a.sharing in ("levels", "all") or a.cycle == "flat" else a.levels
        per_visit = 1 if a.sharing in ("steps", "all") else a.depth
        self.down = _steps(a, per_level, per_visit)
        self.up = _steps(a, per_level, per_visit) if a.cycle != "flat" else nn.ModuleList()
        many = a.cycle != "flat"
        self.restrict = nn.ModuleDict({n: Restrict(size) for n in a.inputs if many})
        self.prolong = nn.ModuleDict({n: Prolong(size, len(PARTS)) for n in a.inputs if many})
        self.decoders = nn.ModuleDict(
            {n: Perceptron(width, size, len(o), normalise=False) for n, o in a.outputs.items()}
        )
        self.edge_decoders = nn.ModuleDict(
            {r: Perceptron(width, size, len(o), normalise=False) for r, o in a.edge_outputs.items()}
        )
        self.recall = nn.ModuleDict(
            {
                n: Perceptron(width, size, 2 * a.memory, normalise=False)
                for n in a.inputs
                if a.memory
            }
        )
        with torch.no_grad():
            for unit in self.recall.values():
                # Rates from one to many steps: Tallec and Ollivier 2018 (arXiv:1804.11188).
                list(unit.parameters())[-1][a.memory :] = -torch.linspace(0.0, 4.0, a.memory)
        self.to(a.dtype)

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self.parameters())

    def forward(
        self,
        graph: HeteroData,
        values: Mapping[str, Tensor],
        memory: Mapping[str, Tensor] | None = None,
        span: float = 1.0,
    ) -> Decoded:
        """Read the features of all cells.

        Parameters
        ----------
        graph : torch_geometric.data.HeteroData
            From :func:`hybridwater.mgn.make_graph`, of any size.
        values : mapping of str to Tensor
            Shape (..., n_cells, n_features) per component, finite. Leading dimensions (members,
            samples) are the same for all.
        memory : mapping of str to Tensor, optional
            What the last call returned; nothing is remembered where it is left out.
        span : float
            Time since that call, in steps of the training: how much of the memory fades.

        Returns
        -------
        Decoded

        Raises
        ------
        MeshError
            If the graph lacks a relation, has features of edges that are not finite, or more levels
            than a network that does not share its weights among them.
        DataError
            If features are missing or not finite, or the memory is that of other cells.
        """
        a = self.architecture
        chains = self._levels(graph)
        check_features(graph, values, a.inputs)
        nodes, kept = {}, {}
        for name in a.inputs:
            # In double, as a small change of a large value is lost in float32.
            x = self.normalisers[name](values[name].double().movedim(-2, 0)).to(a.dtype)
            if a.memory:
                kept[name] = _remembered(memory, name, x, a.memory)
                x = torch.cat([x, kept[name]], dim=-1)
            nodes[name] = self.encoders[name](x)
        spread = max(x.ndim for x in nodes.values()) - 2
        nodes, edges = self._visit(graph, chains, 0, nodes, spread)
        decoded = {n: self.decoders[n](nodes[n]).movedim(0, -2) for n in self.decoders}
        flows = {r: self.edge_decoders[r](edges[r]).movedim(0, -2) for r in self.edge_decoders}
        after = {n: self._remember(n, nodes[n], old, span) for n, old in kept.items()}
        return Decoded(decoded, flows, after)

    def _remember(self, name: str, latents: Tensor, old: Tensor, span: float) -> Tensor:
        """Return the memory after a call: a leaky unit whose rate and content are learned.

        As the update gate of a gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), its rate
        integrated over the span, so that steps of another length forget as fast.
        """
        content, rate = self.recall[name](latents).chunk(2, dim=-1)
        keep = torch.exp(-span * nn.functional.softplus(rate))
        return (keep * old + (1.0 - keep) * torch.tanh(content)).movedim(0, -2)

    def _levels(self, graph: HeteroData) -> dict[str, list[str]]:
        """Return the chains of levels, after a look at whether this graph can be read."""
        a, found = self.architecture, relations_of(graph)
        for name, features in a.relations.items():
            if found.get(name) != features:
                raise MeshError(
                    f"The network reads edges '{name}' with {features} features, the graph has "
                    f"{found.get(name, 'none')}: {nearest(name, found)}.",
                    fix="Make the graph with the components and links of the training",
                )
        for relation in graph.edge_types:
            check_edges(graph[relation], relation)
        chains = {n: c for n, c in levels_of(graph).items() if n in a.inputs}
        deepest = max(map(len, chains.values()))
        if a.cycle != "flat" and a.sharing in ("none", "steps") and deepest != a.levels:
            raise MeshError(
                f"The graph has {deepest} levels, but the weights are those of {a.levels}.",
                fix="Make the graph with levels=..., or a network with sharing='levels'",
            )
        return chains

    def _visit(
        self,
        graph: HeteroData,
        chains: dict[str, list[str]],
        level: int,
        nodes: dict[str, Tensor],
        spread: int,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Pass messages at a level, below it, and at it again."""
        a = self.architecture
        index, edges = self._edges(graph, level, nodes, spread)
        nodes, edges = self._pass(self.down, level, nodes, edges, index)
        deeper = [n for n in nodes if len(chains[n]) > level + 1]
        if a.cycle == "flat" or not deeper:
            return nodes, edges
        for _ in range(2 if a.cycle == "w" else 1):
            coarse = {}
            for n in deeper:
                joins = graph[chains[n][level], "joins", chains[n][level + 1]]
                count = len(graph[chains[n][level + 1]].measure)
                coarse[n] = self.restrict[n](nodes[n], joins.edge_index, joins.share, count)
            coarse, _ = self._visit(graph, chains, level + 1, coarse, spread)
            for n in deeper:
                parts = graph[chains[n][level + 1], "contains", chains[n][level]]
                added = self.prolong[n](nodes[n], coarse[n], parts.edge_index, parts.edge_attr)
                nodes = {**nodes, n: nodes[n] + added}
        return self._pass(self.up, level, nodes, edges, index)

    def _edges(
        self, graph: HeteroData, level: int, nodes: dict[str, Tensor], spread: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Encode the edges of a level."""
        index, edges = {}, {}
        for name in self.architecture.relations:
            source, kind, target = name.split(" ")
            relation = (node_type(source, level), kind, node_type(target, level))
            if relation not in graph.edge_types or not {source, target} <= nodes.keys():
                continue
            store = graph[relation]
            features = self.edge_normalisers[name](store.edge_attr.double())
            latents = self.edge_encoders[name](features.to(self.architecture.dtype))
            index[name] = store.edge_index
            edges[name] = latents.view(latents.shape[0], *[1] * spread, latents.shape[1])
        return index, edges

    def _pass(
        self,
        visits: nn.ModuleList,
        level: int,
        nodes: dict[str, Tensor],
        edges: dict[str, Tensor],
        index: dict[str, Tensor],
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        steps = visits[min(level, len(visits) - 1)]
        assert isinstance(steps, nn.ModuleList)
        for k in range(self.architecture.depth):
            nodes, edges = steps[min(k, len(steps) - 1)](nodes, edges, index)
        return nodes, edges


def _remembered(memory: Mapping[str, Tensor] | None, name: str, x: Tensor, size: int) -> Tensor:
    """Return what a component remembers, or nothing, cells first."""
    shape = (*x.shape[:-1], size)
    if not memory:
        return x.new_zeros(shape)
    found = memory[name].to(x.dtype).movedim(-2, 0)
    if found.shape != shape:
        raise DataError(
            f"The memory has the shape {tuple(found.shape)}, cells first, and not {shape}.",
            f"component '{name}'",
            "Begin without memory, or go on with the graph that it is of",
        )
    return found


def _steps(architecture: Architecture, levels: int, steps: int) -> nn.ModuleList:
    return nn.ModuleList(
        nn.ModuleList(Step(architecture, within=level > 0) for _ in range(steps))
        for level in range(levels)
    )
