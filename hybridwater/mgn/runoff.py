"""A learned exchange from land to rivers: what land gives, held back, let go, and booked.

Between what land gives and what arrives at a reach lies a coupling store in each cell, in two
parts. A network says day by day what share of the quick runoff each part holds back, what share of
its content it lets go, and, where data do not close, what was not observed. Whatever it says,
stores stay at least zero and all water is accounted for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from hybridwater.errors import DataError, MeshError, SettingsError, WeightsError
from hybridwater.mgn.configuration import Architecture, levels_of
from hybridwater.mgn.gathering import device_after, sparse_tensor
from hybridwater.mgn.network import MeshGraphNetwork
from hybridwater.mgn.normaliser import Normaliser
from hybridwater.mgn.storage import load_beside, load_network, save_network
from hybridwater.mgn.validation import static_table

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

LAND, RIVER = "land", "river"
"""Names of the two components in the graph."""

CLOSED = ("held", "let_go", "stored", "drained")
"""What the network says of a cell: shares held by the quick part of the store and let go by it; the
same of the slow part."""

OPEN = ("more_quick", "more_slow")
"""Further outputs where there is an unobserved flux: logarithms of factors."""

_FIRST = {"held": -1.0, "let_go": 1.0, "stored": -4.0, "drained": -1.0}
"""Means of their priors, before the logistic function."""

_SLOWEST = 0.2
"""The slow part lets go at most this share of its content in a day."""

_WIDEST = 1.5
"""Bound of the logarithm of a factor."""


@dataclass(frozen=True, eq=False)
class CouplerState:
    """Where the next step begins; part of the checkpoint of a coupled run.

    Attributes
    ----------
    memory : torch.Tensor
        Shape (n_cells, n_signals, n_scales): running means of signals.
    stores : torch.Tensor
        Shape (n_cells, 2), in kg m-2: content of the quick and the slow part, in float64.
    """

    memory: Tensor
    stores: Tensor


@dataclass(frozen=True, eq=False)
class Exchanged:
    """What a learned exchange did over some days; all in float64.

    Attributes
    ----------
    leaving : torch.Tensor
        Shape (n_days, n_cells), in kg m-2 d-1: what goes from each cell to its reach.
    unobserved : torch.Tensor
        Same shape and unit: what came from outside of all that is known, negative where it went.
    stores : torch.Tensor
        Shape (n_days, n_cells, 2), in kg m-2, at the end of each day.
    said : torch.Tensor
        Shape (n_days, n_cells, n_outputs): what the network said.
    known : torch.Tensor
        Shape (n_days, n_cells), of bool: where all that is read of a cell is within the range of
        the training. Elsewhere all that land gives goes on to its reach, and stores let go at the
        pace of their cells.
    """

    leaving: Tensor
    unobserved: Tensor
    stores: Tensor
    said: Tensor
    known: Tensor

    @property
    def surprise(self) -> Tensor:
        """Minus the logarithm of the prior density of what was said, mean over days and cells."""
        return 0.5 * (self.said**2).sum(dim=-1).mean()


class RunoffCoupler(nn.Module):
    """A learned exchange from land cells to river reaches.

    Of what a cell gives on a day, a share of the quick part goes into the two parts of its coupling
    store, and the rest on to its reach, with what the stores let go of what they held when the day
    began. All shares lie between zero and one. With an unobserved flux, both the quick and the slow
    runoff are multiplied by a positive factor before, and what this adds or takes is booked.

    What is said of a cell is the sum of what the network says and of an offset of the cell, which
    stays the same. The network has a standard normal prior. Offsets differ little between
    neighbours, and belong to the place: on other land they are the mean of the training.

    In `forward`, a cell of which any feature is out of the range of the training has no learned
    exchange on that day: what land gives goes on to its reach. The day is remembered, since running
    means of logarithms come back into the range by themselves.

    Parameters
    ----------
    graph : torch_geometric.data.HeteroData
        With the components ``land`` and ``river``.
    network : MeshGraphNetwork
        Reads signals and their memory, says `CLOSED`, and `OPEN` if there is an unobserved flux.
    static : mapping of str to Tensor
        Shape (n, n_features) of land and river.
    shares : torch.Tensor
        Shape (n_reaches, n_cells), sparse: share of each cell that drains to each reach.
    given : mapping of str to bool
        Fluxes that land gives, and whether each is quick, so that it can be held back.
    signals : mapping of str to str
        What the network reads of each cell and day, and its unit.
    memory : sequence of float
        Time scales [d] of running means of the signals.
    unobserved : float, optional
        Standard deviation of the normal prior of the logarithm of a factor; without, water is only
        held back and moved.
    """

    def __init__(
        self,
        graph: HeteroData,
        network: MeshGraphNetwork,
        static: Mapping[str, Tensor],
        shares: Tensor,
        *,
        given: Mapping[str, bool],
        signals: Mapping[str, str],
        memory: Sequence[float],
        unobserved: float | None,
    ) -> None:
        super().__init__()
        self.graph, self.network, self.static = graph, network, dict(static)
        self.shares, self.given, self.signals = shares, dict(given), dict(signals)
        self.memory, self.unobserved = tuple(map(float, memory)), unobserved
        outputs = len(network.architecture.outputs[LAND])
        self.offsets = nn.Parameter(torch.zeros(len(graph[LAND].measure), outputs))

    @classmethod
    def of(
        cls,
        graph: HeteroData,
        shares: Any,
        *,
        given: Mapping[str, bool],
        signals: Mapping[str, str],
        static: Mapping[str, Mapping[str, np.ndarray]] | None = None,
        memory: Sequence[float] = (3.0, 30.0),
        unobserved: float | None = 0.5,
        **choices: Any,
    ) -> RunoffCoupler:
        """Make an exchange that is not trained yet.

        Parameters
        ----------
        graph : HeteroData
            From :func:`hybridwater.mgn.make_graph`, of the components ``land`` and ``river``.
        shares : scipy.sparse array
            Shape (n_reaches, n_cells), as the graph was made with.
        given, signals
            As in the class; signals are not negative.
        static : mapping, optional
            Features of ``land`` and ``river``: name to one finite number per cell.
        memory, unobserved
            As in the class.
        **choices
            Of :class:`~hybridwater.mgn.Architecture`.

        Raises
        ------
        MeshError, DataError, SettingsError
            If the graph has other components, shapes do not fit, or a number is not possible.
        """
        if set(levels_of(graph)) != {LAND, RIVER}:
            raise MeshError(
                f"The graph has the components {', '.join(levels_of(graph))}, not land and river.",
                fix="Make it with make_graph({'land': ..., 'river': ...}, links=...)",
            )
        if unobserved is not None and not 0.0 < unobserved < np.inf:
            raise SettingsError(f"The spread of the unobserved flux is {unobserved}, not positive.")
        if not all(1.0 <= scale < np.inf for scale in memory):
            raise SettingsError(f"A time scale of {tuple(memory)} is less than a day.")
        if not signals or not any(given.values()):
            raise SettingsError("There are no signals to read, or no quick runoff to hold back.")
        features = {name: dict((static or {}).get(name, {})) for name in (LAND, RIVER)}
        tables = {n: static_table(f, len(graph[n].measure), n) for n, f in features.items()}
        remembered = [s if k == 0 else f"{s} {k:g} d" for k in (0, *memory) for s in signals]
        inputs = {LAND: [*remembered, *features[LAND]], RIVER: ["arriving", *features[RIVER]]}
        outputs = CLOSED + (OPEN if unobserved is not None else ())
        choices = {"width": 16, "depth": 1, "hidden": 1, **choices}
        network = MeshGraphNetwork(
            Architecture.of(graph, inputs, outputs={LAND: outputs}, **choices)
        )
        last = list(network.decoders[LAND].parameters())[-2:]
        with torch.no_grad():
            for weights in last:
                weights.zero_()
        matrix = _drainage(shares, len(graph[RIVER].measure), len(graph[LAND].measure))
        return cls(
            graph,
            network,
            tables,
            matrix,
            given=given,
            signals=signals,
            memory=memory,
            unobserved=unobserved,
        )

    @classmethod
    def load(
        cls,
        path: str | Path,
        graph: HeteroData,
        shares: Any,
        *,
        static: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    ) -> RunoffCoupler:
        """Read weights that `save` wrote, for the same land and rivers or for others.

        Parameters
        ----------
        path : path-like
            The file.
        graph, shares, static
            As of `of`; features in the order of the training.

        Raises
        ------
        WeightsError
            If there is no such file, it is damaged, or it is of something else.
        MeshError, DataError
            As of `of`.
        """
        network, about = load_network(path)
        if about.get("kind") != "runoff":
            raise WeightsError(
                f"The weights are those of a '{about.get('kind', 'network')}'.",
                str(path),
                "Give the weights of a learned exchange of runoff",
            )
        made = cls.of(
            graph,
            shares,
            given=dict(about["given"]),
            signals=dict(about["signals"]),
            static=static,
            memory=about["memory"],
            unobserved=about["unobserved"],
        )
        wanted = network.architecture.inputs
        if made.network.architecture.inputs != wanted:
            raise WeightsError(
                f"The weights read {dict(wanted)}, not {dict(made.network.architecture.inputs)}.",
                str(path),
                "Give the static features of the training, in their order",
            )
        made.network = network
        offsets = load_beside(path)["offsets"]
        same = about["place"] in (made._place(), made._place(points=False))
        with torch.no_grad():
            made.offsets.copy_(offsets if same else offsets.mean(dim=0))
        return made.eval()

    def save(self, path: str | Path, about: Mapping[str, Any] | None = None) -> Path:
        """Write the weights, which fit other land and rivers too, and the offsets.

        Parameters
        ----------
        path : path-like
            A file that ends in ``.safetensors``.
        about : mapping, optional
            More to keep beside them, of JSON types.
        """
        whole = {**(about or {}), **self.about()}
        return save_network(self.network, path, whole, {"offsets": self.offsets})

    def about(self) -> dict[str, Any]:
        """Return what `load` needs beside weights, of JSON types."""
        return {
            "kind": "runoff",
            "given": [[name, quick] for name, quick in self.given.items()],
            "signals": [[name, unit] for name, unit in self.signals.items()],
            "memory": list(self.memory),
            "unobserved": self.unobserved,
            "place": self._place(),
        }

    def _place(self, *, points: bool = True) -> str:
        """Return what tells this land from other land; first weights knew areas alone."""
        land = self.graph[LAND]
        found = hashlib.sha256(land.measure.cpu().numpy().tobytes())
        if points:  # to a metre, as the last digits are not the same on all machines
            found.update((land.points.cpu().round() + 0.0).numpy().tobytes())
        return found.hexdigest()[:16]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RunoffCoupler:
        """Move to devices, all but network and offsets in its own precision."""
        super()._apply(fn, recurse)
        device = device_after(fn, self.graph[LAND].measure)
        self.graph, self.shares = self.graph.to(device), self.shares.to(device)
        self.static = {name: values.to(device) for name, values in self.static.items()}
        return self

    def remember(self, signals: Tensor, memory: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return what the network reads of signals: their logarithms, now and in running means.

        Parameters
        ----------
        signals : torch.Tensor
            Shape (n_days, n_cells, n_signals), not negative.
        memory : torch.Tensor, optional
            Where it begins; at the first day if left out.

        Returns
        -------
        features : torch.Tensor
            Shape (n_days, n_cells, n_signals (1 + n_scales)).
        memory : torch.Tensor
            At the end.
        """
        if not bool((signals >= 0.0).all()):
            raise DataError("A signal is negative or not finite.", "learned exchange")
        x = torch.log1p(signals.double())
        if memory is None:
            memory = x[0].unsqueeze(-1).expand(*x.shape[1:], len(self.memory))
        rate = 1.0 / x.new_tensor(self.memory)
        found = []
        for day in x:
            memory = memory + rate * (day.unsqueeze(-1) - memory)
            found.append(torch.cat([day, memory.movedim(-1, -2).flatten(-2)], dim=-1))
        return torch.stack(found), memory

    def forward(
        self, given: Tensor, signals: Tensor, state: CouplerState | None = None
    ) -> tuple[Exchanged, CouplerState]:
        """Exchange some days, one after another.

        Parameters
        ----------
        given : torch.Tensor
            Shape (n_days, n_cells, n_given), in kg m-2 d-1, not negative.
        signals : torch.Tensor
            Shape (n_days, n_cells, n_signals).
        state : CouplerState, optional
            As returned; with empty stores if left out.

        Returns
        -------
        exchanged : Exchanged
        state : CouplerState
        """
        features, memory = self.remember(signals, None if state is None else state.memory)
        stores = None if state is None else state.stores
        done = self.exchange(given, features, stores, guarded=True)
        return done, CouplerState(memory, done.stores[-1])

    def exchange(
        self,
        given: Tensor,
        features: Tensor,
        stores: Tensor | None = None,
        *,
        silent: bool = False,
        guarded: bool = False,
    ) -> Exchanged:
        """Exchange days of which there are features; see `forward` and `remember`.

        If ``silent``, the network says nothing: the offsets of cells decide, which is fast. If
        ``guarded``, cells out of the range of the training have no learned exchange.
        """
        given = given.double()
        if given.shape[-1] != len(self.given) or not bool((given >= 0.0).all()):
            raise DataError(
                f"Runoff of the shape {tuple(given.shape)} is negative or not finite, or is not "
                f"made of {len(self.given)} fluxes.",
                "learned exchange",
            )
        shape = (*given.shape[:-1], self.offsets.shape[-1])
        said, known = given.new_zeros(shape), torch.ones_like(given[..., 0], dtype=torch.bool)
        if not silent:
            values = self._values(given, features)
            if guarded:
                values, known = self._guarded(values)
            said = torch.where(known.unsqueeze(-1), self._said(values), 0.0)
        wanted = said + self.offsets
        which = torch.tensor(list(self.given.values()), device=given.device)
        quick, slow = given[..., which].sum(-1), given[..., ~which].sum(-1)
        unobserved = torch.zeros_like(quick)
        if self.unobserved is not None:
            more = self.unobserved * wanted[..., len(CLOSED) :]
            more = torch.exp(_WIDEST * torch.tanh(more / _WIDEST))
            more = torch.where(known.unsqueeze(-1), more, 1.0)
            unobserved = (more[..., 0] - 1.0) * quick + (more[..., 1] - 1.0) * slow
            quick, slow = more[..., 0] * quick, more[..., 1] * slow
        first = said.new_tensor(list(_FIRST.values()))
        shares = torch.sigmoid(wanted[..., : len(CLOSED)] + first)
        held, let_go, stored, drained = shares.unbind(-1)
        into = torch.stack([held * quick, (1.0 - held) * stored * quick], dim=-1)
        into = torch.where(known.unsqueeze(-1), into, 0.0)
        share = torch.stack([let_go, _SLOWEST * drained], dim=-1)
        content = into.new_zeros(into.shape[1:]) if stores is None else stores
        contents, released = [], []
        for taken, part in zip(into, share, strict=True):
            out = part * content
            content = content + (taken - out)
            contents.append(content)
            released.append(out.sum(-1))
        leaving = quick - into.sum(-1) + slow + torch.stack(released)
        return Exchanged(leaving, unobserved, torch.stack(contents), said, known)

    def arriving(self, leaving: Tensor) -> Tensor:
        """Return what reaches get of what leaves cells.

        Parameters
        ----------
        leaving : torch.Tensor
            Shape (n_days, n_cells), in kg m-2 d-1.

        Returns
        -------
        torch.Tensor
            Shape (n_days, n_reaches), in m3 s-1 of water of 1000 kg m-3.
        """
        amounts = leaving.double() * self.graph[LAND].measure
        return torch.sparse.mm(self.shares, amounts.T).T / 86400e3

    @property
    def roughness(self) -> tuple[Tensor, Tensor]:
        """Mean squares of the differences of offsets between neighbours, and of offsets."""
        size = self.offsets.square().mean()
        relation = (LAND, "beside", LAND)
        if relation not in self.graph.edge_types:
            return torch.zeros_like(size), size
        start, end = self.graph[relation].edge_index
        return (self.offsets[start] - self.offsets[end]).square().mean(), size

    def acquaint(self, given: Tensor, features: Tensor) -> None:
        """Set the normalisers of the network by what it will read, once and for all."""
        with torch.no_grad():
            seen = [(self.network.normalisers, self._values(given.double(), features))]
            edges = {
                r: self.graph[tuple(r.split(" "))].edge_attr
                for r in self.network.architecture.relations
            }
            seen.append((self.network.edge_normalisers, edges))
            for normalisers, values in seen:
                for name, normaliser in normalisers.items():
                    assert isinstance(normaliser, Normaliser)
                    if not float(normaliser.rows):
                        normaliser.gather(values[name])
                    normaliser.most = 0

    def _said(self, values: Mapping[str, Tensor]) -> Tensor:
        return self.network(self.graph, values).nodes[LAND].double()

    def _guarded(self, values: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        """Take what is usual for features out of the range of the training; say which cells are in.

        One cell that is out of it must not spoil what its neighbours hear.
        """
        normalisers = {n: self.network.normalisers[n] for n in values}
        within = {}
        for name, normaliser in normalisers.items():
            assert isinstance(normaliser, Normaliser)
            within[name] = normaliser.within(values[name])
        return within, (within[LAND] == values[LAND]).all(dim=-1)

    def _values(self, given: Tensor, features: Tensor) -> dict[str, Tensor]:
        area = torch.sparse.mm(self.shares, self.graph[LAND].measure[:, None])[:, 0]
        depth = self.arriving(given.sum(-1)) * 86400e3 / area.clamp(min=1.0)
        values = {LAND: features, RIVER: torch.log1p(depth).unsqueeze(-1)}
        return {
            name: torch.cat([x, self.static[name].expand(len(x), -1, -1)], dim=-1)
            for name, x in values.items()
        }


def _drainage(shares: Any, reaches: int, cells: int) -> Tensor:
    from scipy.sparse import coo_array

    entries = coo_array(shares)
    possible = (entries.data >= 0.0).all() and (entries.sum(axis=0) <= 1.0 + 1e-12).all()
    if entries.shape != (reaches, cells) or not possible:
        raise DataError(
            f"Shares of the shape {entries.shape} are not of {reaches} reaches and {cells} cells, "
            "are negative or not finite, or give more than there is.",
            "learned exchange",
        )
    return sparse_tensor(entries)
