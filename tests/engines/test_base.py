import numpy as np
import pytest

from hybridwater.engines import Failure, Options, Solution
from hybridwater.engines.base import METHODS, STIFF, advice, check_options, locates
from hybridwater.errors import DeclarationError, SolveFailed
from hybridwater.ude import models


@pytest.mark.parametrize("method", sorted({*METHODS["embedded"], *METHODS["julia"]}))
def test_every_listed_method_is_an_option(method):
    assert Options(method=method).method == method


def test_a_method_of_another_engine_is_refused():
    check_options("julia", Options(method="rodas5p"))
    with pytest.raises(DeclarationError, match=r"embedded engine has no method 'rodas5p'.*julia"):
        check_options("embedded", Options(method="rodas5p"))
    with pytest.raises(DeclarationError, match=r"not compute in float32.*engine='embedded'"):
        check_options("julia", Options(precision="float32"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "tsit"}, "method='tsit' is not known (did you mean 'tsit5'?)"),
        ({"method": "ode45"}, "known names are euler"),
        ({"interpolation": "spline"}, "interpolation='spline'"),
        ({"output": "means"}, "did you mean 'mean'?"),
        ({"precision": "float16"}, "precision='float16'"),
        ({"substeps": 0}, "substeps must be a positive whole number"),
        ({"substeps": 1.5}, "substeps must be a positive whole number"),
        ({"max_steps": -1}, "max_steps must be a positive whole number"),
        ({"rtol": 0.0}, "rtol must lie between 0 and 1"),
        ({"atol": 2.0}, "atol must lie between 0 and 1"),
        ({"rtol": float("nan")}, "rtol must lie between 0 and 1"),
    ],
)
def test_options_that_cannot_be_are_refused(given, message):
    with pytest.raises(DeclarationError) as caught:
        Options(**given)
    assert message in str(caught.value)


def test_which_fluxes_are_returned():
    ude = models.exp_hydro_hybrid()
    assert Options().resolve_fluxes(ude) == ude.order
    assert Options(fluxes=("q", "prcp")).resolve_fluxes(ude) == ("q", "prcp")
    assert Options(fluxes=()).resolve_fluxes(ude) == ()
    with pytest.raises(DeclarationError, match="has no flux 'snowmelt'"):
        Options(fluxes=("snowmelt",)).resolve_fluxes(ude)


def solution(*failures):
    values = np.arange(12.0).reshape(2, 3, 2)
    return Solution(values, values, values[:, -1], ("et", "q"), failures)


def test_one_flux_by_name():
    np.testing.assert_array_equal(solution().flux("q"), [[1, 3, 5], [7, 9, 11]])


def test_a_solved_solution_raises_nothing():
    solution().raise_if_failed(("A", "B"), lambda batch, record: "")


def test_what_a_failure_says():
    failed = solution(
        Failure(1, 2, np.array([3.0, 0.5]), "The solver gave up.", "Try a stiff solver"),
        Failure(0, 0, np.zeros(2), "It gave up too.", "Try something else"),
    )
    with pytest.raises(SolveFailed) as caught:
        failed.raise_if_failed(("A", "B"), lambda batch, record: f"entry {batch}, day {record}")
    text = str(caught.value)
    assert "The solver gave up. (1 other entries failed too.)" in text
    assert "Where: entry 1, day 2, state before it: A = 3, B = 0.5." in text
    assert "To mend it: Try a stiff solver." in text


@pytest.mark.parametrize(
    ("engine", "method", "text"),
    [
        ("embedded", "rk4", "a stiff solver (method='kvaerno5' or 'rosenbrock2'), more substeps"),
        ("embedded", "tsit5", "a stiff solver (method='kvaerno5' or 'rosenbrock2'), more max_st"),
        ("embedded", "kvaerno5", "another stiff solver (method='rosenbrock2' or 'kvaerno3'), mo"),
        ("julia", "rk4", "a stiff solver (method='rodas5p' or 'fbdf'), more substeps"),
        ("julia", "rodas5p", "another stiff solver (method='fbdf' or 'rosenbrock23'), more max"),
    ],
)
def test_what_to_try_is_something_that_the_engine_has(engine, method, text):
    assert advice(engine, Options(method=method)).startswith(f"Try {text}")


@pytest.mark.parametrize("engine", METHODS)
def test_all_stiff_methods_are_methods(engine):
    assert set(STIFF[engine]) <= set(METHODS[engine])


def test_thresholds_of_columns_are_not_located(layered):
    assert not locates(layered, Options())
    with pytest.raises(DeclarationError, match=r"in the cells of a column.*thresholds='passed'"):
        locates(layered, Options(thresholds="located"))
