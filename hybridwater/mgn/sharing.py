"""How a source cell shares out what it gives: among the targets that it and its neighbours overlap.

A factor per pair of cells, which means the same however small the targets are: weights of these
carry over to other meshes, where fluxes between neighbours would have to pass more cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hybridwater.meshes import Mesh, Remap, RiverNetwork
from hybridwater.mgn.graph import make_graph

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch_geometric.data import HeteroData

RELATION = ("source", "overlaps", "target")

FEATURES = ("dx", "dy", "distance", "inside", "slope", "log_length")
"""Features of an edge: where the target lies, in local lengths of the source cell; the part of it
that lies in the source cell; the slope; and the local length of the source cell in metres."""

_WIDEST = 3.0
"""Bound of the logarithm of a factor."""


def sharing_graph(
    remap: Remap,
    source: Mesh | RiverNetwork,
    target: Mesh | RiverNetwork,
    scale: float,
    **choices: Any,
) -> HeteroData:
    """Make the graph of a source and the targets that it can give to.

    Parameters
    ----------
    remap : Remap
        The baseline.
    source, target : Mesh or RiverNetwork
        Its ends.
    scale : float
        A length [m], that lengths of source cells are compared with.
    **choices
        Of :func:`hybridwater.mgn.make_graph`.

    Returns
    -------
    torch_geometric.data.HeteroData
        As of `make_graph`, with edges between each source cell and all targets that it or one of
        its neighbours overlaps. Those from the source have ``inside``, the share of the source cell
        that goes to the target, and ``around``, what its neighbours overlap of the target, in the
        same unit. The features of both ways are `FEATURES`, none of which knows how large the
        target is.
    """
    around = _around(remap, source)
    graph = make_graph(
        {"source": source, "target": target},
        links={("source", "target"): remap.shares + around},
        isolated=True,
        **choices,
    )
    store = graph[RELATION]
    i, j = store.edge_index.clone().numpy()
    for name, shares in (("inside", remap.shares), ("around", around)):
        store[name] = torch.from_numpy(np.asarray(shares[j, i], dtype=float).ravel())
    # Back from local lengths of both cells to those of the source alone.
    ratio = torch.sqrt(graph["target"].length[j] / graph["source"].length[i])
    place, slope = store.edge_attr[:, :3] * ratio[:, None], store.edge_attr[:, -1]
    part = store.inside / (store.inside + store.around)
    length = torch.log(graph["source"].length[i] / scale)
    store.edge_attr = torch.cat([place, torch.stack([part, slope, length], dim=1)], dim=1)
    turned = store.edge_attr * torch.tensor([-1.0, -1.0, 1.0, 1.0, -1.0, 1.0])
    back = graph[RELATION[::-1]]
    back.edge_attr = turned[back.reverse]
    return graph


def _around(remap: Remap, source: Mesh | RiverNetwork) -> csr_array:
    """Return what neighbours of source cells overlap of targets; nothing without outlines."""
    from scipy.sparse import csr_array, diags_array

    if not isinstance(source, Mesh) or source.geometry == "columns":
        return csr_array(remap.shares.shape)
    near = csr_array(source.adjacency > 0.0).astype(float)
    areas = source.areas
    return csr_array(remap.shares @ diags_array(areas) @ near @ diags_array(1.0 / areas))


def changes(graph: HeteroData, given: Tensor, said: Tensor) -> Tensor:
    """Return how much more of what a source cell gives goes to each target.

    Shares are multiplied by a positive factor, and divided by their sum over the targets. What lies
    in neighbours of the source cell counts by how much the factor is above one.

    Parameters
    ----------
    graph : HeteroData
        From `sharing_graph`.
    given : torch.Tensor
        Shape (..., n_source), amounts.
    said : torch.Tensor
        Shape (..., n_edges): logarithms of the factors, before they are bounded.

    Returns
    -------
    torch.Tensor
        Shape (..., n_edges), of each source cell with the sum zero.
    """
    store = graph[RELATION]
    source = store.edge_index[0]
    factor = torch.exp(_WIDEST * torch.tanh(said.double() / _WIDEST))
    wanted = store.inside * factor + store.around * (factor - 1.0).clamp(min=0.0)
    zero = torch.zeros_like(given)
    whole = zero.index_add(-1, source, store.inside.expand_as(wanted))
    total = zero.index_add(-1, source, wanted)
    ratio = whole / torch.where(total > 0.0, total, 1.0)
    more = wanted * ratio.index_select(-1, source) - store.inside
    return given.index_select(-1, source) * more
