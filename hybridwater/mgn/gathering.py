"""Rows from nodes to edges and sums from edges to nodes, each the gradient of the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from scipy.sparse import sparray


def gather(nodes: Tensor, index: Tensor) -> Tensor:
    """Return the row of a node for each edge.

    Parameters
    ----------
    nodes : torch.Tensor
        Shape (n_nodes, ...).
    index : torch.Tensor
        Shape (n_edges,).

    Returns
    -------
    torch.Tensor
        Shape (n_edges, ...).
    """
    return _Gather.apply(nodes, index)  # type: ignore[no-any-return]


def aggregate(edges: Tensor, index: Tensor, count: int, how: str = "sum") -> Tensor:
    """Join the rows of the edges of each node.

    Parameters
    ----------
    edges : torch.Tensor
        Shape (n_edges, ...).
    index : torch.Tensor
        Shape (n_edges,), the node of each edge.
    count : int
        Number of nodes.
    how : {"sum", "mean", "max"}
        The mean and the maximum do not depend on how many neighbours a cell has; nodes without
        edges get zero.

    Returns
    -------
    torch.Tensor
        Shape (count, ...).
    """
    if how == "max":
        shape = (count, *edges.shape[1:])
        wide = index.view(-1, *[1] * (edges.ndim - 1)).expand_as(edges)
        return edges.new_zeros(shape).scatter_reduce(0, wide, edges, "amax", include_self=False)
    total: Tensor = _Sum.apply(edges, index, count)
    if how == "sum":
        return total
    number = torch.bincount(index, minlength=count).clamp(min=1).to(edges.dtype)
    return total / number.view(-1, *[1] * (edges.ndim - 1))


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, nodes: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.count = nodes.shape[0]
        return nodes.index_select(0, index)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (index,) = ctx.saved_tensors
        return _summed(grad, index, ctx.count), None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, edges: Tensor, index: Tensor, count: int) -> Tensor:
        ctx.save_for_backward(index)
        return _summed(edges, index, count)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (index,) = ctx.saved_tensors
        return grad.index_select(0, index), None, None


def _summed(edges: Tensor, index: Tensor, count: int) -> Tensor:
    return edges.new_zeros(count, *edges.shape[1:]).index_add_(0, index, edges)


def device_after(apply: Callable[[Tensor], Tensor], tensor: Tensor) -> torch.device:
    """Return where a tensor goes by what `torch.nn.Module._apply` is given, in any precision.

    Geometry and amounts stay in float64 whatever the precision of a network; only their device
    follows.
    """
    return apply(tensor.detach()[:0]).device


def sparse_tensor(matrix: sparray) -> Tensor:
    """Return a sparse matrix of scipy as one of torch, in float64."""
    entries = matrix.tocoo()
    index = torch.from_numpy(np.stack([entries.row, entries.col]).astype(np.int64))
    values = torch.from_numpy(entries.data.astype(float))
    return torch.sparse_coo_tensor(index, values, entries.shape, check_invariants=False).coalesce()
