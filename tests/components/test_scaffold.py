import pytest

from hybridwater.components import check, get_component, new_component
from hybridwater.errors import ComponentError


def test_a_new_component_runs_as_it_is(tmp_path, monkeypatch):
    path = new_component("snow-bucket", tmp_path)
    assert path == tmp_path / "snow_bucket.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    component = get_component("snow_bucket:SnowBucket")()
    assert component.get_component_name() == "snow-bucket"
    assert {f.state for f in check(component)} == {"ok"}


def test_a_file_is_never_overwritten(tmp_path):
    new_component("bucket", tmp_path)
    with pytest.raises(ComponentError, match="cannot be written"):
        new_component("bucket", tmp_path)


@pytest.mark.parametrize("name", ["Snow", "snow bucket", "../snow", "", "9lives", "snow-"])
def test_odd_names_are_refused(tmp_path, name):
    with pytest.raises(ComponentError, match="cannot be the name"):
        new_component(name, tmp_path)
    assert not list(tmp_path.iterdir())
