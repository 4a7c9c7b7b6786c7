"""The learned part of a remap: other shares of source cells, or fluxes between target cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hybridwater.mgn.fluxes import ConservativeHead
from hybridwater.mgn.gathering import device_after
from hybridwater.mgn.limiter import share_out
from hybridwater.mgn.network import Decoded, MeshGraphNetwork
from hybridwater.mgn.normaliser import Normaliser
from hybridwater.mgn.sharing import RELATION, changes

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

ENDS = ("source", "target")

SHARES = " ".join(RELATION)
"""The edges whose output says how a source cell shares out what it gives."""


@dataclass(frozen=True, eq=False)
class Corrected:
    """What a correction made of amounts.

    Attributes
    ----------
    amounts : torch.Tensor
        Shape (samples, n_target), with the sums of the baseline and of what is unobserved. Nothing
        that was not negative is now.
    memory : dict of str to Tensor
        Per end, shape (samples, n_cells, memory); empty if the network has none.
    known : torch.Tensor
        Shape (samples,): whether all features lie within the range of the training.
    unobserved : torch.Tensor
        Shape (samples, n_target): what of the amounts came from outside; zero without such a flux.
    surprise : torch.Tensor
        Shape (samples,): minus the logarithm of its prior density, up to a constant.
    """

    amounts: Tensor
    memory: dict[str, Tensor] = field(default_factory=dict)
    known: Tensor = field(default_factory=lambda: torch.ones(0, dtype=torch.bool))
    unobserved: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    surprise: Tensor = field(default_factory=lambda: torch.zeros(0))


class Correction(nn.Module):
    """The learned part of a remap: other shares of source cells, or fluxes between target cells.

    Either a source cell shares out what it gives in another way (see `hybridwater.mgn.sharing`), or
    water moves between neighbouring target cells, as the outputs of the network have it.

    The network reads what source cells give and what arrives at target cells, both per measure and
    relative to the mean that arrives: what does not depend on states moves twice the rain in the
    same way.

    Parameters
    ----------
    graph : HeteroData
        With the components ``source`` and ``target``; for shares from
        :func:`~hybridwater.mgn.sharing.sharing_graph`.
    network : MeshGraphNetwork
        With one output for the edges from source to target (shares) or between target cells
        (fluxes), and one for target cells where there is an unobserved flux.
    static : dict of str to Tensor
        Shape (n_cells, n_features) per component.
    reach : float
        Of fluxes, how far [m] a unit of what the network says moves the mean; along rivers, a
        share.
    unobserved : float
        Standard deviation of the normal prior of the unobserved flux of a target cell, as a share
        of the mean that arrives; 0 for no such flux.
    most : torch.Tensor, optional
        Shape (n_target,): no correction brings an amount above it, infinite for no bound. Where it
        is zero and the baseline brings nothing, nothing arrives.
    """

    def __init__(
        self,
        graph: HeteroData,
        network: MeshGraphNetwork,
        static: dict[str, Tensor],
        reach: float,
        unobserved: float = 0.0,
        most: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.graph, self.network, self.static, self.reach = graph, network, static, reach
        self.most = torch.full((1,), torch.inf, dtype=torch.float64) if most is None else most
        self.unobserved = unobserved
        typical = {r: reach for r in network.architecture.edge_outputs if r != SHARES}
        outside = {"target": unobserved} if unobserved else {}
        self.head = ConservativeHead(typical, unobserved=outside)

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.most.device

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Correction:
        """Move to devices, all but the network in its own precision."""
        super()._apply(fn, recurse)
        device = device_after(fn, self.most)
        self.graph, self.most = self.graph.to(device), self.most.to(device)
        self.static = {name: values.to(device) for name, values in self.static.items()}
        return self

    def forward(
        self,
        given: Tensor,
        arriving: Tensor,
        states: Mapping[str, Tensor] | None = None,
        memory: Mapping[str, Tensor] | None = None,
        span: float = 1.0,
    ) -> Corrected:
        """Correct amounts.

        Parameters
        ----------
        given : torch.Tensor
            Shape (samples, n_source), amounts.
        arriving : torch.Tensor
            Shape (samples, n_target), amounts of the baseline.
        states : mapping of str to Tensor, optional
            Per end, shape (samples, n_cells, n_states).
        memory : mapping of str to Tensor, optional
            What the last call returned.
        span : float
            Time since then, in steps of the training.
        """
        measure = {n: self.graph[n].measure for n in ENDS}
        mean = arriving.abs().sum(dim=1, keepdim=True) / measure["target"].sum()
        scale = torch.where(mean > 0.0, mean, 1.0)
        values = {}
        for name, amounts in (("source", given), ("target", arriving)):
            density = (amounts / measure[name] / scale).unsqueeze(-1)
            static = self.static[name].expand(len(amounts), -1, -1)
            now = [] if states is None or name not in states else [states[name]]
            values[name] = torch.cat([density, *now, static], dim=-1)
        start = arriving / scale
        decoded = self.network(self.graph, values, memory, span)
        least, most = start.clamp(max=0.0), torch.maximum(self.most / scale, start)
        if SHARES in decoded.edges:
            more = changes(self.graph, given / scale, decoded.edges[SHARES][..., 0])
            index = self.graph[RELATION].edge_index
            start = share_out(start, more, index, given.shape[-1], least=least, most=most)
        outside, surprise = torch.zeros_like(start), start.new_zeros(len(start))
        if self.head.typical or self.unobserved:
            booked = self.head(
                self.graph,
                decoded,
                {"target": start},
                least={"target": least},
                most={"target": most},
            )
            start, surprise = booked.amounts["target"], booked.surprise
            outside = booked.unobserved.get("target", outside)
        known = self._known(values, decoded)
        return Corrected(start * scale, decoded.memory, known, outside * scale, surprise)

    def _known(self, values: Mapping[str, Tensor], decoded: Decoded) -> Tensor:
        """Return which samples lie within the range of the training, shape (samples,).

        Those of which the network says anything that is not finite do not.
        """
        known = torch.ones_like(values["target"][:, 0, 0], dtype=torch.bool)
        for said in (*decoded.nodes.values(), *decoded.edges.values(), *decoded.memory.values()):
            known &= torch.isfinite(said).flatten(1).all(dim=1)
        for name, x in values.items():
            normaliser = self.network.normalisers[name]
            assert isinstance(normaliser, Normaliser)
            known &= ~normaliser.far(x).flatten(1).any(dim=1)
        return known
