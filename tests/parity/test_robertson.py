"""Robertson's reactions over 1e11 s in Julia, against the published reference solution."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from hybridwater.ude import UDE

pytestmark = pytest.mark.julia
STIFF = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "stiff.py"))


# five times the errors that were measured
@pytest.mark.parametrize(
    ("method", "error", "lost"),
    [("rodas5p", 2e-7, 1e-13), ("rosenbrock23", 1e-4, 1e-13), ("fbdf", 1.2e-6, 7e-8)],
)
def test_the_reference_is_reached_and_nothing_is_lost(compiled, method, error, lost):
    ude = UDE.from_dict(STIFF["ROBERTSON"])
    options = {"rtol": 1e-7, "atol": 1e-14, "max_steps": 100_000, "fluxes": ()}
    solver = compiled("julia", ude, method=method, **options)
    rates = np.array([[0.04, 3e7, 1e4]])
    initial = np.array([[1.0, 0.0, 0.0]])
    found = solver.solve(rates, np.zeros(0), np.zeros((1, 1, 0)), initial, 1e11)
    assert not found.failures
    np.testing.assert_allclose(found.final_state[0], STIFF["ROBERTSON_AT_1E11"], rtol=error)
    assert found.final_state.sum() == pytest.approx(1.0, abs=lost)
    assert found.statistics["factorizations"].item() >= found.statistics["steps"].item() // 20
