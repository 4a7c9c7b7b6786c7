"""Networks in the place of a solver: the states of a mesh, one step after another."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from hybridwater.errors import DataError
from hybridwater.mgn.configuration import Architecture
from hybridwater.mgn.episodes import Episode
from hybridwater.mgn.network import MeshGraphNetwork
from hybridwater.mgn.storage import save_network

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData


class Dynamics(nn.Module, abc.ABC):
    """What all learned dynamics of one component have in common.

    Parameters
    ----------
    network : MeshGraphNetwork
        Reads the states, forcings and static features of the one component.
    spread : torch.Tensor
        Shape (n_states,): typical change of each state in a step.
    units : sequence of str
        Of states, forcings and static features, as in :class:`~hybridwater.mgn.Episode`.
    step : float, optional
        Length of a step of the episodes [s]; None if it is not known.
    """

    kind = ""
    own: ClassVar[tuple[str, ...]] = ()
    """Features that the network reads beside those of the episodes."""
    spread: Tensor

    def __init__(
        self,
        network: MeshGraphNetwork,
        spread: Tensor,
        *,
        units: Sequence[str] = (),
        step: float | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("spread", spread.double())
        self.units, self.step = tuple(units), step

    @property
    def component(self) -> str:
        """Name of the component."""
        return next(iter(self.network.architecture.inputs))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the states, forcings and static features that it reads, in this order."""
        inputs = self.network.architecture.inputs[self.component]
        return tuple(inputs[: len(inputs) - len(self.own)])

    @property
    def state_count(self) -> int:
        """Number of states."""
        return len(self.spread)

    @abc.abstractmethod
    def forward(
        self,
        graph: HeteroData,
        states: Tensor,
        forcing: Tensor,
        static: Tensor,
        span: float = 1.0,
    ) -> Tensor:
        """Return the states a step later.

        Parameters
        ----------
        graph : HeteroData
            Of the component, of any size.
        states : torch.Tensor
            Shape (..., n_cells, n_states).
        forcing : torch.Tensor
            Shape (..., n_cells, n_forcings), mean over the step.
        static : torch.Tensor
            Shape (n_cells, n_static).
        span : float
            Length of the step, in steps of the episodes of the training.
        """

    def bounded(self, states: Tensor) -> Tensor:
        """Return states within their bounds, if they have any."""
        return states

    def check_states(self, states: Tensor) -> None:
        """Refuse states, shape (..., n_cells, n_states), that leave their bounds, if any."""

    def check_episode(self, episode: Episode) -> None:
        """Refuse an episode of other variables, units or steps than those of the training.

        Raises
        ------
        DataError
            As :meth:`Episode.check_like`.
        """
        episode.check_like(self.component, self.names, self.units, self.step)

    @property
    def device(self) -> torch.device:
        """Where the weights lie; episodes may lie elsewhere."""
        return self.spread.device

    def rollout(self, episode: Episode, *, start: int = 0, span: int = 1) -> Tensor:
        """Run from the state at one time of an episode to its end, on its graph and forcing.

        Parameters
        ----------
        episode : Episode
            Of any mesh.
        start : int
            Index of the time of the first state.
        span : int
            Steps of the episode to each step of the network.

        Returns
        -------
        torch.Tensor
            Shape (n, n_cells, n_states): states at the times ``start``, ``start + span``, ..., on
            the device of the weights.

        Raises
        ------
        DataError
            If the episode is not one of these dynamics (`check_episode`), has no such step, or its
            first state leaves its bounds.
        """
        self.check_episode(episode)
        if not 0 <= start < len(episode.states) - span or span < 1:
            raise DataError(
                f"There is no step of span {span} from time {start} in {len(episode.states)} times."
            )
        self.eval()
        episode = episode.to(self.device)
        states = [episode.states[start]]
        with torch.no_grad():
            for t in range(start, len(episode.states) - span, span):
                forcing = episode.forcing[t : t + span].mean(dim=0)
                states.append(self(episode.graph, states[-1], forcing, episode.static, float(span)))
        return torch.stack(states)

    def about(self) -> dict[str, Any]:
        """Return what is kept beside the weights."""
        return {
            "kind": self.kind,
            "spread": self.spread.tolist(),
            "units": list(self.units),
            "step": self.step,
        }

    def save(self, path: str | Path) -> Path:
        """Write weights and everything else that `load_dynamics` needs."""
        return save_network(self.network, path, self.about())


class IncrementDynamics(Dynamics):
    """The network says by how much each state changes. Nothing is conserved.

    Parameters
    ----------
    network, spread, units, step
        As in the class above; one node output per state.
    inertia : bool
        Whether the second half of the states are the last changes of the first half, and the
        network says by how much these change (as accelerations in Sanchez-Gonzalez et al. 2020,
        arXiv:2002.09405).
    """

    kind = "increment"

    def __init__(
        self, network: MeshGraphNetwork, spread: Tensor, *, inertia: bool = False, **known: Any
    ) -> None:
        super().__init__(network, spread, **known)
        self.inertia = inertia

    @property
    def state_count(self) -> int:
        """Number of states, changes included."""
        return len(self.spread) * (2 if self.inertia else 1)

    @classmethod
    def of(
        cls, episodes: Sequence[Episode], *, inertia: bool = False, **choices: Any
    ) -> IncrementDynamics:
        """Make dynamics for the component of episodes; choices are those of `Architecture`.

        Raises
        ------
        DataError
            If episodes differ in names, units or steps.
        """
        first = same_kind(episodes)
        count = first.states.shape[-1] // (2 if inertia else 1)
        column = slice(count, None) if inertia else slice(None)
        spread = typical_change([e.states[..., column].diff(dim=0) for e in episodes])
        architecture = Architecture.of(
            first.graph,
            {first.component: first.names},
            outputs={first.component: first.names[:count]},
            **choices,
        )
        return cls(MeshGraphNetwork(architecture), spread, inertia=inertia, **known_of(first))

    def forward(
        self,
        graph: HeteroData,
        states: Tensor,
        forcing: Tensor,
        static: Tensor,
        span: float = 1.0,
    ) -> Tensor:
        """See the class above."""
        values = {self.component: joined(states, forcing, static)}
        said = self.network(graph, values).nodes[self.component].double()
        change = said * self.spread * span
        if not self.inertia:
            return states + change
        half = states.shape[-1] // 2
        change = states[..., half:] + change
        return torch.cat([states[..., :half] + change, change], dim=-1)

    def about(self) -> dict[str, Any]:
        """See the class above."""
        return {**super().about(), "inertia": self.inertia}


def same_kind(episodes: Sequence[Episode]) -> Episode:
    """Return the first of episodes, which are all of the same variables, units and steps."""
    first = episodes[0]
    for episode in episodes:
        episode.check_like(first.component, first.names, first.units, first.step)
    return first


def known_of(episode: Episode) -> dict[str, Any]:
    """Return what dynamics keep of the episodes of their training."""
    return {"units": episode.units, "step": episode.step}


def joined(states: Tensor, forcing: Tensor, static: Tensor) -> Tensor:
    """Join all that a network reads of cells, shape (..., n_cells, n_features)."""
    lead = states.shape[:-1]
    return torch.cat([states, *(x.expand(*lead, x.shape[-1]) for x in (forcing, static))], dim=-1)


def typical_change(changes: Sequence[Tensor]) -> Tensor:
    """Return the root mean square of changes per state, one where nothing changes."""
    flat = torch.cat([c.reshape(-1, c.shape[-1]) for c in changes])
    size = flat.square().mean(dim=0).sqrt()
    return torch.where(size > 0.0, size, 1.0)
