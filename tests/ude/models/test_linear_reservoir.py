import pytest

from hybridwater.ude import models


def test_equations(compiled):
    ude = models.linear_reservoir()
    f = compiled(ude, "et", "q")
    forcing = {"prcp": 7.0, "pet": 4.0}
    given = {"k": 0.1, "capacity": 200.0}
    rate, et, q = f(
        [50.0],
        [forcing[n] for n in ude.program.forcings],
        [given[n] for n in ude.program.parameters],
    )
    assert (et, q) == pytest.approx((1.0, 5.0))
    assert rate == pytest.approx(1.0)


@pytest.mark.parametrize("pet", ["hamon", "oudin", "forcing"])
def test_sources_of_pet(pet):
    assert set(models.linear_reservoir(pet=pet).boundary) == {"prcp", "et", "q"}
