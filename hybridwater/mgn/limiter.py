"""Fluxes that cannot empty a store below its least amount nor fill it above its most.

Fluxes are limited, states are never clipped: what one cell gives another one gets, so that nothing
is created or lost whatever a network says. After the flux limiter of Zalesak 1979
(doi:10.1016/0021-9991(79)90051-2, equations 8 to 13), with declared bounds in the place of those of
a low-order solution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_MARGIN = 1e-12
"""Share of what is available that is not given, so that rounding never overdraws a store."""

_ROUNDING = 4.0 * torch.finfo(torch.float64).eps
"""Rounding of the difference between an amount and a bound, relative to the larger."""


_NOTHING = 1e-280
"""Less than this is nothing: near the least of all numbers products are no longer exact."""


@dataclass(frozen=True, eq=False)
class Moved:
    """What a step moved; all in float64.

    Attributes
    ----------
    amounts : torch.Tensor
        Shape (..., n_stores): amounts after the step.
    fluxes : torch.Tensor
        Shape (..., n_edges): amounts that went along each edge, negative against its direction.
    limited : torch.Tensor
        Shape (..., n_edges): what was asked for and not done.
    """

    amounts: Tensor
    fluxes: Tensor
    limited: Tensor


def move(
    amounts: Tensor,
    fluxes: Tensor,
    index: Tensor,
    *,
    least: Tensor | float | None = 0.0,
    most: Tensor | float | None = None,
) -> Moved:
    """Move amounts along edges, as much as the stores at both ends allow.

    Parameters
    ----------
    amounts : torch.Tensor
        Shape (..., n_stores), within the bounds.
    fluxes : torch.Tensor
        Shape (..., n_edges): amounts that are asked for, from the first to the second end of each
        edge where positive. Anything that is not finite counts as zero.
    index : torch.Tensor
        Shape (2, n_edges): the store at each end.
    least, most : torch.Tensor or float, optional
        Bounds of the amounts, shape (n_stores,) or (..., n_stores) or a number; None for none. An
        infinite bound is none.

    Returns
    -------
    Moved
        The sum of amounts is that before, to rounding of float64; amounts are within the bounds
        exactly.
    """
    amounts = amounts.double()
    asked = torch.nan_to_num(fluxes.double(), nan=0.0, posinf=0.0, neginf=0.0)
    start, end = index
    shape = torch.broadcast_shapes(amounts.shape[:-1], asked.shape[:-1])
    amounts = amounts.expand(*shape, amounts.shape[-1])
    asked = asked.expand(*shape, asked.shape[-1])
    forward, backward = asked.clamp(min=0.0), (-asked).clamp(min=0.0)
    zero = torch.zeros_like(amounts)
    give, take = torch.ones_like(amounts), torch.ones_like(amounts)
    if least is not None:
        out = zero.index_add(-1, start, forward).index_add(-1, end, backward)
        give = _factor(_room(amounts, _bound(least, amounts)), out)
    if most is not None:
        into = zero.index_add(-1, end, forward).index_add(-1, start, backward)
        take = _factor(_room(_bound(most, amounts), amounts), into)
    along = torch.minimum(give.index_select(-1, start), take.index_select(-1, end))
    against = torch.minimum(give.index_select(-1, end), take.index_select(-1, start))
    done = asked * torch.where(asked >= 0.0, along, against)
    change = zero.index_add(-1, end, done).index_add(-1, start, -done)
    return Moved(amounts + change, done, asked - done)


def share_out(
    amounts: Tensor,
    changes: Tensor,
    index: Tensor,
    groups: int,
    *,
    least: Tensor | float | None = 0.0,
    most: Tensor | float | None = None,
) -> Tensor:
    """Share amounts out among stores in another way, as far as their bounds allow.

    Parameters
    ----------
    amounts : torch.Tensor
        Shape (..., n_stores), within the bounds.
    changes : torch.Tensor
        Shape (..., n_changes): what is asked for; of each group they add up to nothing.
    index : torch.Tensor
        Shape (2, n_changes): the group and the store of each.
    groups : int
        How many groups there are.
    least, most : torch.Tensor or float, optional
        As in `move`.

    Returns
    -------
    torch.Tensor
        Shape (..., n_stores). All changes of a group are made to the same extent, so that they
        still add up to nothing.
    """
    group, store = index
    zero = torch.zeros_like(amounts)
    more, less = changes.clamp(min=0.0), (-changes).clamp(min=0.0)
    extent = changes.new_ones(changes.shape)
    for bound, asked, above in ((most, more, True), (least, less, False)):
        if bound is None:
            continue
        edge = _bound(bound, amounts)
        room = _room(edge, amounts) if above else _room(amounts, edge)
        factor = _factor(room, zero.index_add(-1, store, asked)).index_select(-1, store)
        extent = torch.where(asked > 0.0, torch.minimum(extent, factor), extent)
    every = group.expand_as(extent)
    lowest = extent.new_ones(*extent.shape[:-1], groups).scatter_reduce(-1, every, extent, "amin")
    return amounts.index_add(-1, store, changes * lowest.gather(-1, every))


def _bound(bound: Tensor | float, amounts: Tensor) -> Tensor:
    return torch.as_tensor(bound, dtype=torch.float64, device=amounts.device).expand_as(amounts)


def _room(high: Tensor, low: Tensor) -> Tensor:
    """Return what lies between two amounts, less the rounding of that difference."""
    size = torch.maximum(high.abs(), low.abs())
    slack = torch.where(torch.isfinite(size), _ROUNDING * size, 0.0)
    room = high - low - slack
    return torch.where(room > _NOTHING, room, 0.0)


def _factor(room: Tensor, wanted: Tensor) -> Tensor:
    """Return the share of what is wanted that there is room for, 0 to 1."""
    tight = wanted > room
    share = room / torch.where(tight, wanted, 1.0) * (1.0 - _MARGIN)
    share = torch.where(share > _NOTHING, share, 0.0)
    # Infinite room is never tight; its product is left out, so that no gradient is NaN.
    return torch.where(tight, torch.where(torch.isfinite(room), share, 1.0), 1.0)
