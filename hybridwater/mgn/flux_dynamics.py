"""Learned dynamics of water: what leaves a cell arrives in another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hybridwater.errors import DataError, nearest
from hybridwater.mgn.configuration import Architecture, levels_of
from hybridwater.mgn.dynamics import Dynamics, joined, known_of, same_kind, typical_change
from hybridwater.mgn.episodes import Episode
from hybridwater.mgn.fluxes import ConservativeHead, Form, edge_weight, pairs
from hybridwater.mgn.network import MeshGraphNetwork

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData


_ROUNDING = 1e-12
"""Rounding of a state at a bound, relative to the largest of all cells."""


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
        first = same_kind(episodes)
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
            typical_change([e.states.diff(dim=0) for e in episodes]),
            typical=typical,
            number=number,
            form=form,
            least=least,
            most=most,
            source=place,
            **known_of(first),
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
            values = joined(states, forcing, torch.cat([static, step], dim=-1))
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


def _wide(bound: float | None, none: float) -> float:
    return none if bound is None else bound


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
