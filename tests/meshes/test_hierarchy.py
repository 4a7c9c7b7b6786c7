import itertools

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from hybridwater.errors import MeshError
from hybridwater.meshes import (
    RiverNetwork,
    coarsen,
    coarsen_rivers,
    column_mesh,
    latlon_mesh,
    read_routelink,
    read_ugrid,
)


@pytest.fixture(params=["latlon", "mpas", "elevation", "triangles", "columns"])
def mesh(request, plane_triangles, shared_data):
    if request.param == "latlon":
        return latlon_mesh(np.linspace(0, 360, 49), np.linspace(-90, 90, 25))
    if request.param == "mpas":
        return request.getfixturevalue("mpas")
    if request.param == "elevation":
        return read_ugrid(shared_data / "meshes" / "elevation_nl.nc")
    if request.param == "triangles":
        return plane_triangles(900)
    rng = np.random.default_rng(0)
    return column_mesh(rng.uniform(1e6, 9e6, 300), rng.uniform([-76, 39], [-74, 42], (300, 2)))


def test_water_is_conserved_between_all_levels(mesh):
    chain = coarsen(mesh)
    assert len(chain.levels) == len(chain.parents) + 1 >= 3
    values = np.random.default_rng(1).lognormal(0, 2, mesh.size)
    for k in range(len(chain.parents)):
        fine, coarse = chain.levels[k].measure, chain.levels[k + 1].measure
        assert coarse.sum() == pytest.approx(mesh.areas.sum(), rel=1e-13)
        down, up = chain.restriction(k), chain.prolongation(k)
        moved = down @ values
        assert coarse @ moved == pytest.approx(fine @ values, rel=1e-13)
        assert fine @ (up @ moved) == pytest.approx(coarse @ moved, rel=1e-13)
        np.testing.assert_allclose(down @ (up @ moved), moved, rtol=1e-13)
        np.testing.assert_allclose(coarse, chain.sums(k) @ fine, rtol=1e-13)
        values = moved


def test_levels_shrink_and_aggregates_are_connected(mesh):
    chain = coarsen(mesh, ratio=4)
    sizes = [len(level.measure) for level in chain.levels]
    assert all(2 < a / b < 8 for a, b in itertools.pairwise(sizes[:-1]))
    for k, parents in enumerate(chain.parents):
        edges = chain.levels[k].adjacency.tocoo()
        inside = parents[edges.row] == parents[edges.col]
        graph = csr_array(
            (np.ones(inside.sum()), (edges.row[inside], edges.col[inside])),
            shape=chain.levels[k].adjacency.shape,
        )
        assert connected_components(graph, directed=False)[0] == sizes[k + 1]


def test_coarse_edges_are_the_fine_ones_between_aggregates(mesh):
    chain = coarsen(mesh)
    add = chain.sums(0)
    expected = (add @ chain.levels[0].adjacency @ add.T).toarray()
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(chain.levels[1].adjacency.toarray(), expected, rtol=1e-12)


def test_points_are_means(mesh):
    chain = coarsen(mesh)
    fine, coarse = chain.levels[0], chain.levels[-1]
    total = mesh.areas.sum()
    np.testing.assert_allclose(
        coarse.measure @ coarse.points / total, fine.measure @ fine.points / total, atol=1e-3
    )


def test_it_is_the_same_every_time(mesh):
    one, two = coarsen(mesh), coarsen(mesh)
    for a, b in zip(one.parents, two.parents, strict=True):
        np.testing.assert_array_equal(a, b)


def test_parts_that_are_not_connected_stay_apart(plane_grid):
    graph = csr_array(plane_grid(8).adjacency)
    half = np.arange(64) < 32
    cut = graph.tocoo()
    keep = half[cut.row] == half[cut.col]
    graph = csr_array((cut.data[keep], (cut.row[keep], cut.col[keep])), shape=(64, 64))
    chain = coarsen(plane_grid(8), least=1, adjacency=graph)
    assert len(chain.levels[-1].measure) == 2


@pytest.fixture(scope="module")
def colorado(shared_data):
    return read_routelink(shared_data / "river_networks/nwm_lower_colorado/RouteLink.nc")


def test_rivers_stay_rivers(colorado):
    chain = coarsen_rivers(colorado)
    sizes = [len(level.measure) for level in chain.levels]
    assert sizes[0] == 11_248
    assert sizes[-1] <= 30
    assert all(2.5 < a / b < 6 for a, b in itertools.pairwise(sizes[:-1]))
    for k, parents in enumerate(chain.parents):
        fine, coarse = chain.levels[k].network, chain.levels[k + 1].network
        # water that leaves an aggregate enters the one that the coarse network says
        inner = fine.to >= 0
        leaves = inner & (parents[fine.to] != parents)
        np.testing.assert_array_equal(coarse.to[parents[leaves]], parents[fine.to[leaves]])
        assert len(coarse.outlets) == 1
        # the way of the farthest water stays about the same
        assert coarse.distance.max() == pytest.approx(colorado.distance.max(), rel=0.2)
        total = chain.levels[k + 1].measure.sum()
        assert total == pytest.approx(chain.levels[0].measure.sum(), rel=1e-12)


def test_the_way_through_joined_reaches():
    # two headwaters of 10 and 30 m meet in a reach of 20 m
    chain = coarsen_rivers(RiverNetwork([2, 2, -1], [10.0, 30.0, 20.0]), ratio=2, least=1)
    joined = chain.levels[1]
    # 10 and 20 are joined: of 60 m that leave, 10 have come the longer way
    assert chain.parents[0].tolist() == [0, 1, 0]
    assert joined.network.lengths[0] == pytest.approx(20.0 + 10.0 * 10.0 / 60.0)
    assert joined.measure.tolist() == [30.0, 30.0]


def test_tributaries_of_one_reach_are_joined():
    star = RiverNetwork([8] * 8 + [-1], np.ones(9))
    chain = coarsen_rivers(star, ratio=2, least=1)
    assert len(chain.levels[1].measure) <= 6


@pytest.mark.parametrize("arguments", [{"ratio": 1.0}, {"least": 0}, {"ratio": float("nan")}])
def test_what_cannot_be_is_refused(plane_grid, arguments):
    with pytest.raises(MeshError, match="There is no hierarchy with"):
        coarsen(plane_grid(4), **arguments)
    with pytest.raises(MeshError, match="There is no hierarchy with"):
        coarsen_rivers(RiverNetwork([-1], [1.0]), **arguments)


def test_an_adjacency_of_another_mesh_is_refused(plane_grid):
    mesh = plane_grid(2)
    one_way = csr_array(np.triu(mesh.adjacency.toarray()))
    for graph in (plane_grid(3).adjacency, one_way, -mesh.adjacency):
        with pytest.raises(MeshError, match="is not symmetric, positive and of the size of"):
            coarsen(mesh, adjacency=graph)


def test_it_says_what_it_is(plane_grid):
    assert repr(coarsen(plane_grid(8), least=20)).startswith("<Hierarchy of 2 levels: 64 -> ")
