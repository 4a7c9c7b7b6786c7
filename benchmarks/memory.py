"""Peak memory and time of value and gradient of the hybrid, against years and basins.

Every case runs in a process of its own; its peak (``ru_maxrss``) has everything in it: Python, JAX,
compilation, inputs and outputs. "above start" is the peak beyond that of a process that has only
imported the package and JAX. Time is that of the second call. A cost that is linear in basins and
years has the same "ms/basin-year" all the way down, and "time x" and "memory x" (above start) grow
no faster than "size x", all relative to the first row of the group. Up to 32 basins the engine uses
another adjoint (``benchmarks/adjoint.py``).

    python benchmarks/memory.py
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import math
import resource
import subprocess
import sys
import time

METHODS = ("rk4", "rosenbrock1")
TARGET = 8.0  # GiB, for 30 years of 357 basins
LARGEST = (30, 357)  # years, basins
GROUPS = {
    "years": ((5, 64), (10, 64), (20, 64), (30, 64)),
    "basins": ((5, 16), (5, 64), (5, 357)),
    "all": (LARGEST,),
}
QUICK = {"years": ((2, 64), (4, 64)), "basins": ((2, 16), (2, 64))}


def peak() -> float:
    """Return the peak memory of this process so far, in GiB."""
    value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return value / 2**30 if sys.platform == "darwin" else value / 2**20


def one_case(method: str, years: int, basins: int) -> dict[str, float]:
    """Solve and differentiate twice, in this process."""
    # imported here because a child's ru_maxrss is at least its parent's memory
    import numpy as np

    from hybridwater import models
    from hybridwater.engines import Options, get_engine
    from hybridwater.ude.program import initial_weights

    ude = models.exp_hydro_hybrid()
    solver = get_engine("embedded").compile(ude, Options(method=method, substeps=1, fluxes=("q",)))
    start = peak()
    rng = np.random.default_rng(0)
    days = round(365.25 * years)
    season = np.sin(2 * np.pi * np.arange(days) / 365.25 - 1.5)
    forcing = np.empty((basins, days, 3))
    forcing[..., 0] = rng.gamma(0.3, 10.0, (basins, days))
    forcing[..., 1] = 9 + 11 * season
    forcing[..., 2] = 12 + 3 * season
    defaults = [ude.parameter(name).default for name in ude.program.parameters]
    arrays = (np.tile(defaults, (basins, 1)), initial_weights(ude.program, seed=0), forcing)
    for _ in range(2):
        begun = time.perf_counter()
        solution, pullback = solver.solve_with_pullback(*arrays, np.full((basins, 2), 20.0))
        pullback(np.ones_like(solution.fluxes))
        seconds = time.perf_counter() - begun
    return {"start": start, "peak": peak(), "seconds": seconds}


def run(method: str, years: int, basins: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--case", json.dumps([method, years, basins])]
    return json.loads(subprocess.check_output(command, text=True).splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few years, few basins")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        print(json.dumps(one_case(*json.loads(args.case))))
        return
    groups = QUICK if args.quick else GROUPS
    cached = functools.cache(run)
    titles = ("method", "group", "years", "basins", "peak GiB", "above start", "seconds")
    titles += ("ms/basin-year", "size x", "time x", "memory x")
    print(*(f"{title:>13}" for title in titles))
    for method, (group, cases) in itertools.product(METHODS, groups.items()):
        for case in cases:
            found, first = cached(method, *case), cached(method, *cases[0])
            size = math.prod(case)
            above = found["peak"] - found["start"]
            figures = (found["peak"], above, found["seconds"], 1e3 * found["seconds"] / size)
            figures += (size / math.prod(cases[0]), found["seconds"] / first["seconds"])
            figures += (above / (first["peak"] - first["start"]),)
            print(*(f"{word:>13}" for word in (method, group, *case)), end=" ")
            print(*(f"{figure:13.3g}" for figure in figures), flush=True)
            if case == LARGEST:
                verdict = "less than" if found["peak"] < TARGET else "NOT less than"
                print(f"{method}: {case[0]} years of {case[1]} basins, {verdict} {TARGET:g} GiB")


if __name__ == "__main__":
    main()
