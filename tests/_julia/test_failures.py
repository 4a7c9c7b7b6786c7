"""Julia's exceptions as errors of the package."""

import pickle

import pytest

from hybridwater._julia.failures import JuliaFailed, JuliaSolveFailed, translate
from hybridwater.errors import HybridwaterError, SolveFailed

TRACE = "DomainError with -1.0:\nsqrt was given a negative number\nStacktrace:\n [1] sqrt"


def test_a_numerical_failure_is_a_failed_solve():
    error = translate("DomainError", "DomainError with -1.0:\nsqrt was ...", TRACE, "solve")
    assert isinstance(error, SolveFailed)
    assert error.what == "The solve broke down: DomainError with -1.0:"
    assert error.where == "Julia, in solve"
    assert error.backtrace == TRACE
    assert "Stacktrace" not in str(error)


def test_any_other_failure_is_to_be_reported():
    error = translate("MethodError", "no method matching f()", "trace", "solve")
    assert isinstance(error, JuliaFailed)
    assert not isinstance(error, SolveFailed)
    assert str(error).startswith("Julia failed: no method matching f(). Where: Julia, in solve.")


def test_no_memory():
    assert isinstance(translate("OutOfMemoryError", "", "", "solve"), MemoryError)


def test_an_exception_without_a_message_has_its_name():
    assert translate("Odd", "", "", "f").what == "Julia failed: Odd"


@pytest.mark.parametrize("kind", [JuliaFailed, JuliaSolveFailed])
def test_they_travel_between_processes(kind):
    copy = pickle.loads(pickle.dumps(kind("What.", "where", "fix", "trace")))
    assert isinstance(copy, HybridwaterError)
    assert type(copy) is kind
    assert (copy.what, copy.where, copy.fix, copy.backtrace) == ("What.", "where", "fix", "trace")
