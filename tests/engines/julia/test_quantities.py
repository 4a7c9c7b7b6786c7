import pytest

from hybridwater.engines.julia.quantities import name_places
from hybridwater.errors import DeclarationError, UnitError


def places(found):
    return {q.name: q.places.tolist() for q in found}


def test_places_follow_one_another_or_are_given():
    found = name_places("state", {"a": "m", "b": ("m", range(1, 4)), "c": "mm"}, 5)
    assert places(found) == {"a": [0], "b": [1, 2, 3], "c": [4]}
    assert places(name_places("state", {"c": ("m", 2), "a": ("m", 0)}, 3)) == {"c": [2], "a": [0]}


def test_places_that_have_names_are_found_by_them():
    found = name_places("parameter", {"k": "d-1", "rain": "mm d-1"}, 3, ("rain", "area", "k"))
    assert places(found) == {"k": [2], "rain": [0]}


@pytest.mark.parametrize(
    ("given", "names", "sentence"),
    [
        ({"a": "m", "b": "m", "c": "m"}, (), "The state 'c' is at place 2, but the problem has 2"),
        ({"a": ("m", -1)}, (), "'a' is at place -1"),
        ({"a": ("m", 1), "b": ("m", [0, 1])}, (), "Place 1 is both 'a' and 'b'"),
        ({"stores": "m"}, ("store", "k"), r"no state 'stores' \(did you mean 'store'\?\)"),
    ],
)
def test_places_that_cannot_be_are_refused(given, names, sentence):
    with pytest.raises(DeclarationError, match=sentence):
        name_places("state", given, 2, names)


def test_units_are_looked_at():
    with pytest.raises(UnitError, match="'furlong per fortnite' is not known"):
        name_places("state", {"a": "furlong per fortnite"}, 1)


@pytest.mark.parametrize(
    ("kind", "fix"), [("parameter", "with numbers: one,"), ("flux", "a flux_f")]
)
def test_a_problem_without_any(kind, fix):
    with pytest.raises(DeclarationError, match=f"no {kind} that could have a name.*{fix}"):
        name_places(kind, {"a": "m"}, 0)
    assert name_places(kind, {}, 0) == ()
