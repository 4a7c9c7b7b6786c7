import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridwater.errors import DataError, MeshError, SettingsError
from hybridwater.meshes import conservative_remap
from hybridwater.mgn import Architecture, ConservativeHead, Decoded, MeshGraphNetwork, make_graph
from hybridwater.mgn.fluxes import edge_weight

RELATIONS = ("land beside land", "land overlaps sea", "river downstream river")
SPREAD = dict.fromkeys(RELATIONS, 1.0)


def _said(graph, seed=0, size=1.0):
    generator = torch.Generator().manual_seed(seed)
    edges = {
        r: size * torch.randn(graph[tuple(r.split())].edge_index.shape[1], 1, generator=generator)
        for r in RELATIONS
    }
    return Decoded({"land": size * torch.randn(36, 1, generator=generator)}, edges)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(-12, 12), st.sampled_from(["free", "difference"]))
def test_any_answer_is_booked_without_a_rest(graph, seed, exponent, form):
    rng = np.random.default_rng(seed)
    amounts = {
        n: torch.from_numpy(rng.exponential(1e9, k) * (rng.random(k) < 0.7))
        for n, k in (("land", 36), ("sea", 9), ("river", 18))
    }
    most = {"sea": amounts["sea"].max() * 1.1, "land": None}
    booked = ConservativeHead(SPREAD, form, {"land": 0.5})(
        graph,
        _said(graph, seed, 10.0**exponent),
        amounts,
        potentials=amounts,
        most=most,
    )
    assert abs(booked.closure(amounts)) < 1e-14
    assert all((x >= 0.0).all() for x in booked.amounts.values())
    assert (booked.amounts["sea"] <= most["sea"]).all()


@pytest.mark.parametrize(("precision", "limit"), [("float64", 1e-12), ("float32", 1e-6)])
def test_closure_over_a_thousand_coupled_steps(parts, graph, architecture, precision, limit):
    """The land gives to the sea by overlap; a network of random weights moves water everywhere."""
    torch.manual_seed(3)
    network = MeshGraphNetwork(
        Architecture.from_dict(
            {**architecture.to_dict(), "precision": precision, "cycle": "flat", "hidden": 1}
        )
    )
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(2.0)
    remap = conservative_remap(parts["land"], parts["sea"])
    scale = float(graph["land"].measure.mean())
    head = ConservativeHead(
        {RELATIONS[0]: scale**0.5, RELATIONS[1]: 0.3, RELATIONS[2]: 1e-3 * scale},
        unobserved={"land": 1e-4},
    )
    rng = np.random.default_rng(0)
    stores = {
        n: torch.from_numpy(rng.exponential(scale, k))
        for n, k in (("land", 36), ("sea", 9), ("river", 18))
    }
    most = {"sea": 3.0 * stores["sea"].max()}
    begin = sum(float(x.sum()) for x in stores.values())
    booked_in, limited, network = 0.0, 0.0, network.eval()
    for _ in range(1000):
        given_away = 0.05 * stores["land"].numpy()
        room = (most["sea"] - stores["sea"]).numpy()
        arriving = np.minimum(remap.amounts(given_away), room)
        given_away *= arriving.sum() / max(given_away.sum(), 1e-300)
        stores["land"] = stores["land"] - torch.from_numpy(given_away)
        stores["sea"] = torch.minimum(stores["sea"] + torch.from_numpy(arriving), most["sea"])
        with torch.no_grad():
            said = network(
                graph,
                {
                    "land": torch.stack([stores["land"], stores["land"].sqrt()], dim=1) / scale,
                    "sea": stores["sea"][:, None] / scale,
                    "river": stores["river"][:, None] / scale,
                },
            )
            booked = head(graph, said, stores, most=most)
        stores = booked.amounts
        assert all((x >= 0.0).all() for x in stores.values())
        assert (stores["sea"] <= most["sea"]).all()
        booked_in += float(booked.unobserved["land"].sum())
        limited += float(booked.limited)
    end = sum(float(x.sum()) for x in stores.values())
    assert limited > 0.0  # the limiter had work to do
    assert abs(end - begin - booked_in) / begin < limit


def test_the_flux_does_not_depend_on_which_cell_comes_first(squares):
    graph = make_graph({"land": squares(2, 1)}, levels=1)
    head = ConservativeHead({"land beside land": 1.0})
    amounts = {"land": torch.tensor([5e3, 5e3])}
    booked = [
        head(graph, Decoded({}, {"land beside land": torch.tensor(said)}), amounts).fluxes
        for said in ([[0.7], [0.2]], [[0.2], [0.7]])
    ]
    one, two = (b["land beside land"] for b in booked)
    assert one.tolist() == pytest.approx((-two).tolist())
    assert abs(one.item()) == pytest.approx(0.5 * 1000.0)  # width


def test_water_flows_down_the_difference(squares):
    graph = make_graph({"land": squares(2, 1)}, levels=1)
    head = ConservativeHead({"land beside land": 2.0}, "difference")
    said = Decoded({}, {"land beside land": torch.tensor([[-0.3], [0.9]])})
    amounts = {"land": torch.tensor([5e3, 5e3])}
    potentials = {"land": torch.tensor([3.0, 1.0])}
    flux = head(graph, said, amounts, potentials=potentials, span=0.5).fluxes["land beside land"]
    assert flux.item() == pytest.approx(0.5 * 2.0 * np.log1p(np.exp(0.3)) * 2.0)


def test_fluxes_scale_with_geometry(squares, graph):
    fine, coarse = (
        make_graph({"land": squares(4, 4, 10.0)}),
        make_graph({"land": squares(2, 2, 20.0)}),
    )
    for form, ratio in (("free", 2.0), ("difference", 1.0)):
        one, two = (edge_weight(g, "land beside land", form) for g in (fine, coarse))
        assert float(two[0] / one[0]) == pytest.approx(ratio)
    shared = edge_weight(graph, "land overlaps sea", "free")
    assert float(shared.sum()) == pytest.approx(float(graph["land"].measure.sum()))


def test_the_unobserved_flux_has_a_prior_and_an_entry_of_its_own(squares):
    graph = make_graph({"land": squares(2, 1, 10.0)}, levels=1)
    head = ConservativeHead({"land beside land": 1.0}, unobserved={"land": 0.2})
    said = Decoded({"land": torch.tensor([[3.0], [-1.0]])}, {"land beside land": torch.zeros(2, 1)})
    amounts = {"land": torch.tensor([10.0, 4.0])}
    booked = head(graph, said, amounts)
    assert booked.unobserved["land"].tolist() == pytest.approx([60.0, -4.0])  # 20 was asked for
    assert booked.amounts["land"].tolist() == pytest.approx([70.0, 0.0], abs=1e-10)
    assert booked.surprise.item() == pytest.approx(0.5 * 10.0)
    assert booked.limited.item() == pytest.approx(16.0)


def test_what_cannot_be_booked_is_refused(graph):
    head = ConservativeHead(SPREAD)
    said = _said(graph)
    full = {"land": torch.ones(36), "sea": torch.ones(9), "river": torch.ones(18)}
    with pytest.raises(DataError, match="amounts of 'river' are missing"):
        head(graph, said, {"land": full["land"], "sea": full["sea"]})
    bad = {**full, "sea": torch.tensor([1.0] * 8 + [-1.0])}
    with pytest.raises(DataError, match=r"leave their bounds.*component 'sea', cell 8"):
        head(graph, said, bad)
    with pytest.raises(DataError, match="need the potential"):
        ConservativeHead(SPREAD, "difference")(graph, said, full)
    with pytest.raises(SettingsError, match="no form 'fre'"):
        ConservativeHead(SPREAD, "fre")
    with pytest.raises(SettingsError, match=r"'land' is 0.0, not positive"):
        ConservativeHead(SPREAD, unobserved={"land": 0.0})


def test_edges_that_are_not_there_or_not_whole_are_refused(graph):
    graph, said = graph.clone(), _said(graph)
    full = {"land": torch.ones(36), "sea": torch.ones(9), "river": torch.ones(18)}
    known = list(graph.edge_types)
    with pytest.raises(MeshError, match="no edges 'land besides land': did you mean 'land beside"):
        ConservativeHead({"land besides land": 1.0})(graph, said, full)
    assert graph.edge_types == known
    for key in ("reverse", "width"):
        lacking = graph.clone()
        del lacking["land", "beside", "land"][key]
        with pytest.raises(MeshError, match=f"no '{key}'.*land beside land"):
            ConservativeHead(SPREAD)(lacking, said, full)
