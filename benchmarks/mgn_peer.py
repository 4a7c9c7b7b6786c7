"""NVIDIA PhysicsNeMo's MeshGraphNet on the data of our benchmarks, with our weights and seconds.

The peer (``pip install nvidia-physicsnemo``) stands in `IncrementDynamics` in the place of our
network: the same inputs, normalised online; the same increments, relative to their size; the same
training part, noise, Adam, decay of the rate and rollout. Edges have what ours have, and positions
in metres beside ratios, as in Pfaff et al. 2021. The width is that which comes nearest to our
number of weights, and the iterations are as many as fit into the processor seconds that ours took.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mgn_training import train_and_tell
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData

from hybridwater.mgn import (
    Architecture,
    Decoded,
    Episode,
    IncrementDynamics,
    Lesson,
    train_dynamics,
)
from hybridwater.mgn.configuration import label, relations_of
from hybridwater.mgn.normaliser import Normaliser

SETTINGS = {"peer 15": (15, "noise"), "peer 5": (5, "noise"), "peer 5, rollouts": (5, "rollouts")}
"""Steps of message passing, and recipe: lessons with rollouts, or noise alone.

Activation, hidden layers and aggregation of the peer are PhysicsNeMo's defaults, as are 15 steps.
Noise alone, and a loss over one step, is the recipe of Pfaff et al. 2021.
"""

_WIDTHS = range(8, 129)
_TRIED = 3  # iterations that say how long one takes


class PeerNetwork(nn.Module):
    """PhysicsNeMo's network, read and asked like ours.

    Parameters
    ----------
    graph : HeteroData
        Of one component; its levels are not used.
    architecture : Architecture
        Inputs and outputs.
    steps, width : int
        Of message passing, and of latents.
    """

    def __init__(
        self, graph: HeteroData, architecture: Architecture, steps: int, width: int
    ) -> None:
        from physicsnemo.models.meshgraphnet import MeshGraphNet

        super().__init__()
        self.architecture = architecture
        (self.component, inputs), *_ = architecture.inputs.items()
        self.flat, self.features = flat(graph)
        self.normaliser = Normaliser(len(inputs))
        self.edge_normaliser = Normaliser(self.features.shape[1])
        self.edge_normaliser.gather(self.features)
        self.edge_normaliser.most = 0
        self.network = MeshGraphNet(
            len(inputs),
            self.features.shape[1],
            len(architecture.outputs[self.component]),
            processor_size=steps,
            hidden_dim_processor=width,
            hidden_dim_node_encoder=width,
            hidden_dim_edge_encoder=width,
            hidden_dim_node_decoder=width,
            do_concat_trick=True,  # the same numbers, faster
        )

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self.parameters())

    def forward(self, graph: HeteroData, values: Mapping[str, Tensor]) -> Decoded:
        """Read the features of all cells, shape (..., n_cells, n_features)."""
        del graph  # the one that it was made for
        x = self.normaliser(values[self.component]).float()
        edges = self.edge_normaliser(self.features).float()
        said = [self.network(one, edges, self.flat) for one in x.reshape(-1, *x.shape[-2:])]
        return Decoded({self.component: torch.stack(said).reshape(*x.shape[:-1], -1)}, {})


def flat(graph: HeteroData) -> tuple[Data, Tensor]:
    """Return the finest level of a graph with one kind of edges, and their features.

    Beside ours: the way along the edge in metres, and which relation it belongs to.
    """
    relations = [r for r in graph.edge_types if label(r) in relations_of(graph)]
    found = []
    for k, relation in enumerate(relations):
        store, length = graph[relation], graph[relation[0]].length
        local = length[store.edge_index].prod(dim=0).sqrt()
        kind = torch.zeros(len(local), len(relations) - 1, dtype=torch.float64)
        kind[:, k - 1 : k] = 1.0
        found.append(torch.cat([store.edge_attr, store.edge_attr[:, :3] * local[:, None], kind], 1))
    index = torch.cat([graph[r].edge_index for r in relations], dim=1)
    return Data(edge_index=index, num_nodes=graph[relations[0][0]].num_nodes), torch.cat(found)


def train_peers(
    make: Callable[[], IncrementDynamics],
    episode: Episode,
    recipes: Mapping[str, Sequence[Lesson]],
    seconds: float,
    seed: int,
    other: str,
) -> dict[str, IncrementDynamics]:
    """Train `SETTINGS`, and ours by its other recipe, as long as ours and with as many weights.

    Parameters
    ----------
    make : callable
        Makes ours, not trained.
    episode : Episode
        The training part.
    recipes : mapping
        Lessons of ``"rollouts"`` and ``"noise"``, in any number of iterations.
    seconds : float
        Processor seconds of our training.
    seed : int
        Of weights, windows and noise.
    other : str
        The recipe by which ours was not trained; it is trained by that one, too.
    """
    found = {}
    for name, (steps, recipe) in {f"ours, {other}": (None, other), **SETTINGS}.items():
        remake = make if steps is None else _peer(make(), episode, steps, seed)
        taken = sum(_seconds(remake(), episode, lesson) for lesson in recipes[recipe])
        plan = [
            dataclasses.replace(x, iterations=round(x.iterations * seconds / taken))
            for x in recipes[recipe]
        ]
        found[name] = remake()
        print(f"{name}: {sum(x.iterations for x in plan)} iterations", flush=True)
        train_and_tell(found[name], [episode], plan, None, seed=seed)
    return found


def _peer(
    ours: IncrementDynamics, episode: Episode, steps: int, seed: int
) -> Callable[[], IncrementDynamics]:
    """Return what makes the peer, as wide as comes nearest to our number of weights."""
    graph, architecture = episode.graph, ours.network.architecture

    def difference(width: int) -> int:
        return abs(PeerNetwork(graph, architecture, steps, width).size - ours.network.size)

    width = min(_WIDTHS, key=difference)
    print(f"PhysicsNeMo's network of {steps} steps has latents of {width}")

    def made() -> IncrementDynamics:
        torch.manual_seed(seed)
        network: Any = PeerNetwork(graph, architecture, steps, width)
        known = {"inertia": ours.inertia, "units": ours.units, "step": ours.step}
        return IncrementDynamics(network, ours.spread, **known)

    return made


def _seconds(dynamics: IncrementDynamics, episode: Episode, lesson: Lesson) -> float:
    """Return how long a lesson would take, by a few of its iterations."""

    def train(iterations: int) -> None:
        few = dataclasses.replace(lesson, iterations=iterations)
        train_dynamics(dynamics, [episode], [few], progress=False)

    train(1)
    begun = time.process_time()
    train(_TRIED)
    return (time.process_time() - begun) * lesson.iterations / _TRIED
