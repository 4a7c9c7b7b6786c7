"""The Julia engine: bridge, gradients, threads, a stiff store, first call.

Everything that is compared runs in this one call of the script, in turns where it is short.

- *gradients*: EXP-Hydro with two networks (386 weights), ten years of days: seconds of value, and
  of value and gradient, in both engines; errors of daily discharge against a tight solution. Last
  row: the same model as a plain Julia script in the published manner of HydroNODE (Höge et al.
  2022), ``hydronode_manner.jl``, if the Julia project holds Lux and SciMLSensitivity.
- *bridge*: the same solve and gradient timed from Python and timed inside Julia, in turns.
- *threads*: 1,000 members on one thread and on two, each in a process of its own.
- *stiff*: a store that drains a hundred times a day, against scipy's Radau with a right-hand side
  in Python.
- *first*: seconds from the start of a process to its first value, and to its first gradient.
- *fit*: seconds of fits to the same NSE of validation, ours and with gradients of the plain script.

    python benchmarks/julia_engine.py
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from engine_speed import UDE, Task, defaults, make_task, part, pretrained, relative_error
from scipy.integrate import solve_ivp

import hybridwater as hw
from hybridwater import _julia
from hybridwater.engines import Options, get_engine

YEARS, REPEATS, BRIDGE_REPEATS, FIT_STEPS = 10, 5, 25, 100
GRADIENTS = [
    ("julia", {"method": "rk4", "substeps": 2}),
    ("julia", {"method": "tsit5", "rtol": 1e-3, "atol": 1e-3}),
    ("julia", {"method": "tsit5", "rtol": 1e-6, "atol": 1e-6}),
    ("julia", {"method": "rodas5p", "rtol": 1e-3, "atol": 1e-3}),
    ("julia", {"method": "rodas5p", "rtol": 1e-6, "atol": 1e-6}),
    ("embedded", {"method": "rk4", "substeps": 2}),
    ("embedded", {"method": "tsit5", "rtol": 1e-3, "atol": 1e-3}),
    ("embedded", {"method": "tsit5", "rtol": 1e-6, "atol": 1e-6}),
]


def seconds(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def median(run: Callable[[], object], repeats: int = REPEATS) -> float:
    return float(np.median([seconds(run) for _ in range(repeats)]))


def compiled(engine: str, ude: hw.UDE, **options: object):
    return get_engine(engine).compile(ude, Options(**options))  # type: ignore[arg-type]


def gradient_of(solver, task: Task) -> np.ndarray:
    solution, pullback = solver.solve_with_pullback(*task)
    return pullback(np.ones_like(solution.fluxes)).weights


def gradients(task: Task) -> None:
    reference = compiled("embedded", UDE, method="dopri5", rtol=1e-10, atol=1e-10, fluxes=("q",))
    tight = reference.solve(*task).flux("q")
    rows, found = [], {}
    for engine, options in GRADIENTS:
        solver = compiled(engine, UDE, fluxes=("q",), **options)
        q = solver.solve(*task).flux("q")
        found[engine, options["method"]] = gradient_of(solver, task)
        value = median(lambda s=solver: s.solve(*task))
        both = median(lambda s=solver: gradient_of(s, task))
        detail = options.get("rtol") or f"x{options['substeps']}"
        rms = relative_error(q, tight)[1]
        rows.append((engine, options["method"], detail, rms, value, both, both / value))
    plain = plain_script(task)
    if plain is not None:
        observed = np.zeros(len(tight[0]))
        rms = relative_error(plain.value(task)[None], tight)[1]
        value = median(lambda: plain.value(task))
        theirs = plain.gradient(task, observed)
        both = seconds(lambda: plain.gradient(task, observed))
        rows.append(("HydroNODE manner", "tsit5", 1e-3, rms, value, both, both / value))
        off = relative_error(plain.value(task, 1e-8)[None], tight)[1]
        print(f"discharge of the plain script at 1e-8: RMS error {off:.1e}")
        exact = mse_gradient(reference, task, observed)
        loose = mse_gradient(
            compiled("julia", UDE, rtol=1e-3, atol=1e-3, fluxes=("q",)), task, observed
        )
        for name, found_ in (("plain script", theirs), ("julia, 1e-3", loose)):
            off = np.abs(found_ - exact).max() / np.abs(exact).max()
            print(f"gradient of the mean squared discharge, {name}: off by {off:.1e}")
    columns = ["engine", "method", "setting", "RMS error", "value [s]", "+ gradient [s]", "ratio"]
    print(pd.DataFrame(rows, columns=columns).to_string(index=False, float_format="{:.2g}".format))
    one, other = found["julia", "tsit5"], found["embedded", "tsit5"]
    print(
        f"gradients of the engines differ by {np.abs(one - other).max() / np.abs(other).max():.1e}"
    )


class Plain:
    """The plain script, its gradient turned into the order of ours."""

    def __init__(self, task: Task) -> None:
        import juliacall

        script = os.path.join(os.path.dirname(__file__), "hydronode_manner.jl")
        self.module = juliacall.Base.include(juliacall.Main.seval("Module(:Plain)"), script)
        self.array = lambda a: juliacall.convert(juliacall.Main.Array, np.asarray(a, float))
        p, w = task.parameters[0], task.weights
        places = self.module.parameters(
            self.array(np.arange(p.size)), self.array(p.size + np.arange(w.size))
        )
        self.order = np.argsort(np.array(juliacall.Main.collect(places)))

    def value(self, task: Task, tolerance: float = 1e-3) -> np.ndarray:
        """Discharge of each day."""
        return np.array(self.module.value(*self._arrays(task), tolerance))

    def gradient(self, task: Task, observed: np.ndarray) -> np.ndarray:
        """Gradient of the mean squared error to parameters and weights."""
        _, found = self.module.gradient(*self._arrays(task), self.array(observed))
        return np.array(found)[self.order]

    def _arrays(self, task: Task) -> list:
        inputs = (task.forcing[0].T, task.parameters[0], task.weights, task.initial[0])
        return [self.array(a) for a in inputs]


def plain_script(task: Task) -> Plain | None:
    import juliacall

    try:
        return Plain(task)
    except juliacall.JuliaError as error:
        print(f"no plain script: {str(error).splitlines()[0]}")
        return None


def mse_gradient(solver, task: Task, observed: np.ndarray) -> np.ndarray:
    """Gradient of the mean squared error to parameters and weights."""
    solution, pullback = solver.solve_with_pullback(*task)
    found = pullback(2 * (solution.fluxes - observed[:, None]) / observed.size)
    return np.concatenate([found.parameters[0], found.weights])


def bridge(task: Task) -> None:
    """Time the same calls on both sides of the bridge, in turns."""
    import juliacall

    timed = juliacall.Main.seval("(f, arguments...) -> @elapsed f(arguments...)")
    julia = _julia.start().module
    for method in ("rk4", "tsit5"):
        solver = compiled("julia", UDE, method=method, fluxes=("q",))
        how = (method, 2, 1e-6, 1e-6, 1000, "constant")
        arrays = [juliacall.convert(juliacall.Main.Array, a.T) for a in task]
        inputs = (solver._model, *arrays, how, True, 1.0)
        shape = solver.solve(*task).fluxes.shape[::-1]
        ones = juliacall.convert(juliacall.Main.Array, np.ones(shape))
        zeros = juliacall.convert(juliacall.Main.Array, np.zeros((2, *shape[1:])))
        whole = juliacall.Main.seval(
            """(solve, pull, fluxes, states, inputs...) -> begin
                found = solve(inputs..., true)
                pull(found[5], fluxes, states, found[4], false, "discrete")
            end"""
        )
        gradient = (whole, julia.solve, julia.pull, ones, zeros, *inputs)
        calls = {
            "solve": (lambda s=solver: s.solve(*task), (julia.solve, *inputs, False)),
            "gradient": (lambda s=solver: gradient_of(s, task), gradient),
        }
        for name, (python, inside) in calls.items():
            pairs = [(seconds(python), timed(*inside)) for _ in range(BRIDGE_REPEATS)][1:]
            here, there = np.median(np.array(pairs, float), axis=0)
            print(
                f"bridge, {method}, {name}: {here * 1e3:.0f} ms from Python, {there * 1e3:.0f} ms "
                f"inside Julia, {here / there:.3f} times"
            )


def fit(task: Task) -> None:
    """Fit the networks to the same validation NSE with gradients of ours and of the plain script.

    Adam on parameters and weights, the networks as drawn, two years of days, then a year
    of validation. The aim is what our fit has reached after `FIT_STEPS` steps, less 0.002.
    """
    data = hw.data.read_camels_netcdf(
        os.path.join(os.environ["HYBRIDWATER_DATA"], "camels_us/camels_daily.nc"), ()
    )
    observed = data.qobs.isel(basin=0).values
    task = part(make_task(len(task.forcing[0])), 1)
    train, whole = part(task, 1, 731), part(task, 1, 731 + 365)
    validated, obs = slice(731, 731 + 365), observed[:731]
    spread = ((observed[validated] - observed[validated].mean()) ** 2).sum()
    solver = compiled("julia", UDE, method="tsit5", rtol=1e-3, atol=1e-3, fluxes=("q",))

    def run(gradient, aim: float, steps: int) -> tuple[float, int, float]:
        at = torch.tensor(np.concatenate([task.parameters[0], task.weights]), requires_grad=True)
        optimiser, spent, best = torch.optim.Adam([at], 0.01), 0.0, -np.inf
        taken = 0
        while best < aim and taken < steps:
            p, w = np.split(at.detach().numpy().copy(), [task.parameters.shape[1]])
            begun = time.perf_counter()
            at.grad = torch.tensor(gradient(train._replace(parameters=p[None], weights=w), obs))
            optimiser.step()
            taken += 1
            spent += time.perf_counter() - begun
            p, w = np.split(at.detach().numpy().copy(), [task.parameters.shape[1]])
            q = solver.solve(*whole._replace(parameters=p[None], weights=w)).flux("q")[0, validated]
            best = max(best, 1 - ((q - observed[validated]) ** 2).sum() / spread)
        return best, taken, spent

    def ours(task: Task, observed: np.ndarray) -> np.ndarray:
        return mse_gradient(solver, task, observed)

    ours(train, obs)
    aim = run(ours, np.inf, FIT_STEPS)[0] - 0.002
    rows = [("julia", *run(ours, aim, FIT_STEPS))]
    plain = plain_script(task)
    if plain is not None:
        plain.gradient(train, obs)
        rows.append(("HydroNODE manner", *run(plain.gradient, aim, 2 * FIT_STEPS)))
    columns = ["gradients of", "validation NSE", "steps", "seconds"]
    print(pd.DataFrame(rows, columns=columns).to_string(index=False, float_format="{:.4g}".format))


THREADS = """
import numpy as np, time
from engine_speed import UDE, defaults, make_task
from hybridwater.engines import Options, get_engine
task = make_task(3652)
members = np.random.default_rng(0).integers(0, len(task.forcing), 1000)
arrays = (task.parameters[members], task.weights, task.forcing[members], task.initial[members])
solver = get_engine("julia").compile(UDE, Options(method="rk4", substeps=1, fluxes=("q",)))
solver.solve(*(a[:2] if a.ndim > 1 else a for a in arrays))
times = []
for _ in range(3):
    begun = time.perf_counter()
    solver.solve(*arrays)
    times.append(time.perf_counter() - begun)
print(min(times))
"""

FIRST = """
import time
begun = time.perf_counter()
import numpy as np
from engine_speed import UDE, make_task, part
from hybridwater.engines import Options, get_engine
task = part(make_task(3652), 1)
loaded = time.perf_counter()
solver = get_engine("julia").compile(UDE, Options(method="tsit5", fluxes=("q",)))
solver.solve(*task)
value = time.perf_counter() - loaded
solution, pullback = solver.solve_with_pullback(*task)
pullback(np.ones_like(solution.fluxes))
print(value, time.perf_counter() - loaded)
"""


def child(script: str, **variables: str) -> list[float]:
    environment = (
        os.environ | variables | {"PYTHONPATH": os.path.dirname(os.path.abspath(__file__))}
    )
    out = subprocess.check_output([sys.executable, "-c", script], env=environment, text=True)
    return [float(word) for word in out.splitlines()[-1].split()]


def threads(_: Task) -> None:
    one, two = (child(THREADS, HYBRIDWATER_JULIA_THREADS=n)[0] for n in "12")
    print(
        f"1,000 members, ten years: {one:.1f} s on one thread, {two:.1f} s on two: {one / two:.2f}x"
    )


def first(_: Task) -> None:
    value, gradient = child(FIRST)
    print(f"new process, package precompiled: first value {value:.1f} s, gradient {gradient:.1f} s")


@hw.model
def gutter(m):
    P = m.forcing("prcp", "mm d-1")
    fast = m.state("fast", "mm")
    slow = m.state("slow", "mm", initial=10)
    k = m.parameter("k", "d-1", bounds=(1, 1000), default=100)
    a = m.parameter("a", "d-1", bounds=(1e-3, 1), default=0.05)
    runoff = m.flux("runoff", k * fast, "mm d-1")
    q = m.flux("q", a * slow, "mm d-1")
    m.derivative(fast, P - runoff)
    m.derivative(slow, runoff - q)


def stiff(task: Task) -> None:
    forcing = np.ascontiguousarray(task.forcing[:1, :, :1])
    arrays = (defaults(gutter, 1), np.zeros(0), forcing, np.array([[0.0, 10.0]]))
    tight = {"rtol": 1e-6, "atol": 1e-6}
    solver = compiled("julia", gutter, method="rodas5p", fluxes=("q",), **tight)
    ours = solver.solve(*arrays).flux("q")

    def radau() -> np.ndarray:
        y, q = np.array([0.0, 10.0, 0.0]), np.zeros(forcing.shape[1])
        for day, rain in enumerate(forcing[0, :, 0]):
            y[2] = 0.0

            def rates(_, y, rain=rain):
                return [rain - 100 * y[0], 100 * y[0] - 0.05 * y[1], 0.05 * y[1]]

            y = solve_ivp(rates, (0.0, 1.0), y, "Radau", **tight).y[:, -1]
            q[day] = y[2]
        return q

    theirs = radau()
    print(f"stiff store: outflows differ by {np.abs(ours[0] - theirs).max():.1e} mm d-1")
    ratio = median(radau, 1) / median(lambda: solver.solve(*arrays))
    print(f"stiff store: {ratio:.0f} times as fast as scipy's Radau with a Python right-hand side")


def main() -> None:
    sections = {f.__name__: f for f in (gradients, bridge, threads, stiff, first, fit)}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(sections), choices=list(sections))
    parser.add_argument("--years", type=float, default=YEARS)
    args = parser.parse_args()
    _julia.available().demand()
    _julia.start()
    task = part(pretrained(make_task(round(365.25 * args.years))), 1)
    for name in args.only:
        print(f"\n== {name}")
        sections[name](task)


if __name__ == "__main__":
    main()
