"""What a network is made of: its inputs, its outputs and its size."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch

from hybridwater.errors import SettingsError, nearest
from hybridwater.mgn.graph import Relation
from hybridwater.mgn.layers import Size

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

_CHOICES = {
    "cycle": ("v", "w", "flat"),
    "aggregation": ("sum", "mean", "max"),
    "sharing": ("none", "levels", "steps", "all"),
    "precision": ("float32", "float64"),
    "activation": ("silu", "relu"),
}


CHOICES = (*_CHOICES, "width", "depth", "hidden", "memory")
"""What is free to choose of an architecture; the rest follows from graphs, inputs and outputs."""


@dataclass(frozen=True)
class Architecture:
    """The shape of a network, without its size in any mesh.

    Parameters
    ----------
    inputs : mapping of str to sequence of str
        Names of the features of each component.
    relations : mapping of str to int
        Number of edge features of each relation, ``"land beside land"``.
    outputs : mapping of str to sequence of str
        What is wanted for the cells of a component; may be empty.
    edge_outputs : mapping of str to sequence of str
        What is wanted for the edges of a relation; may be empty.
    width : int
        Latent numbers per node and edge.
    depth : int
        Steps of message passing each time that a level is visited.
    hidden : int
        Hidden layers in each perceptron.
    cycle : {"v", "w", "flat"}
        How levels are visited: down and up, down and up twice at each level, or only the finest.
    aggregation : {"sum", "mean", "max"}
        How the edges of a node are joined. Sums depend on the number of neighbours.
    sharing : {"none", "levels", "steps", "all"}
        Which message passing has the same weights: that of all levels, so that a graph may have any
        number of them; all steps of a visit; both; or neither.
    levels : int
        Levels of the graph; of no effect where levels share their weights.
    precision : {"float32", "float64"}
        Of weights and latents.
    activation : {"silu", "relu"}
        Between layers. The first is smooth, the second a little faster.
    memory : int
        Numbers per cell of each component that are remembered from one call to the next; 0 for
        none.

    Raises
    ------
    SettingsError
        If a choice is not known or a number is not positive.
    """

    inputs: Mapping[str, Sequence[str]]
    relations: Mapping[str, int]
    outputs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    edge_outputs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    width: int = 64
    depth: int = 2
    hidden: int = 2
    cycle: Literal["v", "w", "flat"] = "v"
    aggregation: Literal["sum", "mean", "max"] = "mean"
    sharing: Literal["none", "levels", "steps", "all"] = "levels"
    levels: int = 1
    precision: Literal["float32", "float64"] = "float32"
    activation: Literal["silu", "relu"] = "silu"
    memory: int = 0

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "edge_outputs"):
            value = {k: tuple(v) for k, v in getattr(self, name).items()}
            object.__setattr__(self, name, value)
        object.__setattr__(self, "relations", dict(self.relations))
        for name, known in _CHOICES.items():
            value = getattr(self, name)
            if value not in known:
                raise SettingsError(f"There is no {name} '{value}' ({nearest(str(value), known)}).")
        for name in ("width", "depth", "hidden", "levels"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise SettingsError(f"{name}={value!r} is not a positive whole number.")
        if not isinstance(self.memory, int) or self.memory < 0:
            raise SettingsError(f"memory={self.memory!r} is not a whole number from 0.")
        for name, known in (("outputs", self.inputs), ("edge_outputs", self.relations)):
            for key in getattr(self, name):
                if key not in known:
                    raise SettingsError(f"{name} has an unknown '{key}': {nearest(key, known)}")
        for relation in self.relations:
            for end in relation.split(" ")[::2]:
                if end not in self.inputs:
                    raise SettingsError(
                        f"The component '{end}' has no features: {nearest(end, self.inputs)}",
                        f"edges '{relation}'",
                        "Name its features in inputs={...}",
                    )
        for name, features in self.inputs.items():
            if not features:
                raise SettingsError(f"The component '{name}' has no features.")

    @classmethod
    def of(
        cls, graph: HeteroData, inputs: Mapping[str, Sequence[str]], **choices: Any
    ) -> Architecture:
        """Make the architecture that reads a graph.

        Parameters
        ----------
        graph : torch_geometric.data.HeteroData
            From :func:`hybridwater.mgn.make_graph`.
        inputs : mapping of str to sequence of str
            As in the class, one entry per component of the graph.
        **choices
            The other parameters of the class.
        """
        levels = max(map(len, levels_of(graph).values()))
        return cls(inputs, **{"relations": relations_of(graph), "levels": levels, **choices})

    @property
    def layers(self) -> Size:
        """The size of its perceptrons."""
        return Size(self.width, self.hidden, self.activation)

    @property
    def dtype(self) -> torch.dtype:
        """The precision, as torch names it."""
        return torch.float64 if self.precision == "float64" else torch.float32

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` takes, made of JSON types."""
        plain = dataclasses.asdict(self)
        for name in ("inputs", "outputs", "edge_outputs"):
            plain[name] = {k: list(v) for k, v in plain[name].items()}
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Architecture:
        """Make an architecture of what `to_dict` returned."""
        return cls(**plain)


def label(relation: Relation) -> str:
    """Return a relation in words: ``"land beside land"``."""
    return " ".join(relation)


def levels_of(graph: HeteroData) -> dict[str, list[str]]:
    """Return the node types of each component, from fine to coarse."""
    above = {r[0]: r[2] for r in graph.edge_types if r[1] == "joins"}
    coarse = set(above.values())
    chains = {}
    for name in graph.node_types:
        if name in coarse:
            continue
        chain = [name]
        while chain[-1] in above:
            chain.append(above[chain[-1]])
        chains[name] = chain
    return chains


def relations_of(graph: HeteroData) -> dict[str, int]:
    """Return the number of features of the relations within and between components."""
    components = levels_of(graph)
    return {
        label(r): graph[r].edge_attr.shape[1]
        for r in graph.edge_types
        if r[0] in components and r[2] in components
    }
