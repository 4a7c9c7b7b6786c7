import importlib.util
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from hybridwater.cli import app
from hybridwater.components import Component, component_names, get_component, registry
from hybridwater.errors import ComponentError, MissingDependency

RECORDS = xr.Dataset(
    {"rain": (("time", "cell"), np.ones((2, 1)), {"units": "kg m-2 d-1"})},
    {"time": np.array(["2000-01-01", "2000-01-02"], "datetime64[ns]")},
)


def test_every_component_of_this_package_can_be_had():
    for name, (_, needs) in registry.BUILT_IN.items():
        if needs is None or importlib.util.find_spec(needs):
            component = get_component(name)
            assert issubclass(component, Component)
            needed = {"data": RECORDS} if name == "forcing" else {}
            assert component(**needed).get_component_name() == name
            assert name in component_names()


def test_an_unknown_name_comes_with_the_nearest():
    with pytest.raises(ComponentError, match=r"no component 'gr4' \(did you mean 'gr4j'\?\)"):
        get_component("gr4")


def test_a_missing_package_is_one_sentence_with_the_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency) as error:
        get_component("prms-land")
    assert str(error.value) == (
        "The component 'prms-land' needs the package 'pywatershed', which is not installed. "
        "To mend it: pip install pywatershed."
    )


def test_landlab_comes_with_what_goes_with_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    command = 'pip install "hybridwater[components]"'
    with pytest.raises(MissingDependency) as error:
        get_component("landlab-overland")
    assert f"To mend it: {command}" in str(error.value)
    listed = CliRunner().invoke(app, ["component", "list"])
    lines = dict(line.split(maxsplit=1) for line in listed.output.splitlines() if " " in line)
    assert lines["landlab-groundwater"] == command
    assert lines["starfit"] == "pip install pywatershed"


def test_other_packages_bring_components_through_entry_points(monkeypatch):
    points = [
        EntryPoint("their-bucket", "bmi_models:Plain", registry.GROUP),
        EntryPoint("their-gone", "not_there:Model", registry.GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    registry._entry_points.cache_clear()
    try:
        assert "their-bucket" in component_names()
        component = get_component("their-bucket")()
        component.initialize()
        assert component.get_component_name() == "plain"
        with pytest.raises(ComponentError, match="'not_there:Model' cannot be imported"):
            get_component("their-gone")
    finally:
        registry._entry_points.cache_clear()


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("bmi_models:Nobody", "cannot be imported"),
        ("bmi_models:np", "is not a class"),
        ("pathlib:Path", "'Path' is not a BMI 2.0 model: it lacks finalize"),
    ],
)
def test_targets_that_are_no_models_are_refused(target, sentence):
    with pytest.raises(ComponentError, match=sentence):
        get_component(target)
