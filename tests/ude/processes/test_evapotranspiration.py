import math

import pytest

from hybridwater.ude import model
from hybridwater.ude.processes import evapotranspiration as et


def store(uptake):
    @model
    def ude(m):
        E = m.forcing("pet", "mm d-1")
        c = m.parameter("c", "mm", (10, 1000), 200)
        S = m.state("soil", "mm")
        m.derivative(S, -uptake(m, pet=E, soil=S, capacity=c))

    return ude


@model
def hamon(m):
    T, L = m.forcing("tmean", "degC"), m.forcing("dayl", "h")
    S = m.state("soil", "mm")
    m.derivative(S, -et.hamon(m, tmean=T, dayl=L))


@model
def oudin(m):
    T, R = m.forcing("tmean", "degC"), m.forcing("radiation", "MJ m-2 d-1")
    S = m.state("soil", "mm")
    m.derivative(S, -et.oudin(m, tmean=T, radiation=R))


@pytest.mark.parametrize(("tmean", "dayl"), [(-10, 9), (0, 12), (21.3, 15.2)])
def test_hamon(evaluate, tmean, dayl):
    expected = 29.8 * dayl * 0.611 * math.exp(17.3 * tmean / (tmean + 237.3)) / (tmean + 273.2)
    assert evaluate(hamon, "pet", tmean=tmean, dayl=dayl) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("tmean", "pet"), [(-5, 0), (-30, 0), (15, 2.449), (20, 3.061)])
def test_oudin(evaluate, tmean, pet):
    found = evaluate(oudin, "pet", tmean=tmean, radiation=30)
    assert found == pytest.approx(pet, abs=1e-3)


@pytest.mark.parametrize(("soil", "share"), [(-5, 0), (0, 0), (50, 0.25), (200, 1), (300, 1)])
def test_linear_saturation(evaluate, soil, share):
    found = evaluate(store(et.linear_saturation), "et", pet=4, soil=soil)
    assert found == pytest.approx(4 * share)


@pytest.mark.parametrize(("soil", "share"), [(-5, 0), (70, 0.5), (140, 1), (300, 1)])
def test_limit_lp(evaluate, soil, share):
    assert evaluate(store(et.limit_lp), "et", pet=4, soil=soil) == pytest.approx(4 * share)


@pytest.mark.parametrize(("soil", "share"), [(-5, 0), (50, 0.25), (200, 1), (300, 1)])
def test_smooth_saturation(evaluate, soil, share):
    found = evaluate(store(et.smooth_saturation), "et", pet=4, soil=soil)
    assert found == pytest.approx(4 * share, abs=1e-9)


@pytest.mark.parametrize(
    ("source", "forcings"),
    [
        ("hamon", ["tmean", "dayl"]),
        ("oudin", ["tmean", "radiation"]),
        ("forcing", ["pet"]),
    ],
)
def test_potential_declares_what_it_needs(source, forcings):
    @model
    def ude(m):
        S = m.state("soil", "mm")
        m.derivative(S, -et.potential(m, source))

    assert [f.name for f in ude.forcings] == forcings


def test_potential_from_nowhere():
    with pytest.raises(ValueError, match="'penman' is not a source of pet"):

        @model
        def ude(m):
            et.potential(m, "penman")


def test_an_uptake_may_be_a_network():
    from hybridwater.ude.processes import soil

    def learned(m, *, pet, soil, capacity, prefix=""):
        return m.network("et", {soil / capacity: (0, 1), pet: (0, 8)}, "mm d-1", positive=True)

    @model
    def ude(m):
        P, E = m.forcing("prcp", "mm d-1"), m.forcing("pet", "mm d-1")
        soil.leaky_bucket(m, inflow=P, pet=E, uptake=learned)

    assert [n.name for n in ude.networks] == ["et"]
    assert set(ude.boundary) == {"prcp", "et", "runoff"}
