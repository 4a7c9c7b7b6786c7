"""Cost of exchanges, passes of implicit iteration, and runs that are killed.

    python benchmarks/coupling.py [exchange] [cells] [edges] [implicit] [killed]

- exchange: a step of an exchange from a million cells of a latitude-longitude mesh to another, of
  first and second order, after the weights; the bare sparse product in the same run is the peer.
- cells: that step, and a whole step with its ledger, over 100,000 to 3,000,000 cells, and the
  exponents of the cost.
- edges: seconds per step of a chain of 2 to 64 components, and the exponent.
- implicit: passes per window of the stiff groundwater-surface pair of the tests.
- killed: 20 runs that get SIGKILL in a random step, resumed, compared byte for byte.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import numpy as np

from hybridwater.components.template import Template
from hybridwater.coupling import CoupledModel, Exchange
from hybridwater.coupling.quantities import measure
from hybridwater.coupling.route import Cells, Route, make_route
from hybridwater.errors import NotConverged
from hybridwater.meshes import Remap, conservative_remap, latlon_mesh

TESTS = Path(__file__).parents[1] / "tests" / "coupling"


def best(call, repeat: int = 9) -> float:
    """Return the shortest of some processor times [s]: others may use the machine."""
    times = []
    for _ in range(repeat):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return min(times)


def exponent(sizes: list[int], times: list[float]) -> float:
    """Return the power of the size that the times grow with, by least squares of logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def squares(n: int, m: int, order: Literal[1, 2]) -> tuple[Route, Remap]:
    """Return the exchange between two meshes of n x n and m x m cells."""
    meshes = [
        latlon_mesh(np.linspace(0, 60, k + 1), np.linspace(0, 60, k + 1), name=name)
        for k, name in ((n, "fine"), (m, "other"))
    ]
    remap = conservative_remap(*meshes, order=order)
    density = measure("kg m-2 d-1")
    source, target = (Cells(mesh.size, density, mesh) for mesh in meshes)
    return make_route(remap, source, target, (1.0, 0.0)), remap


def quietest(model: CoupledModel, days: int, repeat: int = 9) -> float:
    """Return the least seconds of a step of a day that coupling took, of some runs."""
    times = []
    for _ in range(repeat):
        before = model.seconds["coupling"]
        model.run(f"{days} d", progress=False)
        times.append((model.seconds["coupling"] - before) / days)
    return min(times)


def whole_step(cells: int) -> float:
    """Return the seconds that coupling and ledger take of a step of two components."""
    area = np.full(cells, 1e6)
    parts = {name: Template(area=area, inputs={"recharge_flux": 1.0}) for name in ("a", "b")}
    model = CoupledModel(parts, [Exchange("a.runoff_flux", "b.recharge_flux")])
    return quietest(model, days=2)


def exchange() -> None:
    values = np.random.default_rng(0).random(1_000_000)
    for order in (1, 2):
        route, remap = squares(1000, 800, order)
        spent, bare = best(lambda: route.move(values)), best(lambda: remap.shares @ values)  # noqa: B023
        print(
            f"order {order}: {remap.shares.shape[1]} -> {remap.shares.shape[0]} cells, "
            f"{remap.shares.nnz} overlaps: {spent:.4f} s per step, {spent / bare:.1f} times the "
            "bare product"
        )
    spent = whole_step(1_000_000)
    print(f"whole step of two components of 1000000 cells, ledger included: {spent:.4f} s")


def cells() -> None:
    sizes, overlaps, rows = [], [], []
    for n in (316, 548, 1000, 1732):
        values = np.random.default_rng(0).random(n * n)
        row = [whole_step(n * n)]
        for order in (1, 2):
            route, remap = squares(n, n * 4 // 5, order)
            row.append(best(lambda: route.move(values)))  # noqa: B023
        sizes.append(n * n)
        overlaps.append(remap.shares.nnz)
        rows.append(row)
        print(
            f"{n * n:8d} cells, {overlaps[-1]:8d} overlaps: first order {row[1]:.5f} s, second "
            f"{row[2]:.4f} s, whole step with ledger {row[0]:.4f} s",
            flush=True,
        )
    first, second = (exponent(overlaps, [row[order] for row in rows]) for order in (1, 2))
    print(
        f"exponents: first order {first:.2f} and second {second:.2f} in overlaps, whole step "
        f"{exponent(sizes, [row[0] for row in rows]):.2f} in cells"
    )


def edges() -> None:
    counts, times = [], []
    for n in (2, 4, 8, 16, 32, 64):
        parts = {f"c{i}": Template(inputs={"recharge_flux": 1.0}) for i in range(n)}
        chain = [Exchange(f"c{i}.runoff_flux", f"c{i + 1}.recharge_flux") for i in range(n - 1)]
        model = CoupledModel(parts, chain)
        spent = quietest(model, days=50)
        counts.append(n - 1)
        times.append(spent)
        print(
            f"{n - 1:3d} edges: {spent * 1e3:7.3f} ms per step, {spent / (n - 1) * 1e6:.0f} us each"
        )
    print(f"exponent of 7 edges and more: {exponent(counts[2:], times[2:]):.2f}")


def implicit() -> None:
    sys.path.insert(0, str(TESTS))
    from pairs import Aquifer, Surface, monolithic

    n, days = 50, 4
    for leakance in (0.5, 2.0):
        for method in ("relaxation", "aitken", "anderson", "iqn-ils"):
            tries = np.geomspace(0.03, 0.4, 7) if method == "relaxation" else (0.1,)
            found = []
            for factor in tries:
                area, spread = np.full(n, 1e6), np.geomspace(0.1, 1, n)
                parts = {
                    "surface": Surface(area=area, leakance=spread * leakance),
                    "aquifer": Aquifer(area=area, yield_=0.02, rate=0.01, between=0.002),
                }
                how = {"method": method, "relaxation": factor, "tolerance": 1e-8, "depth": 30}
                model = CoupledModel(
                    parts,
                    [
                        {"source": "surface.leakage_flux", "target": "aquifer"},
                        {"source": "aquifer.groundwater_head", "target": "surface"},
                    ],
                    iteration={**how, "max_iterations": 400},
                )
                try:
                    model.run(f"{days} d", progress=False)
                except NotConverged:
                    continue
                exact, head = monolithic(*parts.values(), days)[1], parts["aquifer"]
                ours = head.get_value_ptr("groundwater_head")
                gap = float(np.abs(ours / exact - 1).max())
                found.append((float(np.mean(next(iter(model.iterations.values())))), gap, factor))
            if not found:
                print(f"leakance {leakance:g} d-1, {method:<10}: does not converge")
                continue
            passes, gap, factor = min(found)
            print(
                f"leakance {leakance:g} d-1, {method:<10}: {passes:6.1f} passes per window, "
                f"relaxation {factor:.2f}, {gap:.1e} from the monolithic solution"
            )


def killed(times: int = 20) -> None:
    script = TESTS / "killed.py"
    generator = random.Random(4)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, script, folder / "whole", "0"], check=True)
        whole = {p.name: p.read_bytes() for p in (folder / "whole").glob("*.nc")}
        same = 0
        for i in range(times):
            step, run = generator.randrange(1, 200), folder / str(i)
            done = subprocess.run([sys.executable, script, run, str(step)], check=False)
            assert done.returncode == -9, done
            subprocess.run([sys.executable, script, run, "0"], check=True)
            same += whole == {p.name: p.read_bytes() for p in run.glob("*.nc")}
        print(f"{same} of {times} killed and resumed runs are the same to the last byte")


if __name__ == "__main__":
    parts = {
        "exchange": exchange,
        "cells": cells,
        "edges": edges,
        "implicit": implicit,
        "killed": killed,
    }
    for wanted in sys.argv[1:] or parts:
        parts[wanted]()
