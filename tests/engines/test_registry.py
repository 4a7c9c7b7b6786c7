import pytest

from hybridwater.engines import get_engine
from hybridwater.errors import SettingsError


def test_engines_are_made_once():
    assert get_engine("embedded") is get_engine("auto")
    assert get_engine("embedded").name == "embedded"


def test_default_is_that_of_the_settings():
    assert get_engine() is get_engine("auto")


def test_unknown_engines_are_refused():
    with pytest.raises(SettingsError, match="did you mean 'embedded'"):
        get_engine("embeded")
