import networkx as nx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridwater.meshes.pairing import heavy_pairs, relabelled


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10_000), equal=st.booleans())
def test_a_maximal_pairing_of_at_least_half_the_weight(seed, equal):
    graph = nx.gnm_random_graph(24, 50, seed=seed)
    edges = np.array(graph.edges)
    weights = np.ones(50) if equal else np.random.default_rng(seed).uniform(0.1, 1.0, 50)
    for (a, b), w in zip(edges, weights, strict=True):
        graph[a][b]["weight"] = w
    labels = heavy_pairs(edges[:, 0], edges[:, 1], weights, 24)
    sizes = np.bincount(labels)
    assert sizes.max() <= 2
    joined = labels[edges[:, 0]] == labels[edges[:, 1]]
    assert joined.sum() == (sizes == 2).sum()  # pairs are edges
    alone = sizes[labels] == 1
    assert not (alone[edges[:, 0]] & alone[edges[:, 1]]).any()
    best = nx.max_weight_matching(graph)
    assert weights[joined].sum() >= 0.499 * sum(graph[a][b]["weight"] for a, b in best)


def test_without_edges_every_cell_is_alone():
    none = np.zeros(0, dtype=int)
    assert heavy_pairs(none, none, np.zeros(0), 3).tolist() == [0, 1, 2]


def test_labels_are_counted_in_the_order_of_members():
    assert relabelled(np.array([7, 3, 7, 9, 3])).tolist() == [0, 1, 0, 2, 1]
