import pytest

from hybridwater.ude import model
from hybridwater.ude.processes import snow


@model
def smooth(m):
    P, T = m.forcing("prcp", "mm d-1"), m.forcing("tmean", "degC")
    phase = snow.partition_smooth(m, prcp=P, tmean=T)
    snow.degree_day(m, snowfall=phase.snowfall, tmean=T, initial=7)


@model
def sharp(m):
    P, T = m.forcing("prcp", "mm d-1"), m.forcing("tmean", "degC")
    phase = snow.partition_sharp(m, prcp=P, tmean=T, threshold=snow.threshold(m))
    snow.degree_day(m, snowfall=phase.snowfall, tmean=T)


@model
def pack(m):
    P, T = m.forcing("prcp", "mm d-1"), m.forcing("tmean", "degC")
    tt = snow.threshold(m)
    phase = snow.partition_smooth(m, prcp=P, tmean=T, threshold=tt)
    snow.snow_pack(m, rainfall=phase.rainfall, snowfall=phase.snowfall, tmean=T, threshold=tt)


@pytest.mark.parametrize("ude", [smooth, sharp, pack])
@pytest.mark.parametrize("tmean", [-20, -1.5, -1.4, 0, 0.3, 15])
def test_rain_and_snow_are_all_of_precipitation(evaluate, ude, tmean):
    values = {"prcp": 8, "tmean": tmean, "snow": 5, "liquid": 1}
    rain = evaluate(ude, "rainfall", **values)
    snowfall = evaluate(ude, "snowfall", **values)
    assert rain + snowfall == pytest.approx(8, rel=1e-14)
    assert min(rain, snowfall) >= 0


def test_smooth_partition_is_half_at_the_threshold(evaluate):
    assert evaluate(smooth, "rainfall", prcp=8, tmean=-1.5) == pytest.approx(4)
    assert evaluate(smooth, "rainfall", prcp=8, tmean=3) == pytest.approx(8)
    assert evaluate(smooth, "rainfall", prcp=8, tmean=-5) == pytest.approx(0, abs=1e-6)


def test_sharp_partition(evaluate):
    assert evaluate(sharp, "rainfall", prcp=8, tmean=0.01) == 8
    assert evaluate(sharp, "rainfall", prcp=8, tmean=0) == 0


@pytest.mark.parametrize(
    ("tmean", "store", "melt"),
    [(10.8, 100, 25), (10.8, 12, 12), (-5, 100, 0), (5, 0, 0)],
)
def test_degree_day_melt(evaluate, tmean, store, melt):
    found = evaluate(smooth, "melt", tmean=tmean, snow=store, prcp=0)
    assert found == pytest.approx(melt, abs=1e-6)


def test_the_initial_snow_is_given():
    assert smooth.states[0].initial == 7


@pytest.mark.parametrize(("tmean", "melt"), [(4, 12), (40, 50), (0, 0), (-3, 0)])
def test_melt_of_the_pack(evaluate, tmean, melt):
    assert evaluate(pack, "melt", tmean=tmean, snow=50) == pytest.approx(melt)


@pytest.mark.parametrize(("tmean", "refreezing"), [(-4, 0.6), (-40, 2), (0, 0), (3, 0)])
def test_refreezing(evaluate, tmean, refreezing):
    assert evaluate(pack, "refreezing", tmean=tmean, liquid=2) == pytest.approx(refreezing)


def test_the_pack_holds_some_liquid(evaluate):
    values = {"prcp": 0, "tmean": 5, "snow": 50}
    assert evaluate(pack, "snow_outflow", liquid=4.9, **values) == pytest.approx(0)
    assert evaluate(pack, "snow_outflow", liquid=8, **values) == pytest.approx(3)


def test_rain_on_bare_ground_is_not_delayed(evaluate):
    values = {"prcp": 6, "tmean": 9, "liquid": 0}
    assert evaluate(pack, "snow_outflow", snow=0, **values) == pytest.approx(6)
    assert evaluate(pack, "snow_outflow", snow=1, **values) == pytest.approx(3)
    assert evaluate(pack, "snow_outflow", snow=59, **values) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("ude", "expected"),
    [
        (smooth, {"snowfall": ("in", 1.0), "melt": ("out", 1.0)}),
        (sharp, {"snowfall": ("in", 1.0), "melt": ("out", 1.0)}),
        (
            pack,
            {
                "rainfall": ("in", 1.0),
                "snowfall": ("in", 1.0),
                "snow_outflow": ("out", 1.0),
            },
        ),
    ],
)
def test_water_is_kept(ude, expected):
    assert ude.boundary == expected
