import math

import pytest

from hybridwater.ude import model
from hybridwater.ude.processes import groundwater


def zone(process, **options):
    @model
    def ude(m):
        process(m, inflow=m.forcing("recharge", "mm d-1"), **options)

    return ude


@model
def exponential(m):
    c = m.parameter("c", "mm", (10, 2000), 1000)
    S = m.state("soil", "mm")
    out = groundwater.exponential_outflow(m, soil=S, capacity=c)
    m.derivative(S, -out.q_base - out.q_surf)


def test_linear_store(evaluate):
    ude = zone(groundwater.linear_store, initial=30)
    assert evaluate(ude, "q_ground", groundwater=50) == pytest.approx(1)
    assert ude.states[0].initial == 30


@pytest.mark.parametrize(("storage", "q"), [(100, 2), (50, 0.5), (0, 0), (-10, 0)])
def test_power_store(evaluate, storage, q):
    found = evaluate(zone(groundwater.power_store), "q_ground", groundwater=storage)
    assert found == pytest.approx(q, abs=1e-9)


@pytest.mark.parametrize("soil", [5, 500, 990])
def test_exponential_baseflow(evaluate, soil):
    found = evaluate(exponential, "q_base", soil=soil)
    assert found == pytest.approx(20 * math.exp(-0.03 * (1000 - soil)), rel=1e-9)
    assert evaluate(exponential, "q_surf", soil=soil) == pytest.approx(0, abs=1e-12)


def test_a_full_store_spills(evaluate):
    assert evaluate(exponential, "q_base", soil=1007) == pytest.approx(20)
    assert evaluate(exponential, "q_surf", soil=1007) == pytest.approx(7)


@pytest.mark.parametrize(("upper", "fast", "inter", "down"), [(10, 0, 1, 1), (50, 9, 5, 1)])
def test_upper_zone(evaluate, upper, fast, inter, down):
    ude = zone(groundwater.upper_zone)
    assert evaluate(ude, "q_fast", upper=upper) == pytest.approx(fast)
    assert evaluate(ude, "q_inter", upper=upper) == pytest.approx(inter)
    assert evaluate(ude, "percolation", upper=upper) == pytest.approx(down)


def test_percolation_is_no_more_than_there_is(evaluate):
    assert evaluate(zone(groundwater.upper_zone), "percolation", upper=0.3) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("process", "out"),
    [
        (groundwater.linear_store, {"q_ground"}),
        (groundwater.power_store, {"q_ground"}),
        (groundwater.upper_zone, {"q_fast", "q_inter", "percolation"}),
    ],
)
def test_water_is_kept(process, out):
    assert zone(process).boundary == {"recharge": ("in", 1.0)} | dict.fromkeys(out, ("out", 1.0))
