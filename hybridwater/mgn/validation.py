"""The door for graphs and features: what is not well formed is refused, with the cell named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hybridwater.errors import DataError, MeshError

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData
    from torch_geometric.data.storage import EdgeStorage

    from hybridwater.mgn.graph import Relation

_NODES = ("measure", "length")
_EDGES = ("edge_index", "edge_attr")
_ADVICE = "Make the graph with hybridwater.mgn.make_graph"


def validate(graph: HeteroData, *, isolated: bool = False) -> None:
    """Check that a graph is one that networks can read.

    Parameters
    ----------
    graph : torch_geometric.data.HeteroData
        As :func:`hybridwater.mgn.make_graph` makes it, or from elsewhere.
    isolated : bool
        Whether cells without any edge are accepted.

    Raises
    ------
    MeshError
        If areas or lengths are missing or not positive, edges point to cells that are not there,
        features are missing or not finite, or a cell has no edge.
    """
    if not graph.node_types:
        raise MeshError("The graph has no nodes.", fix=_ADVICE)
    touched = {}
    for name in graph.node_types:
        touched[name] = torch.zeros(_node_count(graph, name), dtype=torch.bool)
    for relation in graph.edge_types:
        _check_ends(graph, relation)
        if relation[1] in ("joins", "contains"):
            continue
        index = graph[relation].edge_index
        touched[relation[0]][index[0]] = True
        touched[relation[2]][index[1]] = True
    if isolated:
        return
    for name, seen in touched.items():
        coarse = any(r[1] == "joins" and r[2] == name for r in graph.edge_types)
        if coarse or bool(seen.all()) or len(seen) == 1:
            continue
        raise MeshError(
            f"{int((~seen).sum())} cells have no edge, so that nothing can reach them.",
            f"component '{name}', cell {int((~seen).int().argmax())}",
            "Link the component to another, leave these cells out, or accept them with "
            "isolated=True",
        )


def _node_count(graph: HeteroData, name: str) -> int:
    store = graph[name]
    for key in _NODES:
        if key not in store:
            what = "areas" if key == "measure" else "local lengths"
            raise MeshError(
                f"The cells have no {what} ('{key}' is missing).", f"component '{name}'", _ADVICE
            )
        values = store[key]
        bad = ~(torch.isfinite(values) & (values > 0.0))
        if bool(bad.any()):
            first = int(bad.int().argmax())
            raise MeshError(
                f"'{key}' is {float(values[first]):g} ({int(bad.sum())} such cells).",
                f"component '{name}', cell {first}",
                "Areas and lengths are positive and finite",
            )
    return len(store.measure)


def check_edges(store: EdgeStorage, relation: Relation) -> None:
    """Check that edges have features, one finite row each.

    Parameters
    ----------
    store : torch_geometric.data.storage.EdgeStorage
        The edges.
    relation : tuple of str
        Which, for errors.

    Raises
    ------
    MeshError
        If they have not.
    """
    where = f"edges '{' '.join(relation)}'"
    for key in _EDGES:
        if key not in store:
            raise MeshError(f"The edges have no '{key}'.", where, _ADVICE)
    index, features = store.edge_index, store.edge_attr
    if features.ndim != 2 or features.shape[0] != index.shape[1]:
        raise MeshError(
            f"There are features of the shape {tuple(features.shape)} for {index.shape[1]} edges.",
            where,
            _ADVICE,
        )
    bad = ~torch.isfinite(features).all(dim=1)
    if bool(bad.any()):
        raise MeshError(
            f"{int(bad.sum())} edges have features that are not finite.",
            f"{where}, edge {int(bad.int().argmax())}",
            _ADVICE,
        )


def _check_ends(graph: HeteroData, relation: Relation) -> None:
    check_edges(graph[relation], relation)
    index, where = graph[relation].edge_index, f"edges '{' '.join(relation)}'"
    for side, name in ((0, relation[0]), (1, relation[2])):
        count = len(graph[name].measure)
        bad = (index[side] < 0) | (index[side] >= count)
        if bool(bad.any()):
            edge = int(bad.int().argmax())
            raise MeshError(
                f"Edge {edge} has cell {int(index[side][edge])} of '{name}', which has {count}.",
                where,
                "Count cells from zero",
            )


def check_features(
    graph: HeteroData, values: Mapping[str, Tensor], needed: Mapping[str, Sequence[str]]
) -> None:
    """Check what a network is given against what it reads.

    Parameters
    ----------
    graph : HeteroData
        The graph.
    values : mapping of str to Tensor
        Shape (..., n_cells, n_features) per component.
    needed : mapping of str to sequence of str
        Names of the features per component, in order.

    Raises
    ------
    DataError
        If a component is missing, shapes do not fit, or a value is not finite.
    """
    leading: tuple[int, ...] | None = None
    for name, features in needed.items():
        where = f"component '{name}'"
        if name not in values or name not in graph.node_types:
            raise DataError(
                f"The features {', '.join(features)} are missing.",
                where,
                "Give a tensor of shape (..., cells, features) for each component of the network",
            )
        shape = (len(graph[name].measure), len(features))
        given = values[name]
        if tuple(given.shape[-2:]) != shape:
            raise DataError(
                f"The features have the shape {tuple(given.shape)}; the last two numbers should "
                f"be {shape[0]} cells and {shape[1]} features ({', '.join(features)}).",
                where,
                "Give every feature, in this order, for every cell",
            )
        lead = tuple(given.shape[:-2])
        if leading not in (None, lead):
            raise DataError(
                f"The samples have the shape {lead} here and {leading} elsewhere.",
                where,
                "Give the same samples of every component",
            )
        leading = lead
        bad = ~torch.isfinite(given)
        if bool(bad.any()):
            place = torch.nonzero(bad)[0].tolist()
            raise DataError(
                f"'{features[place[-1]]}' is not finite ({int(bad.sum())} such values).",
                f"{where}, cell {place[-2]}",
                "Fill gaps before",
            )


def static_table(features: Mapping[str, np.ndarray], count: int, name: str) -> Tensor:
    """Return static features of cells as one table, shape (cell, feature).

    Parameters
    ----------
    features : mapping of str to array_like
        Shape (count,) each.
    count : int
        Cells of the component.
    name : str
        The component, for errors.

    Raises
    ------
    DataError
        If a feature has another shape, or a value that is not finite.
    """
    columns = [np.asarray(values, dtype=float) for values in features.values()]
    for label, column in zip(features, columns, strict=True):
        if column.shape != (count,) or not np.isfinite(column).all():
            raise DataError(
                f"'{label}' has the shape {column.shape} or values that are not finite.",
                f"static features of the {name}, {count} cells",
                "Give one finite number per cell",
            )
    return torch.from_numpy(np.stack(columns, axis=-1) if columns else np.zeros((count, 0)))
