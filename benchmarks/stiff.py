"""Stiff problems: an infiltration front in 200 cells of soil, and Robertson's reactions.

Julia's methods, the embedded engine and scipy (Radau and BDF) at the same tolerances, in one run:
time of a warm solve, error against a reference, steps, evaluations of the rates, factorizations.

    python benchmarks/stiff.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp
from scipy.sparse import diags_array

import hybridwater as hw
from hybridwater.engines import Options, get_engine
from hybridwater.ude.models import richards, richards_water

JULIA = ("rodas5p", "rosenbrock23", "trbdf2", "kencarp4", "fbdf")
#: New Mexico soil of Celia et al. (1990), doi:10.1029/WR026i007p01483, in mm and days.
SOIL = {"alpha": 0.00335, "n": 2.0, "theta_s": 0.368, "theta_r": 0.102, "ks": 7966.08}
EDGES = {"surface_head": -750.0, "water_table": 11_000.0, "air_entry": 1e-3}
#: Robertson (1966) as problem ROBER of Hairer and Wanner (1996), with the reference of the Test
#: Set for IVP Solvers (Mazzia and Magherini, 2008) at 1e11 s.
ROBERTSON = {
    "name": "robertson",
    "time_unit": "s",
    "parameters": {
        "k1": {"unit": "s-1", "bounds": [0, 1], "default": 0.04},
        "k2": {"unit": "s-1", "bounds": [0, 1e8], "default": 3e7},
        "k3": {"unit": "s-1", "bounds": [0, 1e5], "default": 1e4},
    },
    "fluxes": {
        "first": {"unit": "s-1", "equation": "k1 * A"},
        "second": {"unit": "s-1", "equation": "k2 * B**2"},
        "third": {"unit": "s-1", "equation": "k3 * B * C"},
    },
    "states": {
        "A": {"unit": "1", "initial": 1.0, "equation": "third - first"},
        "B": {"unit": "1", "equation": "first - second - third"},
        "C": {"unit": "1", "equation": "second"},
    },
}
ROBERTSON_AT_1E11 = np.array([0.2083340149701255e-07, 0.8333360770334713e-13, 0.9999999791665050])


def timed(solve: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the shortest time of a warm call in milliseconds, and its result."""
    result, best = solve(), np.inf
    for _ in range(repeats):
        begun = time.perf_counter()
        result = solve()
        best = min(best, time.perf_counter() - begun)
    return 1e3 * best, result


def by_engine(engine: str, ude: hw.UDE, initial: np.ndarray, length: float, **options) -> Callable:
    """Return a solve of one record of a model without forcing."""
    solver = get_engine(engine).compile(ude, Options(fluxes=(), max_steps=10**6, **options))
    defaults = {p.name: p.default for p in ude.parameters} | SOIL | EDGES
    p = np.array([[defaults[n] for n in ude.program.parameters]])
    x = np.zeros((1, 1, 0))
    return lambda: solver.solve(p, np.zeros(0), x, initial, length)


def front_rates(cells: int) -> Callable[[float, np.ndarray], np.ndarray]:
    """Return Richards' equation of the same discretisation, as one writes it in numpy."""
    alpha, n, m = SOIL["alpha"], SOIL["n"], 1 - 1 / SOIL["n"]
    span, dz, top = SOIL["theta_s"] - SOIL["theta_r"], 1000.0 / cells, EDGES["surface_head"]
    entry = (1 + (alpha * EDGES["air_entry"]) ** n) ** -m

    def conductivity(s: np.ndarray) -> np.ndarray:
        pores = 1 - (1 - (s * entry) ** (1 / m)) ** m
        return SOIL["ks"] * np.sqrt(s) * (pores / (1 - (1 - entry ** (1 / m)) ** m)) ** 2

    def saturation(h: float) -> np.ndarray:
        return np.array((1 + (alpha * -h) ** n) ** -m / entry)

    k_top, k_bottom = conductivity(saturation(top)), conductivity(saturation(-10_000.0))

    def rates(_: float, water: np.ndarray) -> np.ndarray:
        s = np.clip((water / dz - SOIL["theta_r"]) / span, 1e-6, 1)
        h = -(((s * entry) ** (-1 / m) - 1) ** (1 / n)) / alpha
        k = conductivity(s)
        q = np.empty(cells + 1)
        q[1:-1] = (k[1:] + k[:-1]) / 2 * ((h[:-1] - h[1:]) / dz + 1)
        q[0] = (k_top + k[0]) / 2 * ((top - h[0]) / (dz / 2) + 1)
        q[-1] = (k_bottom + k[-1]) / 2 * ((h[-1] + 10_000.0) / (dz / 2) + 1)
        return q[:-1] - q[1:]

    return rates


def robertson_rates(_: float, y: np.ndarray) -> list[float]:
    a, b, c = y
    first, second, third = 0.04 * a, 3e7 * b * b, 1e4 * b * c
    return [third - first, first - second - third, second]


def row(name: str, milliseconds: float, error: float, counts: tuple) -> None:
    steps, evaluations, factorizations = (f"{c}" if c is not None else "" for c in counts)
    print(
        f"| {name} | {milliseconds:.3g} | {error:.0e} | {steps} | {evaluations} | "
        f"{factorizations} |",
        flush=True,
    )


def table(title: str) -> None:
    print(f"\n{title}\n")
    print("| solver | ms | largest error | steps | evaluations | factorizations |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)


def rows(problem: Callable, rates: Callable, initial: np.ndarray, length: float, errors: Callable,
         tolerance: dict, embedded: dict, repeats: int, **scipy_options) -> None:  # fmt: skip
    """Print one row per solver."""
    for method in JULIA:
        solve = problem("julia", method=method, **tolerance)
        ms, found = timed(solve, repeats)
        if found.failures:
            print(f"| Julia `{method}` | does not reach the end | | | | |", flush=True)
            continue
        counts = {k: int(v.sum()) for k, v in found.statistics.items()}
        taken = (counts["steps"], counts["evaluations"], counts["factorizations"])
        row(f"Julia `{method}`", ms, errors(found.final_state[0]), taken)
    for name, options in embedded.items():
        ms, found = timed(problem("embedded", **options), max(1, repeats // 3))
        if found.failures:
            print(f"| embedded {name} | does not reach the end | | | | |", flush=True)
            continue
        steps = options.get("substeps")
        row(f"embedded {name}", ms, errors(found.final_state[0]), (steps, None, steps))
    for method in ("Radau", "BDF"):

        def solve(method: str = method) -> Any:
            return solve_ivp(
                rates, (0, length), initial[0], method=method, **tolerance, **scipy_options
            )

        ms, found = timed(solve, 1)
        row(
            f"scipy `{method}`",
            ms,
            errors(found.y[:, -1]),
            (found.t.size - 1, found.nfev, found.nlu),
        )


def front(repeats: int, cells: int) -> None:
    ude = richards(cells, 1000.0, upper="head", lower="water_table")
    initial = richards_water(ude, -10_000.0, SOIL | EDGES)
    rates, tolerance = front_rates(cells), {"rtol": 1e-6, "atol": 1e-6}
    band = diags_array([np.ones(cells)] * 3, offsets=[-1, 0, 1], shape=(cells, cells))
    tight = {"rtol": 1e-11, "atol": 1e-11}
    exact = solve_ivp(rates, (0, 1), initial[0], method="Radau", jac_sparsity=band, **tight).y[
        :, -1
    ]
    table(f"Infiltration front, {cells} cells, one day, tolerance 1e-6; error of the water content")
    rows(
        lambda engine, **o: by_engine(engine, ude, initial, 1.0, **o),
        rates,
        initial,
        1.0,
        lambda water: np.abs(water - exact).max() / (1000.0 / cells),
        tolerance,
        {
            "`rosenbrock1`, 200 steps": {"method": "rosenbrock1", "substeps": 200},
            "`rosenbrock1`, 2000 steps": {"method": "rosenbrock1", "substeps": 2000},
            "`rosenbrock2`, 2000 steps": {"method": "rosenbrock2", "substeps": 2000},
        },
        repeats,
        jac_sparsity=band,
    )


def robertson(repeats: int) -> None:
    ude = hw.UDE.from_dict(ROBERTSON)
    initial, tolerance = np.array([[1.0, 0.0, 0.0]]), {"rtol": 1e-7, "atol": 1e-14}
    table("Robertson over 1e11 s, rtol 1e-7, atol 1e-14; relative error")
    rows(
        lambda engine, **o: by_engine(engine, ude, initial, 1e11, **o),
        robertson_rates,
        initial,
        1e11,
        lambda y: np.abs(y / ROBERTSON_AT_1E11 - 1).max(),
        tolerance,
        {"`kvaerno5`": {"method": "kvaerno5", **tolerance}},
        repeats,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--cells", type=int, default=200)
    args = parser.parse_args()
    front(args.repeats, args.cells)
    robertson(args.repeats)


if __name__ == "__main__":
    main()
