"""A remap that learns: what a conservative remap moves, corrected by limited fluxes between cells.

It takes the place of any other :class:`~hybridwater.meshes.Remap` in an exchange.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from hybridwater import settings
from hybridwater.errors import DataError, WeightsError
from hybridwater.meshes import Mesh, Remap, RiverNetwork
from hybridwater.mgn.configuration import Architecture
from hybridwater.mgn.fluxes import ConservativeHead
from hybridwater.mgn.graph import make_graph
from hybridwater.mgn.network import MeshGraphNetwork
from hybridwater.mgn.normaliser import Normaliser
from hybridwater.mgn.storage import load_network, save_network

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

logger = logging.getLogger(__name__)

Features = dict[str, np.ndarray]

FAR = 10.0
"""A feature this many standard deviations from the mean of the training is out of its range."""


class Correction(nn.Module):
    """The learned part of a remap: fluxes between neighbouring target cells.

    The network reads what source cells give and what arrives at target cells, both per measure and
    relative to the mean that arrives: twice the rain is moved in the same way.

    Parameters
    ----------
    graph : HeteroData
        With the components ``source`` and ``target``.
    network : MeshGraphNetwork
        With one output for the edges between target cells.
    static : dict of str to Tensor
        Shape (n_cells, n_features) per component.
    reach : float
        How far [m] a unit of what the network says moves the mean; along rivers, a share.
    """

    def __init__(
        self,
        graph: HeteroData,
        network: MeshGraphNetwork,
        static: dict[str, Tensor],
        reach: float,
    ) -> None:
        super().__init__()
        self.graph, self.network, self.static, self.reach = graph, network, static, reach
        (relation,) = network.architecture.edge_outputs
        self.head = ConservativeHead({relation: reach})
        self.calls = self.fallbacks = 0

    def forward(self, given: Tensor, arriving: Tensor) -> Tensor:
        """Correct amounts.

        Parameters
        ----------
        given : torch.Tensor
            Shape (samples, n_source), amounts.
        arriving : torch.Tensor
            Shape (samples, n_target), amounts of the baseline.

        Returns
        -------
        torch.Tensor
            Shape (samples, n_target), with the same sums. Nothing that was not negative is now.
        """
        measure = {n: self.graph[n].measure for n in ("source", "target")}
        mean = arriving.abs().sum(dim=1, keepdim=True) / measure["target"].sum()
        scale = torch.where(mean > 0.0, mean, 1.0)
        values = {}
        for name, amounts in (("source", given), ("target", arriving)):
            density = (amounts / measure[name] / scale).unsqueeze(-1)
            static = self.static[name].expand(len(amounts), -1, -1)
            values[name] = torch.cat([density, static], dim=-1)
        start = arriving / scale
        booked = self.head(
            self.graph,
            self.network(self.graph, values),
            {"target": start},
            least={"target": start.clamp(max=0.0)},
        )
        corrected = booked.amounts["target"] * scale
        if self.training:
            return corrected
        known = self._known(values)
        self.calls += len(known)
        if not bool(known.all()):
            if not self.fallbacks:
                logger.warning(
                    "A learned remap is out of the range of its training: it falls back to the "
                    "conservative remap there, and counts how often (LearnedRemap.fallbacks)."
                )
            self.fallbacks += int((~known).sum())
        return torch.where(known[:, None], corrected, arriving)

    def _known(self, values: dict[str, Tensor]) -> Tensor:
        """Return which samples lie within the range of the training, shape (samples,)."""
        known = torch.ones(len(values["target"]), dtype=torch.bool)
        for name, x in values.items():
            normaliser = self.network.normalisers[name]
            assert isinstance(normaliser, Normaliser)
            if float(normaliser.rows) > 0.0:
                known &= (normaliser(x).abs() <= FAR).flatten(1).all(dim=1)
        return known


@dataclass(frozen=True, eq=False, repr=False)
class LearnedRemap(Remap):
    """A conservative remap and a learned correction of what arrives.

    Sums are those of the conservative remap to rounding, at any weights; amounts that are not
    negative stay so. Outside the range of the training it is the conservative remap.

    Examples
    --------
    >>> import numpy as np
    >>> from hybridwater.meshes import conservative_remap, latlon_mesh
    >>> air = latlon_mesh(np.arange(0, 9, 4.0), np.arange(0, 9, 4.0), name="air")
    >>> land = latlon_mesh(np.arange(0, 9.0), np.arange(0, 9.0), name="land")
    >>> remap = LearnedRemap.of(
    ...     conservative_remap(air, land), air, land, target_static={"height": np.arange(64.0)}
    ... )
    >>> bool(np.isclose(remap.amounts(np.ones(4)).sum(), 4.0))
    True
    """

    correction: Correction = field(kw_only=True)

    @classmethod
    def of(
        cls,
        remap: Remap,
        source: Mesh | RiverNetwork,
        target: Mesh | RiverNetwork,
        *,
        source_static: Features | None = None,
        target_static: Features | None = None,
        weights: str | Path | None = None,
        **choices: Any,
    ) -> LearnedRemap:
        """Put a correction on a remap.

        Parameters
        ----------
        remap : Remap
            The baseline.
        source, target : Mesh or RiverNetwork
            Its two ends.
        source_static, target_static : dict of str to array_like, optional
            Features of cells, shape (n_cells,), by name.
        weights : path-like, optional
            Trained weights, of these or of other meshes; without them, it is the baseline until it
            is trained.
        **choices
            Of :class:`~hybridwater.mgn.Architecture`, where there are no weights.

        Raises
        ------
        MeshError, DataError, WeightsError
            If meshes do not fit the remap, features are not one finite number per cell, or the
            weights are of something else.
        """
        graph = make_graph(
            {"source": source, "target": target},
            links={("source", "target"): remap},
            isolated=True,
        )
        static, inputs = {}, {}
        for name, density, features in (
            ("source", "given", source_static or {}),
            ("target", "arriving", target_static or {}),
        ):
            static[name] = _stacked(features, len(graph[name].measure), name)
            inputs[name] = (density, *features)
        kind = "beside" if isinstance(target, Mesh) else "downstream"
        relation = f"target {kind} target"
        if weights is None:
            choices = {"width": 32, "depth": 1, **choices}
            network = MeshGraphNetwork(
                Architecture.of(graph, inputs, edge_outputs={relation: ["flux"]}, **choices)
            )
            _silence(network, relation)
            reach = float(graph["target"].length.median()) if kind == "beside" else 1.0
        else:
            network, about = load_network(weights)
            if about.get("kind") != "remap" or network.architecture.inputs != inputs:
                raise WeightsError(
                    f"The weights read {network.architecture.inputs}, this remap has {inputs}.",
                    str(weights),
                    "Give the weights of a learned remap, and its static features in their order",
                )
            reach = about["reach"]
        return cls(
            **{name: getattr(remap, name) for name in Remap.__dataclass_fields__},
            correction=Correction(graph, network, static, reach).eval(),
        )

    @property
    def fallbacks(self) -> int:
        """How often it was out of its range and moved as the baseline does."""
        return self.correction.fallbacks

    def amounts(self, values: np.ndarray) -> np.ndarray:
        """Move amounts or their rates; see :meth:`hybridwater.meshes.Remap.amounts`."""
        moved = super().amounts(values)
        flat = np.asarray(values, dtype=float).reshape(-1, self.shares.shape[1])
        with torch.no_grad():
            corrected = self.correction(
                torch.from_numpy(flat), torch.from_numpy(moved.reshape(-1, moved.shape[-1]))
            )
        return corrected.numpy().reshape(moved.shape)

    def imprint(self) -> list[np.ndarray]:
        """Return the arrays that tell one remap from another, weights included."""
        tensors = self.correction.state_dict().values()
        return [*super().imprint(), *(t.numpy() for t in tensors)]

    def fit(
        self,
        given: np.ndarray,
        arrived: np.ndarray,
        *,
        iterations: int = 300,
        batch: int = 8,
        rate: float = 3e-3,
        seed: int = 0,
        progress: bool | None = None,
    ) -> list[float]:
        """Train the correction on what was given and what truly arrived; Ctrl-C ends it.

        Parameters
        ----------
        given : array_like
            Shape (samples, n_source), amounts.
        arrived : array_like
            Shape (samples, n_target), amounts.
        iterations, batch, rate, seed
            Steps of Adam, samples in each, learning rate at the beginning, seed of the samples.
        progress : bool, optional
            Whether to show a bar; as in the settings if left out.

        Returns
        -------
        list of float
            Losses: mean squared error per measure, relative to the mean that arrives.

        Raises
        ------
        DataError
            If shapes do not fit or a value is not finite.
        """
        from rich.progress import track

        given, arrived = np.asarray(given, dtype=float), np.asarray(arrived, dtype=float)
        shapes = [(len(given), n) for n in self.shares.shape[::-1]]
        if [given.shape, arrived.shape] != shapes or not len(given):
            raise DataError(
                f"Given and arrived have the shapes {given.shape} and {arrived.shape}, not "
                f"{shapes[0]} and {shapes[1]}."
            )
        if not (np.isfinite(given).all() and np.isfinite(arrived).all()):
            raise DataError("An amount is not finite.", fix="Leave such samples out")
        x, base, y = (torch.from_numpy(v) for v in (given, super().amounts(given), arrived))
        share = self.correction.graph["target"].measure
        share = share / share.sum()
        optimiser = torch.optim.Adam(self.correction.parameters(), rate)
        random, losses = np.random.default_rng(seed), []
        shown = settings.current().progress if progress is None else progress
        self.correction.train()
        try:
            for k in track(range(iterations), "learned remap", disable=not shown):
                for group in optimiser.param_groups:
                    group["lr"] = rate * 0.1 ** (k / iterations)
                rows = torch.from_numpy(random.integers(len(x), size=batch))
                mean = base[rows].abs().sum(dim=1, keepdim=True).clamp(min=1e-300)
                error = (self.correction(x[rows], base[rows]) - y[rows]) / mean
                loss = (error**2 / share).sum(dim=1).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                losses.append(loss.item())
        except KeyboardInterrupt:
            logger.warning("Interrupted after %d iterations.", len(losses))
        finally:
            self.correction.eval()
        return losses

    def save(self, path: str | Path) -> Path:
        """Write the weights of the correction, which fit other meshes too."""
        about = {"kind": "remap", "reach": self.correction.reach}
        return save_network(self.correction.network, path, about)


def _silence(network: MeshGraphNetwork, relation: str) -> None:
    """Let a network say nothing before it is trained."""
    last: Sequence[nn.Parameter] = list(network.edge_decoders[relation].parameters())[-2:]
    with torch.no_grad():
        for weights in last:
            weights.zero_()


def _stacked(features: Features, count: int, name: str) -> Tensor:
    columns = [np.asarray(values, dtype=float) for values in features.values()]
    for label, column in zip(features, columns, strict=True):
        if column.shape != (count,) or not np.isfinite(column).all():
            raise DataError(
                f"'{label}' has the shape {column.shape} or values that are not finite.",
                f"static features of the {name}, {count} cells",
                "Give one finite number per cell",
            )
    return torch.from_numpy(np.stack(columns, axis=-1) if columns else np.zeros((count, 0)))
