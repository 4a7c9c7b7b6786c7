"""What a learned remap is made of: its graph, a network that is yet to be trained, its bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hybridwater.errors import DataError, SettingsError, WeightsError, nearest
from hybridwater.meshes import Mesh, Remap, RiverNetwork
from hybridwater.mgn.configuration import Architecture, relations_of
from hybridwater.mgn.correction import ENDS, SHARES
from hybridwater.mgn.graph import make_graph
from hybridwater.mgn.layers import Perceptron
from hybridwater.mgn.network import MeshGraphNetwork
from hybridwater.mgn.sharing import sharing_graph

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

_FLUXES = ("target beside target", "target downstream target")
_SAME = 1e-9
"""Features of edges, which are ratios, are the same if their standard deviation is less."""

_HIERARCHY = ("levels", "ratio", "least")


def check_ends(names: Iterable[str], where: str) -> None:
    """Refuse what is no end of a remap."""
    for name in names:
        if name not in ENDS:
            raise SettingsError(
                f"There is no end '{name}' of a remap ({nearest(name, ENDS)}).", where
            )


def new_about(
    remap: Remap,
    target: Mesh | RiverNetwork,
    moves: str | None,
    hierarchy: Mapping[str, Any] | None,
    elevations: Mapping[str, np.ndarray] | None,
) -> dict[str, Any]:
    """Return what is kept beside weights that are yet to be trained, of JSON types."""
    if moves is None:
        # Where cells give to one target each, there is nothing to share out.
        gives = int((remap.source_fraction > 0.0).sum())
        moves = "shares" if remap.shares.nnz >= 2 * gives else "fluxes"
    for value, known, what in (
        (moves, ("shares", "fluxes"), "moves"),
        *((name, _HIERARCHY, "hierarchy") for name in hierarchy or ()),
    ):
        if value not in known:
            raise SettingsError(f"There is no '{value}' ({nearest(str(value), known)}).", what)
    check_ends(elevations or {}, "elevations")
    mesh = isinstance(target, Mesh)
    length = float(np.median(np.sqrt(target.areas) if mesh else target.lengths))
    return {
        "kind": "remap",
        "moves": moves,
        "reach": length if mesh else 1.0,
        "scale": length,
        "hierarchy": dict(hierarchy or {}),
        "elevations": sorted(elevations or {}),
    }


def graph_of(
    remap: Remap,
    source: Mesh | RiverNetwork,
    target: Mesh | RiverNetwork,
    about: Mapping[str, Any],
    elevations: Mapping[str, np.ndarray] | None,
    where: str,
) -> HeteroData:
    """Make the graph that weights know.

    Parameters
    ----------
    remap : Remap
        The baseline.
    source, target : Mesh or RiverNetwork
        Its ends.
    about : mapping
        What is kept beside the weights.
    elevations : mapping of str to array_like, optional
        Per end, shape (n_cells,), in m.
    where : str
        The weights, for errors.

    Raises
    ------
    WeightsError
        If the weights know elevations of other ends.
    """
    known, given = about.get("elevations", []), sorted(elevations or {})
    if known != given:
        raise WeightsError(
            f"The weights know elevations of {' and '.join(known) or 'neither end'}; given are "
            f"those of {' and '.join(given) or 'neither'}.",
            where,
            "Give the elevations that the training had",
        )
    choices = {"elevations": elevations, **about.get("hierarchy", {})}
    if about.get("moves") == "shares":
        return sharing_graph(remap, source, target, scale=about["scale"], **choices)
    parts, links = {"source": source, "target": target}, {("source", "target"): remap}
    return make_graph(parts, links=links, isolated=True, **choices)


def new_network(
    graph: HeteroData,
    inputs: Mapping[str, Sequence[str]],
    moves: str,
    *,
    unobserved: bool,
    **choices: Any,
) -> MeshGraphNetwork:
    """Make a network that says nothing before it is trained.

    Nor does it say anything of shares then by features of edges that are the same in all of the
    graph, as ratios are on a mesh of equal squares. They are zero when normalised, and weights that
    begin at zero stay zero, where random ones would say anything on another mesh.

    Parameters
    ----------
    graph : HeteroData
        That of the training.
    inputs : mapping of str to sequence of str
        As of :class:`~hybridwater.mgn.Architecture`.
    moves : {"shares", "fluxes"}
        What it is to say.
    unobserved : bool
        Whether it also says an unobserved flux.
    **choices
        Of :class:`~hybridwater.mgn.Architecture`.
    """
    relations = relations_of(graph)
    if moves == "shares":
        # Neighbours of targets, and levels of them, differ from mesh to mesh.
        relations = {r: n for r, n in relations.items() if r.split(" ")[::2] != ["target"] * 2}
        relation, output, cycle = SHARES, "share", "flat"
    else:
        relation, output, cycle = next(r for r in _FLUXES if r in relations), "flux", "v"
    # Two steps, so that edges between targets hear of what their sources know.
    choices = {"width": 32, "depth": 2, "cycle": cycle, **choices}
    outputs = {"target": ["unobserved"]} if unobserved else {}
    flows = {relation: [output]}
    network = MeshGraphNetwork(
        Architecture.of(
            graph, inputs, outputs=outputs, edge_outputs=flows, relations=relations, **choices
        )
    )
    with torch.no_grad():
        for decoder in (*network.decoders.values(), *network.edge_decoders.values()):
            for weights in list(decoder.parameters())[-2:]:
                weights.zero_()
        if moves == "shares":
            for name, encoder in network.edge_encoders.items():
                features = graph[tuple(name.split(" "))].edge_attr
                assert isinstance(encoder, Perceptron)
                encoder.first.weight[:, features.std(dim=0, correction=0) < _SAME] = 0.0
    return network


def bounds_of(
    remap: Remap, measure: np.ndarray, most: float | np.ndarray | None, *, lines: bool
) -> Tensor:
    """Return the most that may arrive at each target cell, nothing where cells are masked.

    Parameters
    ----------
    remap : Remap
        The baseline.
    measure : numpy.ndarray
        Shape (n_target,), in m2; of reaches in m.
    most : float or array_like, optional
        Per measure.
    lines : bool
        Whether targets are reaches: water may flow into one that no land drains to.

    Raises
    ------
    DataError
        If a bound is negative or not a number, or there is another number of them.
    """
    bound = np.asarray(np.inf if most is None else most, dtype=float)
    if bound.shape not in ((), measure.shape) or not (bound >= 0.0).all():
        raise DataError(
            f"most has the shape {bound.shape} or a value that is negative or not a number.",
            f"remap '{remap.source}' to '{remap.target}'",
            f"Give a number, or one for each of the {len(measure)} target cells",
        )
    closed = np.zeros(len(measure), dtype=bool) if lines else remap.target_fraction == 0.0
    return torch.from_numpy(np.where(closed, 0.0, bound * measure))
