import json

import pytest

from hybridwater.errors import SettingsError
from hybridwater.mgn import Architecture


def test_goes_through_json(architecture):
    plain = json.loads(json.dumps(architecture.to_dict()))
    assert Architecture.from_dict(plain) == architecture


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cycle": "x"}, "no cycle 'x'"),
        ({"aggregation": "men"}, "did you mean 'mean'"),
        ({"precision": "float16"}, "no precision"),
        ({"sharing": True}, "no sharing"),
        ({"width": 0}, "width=0 is not a positive"),
        ({"depth": 1.5}, "depth=1.5"),
        ({"outputs": {"lnd": ["a"]}}, "unknown 'lnd': did you mean 'land'"),
        ({"edge_outputs": {"land beside": ["a"]}}, "did you mean 'land beside land'"),
        ({"relations": {"land overlaps sea": 7}}, "The component 'sea' has no features"),
        ({"inputs": {"land": []}, "outputs": {}}, "'land' has no features"),
    ],
)
def test_refuses_what_is_not_known(change, message):
    with pytest.raises(SettingsError, match=message):
        Architecture(**{"inputs": {"land": ["a"]}, "relations": {"land beside land": 6}, **change})
