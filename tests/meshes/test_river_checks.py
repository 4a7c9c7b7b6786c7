import numpy as np
import pytest

from hybridwater.errors import MeshError
from hybridwater.meshes import RiverNetwork

NAMES = ("spring", "brook", "creek", "river")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"to": [1, 2, 0, -1]}, r"in a circle: spring -> brook -> creek -> spring.*'spring'"),
        ({"to": [0, 2, 3, -1]}, r"in a circle: spring -> spring\."),
        ({"to": [1, 2, 3, 4]}, r"flows into reach 4, but there are 4.*reach 'river'"),
        ({"to": [1, 2, 3, -2]}, "flows into reach -2"),
        ({"to": [1.0, 2.0, 3.0, -1.0]}, "'to' has the type float64"),
        ({"to": np.zeros((2, 2), int)}, "a whole number, for each"),
        ({"lengths": [1, -5, 1, 1]}, r"length of a reach is -5; 1 such.*reach 'brook'"),
        ({"lengths": [1, 1, np.nan, 1]}, r"length of a reach is nan.*reach 'creek'"),
        ({"lengths": [1, 1]}, "There are 2 lengths for 4 reaches"),
        ({"areas": np.array([1, 1, 1, -2.0])}, r"area of a reach is -2.*reach 'river'"),
        ({"names": ("a",)}, "There are 1 names for 4 reaches"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reach_named(change, message):
    arguments = {"to": [1, 2, 3, -1], "lengths": np.ones(4), "names": NAMES} | change
    with pytest.raises(MeshError, match=message):
        RiverNetwork(**arguments)


def test_the_circle_is_shown_without_what_flows_into_it():
    with pytest.raises(MeshError, match=r"circle: brook -> creek -> brook\."):
        RiverNetwork([1, 2, 1, -1], np.ones(4), NAMES)


def test_areas_may_be_unknown():
    river = RiverNetwork([1, -1], np.ones(2), areas=np.array([1.0, np.nan]))
    assert np.isnan(river.upstream_areas[1])
