import itertools

import pytest

from hybridwater.errors import DataError
from hybridwater.report import coupling_graph, save_figure
from hybridwater.report.graph import Edge, Node
from hybridwater.report.layers import layered

NODES = [Node(name, "model", "analytic") for name in ("rain", "hill", "lake", "sea")]
EDGES = [
    Edge("rain", "hill", ("rain",), False),
    Edge("hill", "lake", ("runoff", "seepage"), False),
    Edge("rain", "lake", ("rain",), False),
    Edge("lake", "sea", ("outflow",), False),
    Edge("lake", "hill", ("flooding",), True),
]


def test_rows_go_with_the_flow_and_nothing_overlaps():
    widths = {n.name: 2.0 for n in NODES} | dict.fromkeys(range(len(EDGES)), 1.5)
    layout = layered(
        [n.name for n in NODES], [(e.source, e.target, e.late) for e in EDGES], widths, 0.2
    )
    assert [[p for p in row if isinstance(p, str)] for row in layout.rows[::2]] == [
        ["rain"],
        ["hill"],
        ["lake"],
        ["sea"],
    ]
    labelled = {path[1] for path in layout.paths}
    for row in layout.rows:
        at = [layout.x[p] for p in row]
        assert at == sorted(at)
        for one, other in itertools.pairwise(row):
            room = sum(
                (widths[p] if isinstance(p, str) else widths[p[0]] * (p in labelled)) / 2
                for p in (one, other)
            )
            assert layout.x[other] - layout.x[one] >= room + 0.2 - 1e-9
    assert layout.paths[4][0] == "lake"
    assert layout.paths[4][-1] == "hill"


def test_the_graph_is_drawn_and_told():
    figure = coupling_graph(NODES, EDGES)
    assert "4 components and 6 exchanges" in figure.caption
    assert "late" in figure.caption
    assert "hill gives lake runoff, seepage" in figure.alt
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"rain", "hill", "lake", "sea", "runoff\nseepage"} <= set(texts)
    with pytest.raises(DataError, match="no component"):
        coupling_graph([], [])


@pytest.mark.parametrize(("name", "begin"), [("g.png", b"\x89PNG"), ("g.svg", b"<?xml")])
def test_it_is_saved_in_the_format_of_the_name(tmp_path, name, begin):
    path = save_figure(coupling_graph(NODES[:1], []), tmp_path / name)
    assert path.read_bytes().startswith(begin)
    with pytest.raises(DataError, match=r"no picture format '\.bmp'"):
        save_figure(coupling_graph(NODES[:1], []), tmp_path / "g.bmp")
