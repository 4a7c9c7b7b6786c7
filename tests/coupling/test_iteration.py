import numpy as np
import pytest
from pairs import Aquifer, Surface, monolithic
from reservoirs import start

from hybridwater.coupling import CoupledModel, Iteration
from hybridwater.errors import CouplingError, NotConverged

N = 12
CELLS = {"area": np.full(N, 1e6)}
EDGES = [
    {"source": "surface.leakage_flux", "target": "aquifer.leakage_flux"},
    {"source": "aquifer.groundwater_head", "target": "surface.groundwater_head"},
]


def stiff(method, relaxation, leakance=None, steps=(1.0, 1.0), **options):
    leakance = np.linspace(0.2, 2.0, N) if leakance is None else leakance
    pair = {
        "surface": Surface(leakance=leakance, step=steps[0], **CELLS),
        "aquifer": Aquifer(step=steps[1], **CELLS),
    }
    how = {"method": method, "relaxation": relaxation, "tolerance": 1e-10, **options}
    return CoupledModel(pair, EDGES, iteration=how), pair


def result(pair):
    return (
        pair["surface"].get_value_ptr("surface_amount"),
        pair["aquifer"].get_value_ptr("groundwater_head"),
    )


@pytest.mark.parametrize("method", ["relaxation", "aitken", "anderson", "iqn-ils"])
def test_every_method_finds_the_monolithic_solution(method):
    model, pair = stiff(method, 0.3, max_iterations=300)
    model.run("20 d")
    for ours, exact in zip(result(pair), monolithic(*pair.values(), 20), strict=True):
        assert ours == pytest.approx(exact, rel=1e-8)
    assert (
        abs(model.ledger()["residual"]).max()
        < 1e-12 * model.ledger()["storage"].sum("component").max()
    )


def test_quasi_newton_needs_at_most_half_of_the_passes():
    passes = {}
    for method in ("relaxation", "anderson", "iqn-ils"):
        # The best factor for the relaxed fixed point, so that it is not a straw man.
        tries = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4) if method == "relaxation" else (0.3,)
        found = []
        for factor in tries:
            model, _ = stiff(method, factor, max_iterations=500)
            try:
                model.run("10 d")
            except NotConverged:
                continue
            found.append(np.mean(next(iter(model.iterations.values()))))
        passes[method] = min(found)
    assert 2 * passes["anderson"] <= passes["relaxation"]
    assert 2 * passes["iqn-ils"] <= passes["relaxation"]


def test_a_plain_fixed_point_of_the_stiff_pair_diverges_and_says_where():
    model, _ = stiff("relaxation", 1.0)
    with pytest.raises(NotConverged, match="'groundwater_head'") as caught:
        model.run("5 d")
    assert "component 'aquifer'" in str(caught.value)
    assert "target cell 11" in str(caught.value)


def test_reuse_of_earlier_windows_saves_passes():
    counts = []
    for reuse in (0, 3):
        model, _ = stiff("iqn-ils", 0.3, reuse=reuse)
        model.run("20 d")
        counts.append(sum(next(iter(model.iterations.values()))))
    assert counts[1] < 0.7 * counts[0]


@pytest.mark.parametrize("steps", [(0.5, 1.0), (1.0, 0.5), (0.4, 0.6)])
def test_members_may_have_different_steps(steps):
    model, pair = stiff("iqn-ils", 0.3, steps=steps)
    model.run("12 d")
    assert pair["surface"].get_current_time() == pytest.approx(12.0)
    assert pair["aquifer"].get_current_time() == pytest.approx(12.0)
    ledger = model.ledger()
    assert abs(ledger["residual"]).max() < 1e-12 * ledger["storage"].sum("component").max()


def test_what_is_iterated_and_not_delivered_is_in_transit():
    pair = {
        "up": start(inputs={"recharge_flux": 1.0}),
        "down": start(rate=0.3),
        "back": start(rate=0.4),
    }
    edges = [
        {"source": "up.runoff_flux", "target": "down.recharge_flux"},
        {"source": "down.runoff_flux", "target": "back.recharge_flux"},
        {"source": "back.runoff_flux", "target": "up.recharge_flux", "share": 0.5},
    ]
    model = CoupledModel(pair, edges, iteration={"tolerance": 1e-3})
    model.run("50 d")
    ledger = model.ledger()
    late = ledger["in_transit"].sel(exchange="back.runoff_flux -> up.recharge_flux")
    assert 0 < abs(late).max() < 1e-3 * ledger["given"].max()
    assert abs(ledger["residual"]).max() < 1e-12 * ledger["storage"].sum("component").max()


def test_outputs_are_those_of_the_last_pass():
    kept = CoupledModel(
        {"surface": Surface(**CELLS), "aquifer": Aquifer(**CELLS)},
        EDGES,
        iteration={"tolerance": 1e-10},
        outputs={"surface": ["surface_amount"]},
    )
    kept.run("5 d")
    assert kept.output("surface").sizes["time"] == 5


class ExplicitOnly(Aquifer):
    has_state = False


def test_refusals():
    pair = {"surface": Surface(**CELLS), "aquifer": ExplicitOnly(**CELLS)}
    with pytest.raises(CouplingError, match="explicit coupling only"):
        CoupledModel(pair, EDGES, iteration={})
    CoupledModel(pair, [EDGES[0], {**EDGES[1], "lag": True}], iteration={}).run("3 d")
    pair = {"surface": Surface(**CELLS), "aquifer": Aquifer(step=np.pi, **CELLS)}
    with pytest.raises(CouplingError, match="do not fit into a window"):
        CoupledModel(pair, EDGES, iteration={})
    for bad in ({"method": "anderso"}, {"tolerance": 0}, {"depth": 0}, {"relaxation": 2}):
        with pytest.raises(CouplingError):
            Iteration(**bad)
