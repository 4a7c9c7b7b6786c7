import pytest

from hybridwater.ude import Declaration
from hybridwater.ude.processes import naming


@pytest.mark.parametrize(
    ("prefix", "name", "expected"), [("", "soil", "soil"), ("forest", "soil", "forest_soil")]
)
def test_named(prefix, name, expected):
    assert naming.named(prefix, name) == expected


def test_shared_constants_are_declared_once():
    m = Declaration("tank")
    for constant in (naming.day, naming.temperature_width, naming.storage_width):
        assert constant(m) == constant(m)
    S = m.state("soil", "mm")
    m.derivative(S, -S / naming.day(m))
    assert [c.name for c in m.build().constants] == ["day", "temperature_width", "storage_width"]
