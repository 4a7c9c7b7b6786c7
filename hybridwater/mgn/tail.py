"""Activations, linear layers and the normalisation of a perceptron, as one node of the graph.

Autograd keeps more than the gradient needs and makes a new array in each of its steps. A pass over
many edges then waits for memory. Here the gradient is written out: the same operations in the same
order, in place where an array is not needed any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_aten = torch.ops.aten


def tail(
    first: Tensor, activation: str, linear: Sequence[nn.Linear], norm: nn.LayerNorm | None
) -> Tensor:
    """Return what follows the first layer of a perceptron.

    Parameters
    ----------
    first : torch.Tensor
        Shape (..., width): what the first layer returned.
    activation : {"silu", "relu"}
        Before each of the linear layers.
    linear : sequence of torch.nn.Linear
        The other layers.
    norm : torch.nn.LayerNorm or None
        What ends it.

    Returns
    -------
    torch.Tensor
        Shape (..., outputs).
    """
    layers = [*linear, norm] if norm else linear
    weights = [weight for layer in layers for weight in (layer.weight, layer.bias)]
    eps = norm.eps if norm else None
    return _Tail.apply(first, activation, eps, *weights)  # type: ignore[no-any-return]


class _Tail(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, first: Tensor, activation: str, eps: float | None, *weights: Tensor):
        linear = weights if eps is None else weights[:-2]
        x, kept = first.reshape(-1, first.shape[-1]), []
        for weight, bias in zip(linear[::2], linear[1::2], strict=True):
            if activation == "relu":  # whose gradient can be told from what comes out
                x = hidden = x.relu_() if kept else x.relu()
            else:
                hidden = nn.functional.silu(x)
            kept += [x, hidden]
            x = torch.addmm(bias, hidden, weight.t())
        if eps is not None:
            last, (scale, offset) = x, weights[-2:]
            x, *moments = torch.native_layer_norm(last, last.shape[1:], scale, offset, eps)
            kept += [last, *moments]
        ctx.save_for_backward(*weights, *kept)
        ctx.activation, ctx.normalised, ctx.count = activation, eps is not None, len(weights)
        return x.view(*first.shape[:-1], x.shape[-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor):  # type: ignore[override]
        weights, kept = ctx.saved_tensors[: ctx.count], list(ctx.saved_tensors[ctx.count :])
        shape, grad = grad.shape[:-1], grad.reshape(-1, grad.shape[-1])
        linear, grads = weights, []
        if ctx.normalised:
            *linear, scale, offset = weights
            *kept, last, mean, spread = kept
            grad, *grads = _aten.native_layer_norm_backward(
                grad, last, last.shape[1:], mean, spread, scale, offset, [True] * 3
            )
        for k in range(len(linear) - 2, -1, -2):
            grads = [(kept[k + 1].t() @ grad).t(), grad.sum(dim=0), *grads]
            grad = grad @ linear[k]
            if ctx.activation == "relu":
                _aten.threshold_backward.grad_input(grad, kept[k], 0, grad_input=grad)
            else:
                _aten.silu_backward.grad_input(grad, kept[k], grad_input=grad)
        return grad.view(*shape, grad.shape[-1]), None, None, *grads
