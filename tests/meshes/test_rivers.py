import importlib.util

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array, eye_array
from scipy.sparse.linalg import spsolve

from hybridwater.data import read_delaware, upstream_segments
from hybridwater.errors import MeshError
from hybridwater.meshes import RiverNetwork, RiverPieces, Sizing, coarsen_rivers

# 0 and 1 meet in 2; 2 and 3 meet in 4, an outlet; 5 is alone
SMALL = RiverNetwork([2, 2, 4, 4, -1, -1], [1.0, 2, 3, 4, 5, 6], areas=np.arange(6.0))


@st.composite
def networks(draw):
    """Random forests of up to 40 reaches in random order."""
    size = draw(st.integers(1, 40))
    to = [draw(st.integers(-1, k - 1)) for k in range(size)]
    order = np.array(draw(st.permutations(range(size))))
    place = np.argsort(order)
    shuffled = np.array([place[to[i]] if to[i] >= 0 else -1 for i in order])
    return RiverNetwork(shuffled, np.ones(size))


def test_a_small_river():
    assert SMALL.outlets.tolist() == [4, 5]
    assert SMALL.headwaters.tolist() == [0, 1, 3, 5]
    assert SMALL.strahler.tolist() == [1, 1, 2, 1, 2, 1]
    assert SMALL.basins.tolist() == [4, 4, 4, 4, 4, 5]
    assert SMALL.distance.tolist() == [9.0, 10, 8, 9, 5, 6]
    assert SMALL.upstream_areas.tolist() == [0.0, 1, 3, 3, 10, 5]
    assert repr(SMALL) == "<RiverNetwork 'rivers': 6 reaches, 2 outlets, 0.021 km>"


@settings(max_examples=60, deadline=None)
@given(networks())
def test_topology_is_that_of_the_graph(river):
    graph = nx.DiGraph()
    graph.add_nodes_from(range(river.size))
    graph.add_edges_from((i, int(t)) for i, t in enumerate(river.to) if t >= 0)
    position = np.argsort(river.order)
    assert all(position[i] < position[t] for i, t in graph.edges)
    above = river.upstream_matrix().toarray()
    for reach in range(river.size):
        assert set(np.flatnonzero(above[reach])) == nx.ancestors(graph, reach) | {reach}
    values = np.arange(1.0, river.size + 1)
    np.testing.assert_allclose(river.accumulate(values), above @ values)
    system = csr_array(eye_array(river.size) - river.connectivity)
    np.testing.assert_allclose(spsolve(system.tocsc(), values), above @ values)


def test_accumulation_keeps_leading_dimensions():
    values = np.ones((3, 2, 6))
    assert SMALL.accumulate(values)[2, 1].tolist() == [1.0, 1, 3, 1, 5, 1]
    assert (values == 1).all()
    with pytest.raises(MeshError, match=r"shape \(5,\), but there are 6 reaches"):
        SMALL.accumulate(np.ones(5))


def test_part_of_a_network():
    part = SMALL.select(np.array([2, 4, 5]))
    assert part.to.tolist() == [1, -1, -1]
    assert part.lengths.tolist() == [3.0, 5.0, 6.0]
    assert SMALL.select(SMALL.basins == 5).size == 1
    assert SMALL.select([0, 1]).outlets.tolist() == [0, 1]


def test_rivers_in_the_plane_stay_there():
    points = np.arange(4)[:, None] * [3000.0, 4000.0]
    river = RiverNetwork([1, 2, 3, -1], [5000.0] * 4, points=points, crs="EPSG:32618")
    chain = coarsen_rivers(river, ratio=2, least=1)
    assert chain.levels[0].points.tolist() == points.tolist()
    assert chain.levels[1].points.tolist() == [[1500.0, 2000.0], [7500.0, 10000.0]]
    halves = RiverPieces.of(river).resized(np.zeros(4), Sizing(2500.0, 2500.0, change=1.0)).network
    np.testing.assert_allclose(np.diff(halves.points[1:-1], axis=0), [[1500.0, 2000.0]] * 5)
    for made in (chain.levels[1].network, halves, river.select([0, 1])):
        assert made.crs == "EPSG:32618"


def test_pointers_by_name():
    river = RiverNetwork.from_pointers([10, 30, 20], [30, 0, 30], np.ones(3))
    assert river.to.tolist() == [1, -1, 1]
    assert river.names == ("10", "30", "20")
    texts = RiverNetwork.from_pointers(["a", "b"], ["b", "sea"], np.ones(2), outlet=["sea"])
    assert texts.to.tolist() == [1, -1]
    with pytest.raises(MeshError, match=r"flows into '31', which is not there.*reach '10'"):
        RiverNetwork.from_pointers([10, 30], [31, 0], np.ones(2))
    with pytest.raises(MeshError, match="did you mean 'main stem'"):
        RiverNetwork.from_pointers(["main stem", "b"], ["sea", "main sten"], [1, 1], outlet=["sea"])
    with pytest.raises(MeshError, match="reach '30' is there more than once"):
        RiverNetwork.from_pointers([30, 30], [0, 0], np.ones(2))


def test_the_delaware():
    if importlib.util.find_spec("pywatershed") is None:
        pytest.skip("the Delaware data come with pywatershed")
    structure = read_delaware().structure
    river = RiverNetwork.from_dataset(structure, name="Delaware")
    assert (river.size, len(river.outlets)) == (456, 6)
    assert river.names[0] == str(structure["segment"].values[0])
    above = upstream_segments(structure["downstream"].values)
    np.testing.assert_array_equal(river.upstream_matrix().toarray() > 0, np.stack(above))
    with pytest.raises(MeshError, match="'lenght' is missing: did you mean 'length'"):
        RiverNetwork.from_dataset(structure, length="lenght")
