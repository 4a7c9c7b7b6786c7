"""Amounts that move at once: a siphon, in closed form."""

import numpy as np
import pytest

from hybridwater.ude import UDE


@pytest.fixture(scope="module")
def siphon():
    """A store that empties to its intake as soon as it reaches its crest, into a reservoir."""
    return UDE.from_dict(
        {
            "name": "siphon",
            "forcings": {"prcp": {"unit": "mm d-1"}},
            "parameters": {
                "crest": {"unit": "mm", "bounds": [10, 100], "default": 20},
                "intake": {"unit": "mm", "bounds": [0, 10], "default": 4},
                "k": {"unit": "d-1", "bounds": [0.01, 1], "default": 0.1},
            },
            "states": {
                "S": {"unit": "mm", "initial": 3, "equation": "prcp - q"},
                "R": {"unit": "mm", "initial": 0, "equation": "q - out"},
            },
            "fluxes": {"out": {"unit": "mm d-1", "equation": "k * R"}},
            "events": {"q": {"unit": "mm d-1", "when": "S - crest", "amount": "S - intake"}},
        }
    )


P, CREST, INTAKE, K, START, DAYS = 6.3, 20.0, 4.0, 0.1, 3.0, 8
ARRAYS = (
    np.array([[CREST, INTAKE, K]]),
    np.zeros(0),
    np.full((1, DAYS, 1), P),
    np.array([[START, 0.0]]),
)


@pytest.mark.parametrize("method", ["rk4", "rosenbrock2", "tsit5"])
def test_a_siphon_in_closed_form(siphon, compiled, method):
    solver = compiled(siphon, method=method, substeps=8, rtol=1e-9, atol=1e-9)
    solution, pullback = solver.solve_with_pullback(*ARRAYS)
    first, again = (CREST - START) / P, (CREST - INTAKE) / P
    times = first + again * np.arange(int((DAYS - first) / again) + 1)
    assert len(times) == 3
    moved = np.histogram(times, np.arange(DAYS + 1))[0] * (CREST - INTAKE)
    np.testing.assert_allclose(solution.flux("q")[0], moved, atol=1e-9)
    end = START + P * DAYS - moved.sum()
    rest = (CREST - INTAKE) * np.exp(-K * (DAYS - times))
    rough = {"rosenbrock2": 1e-4}.get(method, 1e-7)
    np.testing.assert_allclose(solution.final_state[0], [end, rest.sum()], rtol=rough)
    # R(T) = sum of (crest - intake) exp(-k (T - t_i)), t_i = first + i again
    bar = np.zeros_like(solution.states)
    bar[0, -1, 1] = 1.0
    found = pullback(np.zeros_like(solution.fluxes), bar)
    count = np.arange(3)
    by_crest = (rest / (CREST - INTAKE) + K * rest * (1 + count) / P).sum()
    by_intake = (-rest / (CREST - INTAKE) - K * rest * count / P).sum()
    by_k = -(rest * (DAYS - times)).sum()
    np.testing.assert_allclose(found.parameters[0], [by_crest, by_intake, by_k], rtol=10 * rough)
    np.testing.assert_allclose(found.initial_state[0, 0], -(K * rest / P).sum(), rtol=10 * rough)


def test_water_is_moved_not_lost(siphon, compiled):
    solution = compiled(siphon, method="rk4").solve(*ARRAYS)
    lost = P * DAYS - solution.flux("out").sum()
    np.testing.assert_allclose(solution.final_state.sum() - START, lost, rtol=1e-13)
    assert np.all(solution.states[..., 0] <= CREST)


def test_a_store_that_begins_above_its_crest_empties_at_once(siphon, compiled):
    arrays = (*ARRAYS[:3], np.array([[30.0, 0.0]]))
    solution = compiled(siphon, method="rk4").solve(*arrays)
    np.testing.assert_allclose(solution.flux("q")[0, 0], 30.0 - INTAKE)


def test_an_event_that_happens_endlessly_is_a_failure_in_words(siphon, compiled):
    arrays = (np.array([[10.0, 10.0, K]]), *ARRAYS[1:])
    (failure,) = compiled(siphon, method="rk4").solve(*arrays).failures
    assert failure.record == 1
    assert "or an event happened endlessly" in failure.reason
