"""The layers of a mesh graph network.

After Pfaff et al. 2021 (arXiv:2010.03409, section 3): perceptrons with layer normalisation and
residual connections. The first linear layer of a perceptron that reads several sources is kept as
one matrix per source: sums of products are the product with the concatenation, but what comes from
nodes is multiplied once per node and not once per edge, and nothing is concatenated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from hybridwater.mgn.gathering import aggregate, gather


@dataclass(frozen=True)
class Size:
    """What all perceptrons of a network have in common.

    Parameters
    ----------
    width : int
        Numbers in each hidden layer.
    hidden : int
        Hidden layers.
    activation : {"silu", "relu"}
        Between layers.
    """

    width: int
    hidden: int
    activation: str = "silu"


class Tail(nn.Module):
    """What follows the first linear layer of a perceptron.

    Parameters
    ----------
    size : Size
        The first layer counts as one of its hidden ones.
    outputs : int
        Numbers that come out.
    normalise : bool
        Whether a layer normalisation ends it.
    """

    def __init__(self, size: Size, outputs: int, *, normalise: bool = True) -> None:
        super().__init__()
        between = {"silu": nn.SiLU, "relu": nn.ReLU}[size.activation]
        layers: list[nn.Module] = []
        for _ in range(size.hidden - 1):
            layers += [between(), nn.Linear(size.width, size.width)]
        layers += [between(), nn.Linear(size.width, outputs)]
        if normalise:
            layers.append(nn.LayerNorm(outputs))
        self.layers = nn.Sequential(*layers)

    def forward(self, first: Tensor) -> Tensor:
        """Return outputs of shape (..., outputs) from the first layer, of shape (..., width)."""
        return self.layers(first)


class Perceptron(nn.Module):
    """A perceptron of one source, from ``inputs`` to ``outputs`` numbers."""

    def __init__(self, inputs: int, size: Size, outputs: int, *, normalise: bool = True) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, size.width)
        self.tail = Tail(size, outputs, normalise=normalise)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs of shape (..., outputs) for inputs of shape (..., inputs)."""
        return self.tail(self.first(x))


class EdgeUpdate(nn.Module):
    """New latents of the edges of one relation, from theirs and those of the nodes at both ends."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        width = size.width
        self.edge = nn.Linear(width, width)
        self.source = nn.Linear(width, width, bias=False)
        self.target = nn.Linear(width, width, bias=False)
        self.tail = Tail(size, width)

    def forward(self, edges: Tensor, source: Tensor, target: Tensor, index: Tensor) -> Tensor:
        """Return what is added to the latents.

        Parameters
        ----------
        edges : torch.Tensor
            Shape (n_edges, ..., width).
        source, target : torch.Tensor
            Latents of nodes, shape (n_nodes, ..., width).
        index : torch.Tensor
            Shape (2, n_edges).

        Returns
        -------
        torch.Tensor
            Shape (n_edges, ..., width).
        """
        first = gather(self.source(source), index[0]) + gather(self.target(target), index[1])
        return self.tail(first + self.edge(edges))


class NodeUpdate(nn.Module):
    """New latents of nodes, from theirs and what their edges of each relation bring."""

    def __init__(self, size: Size, relations: Sequence[str], how: str) -> None:
        super().__init__()
        width = size.width
        self.how = how
        self.node = nn.Linear(width, width)
        self.relations = nn.ModuleDict(
            {name: nn.Linear(width, width, bias=False) for name in relations}
        )
        self.tail = Tail(size, width)

    def forward(self, nodes: Tensor, arriving: dict[str, tuple[Tensor, Tensor]]) -> Tensor:
        """Return what is added to the latents, shape (n_nodes, ..., width).

        Parameters
        ----------
        nodes : torch.Tensor
            Shape (n_nodes, ..., width).
        arriving : dict
            Per relation the latents of edges, shape (n_edges, ..., width), and the node of each.
        """
        first = self.node(nodes)
        for name, (edges, index) in arriving.items():
            joined = aggregate(edges, index, nodes.shape[0], self.how)
            first = first + self.relations[name](joined)
        return self.tail(first)


class Restrict(nn.Module):
    """Latents of aggregates from those of their cells, weighted by measure."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        width = size.width
        self.first = nn.Linear(width, width)
        self.tail = Tail(size, width)

    def forward(self, fine: Tensor, index: Tensor, share: Tensor, count: int) -> Tensor:
        """Return latents of shape (count, ..., width).

        Parameters
        ----------
        fine : torch.Tensor
            Shape (n_fine, ..., width).
        index : torch.Tensor
            Shape (2, n_fine): cells and their aggregates.
        share : torch.Tensor
            Shape (n_fine,): share of each cell in the measure of its aggregate.
        count : int
            Number of aggregates.
        """
        weight = share.to(fine.dtype).view(-1, *[1] * (fine.ndim - 1))
        mean = aggregate(gather(fine, index[0]) * weight, index[1], count)
        return self.tail(self.first(mean))


class Prolong(nn.Module):
    """What aggregates add to the latents of their cells, seen from where the cells lie in them."""

    def __init__(self, size: Size, features: int) -> None:
        super().__init__()
        width = size.width
        self.fine = nn.Linear(width, width)
        self.coarse = nn.Linear(width, width, bias=False)
        self.place = nn.Linear(features, width, bias=False)
        self.tail = Tail(size, width)

    def forward(self, fine: Tensor, coarse: Tensor, index: Tensor, place: Tensor) -> Tensor:
        """Return what is added, shape (n_fine, ..., width).

        Parameters
        ----------
        fine, coarse : torch.Tensor
            Shape (n, ..., width).
        index : torch.Tensor
            Shape (2, n_fine): aggregates, and cells in order.
        place : torch.Tensor
            Shape (n_fine, features).
        """
        there = self.place(place.to(fine.dtype))
        there = there.view(there.shape[0], *[1] * (fine.ndim - 2), there.shape[-1])
        return self.tail(self.fine(fine) + gather(self.coarse(coarse), index[0]) + there)
