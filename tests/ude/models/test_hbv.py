import pytest

from hybridwater.ude import models


def test_states_and_names():
    ude = models.hbv()
    assert [s.name for s in ude.states] == [
        *("snow", "liquid", "soil", "upper", "groundwater", "route1", "route2"),
    ]
    assert {"et", "q", "recharge", "percolation", "melt"} <= set(ude.order)


@pytest.mark.parametrize(
    ("pet", "forcings"),
    [
        ("hamon", {"prcp", "tmean", "dayl"}),
        ("oudin", {"prcp", "tmean", "radiation"}),
        ("forcing", {"prcp", "tmean", "pet"}),
    ],
)
def test_forcings(pet, forcings):
    assert {f.name for f in models.hbv(pet=pet).forcings} == forcings


def test_every_parameter_is_used_and_cited():
    ude = models.hbv()
    assert ude.used_parameters == {p.name for p in ude.parameters}
    assert all(p.citation for p in ude.parameters)


def test_steady_rain_ends_as_evapotranspiration_and_discharge(compiled):
    ude = models.hbv(pet="forcing")
    f = compiled(ude, "et", "q")
    parameters = [ude.parameter(n).default for n in ude.program.parameters]
    forcing = {"prcp": 5.0, "tmean": 12.0, "pet": 2.0}
    series = [forcing[n] for n in ude.program.forcings]
    state, n = [0.0] * len(ude.states), len(ude.states)
    for _ in range(20_000):
        state = [s + 0.05 * d for s, d in zip(state, f(state, series, parameters), strict=False)]
    et, q = f(state, series, parameters)[n:]
    assert et == pytest.approx(2.0, rel=1e-6)
    assert et + q == pytest.approx(5.0, rel=1e-4)
    assert min(state) > -1e-9
