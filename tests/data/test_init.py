import subprocess
import sys

import pytest

from hybridwater import data


def test_all_public_names_load():
    for name in data.__all__:
        assert callable(getattr(data, name)) or isinstance(getattr(data, name), tuple)
    assert set(data.__all__) <= set(dir(data))
    homes = [name for names in data._MODULES.values() for name in names]
    assert sorted(data.__all__) == sorted(homes)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'read_camel'"):
        _ = data.read_camel


def test_import_is_light_and_readers_do_not_import_the_packages_they_read():
    code = (
        "import sys, hybridwater.data as d; assert 'xarray' not in sys.modules;"
        "assert 'pandas' not in sys.modules; d.read_delaware(); d.read_schwingbach();"
        "assert not {'pywatershed', 'spotpy', 'torch', 'jax', 'numba'} & set(sys.modules)"
    )
    pytest.importorskip("pywatershed", reason="the data of pywatershed are needed")
    pytest.importorskip("spotpy", reason="the data of spotpy are needed")
    subprocess.run([sys.executable, "-c", code], check=True)
