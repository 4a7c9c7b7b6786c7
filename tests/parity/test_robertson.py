"""Robertson's reactions over 1e11 s in Julia, against the published reference solution."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from hybridwater.ude import UDE

pytestmark = [pytest.mark.julia, pytest.mark.usefixtures("julia")]
STIFF = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "stiff.py"))


@pytest.mark.parametrize("method", ["rodas5p", "rosenbrock23", "fbdf"])
def test_the_reference_is_reached_and_nothing_is_lost(compiled, method):
    ude = UDE.from_dict(STIFF["ROBERTSON"])
    options = {"rtol": 1e-7, "atol": 1e-14, "max_steps": 100_000, "fluxes": ()}
    solver = compiled("julia", ude, method=method, **options)
    rates = np.array([[0.04, 3e7, 1e4]])
    initial = np.array([[1.0, 0.0, 0.0]])
    found = solver.solve(rates, np.zeros(0), np.zeros((1, 1, 0)), initial, 1e11)
    assert not found.failures
    np.testing.assert_allclose(found.final_state[0], STIFF["ROBERTSON_AT_1E11"], rtol=1e-3)
    assert found.final_state.sum() == pytest.approx(1.0, abs=1e-7 if method == "fbdf" else 1e-9)
    assert found.statistics["factorizations"].item() >= found.statistics["steps"].item() // 20
