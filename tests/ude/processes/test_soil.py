import pytest

from hybridwater.ude import model
from hybridwater.ude.processes import evapotranspiration, soil


def box(process, **options):
    @model
    def ude(m):
        P, E = m.forcing("prcp", "mm d-1"), m.forcing("pet", "mm d-1")
        process(m, inflow=P, pet=E, **options)

    return ude


@pytest.mark.parametrize(("store", "share"), [(0, 0), (125, 0.25), (250, 1), (400, 1), (-1, 0)])
def test_beta_recharge(evaluate, store, share):
    found = evaluate(box(soil.beta_recharge), "recharge", prcp=10, soil=store)
    assert found == pytest.approx(10 * share, abs=1e-6)


@pytest.mark.parametrize("store", [0, 100, 299, 300, 400, -5])
def test_saturated_fraction(evaluate, store):
    found = evaluate(box(soil.saturation_excess), "saturation_runoff", prcp=10, soil=store)
    wet = min(max(store / 300, 0), 1)
    assert found == pytest.approx(10 * (1 - (1 - wet) ** (0.3 / 1.3)), abs=0.5)
    if store <= 100:
        assert found == pytest.approx(10 * (1 - (1 - wet) ** (0.3 / 1.3)), abs=1e-9)
    assert 0 <= found <= 10


def test_saturated_fraction_is_the_integral_of_the_distribution(evaluate):
    """The fraction of points below i0, where i0 fills the mean storage (Wood et al., 1992)."""
    b, wmax, i = 0.3, 300, 0.4
    capacity = wmax * (1 + b)
    store = capacity / (1 + b) * (1 - (1 - i) ** (1 + b))
    found = evaluate(box(soil.saturation_excess), "saturation_runoff", prcp=1, soil=store)
    assert found == pytest.approx(1 - (1 - i) ** b, rel=1e-12)


@pytest.mark.parametrize(("store", "runoff"), [(0, 0), (100, 2), (160, 3.2 + 10), (-3, 0)])
def test_leaky_bucket(evaluate, store, runoff):
    found = evaluate(box(soil.leaky_bucket), "runoff", soil=store)
    assert found == pytest.approx(runoff)


@pytest.mark.parametrize("process", [soil.beta_recharge, soil.saturation_excess, soil.leaky_bucket])
def test_water_is_kept(process):
    roles = box(process).boundary
    assert len(roles) == 3
    assert roles["prcp"] == ("in", 1.0)
    assert roles["et"] == ("out", 1.0)


def test_uptake_is_exchangeable():
    ude = box(soil.leaky_bucket, uptake=evapotranspiration.limit_lp)
    assert ude.parameter("lp").bounds == (0.2, 1.0)


def test_two_soils_live_side_by_side():
    @model
    def ude(m):
        P, E = m.forcing("prcp", "mm d-1"), m.forcing("pet", "mm d-1")
        soil.leaky_bucket(m, inflow=P / 2, pet=E / 2, prefix="forest")
        soil.leaky_bucket(m, inflow=P / 2, pet=E / 2, prefix="meadow")

    assert ude.storages == ("forest_soil", "meadow_soil")
    assert ude.boundary["prcp"] == ("in", 1.0)
    assert [c.name for c in ude.constants] == ["day"]
