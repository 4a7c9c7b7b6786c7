"""How far beyond its data a learned interaction can be trusted: Lotka and Volterra in both engines.

The experiment of Rackauckas et al. (2020, arXiv:2001.04385, scenario 1): growth of the prey and
death of the predators are known, networks learn how the two meet from ten observations a day with
noise, Adam first and a quasi-Newton method then; a search turns the networks into equations. The
paper trains on three days, half of a cycle, and its figure that goes beyond the data is one of
the recovered equations. In the three days that follow, prey become five times as many as ever seen.
Six days are a whole cycle: what follows them has been seen before.

For each engine, the largest error within the days of training, and until twice as many, relative to
the largest number of the species, of

- ``network``: two networks of both species and nothing else,
- ``equations``: what is recovered from two such fits and fitted in their place.

    python benchmarks/lotka_volterra.py [--engine embedded julia] [--seeds 0 1 2] [--days 3 6]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
import xarray as xr
from scipy.integrate import solve_ivp

import hybridwater as hw
from hybridwater.discovery import replacements
from hybridwater.training import Stage, Surrogate

SPECIES = ("prey", "predators")
#: Adam, then BFGS with limited memory; the same solver in both engines.
SCHEDULE = (Stage("joint", 400, 0.02, 0.02), Stage("joint", 600, optimiser="lbfgs"))
COMMON = {
    "observed": {f"seen_{s}": f"seen_{s}" for s in SPECIES},
    "train": slice(None),
    "warmup": 0,
    "loss": "mse",
    "substeps": 4,
    "output": "instantaneous",
    "patience": 1000,
    "show_progress": False,
}


@hw.model
def half(m: hw.Declaration) -> None:
    """Declare the known half, with networks for the other one."""
    birth, death = m.constant("birth", 1.3, "d-1"), m.constant("death", 1.8, "d-1")
    x = m.state("prey", "1", initial=m.parameter("prey0", "1", (0.2, 1), 0.45))
    y = m.state("predators", "1", initial=m.parameter("predators0", "1", (2, 10), 4.6))
    eaten = m.network("eaten", {x: (0, 2), y: (0, 5)}, "d-1", hidden=(5, 5))
    born = m.network("born", {x: (0, 2), y: (0, 5)}, "d-1", hidden=(5, 5))
    m.flux("seen_prey", 1 * x, "1")
    m.flux("seen_predators", 1 * y, "1")
    m.derivative(x, birth * x - eaten)
    m.derivative(y, born - death * y)


def truth(days: float) -> np.ndarray:
    """Return both species ten times a day, shape (species, time)."""

    def rates(_: float, u: np.ndarray) -> tuple[float, float]:
        return 1.3 * u[0] - 0.9 * u[0] * u[1], 0.8 * u[0] * u[1] - 1.8 * u[1]

    t = np.arange(round(10 * days) + 1) / 10
    begin = (0.44249296, 4.6280594)
    return solve_ivp(rates, (0, days), begin, t_eval=t, rtol=1e-10, atol=1e-10).y


def observations(days: int, noise: float, seed: int) -> xr.Dataset:
    """Return what is seen, with noise relative to the mean of each species."""
    exact = truth(days)
    error = noise * np.random.default_rng(seed).standard_normal(exact.shape)
    seen = exact + error * exact.mean(1, keepdims=True)
    values = {f"seen_{s}": ("time", v, {"units": "1"}) for s, v in zip(SPECIES, seen, strict=True)}
    return xr.Dataset(values, {"time": _times(days)})


def _times(days: int) -> pd.DatetimeIndex:
    return pd.date_range("2000-01-01", periods=10 * days + 1, freq="144min")


def network(data: xr.Dataset, engine: str, seed: int = 0) -> Surrogate:
    """Fit the networks."""
    return hw.fit(half, data, schedule=SCHEDULE, seed=seed, engine=engine, **COMMON)


def equations(fits: list[Surrogate], data: xr.Dataset, engine: str) -> Surrogate:
    """Return the equations that the data prefer in the place of the networks."""
    fronts = {name: hw.discover(fits, name, data) for name in ("eaten", "born")}
    models = replacements(fits[0], fronts, each=3)
    finish = (Stage("joint", 100, 0.05), Stage("joint", 60, optimiser="lbfgs"))
    found = hw.compare(models, data, schedule=finish, engine=engine, **COMMON)
    return found.fits[found.preferred]


def errors(fit: Surrogate, days: int, engine: str) -> tuple[float, float]:
    """Return the largest errors within the days of training, and in as many days after them."""
    exact = truth(2 * days)
    run = hw.simulate(
        fit.ude,
        xr.Dataset(coords={"time": _times(2 * days)}),
        fit.parameters,
        fit.weights,
        engine=engine,
        substeps=4,
        output="instantaneous",
    )
    miss = np.abs(np.stack([run[s].values[0] for s in SPECIES]) - exact)
    inside, after = slice(0, 10 * days + 1), slice(10 * days + 1, None)
    within = (miss[:, inside].max(1) / exact[:, inside].max(1)).max()
    return float(within), float((miss[:, after].max(1) / exact.max(1)).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", nargs="+", default=["embedded", "julia"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the noise")
    parser.add_argument("--days", nargs="+", type=int, default=[3, 6])
    parser.add_argument("--noise", type=float, default=0.005)
    args = parser.parse_args()
    print("| what | days | noise | engine | error within | error until twice as long | time |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for days in args.days:
        for seed in args.seeds:
            data = observations(days, args.noise, seed)
            for engine in args.engine:
                fits: list[Surrogate] = []
                for what in ("network", "equations"):
                    begun = time.perf_counter()
                    if what == "network":
                        fits = [network(data, engine, k) for k in range(2)]
                    fit = fits[0] if what == "network" else equations(fits, data, engine)
                    spent = time.perf_counter() - begun
                    within, after = errors(fit, days, engine)
                    print(
                        f"| {what} | {days} | {seed} | {engine} | {within:.2%} | {after:.2%} | "
                        f"{spent:.0f} s |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
