"""Networks in the place of a solver: the states of a mesh, one step after another."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from hybridwater.errors import DataError, WeightsError, nearest
from hybridwater.mgn.configuration import Architecture, levels_of
from hybridwater.mgn.episodes import Episode
from hybridwater.mgn.fluxes import ConservativeHead, Form, edge_weight, pairs
from hybridwater.mgn.network import MeshGraphNetwork
from hybridwater.mgn.storage import load_network, save_network

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData


_ROUNDING = 1e-12
"""Rounding of a state at a bound, relative to the largest of all cells."""


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
            Shape (n, n_cells, n_states): states at the times ``start``, ``start + span``, ...

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
        first = _first(episodes)
        count = first.states.shape[-1] // (2 if inertia else 1)
        column = slice(count, None) if inertia else slice(None)
        spread = _spread([e.states[..., column].diff(dim=0) for e in episodes])
        architecture = Architecture.of(
            first.graph,
            {first.component: first.names},
            outputs={first.component: first.names[:count]},
            **choices,
        )
        return cls(MeshGraphNetwork(architecture), spread, inertia=inertia, **_known(first))

    def forward(
        self,
        graph: HeteroData,
        states: Tensor,
        forcing: Tensor,
        static: Tensor,
        span: float = 1.0,
    ) -> Tensor:
        """See the class above."""
        values = {self.component: _joined(states, forcing, static)}
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


class FluxDynamics(Dynamics):
    """The network says what flows between neighbours: the sum of the first state is conserved.

    The first state is an amount per measure (a depth), and the potential of ``"difference"``.
    Other states stay as they are. Of what goes in and out from elsewhere, one forcing can be the
    amount per measure and step: rain, recharge, a well. It is added before anything flows, as far
    as the bounds allow. On a mesh where a step would move a larger share of a cell than
    any step of the training did, it is divided into several.

    Parameters
    ----------
    network : MeshGraphNetwork
        One output for the edges between neighbours, or downstream.
    spread, units, step
        As in the class above.
    typical : float
        Flux of a step per weight of an edge (:func:`hybridwater.mgn.fluxes.edge_weight`).
    number : float
        Largest step number of the training: share of a cell that a typical flux moves in a step.
    form, least, most
        As in :class:`~hybridwater.mgn.ConservativeHead`; bounds are those of the state.
    source : int, optional
        Place among the forcings of what comes from elsewhere, negative where it is taken.
    """

    kind = "flux"
    own = ("log_step_number",)

    def __init__(
        self,
        network: MeshGraphNetwork,
        spread: Tensor,
        *,
        typical: float,
        number: float,
        form: Form = "difference",
        least: float | None = 0.0,
        most: float | None = None,
        source: int | None = None,
        **known: Any,
    ) -> None:
        super().__init__(network, spread, **known)
        (self.relation,) = network.architecture.edge_outputs
        self.head = ConservativeHead({self.relation: typical}, form)
        self.typical, self.number = typical, number
        self.form: Form = form
        self.least, self.most, self.source = least, most, source

    @classmethod
    def of(
        cls,
        episodes: Sequence[Episode],
        *,
        form: Form = "difference",
        least: float | None = 0.0,
        most: float | None = None,
        source: str | None = None,
        span: int = 1,
        **choices: Any,
    ) -> FluxDynamics:
        """Make dynamics for the component of episodes.

        Parameters
        ----------
        episodes : sequence of Episode
            What it will be trained on; typical values are theirs.
        form, least, most
            As in the class.
        source : str, optional
            Name of the forcing that is what comes from elsewhere.
        span : int
            Longest step that will be trained, in steps of the episodes.
        **choices
            Of `Architecture`.

        Raises
        ------
        DataError
            If there is no such forcing, a state leaves its bounds, the first state does not flow
            from high to low (``"difference"``) or change at all, or episodes differ in names,
            units or steps.
        """
        first = _first(episodes)
        name = first.component
        place = None if source is None else _place(first, source)
        kind = "beside" if (name, "beside", name) in first.graph.edge_types else "downstream"
        relation = f"{name} {kind} {name}"
        typical = _typical(episodes, relation, form, place)
        number = span * max(
            float(_shares(e.graph, relation, form, typical).max()) for e in episodes
        )
        architecture = Architecture.of(
            first.graph,
            {name: (*first.names, *cls.own)},
            edge_outputs={relation: ["flux"]},
            **choices,
        )
        made = cls(
            MeshGraphNetwork(architecture),
            _spread([e.states.diff(dim=0) for e in episodes]),
            typical=typical,
            number=number,
            form=form,
            least=least,
            most=most,
            source=place,
            **_known(first),
        )
        for episode in episodes:
            made.check_states(episode.states)
        return made

    def check_states(self, states: Tensor) -> None:
        """Refuse states, shape (..., n_cells, n_states), that leave their bounds.

        Raises
        ------
        DataError
            If the first state does by more than rounding, so that bringing it back would create
            or destroy water.
        """
        depth = states[..., 0]
        rounding = _ROUNDING * float(depth.detach().abs().max())
        low, high = _wide(self.least, -torch.inf), _wide(self.most, torch.inf)
        bad = (depth < low - rounding) | (depth > high + rounding)
        if bool(bad.any()):
            place = torch.nonzero(bad)[0].tolist()
            raise DataError(
                f"'{self.network.architecture.inputs[self.component][0]}' is "
                f"{float(depth[tuple(place)]):.3g} and leaves its bounds, {low:g} to {high:g} "
                f"({int(bad.sum())} such values).",
                f"component '{self.component}', cell {place[-1]}",
                "Give bounds that all states keep, with least=... and most=... (None for none)",
            )

    def bounded(self, states: Tensor) -> Tensor:
        """See the class above."""
        low, high = _wide(self.least, -torch.inf), _wide(self.most, torch.inf)
        return torch.cat([states[..., :1].clamp(low, high), states[..., 1:]], dim=-1)

    def forward(
        self,
        graph: HeteroData,
        states: Tensor,
        forcing: Tensor,
        static: Tensor,
        span: float = 1.0,
    ) -> Tensor:
        """See the class above.

        Raises
        ------
        DataError
            As `check_states`.
        """
        return self.exchange(graph, states, forcing, static, span)[0]

    def exchange(
        self,
        graph: HeteroData,
        states: Tensor,
        forcing: Tensor,
        static: Tensor,
        span: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Return the states a step later, and what came from elsewhere.

        Parameters
        ----------
        graph, states, forcing, static, span
            As in the class above.

        Returns
        -------
        states : torch.Tensor
            Shape (..., n_cells, n_states).
        brought : torch.Tensor
            Shape (..., n_cells): the change of the first state by its source, as far as bounds
            allowed; negative where it was taken.

        Raises
        ------
        DataError
            As `check_states`.
        """
        self.check_states(states)
        brought = torch.zeros_like(states[..., 0])
        name, measure = self.component, graph[self.component].measure
        share = _shares(graph, self.relation, self.form, self.typical)
        times = self.steps(graph, span)
        step = torch.log((share * (span / times)).clamp(min=1e-6)).unsqueeze(-1)
        bounds = [
            _wide(bound, none) * measure
            for bound, none in ((self.least, -torch.inf), (self.most, torch.inf))
        ]
        for _ in range(times):
            values = _joined(states, forcing, torch.cat([static, step], dim=-1))
            said = self.network(graph, {name: values})
            depth = states[..., 0]
            if self.source is not None:
                depth = depth + forcing[..., self.source] * (span / times)
            # clipped of rounding, and of what the source would take or bring beyond the bounds
            amounts = (depth * measure).clamp(*bounds)
            brought = brought + (amounts / measure - states[..., 0])
            booked = self.head(
                graph,
                said,
                {name: amounts},
                potentials={name: depth},
                least={name: bounds[0]},
                most={name: bounds[1]},
                span=span / times,
            )
            after = (booked.amounts[name] / measure).unsqueeze(-1)
            states = torch.cat([after, states[..., 1:]], dim=-1)
        return states, brought

    def steps(self, graph: HeteroData, span: float = 1.0) -> int:
        """Return into how many steps one is divided on a mesh."""
        most = float(_shares(graph, self.relation, self.form, self.typical).max())
        return max(1, int(-(-span * most // (1.1 * self.number))))

    def about(self) -> dict[str, Any]:
        """See the class above."""
        own = ("typical", "number", "form", "least", "most", "source")
        return {**super().about(), **{k: getattr(self, k) for k in own}}


def load_dynamics(path: str | Path) -> Dynamics:
    """Read dynamics that were saved.

    Raises
    ------
    WeightsError
        As :func:`~hybridwater.mgn.load_network`, and if the file holds a network but no dynamics.
    """
    network, about = load_network(path)
    kinds = {"increment": IncrementDynamics, "flux": FluxDynamics}
    kind = about.pop("kind", None)
    if kind not in kinds:
        raise WeightsError("The file holds a network but no dynamics.", str(path))
    spread = torch.tensor(about.pop("spread"), dtype=torch.float64)
    return kinds[kind](network, spread, **about).eval()


def _first(episodes: Sequence[Episode]) -> Episode:
    """Return the first of episodes, which are all of the same variables, units and steps."""
    first = episodes[0]
    for episode in episodes:
        episode.check_like(first.component, first.names, first.units, first.step)
    return first


def _known(episode: Episode) -> dict[str, Any]:
    return {"units": episode.units, "step": episode.step}


def _wide(bound: float | None, none: float) -> float:
    return none if bound is None else bound


def _joined(states: Tensor, forcing: Tensor, static: Tensor) -> Tensor:
    lead = states.shape[:-1]
    return torch.cat([states, *(x.expand(*lead, x.shape[-1]) for x in (forcing, static))], dim=-1)


def _spread(changes: Sequence[Tensor]) -> Tensor:
    flat = torch.cat([c.reshape(-1, c.shape[-1]) for c in changes])
    size = flat.square().mean(dim=0).sqrt()
    return torch.where(size > 0.0, size, 1.0)


def _place(episode: Episode, name: str) -> int:
    """Return the place of a forcing among the forcings."""
    first = episode.states.shape[-1]
    known = episode.names[first : first + episode.forcing.shape[-1]]
    if name not in known:
        raise DataError(
            f"There is no forcing '{name}' ({nearest(name, known)}).",
            "source of the dynamics",
            "Name a forcing of the episodes",
        )
    return known.index(name)


def _typical(
    episodes: Sequence[Episode], relation: str, form: Form, source: int | None = None
) -> float:
    """Fit one coefficient to the changes of the first state, without a network."""
    top = bottom = 0.0
    for e in episodes:
        _, (i, j) = pairs(e.graph, relation)
        weight = edge_weight(e.graph, relation, form)
        measure = e.graph[e.component].measure
        change = e.states[..., 0].diff(dim=0)
        if source is not None:
            change = change - e.forcing[..., source]
        change = change * measure
        if form == "difference":
            here = e.states[:-1, :, 0]
            flux = weight * (here[:, i] - here[:, j])
            plain = torch.zeros_like(here).index_add(1, j, flux).index_add(1, i, -flux)
            top += float((change * plain / measure).sum())
            bottom += float((plain * plain / measure).sum())
        else:
            around = torch.zeros_like(measure).index_add(0, i, weight**2)
            around = around.index_add(0, j, weight**2)
            top += float(change.square().mean().sqrt())
            bottom += float(around.mean().sqrt())
    if top > 0.0 and bottom > 0.0:
        return top / bottom
    does = "flow from high to low" if form == "difference" else "change"
    raise DataError(
        f"'{episodes[0].names[0]}' does not {does} in these episodes.",
        f"component '{episodes[0].component}'",
        "Learn from episodes in which it does, name what comes from elsewhere with source=..., "
        "or let it flow anywhere with form='free'",
    )


def _shares(graph: HeteroData, relation: str, form: Form, typical: float) -> Tensor:
    """Return the share of each cell that typical fluxes of a step move, shape (n_cells,)."""
    component = next(iter(levels_of(graph)))
    _, (i, j) = pairs(graph, relation)
    weight = edge_weight(graph, relation, form)
    measure = graph[component].measure
    return (
        typical
        * torch.zeros_like(measure).index_add(0, i, weight).index_add(0, j, weight)
        / measure
    )
