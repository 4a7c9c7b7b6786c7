"""Graphs of component meshes: cells as nodes, what lies beside, below or across as edges."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hybridwater.errors import MeshError, nearest
from hybridwater.meshes import Mesh, Remap, RiverNetwork, conservative_remap
from hybridwater.mgn.geometry import Nodes, edge_features
from hybridwater.mgn.levels import Levels, make_levels
from hybridwater.mgn.validation import validate

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch_geometric.data import HeteroData

Relation = tuple[str, str, str]
"""Source node type, name of the edge, target node type."""

_OPPOSITE = {"downstream": "upstream", "upstream": "downstream"}


def opposite(relation: Relation) -> Relation:
    """Return the relation that holds the same edges the other way round."""
    source, name, target = relation
    return target, _OPPOSITE.get(name, name), source


def node_type(component: str, level: int) -> str:
    """Return the node type of a component at a level: its own name at level 0."""
    return component if level == 0 else f"{component}_{level}"


def make_graph(
    parts: Mapping[str, Mesh | RiverNetwork],
    *,
    links: Mapping[tuple[str, str], Remap | csr_array | str] | None = None,
    elevations: Mapping[str, np.ndarray] | None = None,
    levels: int | None = None,
    ratio: float = 4.0,
    least: int = 16,
    isolated: bool = False,
) -> HeteroData:
    """Make the graph of one or several components.

    Parameters
    ----------
    parts : mapping of str to Mesh or RiverNetwork
        Components by name.
    links : mapping, optional
        What connects two components: ``(source, target)`` to ``"overlap"`` (two meshes), a
        :class:`~hybridwater.meshes.Remap`, or the matrix of its shares of shape
        (n_target, n_source).
    elevations : mapping, optional
        Elevation [m] of the cells of a component, shape (n_cells,).
    levels : int, optional
        Levels at most; 1 for a flat graph. By default, as many as it takes to come down to
        ``least``.
    ratio, least
        As in :func:`hybridwater.meshes.coarsen`.
    isolated : bool
        Whether cells without any edge are accepted.

    Returns
    -------
    torch_geometric.data.HeteroData
        Node types are components, and with a level below the finest ``component_1``,
        ``component_2``, ... Each has ``measure`` [m2 or m], ``length`` [m] and ``points`` [m].
        Edge types are ``(c, "beside", c)`` in meshes, ``(c, "downstream", c)`` and
        ``(c, "upstream", c)`` in rivers, ``(a, "overlaps", b)`` both ways between components, and
        ``(fine, "joins", coarse)``, ``(coarse, "contains", fine)`` between levels. Each has
        ``edge_index``, sorted by its target; ``edge_attr``, ratios without unit (see
        `hybridwater.mgn.geometry`); ``distance`` [m]; those between neighbours ``width`` [m],
        those between components ``share`` of the source cell, those between levels ``share`` of
        the measure of the aggregate; and those within and between components ``reverse``, the
        place of the same edge in the opposite edge type.

    Raises
    ------
    MeshError
        If a link names a component that is not there or does not fit, coordinates of linked
        components differ in kind, or a cell is isolated.

    Examples
    --------
    >>> from hybridwater.meshes import latlon_mesh
    >>> import numpy as np
    >>> land = latlon_mesh(np.arange(0, 11.0), np.arange(0, 11.0), name="land")
    >>> graph = make_graph({"land": land}, levels=2)
    >>> graph.node_types
    ['land', 'land_1']
    >>> graph["land", "beside", "land"].edge_attr.shape
    torch.Size([360, 6])
    """
    from torch_geometric.data import HeteroData

    elevations = dict(elevations or {})
    _check_names(parts, links or {}, elevations)
    graph = HeteroData()
    finest: dict[str, Nodes] = {}
    for name, part in parts.items():
        made = make_levels(
            part,
            count=levels,
            ratio=ratio,
            least=least,
            elevation=elevations.get(name),
            where=f"component '{name}'",
        )
        finest[name] = made.nodes[0]
        _add_levels(graph, name, made)
    for (source, target), link in (links or {}).items():
        shares = _shares(parts[source], parts[target], link, f"link '{source}' to '{target}'")
        _add_link(graph, source, target, finest, shares)
    validate(graph, isolated=isolated)
    return graph


def _check_names(
    parts: Mapping[str, Any], links: Mapping[tuple[str, str], Any], elevations: Mapping[str, Any]
) -> None:
    if not parts:
        raise MeshError("A graph needs at least one component.", fix="Give parts={'land': mesh}")
    for name in parts:
        stem, _, number = name.rpartition("_")
        if {".", " "} & set(name) or not name or (number.isdigit() and stem in parts):
            raise MeshError(
                f"A component cannot have the name '{name}' in a graph.",
                fix="Leave out points and spaces; the name of another component and a number is a "
                "level of that component",
            )
    for name in [*(end for ends in links for end in ends), *elevations]:
        if name not in parts:
            raise MeshError(f"There is no component '{name}': {nearest(name, parts)}")


def _add_levels(graph: HeteroData, name: str, made: Levels) -> None:
    for k, nodes in enumerate(made.nodes):
        here = node_type(name, k)
        graph[here].num_nodes = len(nodes.measure)
        graph[here].measure = torch.from_numpy(np.array(nodes.measure))
        graph[here].length = torch.from_numpy(np.array(nodes.length))
        graph[here].points = torch.from_numpy(np.array(nodes.points))
        index, width = made.edges[k], made.widths[k]
        if made.rivers:
            back, place = _turned(index)
            for kind, ends, reverse in (
                ("downstream", index, np.argsort(place)),
                ("upstream", back, place),
            ):
                features, distance = edge_features(nodes, nodes, ends, kind=kind)
                _add(graph, (here, kind, here), ends, features, distance, reverse=reverse)
        else:
            _, place = _turned(index)
            features, distance = edge_features(nodes, nodes, index, kind="beside", width=width)
            _add(graph, (here, "beside", here), index, features, distance, reverse=place)
            graph[here, "beside", here].width = torch.from_numpy(width)
    for k, parents in enumerate(made.parents):
        fine, coarse = made.nodes[k], made.nodes[k + 1]
        share = fine.measure / coarse.measure[parents]
        order = np.argsort(parents, kind="stable")
        up = np.stack([order, parents[order]])
        down = np.stack([parents, np.arange(len(parents))])
        lower, upper = node_type(name, k), node_type(name, k + 1)
        for relation, ends, one, other, part in (
            ((lower, "joins", upper), up, fine, coarse, share[order]),
            ((upper, "contains", lower), down, coarse, fine, share),
        ):
            features, distance = edge_features(one, other, ends, kind="parts", shares=(part, part))
            _add(graph, relation, ends, features, distance, share=part)


def _add_link(
    graph: HeteroData, source: str, target: str, finest: Mapping[str, Nodes], shares: csr_array
) -> None:
    one, other = _one_space(finest[source], finest[target])
    where = f"link '{source}' to '{target}'"
    if one.points.shape[1] != other.points.shape[1]:
        raise MeshError(
            "One component lies in the plane and the other on the sphere.",
            where,
            "Give both in the same kind of coordinates; RiverNetwork(..., crs=...) for the plane",
        )
    shares.sort_indices()
    into = np.repeat(np.arange(shares.shape[0]), np.diff(shares.indptr))
    index = np.stack([shares.indices.astype(np.int64), into])
    given = np.asarray(shares.data, dtype=float)
    # What a target has of this source, as a share of all that the source cells send to it.
    amount = given * one.measure[index[0]]
    received = amount / np.bincount(into, amount, shares.shape[0])[into]
    back, place = _turned(index)
    for relation, nodes, ends, parts, reverse in (
        ((source, "overlaps", target), (one, other), index, (given, received), np.argsort(place)),
        ((target, "overlaps", source), (other, one), back, (received[place], given[place]), place),
    ):
        if relation in graph.edge_types:
            raise MeshError("Two links connect these components.", where, "Give one of them")
        features, distance = edge_features(*nodes, ends, kind="overlaps", shares=parts)
        _add(graph, relation, ends, features, distance, share=parts[0], reverse=reverse)


def _one_space(*ends: Nodes) -> list[Nodes]:
    """Return nodes of which those at unknown places lie in the space of the others."""
    known = [nodes.points.shape[1] for nodes in ends if not np.isnan(nodes.points).all()]
    return [
        dataclasses.replace(nodes, points=np.full((len(nodes.measure), known[0]), np.nan))
        if known and np.isnan(nodes.points).all()
        else nodes
        for nodes in ends
    ]


def _turned(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return edges the other way round, sorted by their target, and where each one was."""
    order = np.lexsort((index[1], index[0]))
    return index[::-1][:, order], order


def _add(
    graph: HeteroData,
    relation: Relation,
    index: np.ndarray,
    features: np.ndarray,
    distance: np.ndarray,
    **extra: np.ndarray,
) -> None:
    store = graph[relation]
    store.edge_index = torch.from_numpy(np.ascontiguousarray(index))
    store.edge_attr = torch.from_numpy(features)
    store.distance = torch.from_numpy(distance)
    for name, values in extra.items():
        store[name] = torch.from_numpy(np.array(values))


def _shares(
    source: Mesh | RiverNetwork, target: Mesh | RiverNetwork, link: Any, where: str
) -> csr_array:
    from scipy.sparse import csr_array, issparse

    if isinstance(link, str):
        if link != "overlap":
            raise MeshError(f"There is no link '{link}' ({nearest(link, ['overlap'])}).", where)
        if not (isinstance(source, Mesh) and isinstance(target, Mesh)):
            raise MeshError(
                "Reaches have no outline, so nothing overlaps them.",
                where,
                "Give a Remap, such as hybridwater.meshes.basin_map",
            )
        link = conservative_remap(source, target)
    shares = link.shares if isinstance(link, Remap) else link
    if not issparse(shares):
        raise MeshError(
            f"A link cannot be made of a {type(link).__name__}.",
            where,
            "Give 'overlap', a Remap or a sparse matrix of shares",
        )
    shares = csr_array(shares, dtype=float, copy=True)
    if shares.shape != (target.size, source.size):
        raise MeshError(
            f"The shares go from {shares.shape[1]} to {shares.shape[0]} cells, but there are "
            f"{source.size} and {target.size}.",
            where,
            "Give a matrix of shape (n_target, n_source)",
        )
    if not np.isfinite(shares.data).all() or (shares.data < 0.0).any():
        raise MeshError("A share is negative or not finite.", where)
    shares.eliminate_zeros()
    return shares
