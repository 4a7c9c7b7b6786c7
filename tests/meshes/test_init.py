import pytest

from hybridwater import meshes


@pytest.mark.parametrize("name", meshes.__all__)
def test_every_public_name_is_there(name):
    assert getattr(meshes, name) is not None
    assert name in dir(meshes)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'latlong_mesh'"):
        meshes.latlong_mesh  # noqa: B018 - the access itself is what is tested
