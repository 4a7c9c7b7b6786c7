import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from hybridwater.errors import MeshError
from hybridwater.meshes import RiverNetwork, basin_map, column_mesh, latlon_mesh, read_routelink
from hybridwater.mgn import make_graph
from hybridwater.mgn.graph import opposite


def test_neighbours_are_edges_in_both_directions(squares):
    graph = make_graph({"land": squares(3, 2, 50.0)}, levels=1)
    store = graph["land", "beside", "land"]
    assert store.edge_index.shape == (2, 14)  # 7 inner edges of six squares
    middle = {tuple(e) for e in store.edge_index.T.tolist()}
    assert {(0, 1), (1, 0), (1, 2), (0, 3), (3, 0)} <= middle
    assert (0, 4) not in middle
    assert store.width.tolist() == store.distance.tolist() == [50.0] * 14
    assert (store.edge_index[1].diff() >= 0).all()  # sorted by the target


def test_reverse_is_the_same_edge_the_other_way_round(graph):
    for relation in graph.edge_types:
        if relation[1] in ("joins", "contains"):
            continue
        back = graph[opposite(relation)]
        place = graph[relation].reverse
        assert torch.equal(back.edge_index[:, place], graph[relation].edge_index.flip(0))
        assert torch.equal(back.reverse[place], torch.arange(len(place)))


def test_features_do_not_know_the_size_of_the_mesh(squares):
    small = make_graph({"land": squares(8, 6, 10.0)}, elevations={"land": np.arange(48.0) * 0.01})
    large = make_graph({"land": squares(8, 6, 4e4)}, elevations={"land": np.arange(48.0) * 40.0})
    assert small.edge_types == large.edge_types
    for relation in small.edge_types:
        torch.testing.assert_close(small[relation].edge_attr, large[relation].edge_attr)


def test_features_of_squares_are_those_of_squares(squares):
    graph = make_graph({"land": squares(2, 1, 70.0)}, elevations={"land": np.array([7.0, 0.0])})
    store = graph["land", "beside", "land"]
    # dx, dy, distance, width, log of the ratio of lengths, slope
    expected = {(0, 1): [1, 0, 1, 1, 0, 0.1], (1, 0): [-1, 0, 1, 1, 0, -0.1]}
    for (i, j), row in zip(store.edge_index.T.tolist(), store.edge_attr, strict=True):
        torch.testing.assert_close(row, torch.tensor(expected[i, j], dtype=torch.float64))


def test_east_and_north_on_the_sphere():
    mesh = latlon_mesh(np.array([0, 1.0, 2.0]), np.array([-0.5, 0.5]))
    store = make_graph({"land": mesh})["land", "beside", "land"]
    degree = np.deg2rad(1.0) * 6_371_229.0
    eastward = store.edge_attr[store.edge_index[0] == 0][0]
    assert float(store.distance[0]) == pytest.approx(degree, rel=1e-3)
    assert eastward[0] == pytest.approx(1.0, rel=1e-3)
    assert eastward[1] == pytest.approx(0.0, abs=1e-9)


def test_levels_join_and_contain_all_cells(graph):
    for fine, coarse in (("land", "land_1"), ("river", "river_1")):
        joins, contains = graph[fine, "joins", coarse], graph[coarse, "contains", fine]
        assert sorted(joins.edge_index[0].tolist()) == list(range(len(graph[fine].measure)))
        assert contains.edge_index[1].tolist() == list(range(len(graph[fine].measure)))
        share = torch.zeros(len(graph[coarse].measure), dtype=torch.float64)
        share.index_add_(0, joins.edge_index[1], joins.share)
        torch.testing.assert_close(share, torch.ones_like(share))


def test_rivers_run_downstream(graph, parts):
    index = graph["river", "downstream", "river"].edge_index
    to = parts["river"].to
    assert np.array_equal(to[index[0].numpy()], index[1].numpy())
    assert index.shape[1] == (to >= 0).sum()


def test_overlaps_carry_shares_of_both_sides(graph):
    store, back = graph["land", "overlaps", "sea"], graph["sea", "overlaps", "land"]
    given = torch.zeros(36, dtype=torch.float64).index_add_(0, store.edge_index[0], store.share)
    received = torch.zeros(9, dtype=torch.float64).index_add_(0, back.edge_index[0], back.share)
    torch.testing.assert_close(given, torch.ones_like(given))
    torch.testing.assert_close(received, torch.ones_like(received))
    torch.testing.assert_close(
        store.edge_attr[:, 4], back.edge_attr[store.reverse, 3].clone()
    )  # ours
    assert torch.allclose(store.edge_attr[:, 3], back.edge_attr[store.reverse, 4])


def test_columns_and_rivers_without_places():
    land = column_mesh(np.full(30, 4e6), np.random.default_rng(0).uniform(-75, -74, (30, 2)))
    river = RiverNetwork(np.r_[np.arange(1, 10), -1], np.full(10, 400.0))
    link = basin_map(land, river, np.arange(30) % 10)
    graph = make_graph({"land": land, "river": river}, links={("land", "river"): link})
    assert graph["land", "beside", "land"].edge_index.shape[1] > 60
    assert torch.isfinite(graph["land", "overlaps", "river"].edge_attr).all()
    assert (graph["river", "downstream", "river"].edge_attr[:, :2] == 0.0).all()


def test_rivers_are_linked_to_meshes_in_the_plane(squares):
    land, shares = squares(3, 1), csr_array(np.eye(3))
    middles = np.add(land.centroids, [30.0, 40.0])  # 50 m away
    for points, crs, distance in ((middles, "", 50.0), (np.zeros((0, 2)), "OGC:CRS84", 0.0)):
        river = RiverNetwork([1, 2, -1], [1000.0] * 3, points=points, crs=crs)
        to = {("land", "river"): basin_map(land, river, [0, 1, 2])}
        graph = make_graph({"land": land, "river": river}, links=to, levels=1)
        link = graph["land", "overlaps", "river"]
        np.testing.assert_allclose(link.distance, distance)
        back = make_graph({"river": river, "land": land}, links={("river", "land"): shares})
        np.testing.assert_allclose(back["land", "overlaps", "river"].distance, distance)
        along = graph["river", "downstream", "river"].edge_attr[:, 0]
        assert along.tolist() == ([1.0, 1.0] if crs == "" else [0.0, 0.0])
    # places in degrees do not fit
    river = RiverNetwork([1, 2, -1], [1000.0] * 3, points=middles / 1e3)
    with pytest.raises(MeshError, match=r"the other on the sphere.*crs="):
        make_graph({"land": land, "river": river}, links={("land", "river"): shares})


def test_a_real_river_network(shared_data):
    network = read_routelink(shared_data / "river_networks" / "nwm_lower_colorado" / "RouteLink.nc")
    graph = make_graph({"river": network}, isolated=True)
    assert len(graph["river"].measure) == 11_248
    assert len(graph.node_types) > 4
    assert graph["river", "downstream", "river"].edge_index.shape[1] == (network.to >= 0).sum()


def test_what_cannot_be_a_graph_is_refused(parts, squares, drains):
    river = parts["river"]
    alone = RiverNetwork([1, -1, -1], [10.0, 10.0, 10.0])
    for given, message in (
        ({"parts": {}}, "at least one component"),
        ({"parts": {"a": 3}}, "neither areas nor lengths"),
        ({"levels": 0}, "no graph of 0 levels.*component 'land'"),
        ({"parts": {"a b": river}}, "cannot have the name 'a b'"),
        ({"parts": {"a": river, "a_1": river}}, "cannot have the name 'a_1'"),
        ({"parts": {"river": alone}}, "1 cells have no edge.*component 'river', cell 2"),
        ({"links": {("land", "se"): "overlap"}}, "no component 'se': did you mean 'sea'"),
        ({"links": {("land", "sea"): "overlaps"}}, "no link 'overlaps'"),
        ({"links": {("land", "river"): "overlap"}}, "Reaches have no outline"),
        ({"links": {("land", "river"): drains.T}}, "go from 18 to 36"),
        ({"links": {("land", "river"): -drains}}, "negative or not finite"),
        ({"links": {("land", "river"): 3}}, "made of a int"),
        ({"elevations": {"land": np.full(36, np.nan)}}, "36 missing values"),
        ({"elevations": {"lend": np.zeros(36)}}, "did you mean 'land'"),
        (
            {
                "parts": {"land": parts["land"], "flat": squares(2, 2)},
                "links": {("land", "flat"): csr_array(np.ones((4, 36)) / 4)},
            },
            "one component lies in the plane",
        ),
    ):
        with pytest.raises(MeshError, match=f"(?i){message}"):
            make_graph(**{"parts": parts, **given})
