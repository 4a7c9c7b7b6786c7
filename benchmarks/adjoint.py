"""Which adjoint of the record-wise methods is faster, and from which batch on.

Prints basin-years per second of value and gradient, and the seconds of the first call (compilation)
for models of two and six states and several batches. The rule in
``hybridwater/engines/embedded/adjoint.py`` follows this table.

    python benchmarks/adjoint.py
"""

from __future__ import annotations

import argparse
import time

import jax
import numpy as np
import pandas as pd

from hybridwater import models
from hybridwater.engines.base import Options
from hybridwater.engines.embedded import adjoint
from hybridwater.engines.embedded.engine import EmbeddedSolver
from hybridwater.ude.program import initial_weights

RECORDS = 730


def inputs(ude, batch: int, per_entry: bool) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    day = np.arange(RECORDS)
    season = np.sin(2 * np.pi * day / 365.25 - 1.5)
    values = {
        "prcp": rng.gamma(0.3, 10.0, (batch, RECORDS)),
        "tmean": 9 + 11 * season + rng.normal(0, 3, (batch, RECORDS)),
        "dayl": np.broadcast_to(12 + 3 * season, (batch, RECORDS)),
    }
    forcing = np.stack([values[f.name] for f in ude.forcings], axis=-1)
    defaults = [ude.parameter(name).default for name in ude.program.parameters]
    weights = initial_weights(ude.program, seed=0)
    weights = np.tile(weights, (batch, 1)) if per_entry else weights
    return np.tile(defaults, (batch, 1)), weights, forcing, np.full((batch, len(ude.states)), 20.0)


def measure(ude, method: str, batch: int, per_entry: bool, seconds: float) -> tuple[float, float]:
    """Return basin-years per second and the seconds of the first call."""
    solver = EmbeddedSolver(ude, Options(method=method, substeps=1, fluxes=("q",)))
    arguments = inputs(ude, batch, per_entry)

    def once() -> float:
        begun = time.perf_counter()
        solution, pullback = solver.solve_with_pullback(*arguments)
        pullback(np.ones_like(solution.fluxes))
        return time.perf_counter() - begun

    first = once()
    times = [once()]
    while sum(times) < seconds and len(times) < 50:
        times.append(once())
    return batch * RECORDS / 365.25 / min(times), first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="time per figure")
    args = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    rows = []
    for name, ude in (
        ("exp_hydro_hybrid", models.exp_hydro_hybrid()),
        ("regional_hybrid", models.regional_hybrid()),
    ):
        for method in ("rk4", "rosenbrock1"):
            for batch, per_entry in ((1, True), (8, True), (32, True), (32, False), (128, False)):
                row = [name, method, batch, "own" if per_entry else "shared"]
                for states in (0, 100):
                    adjoint.MAX_PARALLEL_STATES = states
                    adjoint.MAX_PARALLEL_BATCH = 10**9
                    row += measure(ude, method, batch, per_entry, args.seconds)
                rows.append(row)
                print(*(f"{v:.4g}" if isinstance(v, float) else v for v in row), flush=True)
    columns = ["model", "method", "batch", "weights"]
    columns += ["sequential", "first call [s]", "parallel", "first call [s] "]
    print(pd.DataFrame(rows, columns=columns).round(1).to_string(index=False))


if __name__ == "__main__":
    main()
