import pickle

import pytest

from hybridwater import errors
from hybridwater.errors import DataError, HybridwaterError, nearest

CLASSES = [
    *(errors.UnitError, errors.DeclarationError, errors.DataError, errors.MeshError),
    *(errors.SolveFailed, errors.SettingsError, errors.CaseError, errors.WeightsError),
    errors.MissingDependency,
]


def test_message_says_what_where_and_what_to_do():
    error = DataError("Two records have one time", "basin '01013500'", "Drop one of them")
    assert str(error) == (
        "Two records have one time. Where: basin '01013500'. To mend it: Drop one of them."
    )
    assert (error.what, error.where, error.fix) == error.args


def test_message_without_where_and_fix():
    assert str(DataError("Nothing was found.")) == "Nothing was found."


@pytest.mark.parametrize("end", [".", "?", "!"])
def test_a_sentence_is_not_ended_twice(end):
    assert str(DataError(f"Well{end}")) == f"Well{end}"


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_has_the_same_shape(kind):
    error = kind("What.", "where", "fix")
    assert isinstance(error, HybridwaterError)
    assert str(error) == "What. Where: where. To mend it: fix."


@pytest.mark.parametrize("kind", CLASSES)
def test_errors_travel_between_processes(kind):
    copy = pickle.loads(pickle.dumps(kind("What.", "where", "fix")))
    assert type(copy) is kind
    assert (copy.what, copy.where, copy.fix) == ("What.", "where", "fix")


def test_nearest_suggests_the_closest_name():
    assert nearest("prpc", ["prcp", "tmean"]) == "did you mean 'prcp'?"


def test_nearest_lists_the_names_if_none_is_close():
    assert nearest("zzz", ["prcp", "tmean"]) == "known names are prcp, tmean"


def test_nearest_without_names():
    assert nearest("zzz", []) == "no names are known here"
