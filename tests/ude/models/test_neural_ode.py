import pytest

from hybridwater.errors import DeclarationError
from hybridwater.ude import models


def test_one_store():
    ude = models.neural_ode()
    assert [n.name for n in ude.networks] == ["et", "q"]
    assert ude.parameters == ()
    assert ude.fluxes == ()
    assert ude.boundary == {"prcp": ("in", 1.0), "et": ("out", 1.0), "q": ("out", 1.0)}


def test_stores_in_series():
    ude = models.neural_ode(states=3, hidden=(4,))
    assert [n.name for n in ude.networks] == ["flow1", "flow2", "et", "q"]
    assert [n.zero_when_empty for n in ude.networks] == ["store1", "store2", "store3", "store3"]
    assert all(n.sizes == (6, 4, 1) and n.positive for n in ude.networks)
    assert set(ude.boundary) == {"prcp", "et", "q"}


def test_forcings_and_ranges():
    ude = models.neural_ode(["prcp", "pet"], ranges={"prcp": (0, 90), "store": (0, 50)})
    ranges = {str(i.expression): (i.low, i.high) for i in ude.network("q").inputs}
    assert ranges == {"store1": (0, 50), "prcp": (0, 90), "pet": (0, 8)}


def refused(*args, **options):
    with pytest.raises(DeclarationError) as caught:
        models.neural_ode(*args, **options)
    return str(caught.value)


def test_an_unknown_forcing():
    assert refused(["prcp", "tmen"]) == (
        "The forcing 'tmen' is not known (did you mean 'tmean'?). Where: neural_ode(...). "
        "To mend it: Declare the model with hybridwater.model to use other forcings."
    )


def test_no_rain():
    assert refused(["pet"]).startswith("The forcings have no 'prcp', so no water comes in.")


def test_no_store():
    assert refused(states=0).startswith("The number of stores is 0.")


def test_a_range_of_no_input():
    assert refused(["prcp"], ranges={"pet": (0, 1)}).startswith("The range of 'pet' is of no input")
