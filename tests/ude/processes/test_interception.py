import pytest

from hybridwater.ude import model
from hybridwater.ude.processes import interception


@model
def canopy(m):
    P, E = m.forcing("prcp", "mm d-1"), m.forcing("pet", "mm d-1")
    interception.canopy(m, rainfall=P, pet=E)


@pytest.mark.parametrize(("store", "wet"), [(0, 0), (0.5, 0.25), (2, 1)])
def test_fluxes_are_in_proportion_to_wetness(evaluate, store, wet):
    values = {"prcp": 10, "pet": 4, "canopy": store}
    assert evaluate(canopy, "throughfall", **values) == pytest.approx(10 * wet)
    assert evaluate(canopy, "interception_evaporation", **values) == pytest.approx(4 * wet)
    assert evaluate(canopy, "demand", **values) == pytest.approx(4 * (1 - wet))


def test_water_is_kept():
    assert canopy.boundary == {
        "prcp": ("in", 1.0),
        "throughfall": ("out", 1.0),
        "interception_evaporation": ("out", 1.0),
    }
