import pytest
import torch

from hybridwater.errors import DataError, MeshError
from hybridwater.mgn import validate
from hybridwater.mgn.validation import check_features


@pytest.fixture
def broken(graph):
    return graph.clone()


def test_a_good_graph_passes(graph):
    validate(graph)


def test_a_graph_without_areas(broken):
    del broken["land"]["measure"]
    with pytest.raises(MeshError, match=r"no areas.*component 'land'"):
        validate(broken)


def test_an_area_that_is_not_positive(broken):
    broken["sea"].measure[4] = 0.0
    with pytest.raises(MeshError, match=r"'measure' is 0 \(1 such cells\).*cell 4"):
        validate(broken)


def test_missing_features_of_edges(broken):
    del broken["land", "beside", "land"]["edge_attr"]
    with pytest.raises(MeshError, match=r"no 'edge_attr'.*land beside land"):
        validate(broken)


def test_features_that_are_not_finite(broken):
    broken["land", "beside", "land"].edge_attr[7, 2] = float("nan")
    with pytest.raises(MeshError, match=r"1 edges have features that are not finite.*edge 7"):
        validate(broken)


@pytest.mark.parametrize("kind", ["beside", "contains"])
def test_features_that_a_network_is_given_later_are_not_finite(broken, network, values, kind):
    ends = {"beside": ("land", "land"), "contains": ("land_1", "land")}[kind]
    broken[ends[0], kind, ends[1]].edge_attr[7, 2] = float("nan")
    with pytest.raises(MeshError, match=rf"not finite.*{kind} land', edge 7"):
        network(broken, values)


def test_an_edge_to_nowhere(broken):
    broken["land", "overlaps", "sea"].edge_index[1, 3] = 9
    with pytest.raises(MeshError, match="cell 9 of 'sea', which has 9"):
        validate(broken)


def test_features_of_another_number(broken):
    store = broken["land", "beside", "land"]
    store.edge_attr = store.edge_attr[:-1]
    with pytest.raises(MeshError, match="features of the shape"):
        validate(broken)


def test_isolated_cells_are_refused_unless_accepted(broken):
    for relation in broken.edge_types:
        if "sea" in relation and relation[1] in ("beside", "overlaps"):
            store = broken[relation]
            keep = (store.edge_index != 2).all(dim=0)
            store.edge_index, store.edge_attr = store.edge_index[:, keep], store.edge_attr[keep]
    with pytest.raises(MeshError, match="have no edge"):
        validate(broken)
    validate(broken, isolated=True)


def test_features_of_cells(graph, values):
    needed = {"land": ("storage", "rain")}
    check_features(graph, values, needed)
    with pytest.raises(DataError, match=r"storage, rain are missing.*'land'"):
        check_features(graph, {}, needed)
    with pytest.raises(DataError, match="36 cells and 2 features"):
        check_features(graph, {"land": torch.rand(36, 1)}, needed)
    pair = {"land": values["land"], "sea": values["sea"].expand(3, 9, 1)}
    with pytest.raises(DataError, match=r"the shape \(3,\) here and \(\) elsewhere.*'sea'"):
        check_features(graph, pair, {**needed, "sea": ("level",)})
    values["land"][5, 1] = float("nan")
    with pytest.raises(DataError, match=r"'rain' is not finite.*cell 5"):
        check_features(graph, values, needed)
