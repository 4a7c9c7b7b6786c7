import doctest
import inspect

import pytest

import hybridwater.ude.processes as library

FUNCTIONS = [
    function
    for room in library.__all__
    for name, function in inspect.getmembers(getattr(library, room), inspect.isfunction)
    if function.__module__ == f"{library.__name__}.{room}" and not name.startswith("_")
]


def test_the_example_runs():
    assert doctest.testmod(library).failed == 0


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_processes_have_one_style(function):
    first, *others = inspect.signature(function).parameters.values()
    assert first.name == "m"
    assert others[-1].name == "prefix"
    assert others[-1].default == ""
    assert all(p.kind is p.KEYWORD_ONLY for p in others if p.name != "source")
    if function.__name__ != "potential":
        assert "Source" in inspect.getdoc(function)
