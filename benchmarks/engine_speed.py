"""Value and gradient of a hybrid model: the embedded engine, torchdiffeq and LSODA in one run.

All programs solve the same equations, EXP-Hydro with two networks, with forcing that is constant
over each record, and give the mean discharge of each record: ours by itself, the others by one
more state, the discharge so far. torchdiffeq is written as its users would write it, the batch in
one tensor, steps ending at records by ``jump_t`` (``plain``: without, one basin only, since the
step that a batch shares collapses at the jumps), and differentiated through its steps; LSODA goes
basin by basin, starts anew at each record, has its right-hand side in numba and no gradient. They
take turns in every repeat, the others on the first ``--window`` days only because they may take
minutes, and all errors are those of these days against a tight solution.

Columns: largest and RMS error of daily discharge (relative to the day's, or to a hundredth of the
basin's mean if that is more); basin-years per second; seconds of the first value and gradient in a
new process without and with the persistent cache of compiled programs; how many times faster than
torchdiffeq's fastest row whose RMS error is not smaller (* where all have smaller errors).

    python benchmarks/engine_speed.py
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd
import torch
from numba import njit
from scipy.integrate import odeint, solve_ivp
from torchdiffeq import odeint as torch_odeint

import hybridwater as hw
from hybridwater import models
from hybridwater.engines import Options, get_engine
from hybridwater.engines.embedded.equations import equations, unpack_weights
from hybridwater.ude.program import initial_weights

HIDDEN = (8, 16)  # 386 weights, as many as in the published sketch of this model
UDE = models.exp_hydro_hybrid(HIDDEN)
ET_SIZES, Q_SIZES = (4, *HIDDEN, 1), (2, *HIDDEN, 1)
Q_BEGIN = UDE.program.networks[1].offset
BATCHES = (1, 64)
RECORD_WISE = ("heun x1", "rk4 x1", "rk4 x2", "rosenbrock1 x1", "rosenbrock2 x2")
OURS = (*RECORD_WISE, "rk4 x1 float32", "rosenbrock1 x1 float32", "tsit5 1e-3", "tsit5 1e-6")
QUICK = ("rk4 x1", "rosenbrock1 x1", "tsit5 1e-6")
TORCH = ("dopri5 1e-3 plain", "dopri5 1e-3", "dopri5 1e-6", "rk4 1-day steps")
LSODA = ("1e-3", "1e-6")


class Task(NamedTuple):
    """What is solved: arrays as a solver takes them."""

    parameters: np.ndarray
    weights: np.ndarray
    forcing: np.ndarray
    initial: np.ndarray


@dataclass
class Case:
    """One row: what to time (shapes (batch, days) and (n_weights,)), and what it found."""

    program: str
    method: str
    task: Task
    value: Callable[[], np.ndarray]
    gradient: Callable[[int | None], np.ndarray] | None = None
    error: tuple[float, float] = (np.nan, np.nan)
    first: tuple[float, float] = (np.nan, np.nan)
    seconds: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))


def synthetic(batch: int, days: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    season = np.sin(2 * np.pi * np.arange(days) / 365.25 - 1.5)
    tmean = 9 + 11 * season + rng.normal(0, 3, (batch, days))
    dayl = np.broadcast_to(12 + 3 * season, (batch, days))
    return np.stack([rng.gamma(0.3, 10.0, (batch, days)), tmean, dayl], axis=-1)


def make_task(days: int) -> Task:
    """Real forcing of CAMELS-US basins if the data folder is there; weights as they are drawn."""
    batch = max(BATCHES)
    folder = os.environ.get("HYBRIDWATER_DATA")
    if folder:
        data = hw.data.read_camels_netcdf(Path(folder) / "camels_us/camels_daily.nc", ())
        spread = np.linspace(0, data.sizes["basin"] - 1, batch).astype(int)
        data = data.isel(basin=spread, time=slice(days))
        forcing = np.stack([data[f.name].values for f in UDE.forcings], axis=-1)
    else:
        forcing = synthetic(batch, days)
    weights, initial = initial_weights(UDE.program, seed=0), np.tile([1.0, 800.0], (batch, 1))
    return Task(defaults(UDE, batch), weights, forcing, initial)


def defaults(ude: hw.UDE, batch: int) -> np.ndarray:
    return np.tile([ude.parameter(name).default for name in ude.program.parameters], (batch, 1))


def part(task: Task, batch: int, days: int | None = None) -> Task:
    forcing = np.ascontiguousarray(task.forcing[:batch, :days])
    return Task(task.parameters[:batch], task.weights, forcing, task.initial[:batch])


def compiled(**options):
    return get_engine("embedded").compile(UDE, Options(**options, fluxes=("q",)))


def perceptron(sizes: tuple[int, ...]) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(n_in, n_out, dtype=torch.float64), torch.nn.Tanh()]
    return torch.nn.Sequential(*layers[:-1])


class Hybrid(torch.nn.Module):
    """The equations in torch; the last state sums up discharge."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        columns = (torch.tensor(column) for column in task.parameters.T)
        self.tmin, self.df, self.tmax = map(torch.nn.Parameter, columns)
        self.initial = torch.nn.Parameter(torch.tensor(task.initial))
        self.networks = torch.nn.ModuleList(map(perceptron, (ET_SIZES, Q_SIZES)))
        torch.nn.utils.vector_to_parameters(torch.tensor(task.weights), self.networks.parameters())
        self.forcing = torch.tensor(task.forcing).transpose(0, 1).contiguous()

    def learned(self, snow, soil, water, tmean, dayl):
        """Evaluate the two networks."""
        inputs = (soil / 750 - 1, snow / 100 - 1, (tmean + 15) / 22.5 - 1, (dayl - 8) / 4 - 1)
        et = self.networks[0](torch.stack(inputs, -1))[..., 0]
        q = self.networks[1](torch.stack((soil / 750 - 1, water / 20 - 1), -1))[..., 0]
        wet = torch.relu(soil) / (torch.relu(soil) + 15)
        return 2 * torch.nn.functional.softplus(et) * wet, torch.exp(q) * wet

    def rates(self, y, prcp, tmean, dayl):
        """Evaluate the right-hand side."""
        snow, soil = y[..., 0], y[..., 1]
        rain = prcp * 0.5 * (torch.tanh((tmean - self.tmin) / 0.2) + 1)
        warm = tmean - self.tmax
        melt = 0.25 * (torch.tanh(snow / 0.2) + 1) * (torch.tanh(warm / 0.2) + 1)
        melt = melt * torch.minimum(snow, self.df * warm)
        et, q = self.learned(snow, soil, rain + melt, tmean, dayl)
        return torch.stack((prcp - rain - melt, rain + melt - et - q, q), -1)

    def forward(self, t, y):
        """Take the forcing of the record, as torchdiffeq calls it."""
        return self.rates(y, *self.forcing[min(int(t), len(self.forcing) - 1)].unbind(-1))

    def discharge(self, name: str) -> torch.Tensor:
        """Solve; the mean of each record, shape (batch, days)."""
        method, setting, *plain = name.split()
        t = torch.arange(len(self.forcing) + 1, dtype=torch.float64)
        start = torch.nn.functional.pad(self.initial, (0, 1))
        if method == "rk4":
            y = torch_odeint(self, start, t, method="rk4", options={"perturb": True})
        else:
            tight = {"rtol": float(setting), "atol": float(setting)}
            tight["options"] = {} if plain else {"jump_t": t[1:-1]}
            y = torch_odeint(self, start, t, method="dopri5", **tight)
        return y[:, :, 2].diff(dim=0).T


def flat(tensors: Iterable[torch.Tensor]) -> np.ndarray:
    return np.concatenate([t.detach().ravel() for t in tensors])


def pretrained(task: Task, steps: int = 1500) -> Task:
    """Teach the networks the fluxes of EXP-Hydro, so that they respond as fitted ones do."""
    skeleton = UDE.conceptual()
    rng = np.random.default_rng(0)
    forcing = task.forcing[:, rng.integers(0, task.forcing.shape[1], 64)]
    shape = forcing.shape[:2]
    states = np.stack([rng.gamma(0.2, 100, shape), rng.uniform(0, 1000, shape)], axis=-1)
    options = Options(fluxes=("et", "q", "rainfall", "melt"))
    solver = get_engine("embedded").compile(skeleton, options)
    fluxes, _ = solver.evaluate(defaults(skeleton, len(states)), np.zeros(0), forcing, states)
    et, q, rain, melt = torch.tensor(fluxes).unbind(-1)
    snow, soil, _, tmean, dayl = torch.tensor(np.dstack([states, forcing])).unbind(-1)
    model = Hybrid(task)
    optimiser = torch.optim.Adam(model.networks.parameters(), 0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        pairs = zip((et, q), model.learned(snow, soil, rain + melt, tmean, dayl), strict=True)
        loss = sum(((y - x) ** 2).mean() / x.var() for x, y in pairs)
        loss.backward()
        optimiser.step()
    print(f"networks taught EXP-Hydro, unexplained variance {loss.item():.2g}")
    return task._replace(weights=flat(model.networks.parameters()))


@njit
def network(w, at, sizes, x):
    """Evaluate a network whose flat weights begin at ``at``."""
    for k in range(len(sizes) - 1):
        n_in, n_out = sizes[k], sizes[k + 1]
        out = w[at + n_in * n_out : at + n_in * n_out + n_out].copy()
        for i in range(n_out):
            for j in range(n_in):
                out[i] += w[at + i * n_in + j] * x[j]
        at += (n_in + 1) * n_out
        x = np.tanh(out) if k < len(sizes) - 2 else out
    return x[0]


@njit
def rates(t, y, u, p, w):
    """Evaluate the equations for scipy, with the forcing ``u`` of one record."""
    snow, soil = y[0], y[1]
    (prcp, tmean, dayl), (tmin, df, tmax) = (u[0], u[1], u[2]), (p[0], p[1], p[2])
    rain = prcp * 0.5 * (np.tanh((tmean - tmin) / 0.2) + 1)
    warm = tmean - tmax
    melt = 0.25 * (np.tanh(snow / 0.2) + 1) * (np.tanh(warm / 0.2) + 1) * min(snow, df * warm)
    x = (soil / 750 - 1, snow / 100 - 1, (tmean + 15) / 22.5 - 1, (dayl - 8) / 4 - 1)
    z = network(w, 0, ET_SIZES, np.array(x))
    wet = max(soil, 0.0) / (max(soil, 0.0) + 15)
    et = 2 * (max(z, 0.0) + np.log1p(np.exp(-abs(z)))) * wet
    q = wet * np.exp(network(w, Q_BEGIN, Q_SIZES, np.array((x[0], (rain + melt) / 20 - 1))))
    return np.array([prcp - rain - melt, rain + melt - et - q, q])


def restarted(task: Task, solver: str, tolerance: float) -> np.ndarray:
    """Solve record by record with scipy; mean discharge, shape (batch, days)."""
    tight = {"rtol": tolerance, "atol": tolerance}
    q = np.zeros(task.forcing.shape[:2])
    for b, (p, start) in enumerate(zip(task.parameters, task.initial, strict=True)):
        y = np.append(start, 0.0)
        for k, u in enumerate(task.forcing[b]):
            y[2], args = 0.0, (u, p, task.weights)
            if solver == "LSODA":  # much less overhead than solve_ivp(method="LSODA")
                y = odeint(rates, y, (0.0, 1.0), args, tfirst=True, **tight)[-1]
            else:
                y = solve_ivp(rates, (0.0, 1.0), y, solver, args=args, **tight).y[:, -1]
            q[b, k] = y[2]
    return q


def check_equations(task: Task) -> None:
    """Make sure that all right-hand sides are the same function."""
    rng = np.random.default_rng(1)
    count = len(task.forcing)
    y = np.column_stack([rng.uniform(0, 150, count), rng.uniform(1, 1500, count)])
    u = task.forcing[np.arange(count), rng.integers(0, task.forcing.shape[1], count)]
    with jax.enable_x64(True):
        layers = unpack_weights(UDE.program.networks, jax.numpy.asarray(task.weights))
        columns = (list(jax.numpy.asarray(a.T)) for a in (y, u, task.parameters))
        d, out = equations(UDE.program, ("q",))(*columns, layers)
        ours = np.stack([*d, *out], axis=-1)
    with torch.no_grad():
        theirs = Hybrid(task).rates(torch.tensor(y), *torch.tensor(u).unbind(-1)).numpy()
    pairs = zip(y, u, task.parameters, strict=True)
    numba = np.stack([rates(0.0, a, b, p, task.weights) for a, b, p in pairs])
    for name, values in (("torch", theirs), ("numba", numba)):
        difference = np.max(np.abs(values - ours) / np.maximum(1.0, np.abs(ours)))
        print(f"right-hand side in {name}: differs from the engine's by {difference:.1e}")
        if not difference < 1e-12:
            raise SystemExit("The programs do not solve the same equations.")


def our_case(task: Task, name: str) -> Case:
    method, setting, *precision = name.split()
    tight = {} if setting.startswith("x") else {"rtol": float(setting), "atol": float(setting)}
    options = tight or {"substeps": int(setting[1:])}
    solver = compiled(method=method, **options, precision=(*precision, "float64")[0])

    def gradient(days: int | None) -> np.ndarray:
        solution, pullback = solver.solve_with_pullback(*task)
        bar = np.zeros_like(solution.fluxes)
        bar[:, :days] = 1.0
        return pullback(bar).weights

    return Case("embedded", name, task, lambda: solver.solve(*task).flux("q"), gradient)


def torch_case(task: Task, name: str) -> Case:
    model = Hybrid(task)

    def value() -> np.ndarray:
        with torch.no_grad():
            return model.discharge(name).numpy()

    def gradient(days: int | None) -> np.ndarray:
        total = model.discharge(name)[:, :days].sum()
        return flat(torch.autograd.grad(total, list(model.parameters()))[4:])

    return Case("torchdiffeq", name, task, value, gradient)


def make_cases(task: Task, window: int, ours: tuple[str, ...]) -> list[Case]:
    short = part(task, len(task.forcing), window)
    alone = len(task.forcing) == 1
    cases = [our_case(task, name) for name in ours]
    cases += [torch_case(short, name) for name in TORCH if alone or "plain" not in name]
    lsoda = functools.partial(restarted, short, "LSODA")
    cases += [Case("LSODA", name, short, functools.partial(lsoda, float(name))) for name in LSODA]
    reference = compiled(method="dopri5", rtol=1e-10, atol=1e-10).solve(*short).flux("q")
    if alone:
        error, _ = relative_error(restarted(short, "DOP853", 1e-12), reference)
        print(f"tight solution: differs from DOP853 by {error:.1e}")
    for case in cases:
        case.error = relative_error(case.value(), reference)
    one, other = (case.gradient(window) for case in cases if case.method.endswith("5 1e-6"))
    error = np.abs(one - other).max() / np.abs(other).max()
    print(f"batch {len(task.forcing)}: gradients of tsit5 and torchdiffeq differ by {error:.1e}")
    return cases


def relative_error(q: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    floor = 0.01 * reference.mean(axis=1, keepdims=True)
    error = (q[:, : reference.shape[1]] - reference) / np.maximum(reference, floor)
    return float(np.abs(error).max()), float(np.sqrt((error**2).mean()))


def first_calls(case: Case) -> tuple[float, float]:
    """Return the seconds of the first call in new processes: empty cache, filled cache."""
    request = json.dumps([case.method, *case.task.forcing.shape[:2]])
    command = [sys.executable, __file__, "--first-call", request]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"HYBRIDWATER_CACHE_DIR": folder}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        cold, cached = (subprocess.check_output(command, env=environment) for _ in range(2))
    return float(cold), float(cached)


def timed(run: Callable, *arguments) -> float:
    begun = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - begun


def speed(case: Case, what: int) -> float:
    """Return basin-years per second of the value (0) or of value and gradient (1)."""
    batch, days = case.task.forcing.shape[:2]
    return batch * days / 365.25 / np.median(case.seconds[what] or np.nan)


def table(cases: list[Case]) -> pd.DataFrame:
    rows = []
    for case in cases:
        batch = len(case.task.forcing)
        row = {"program": case.program, "method": case.method, "batch": batch}
        row["max error"], row["RMS error"] = (f"{e:.1e}" for e in case.error)
        row |= {"value": speed(case, 0), "+ gradient": speed(case, 1)}
        row["first [s]"], row["cached [s]"] = case.first
        rivals = [c for c in cases if (c.program, len(c.task.forcing)) == ("torchdiffeq", batch)]
        coarse = [c for c in rivals if c.error[1] >= case.error[1]]
        for what, title in enumerate(("value x", "+ gradient x")):
            times = speed(case, what) / max(speed(c, what) for c in coarse or rivals)
            row[title] = f"{times:.3g}" + ("" if coarse else "*")
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=float, default=10)
    parser.add_argument("--window", type=int, default=365, help="days for errors and the others")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-first-calls", action="store_true")
    parser.add_argument("--quick", action="store_true", help="few rows, one year, 30-day window")
    parser.add_argument("--first-call", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.first_call:
        method, batch, days = json.loads(args.first_call)
        print(timed(our_case(part(make_task(days), batch), method).gradient, None))
        return
    if args.quick:
        args.years, args.window, args.repeats = 1.0, 30, 2
    task = pretrained(make_task(round(365.25 * args.years)))
    print(f"compilation in numba: {timed(check_equations, task):.1f} s")
    days = task.forcing.shape[1]
    print(f"{task.weights.size} weights; {days} days, the others and all errors {args.window} days")
    ours = QUICK if args.quick else OURS
    cases = [c for b in BATCHES for c in make_cases(part(task, b), min(args.window, days), ours)]
    for case in cases:
        if case.program == "embedded" and not args.no_first_calls:
            case.first = first_calls(case)
    for _ in range(args.repeats):
        for case in cases:
            case.seconds[0].append(timed(case.value))
            if case.gradient is not None:
                case.seconds[1].append(timed(case.gradient, None))
    print(table(cases).to_string(index=False, float_format="{:.3g}".format, na_rep="-"))


if __name__ == "__main__":
    main()
