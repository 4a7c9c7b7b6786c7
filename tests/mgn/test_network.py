import numpy as np
import pytest
import torch

from hybridwater.errors import DataError, MeshError
from hybridwater.meshes import latlon_mesh
from hybridwater.mgn import Architecture, MeshGraphNetwork, make_graph


def _small(graph, **choices):
    torch.manual_seed(0)
    choices = {"outputs": {"land": ["y"]}, "width": 8, "precision": "float64", **choices}
    return MeshGraphNetwork(Architecture.of(graph, {"land": ["x"]}, **choices))


@pytest.mark.parametrize("cycle", ["v", "w", "flat"])
@pytest.mark.parametrize("sharing", ["none", "levels", "steps", "all"])
@pytest.mark.parametrize("aggregation", ["mean", "sum", "max"])
def test_shapes_and_gradients(graph, architecture, values, cycle, sharing, aggregation):
    plain = {**architecture.to_dict(), "cycle": cycle, "sharing": sharing}
    network = MeshGraphNetwork(Architecture.from_dict({**plain, "aggregation": aggregation}))
    said = network(graph, {n: x.expand(3, *x.shape) for n, x in values.items()})
    assert said.nodes["land"].shape == (3, 36, 1)
    assert said.edges["land overlaps sea"].shape == (3, 36, 1)
    (said.nodes["land"].sum() + sum(e.sum() for e in said.edges.values())).backward()
    grads = {n: p.grad for n, p in network.named_parameters()}
    assert all(torch.isfinite(g).all() for g in grads.values() if g is not None)
    # of the last visit, what no output asks for has none
    idle = {n for n, g in grads.items() if g is None}
    assert not any(
        n.startswith(("encoders", "down.0.0.edges.land beside land", "restrict")) for n in idle
    )


def test_samples_do_not_see_one_another(graph, network, values):
    network.eval()
    other = {n: torch.rand_like(x) for n, x in values.items()}
    both = network(graph, {n: torch.stack([values[n], other[n]]) for n in values})
    alone = network(graph, other)
    torch.testing.assert_close(both.nodes["land"][1], alone.nodes["land"], atol=1e-5, rtol=1e-4)


def test_the_order_of_cells_does_not_matter(squares):
    mesh = squares(5, 4)
    order = np.random.default_rng(0).permutation(mesh.size)
    faces = mesh.corners.reshape(-1, 4)[order]
    other = type(mesh).from_faces(mesh.nodes, faces)
    # a flat graph: aggregates depend on which of equal pairs comes first
    one, two = make_graph({"land": mesh}, levels=1), make_graph({"land": other}, levels=1)
    network = _small(one, depth=3).eval()
    x = torch.rand(mesh.size, 1).double()
    here = network(one, {"land": x}).nodes["land"][order]
    torch.testing.assert_close(network(two, {"land": x[order]}).nodes["land"], here)


def test_the_size_of_the_mesh_does_not_matter(squares):
    one, two = make_graph({"land": squares(9, 7, 3.0)}), make_graph({"land": squares(9, 7, 5e4)})
    network = _small(one).eval()
    x = torch.rand(63, 1).double()
    said = [network(graph, {"land": x}).nodes["land"] for graph in (one, two)]
    torch.testing.assert_close(*said)


def test_levels_carry_news_across_the_mesh(squares):
    graph = make_graph({"land": squares(40, 1)}, least=2)
    x = torch.zeros(40, 1).double()
    y = x.clone()
    y[0] = 1.0

    def reach(network):
        network.eval()
        with torch.no_grad():
            change = (
                network(graph, {"land": y}).nodes["land"]
                - network(graph, {"land": x}).nodes["land"]
            )
        return int(torch.nonzero(change.abs()[:, 0] > 1e-12).max())

    assert reach(_small(graph, cycle="flat", depth=2)) == 2
    assert reach(_small(graph, cycle="v", depth=2)) == 39


def test_one_network_reads_meshes_with_more_levels(squares):
    small, large = make_graph({"land": squares(8, 8)}), make_graph({"land": squares(32, 32)})
    assert len(large.node_types) > len(small.node_types)
    shared = _small(small, sharing="levels")
    assert shared(large, {"land": torch.rand(1024, 1)}).nodes["land"].shape == (1024, 1)
    own = _small(small, sharing="none")
    with pytest.raises(MeshError, match="has 5 levels, but the weights are those of 2"):
        own(large, {"land": torch.rand(1024, 1)})


def test_precision(graph, architecture, values):
    said = {}
    for precision in ("float32", "float64"):
        torch.manual_seed(0)
        network = (
            MeshGraphNetwork(
                Architecture.from_dict({**architecture.to_dict(), "precision": precision})
            )
            .double()
            .to(torch.float32 if precision == "float32" else torch.float64)
        )
        said[precision] = network(graph, values).nodes["land"]
    assert [x.dtype for x in said.values()] == [torch.float32, torch.float64]


def test_graphs_and_values_that_do_not_fit(graph, network, values, squares):
    with pytest.raises(MeshError, match="reads edges 'land beside land' with 6 features"):
        network(make_graph({"water": squares(3, 3)}), values)
    values["land"][3, 1] = float("inf")
    with pytest.raises(DataError, match="'rain' is not finite"):
        network(graph, values)


def test_small_changes_of_large_features_are_not_lost_in_single_precision(squares):
    graph = make_graph({"land": squares(4, 4)}, levels=1)
    seen = []
    for offset in (0.0, 1e6):
        torch.manual_seed(0)
        inputs, outputs = {"land": ["head"]}, {"land": ["flow"]}
        network = MeshGraphNetwork(Architecture.of(graph, inputs, outputs=outputs, width=8))
        heads = offset + torch.linspace(-0.5, 0.5, 16, dtype=torch.float64).unsqueeze(-1)
        seen.append(network(graph, {"land": heads}).nodes["land"])
    torch.testing.assert_close(*seen, rtol=0.02, atol=1e-3)


def test_rounding_of_features_of_edges_is_not_blown_up():
    row = latlon_mesh(np.arange(0, 1.01, 0.125), [45.0, 45.1])  # north is where it is by rounding
    graph = make_graph({"land": row}, levels=1)
    seen = graph["land", "beside", "land"].edge_attr.std(dim=0)
    assert 0.0 < seen[1] < 1e-10 < seen[0]
    network = MeshGraphNetwork(Architecture.of(graph, {"land": ["head"]}, width=4))
    network(graph, {"land": torch.rand(8, 1)})
    spread = network.edge_normalisers["land beside land"].spread
    assert spread[1] == 1.0
    assert spread[0] < 1.0
