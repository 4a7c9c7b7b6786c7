"""How far beyond its data a learned interaction can be trusted: Lotka and Volterra in both engines.

The experiment of Rackauckas et al. (2020, arXiv:2001.04385, scenario 1): growth of the prey and
death of the predators are known, networks learn how the two meet from ten noisy observations a
day, Adam first and a quasi-Newton method then; a search turns the networks into equations. The
paper trains on three days, half of a cycle, and its figure that goes beyond the data is one of the
recovered equations. In the three days that follow, prey become five times as many as ever seen. Six
days are a whole cycle: what follows them has been seen before.

For each engine, the largest error within the days of training, and in as many days after them,
relative to the largest number of the species, of the model with networks, and of the equations that
are recovered from two such fits and fitted in their place.

    python benchmarks/lotka_volterra.py [--engine embedded julia] [--seeds 4] [--days 3 6]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
import xarray as xr
from discovery import lotka_volterra_data, lotka_volterra_model, lotka_volterra_truth

import hybridwater as hw
from hybridwater.discovery import replacements
from hybridwater.errors import HybridwaterError
from hybridwater.training import Stage, Surrogate

#: Adam, then BFGS with limited memory.
SCHEDULE = (
    Stage("joint", 300, 0.02, 0.02),
    Stage("joint", 200, 0.005, 0.005),
    Stage("joint", 300, optimiser="lbfgs"),
)
COMMON = {
    "observed": {"seen_prey": "seen_prey", "seen_predators": "seen_predators"},
    "train": slice(None),
    "warmup": 0,
    "loss": "mse",
    "substeps": 4,
    "output": "instantaneous",
    "show_progress": False,
}


def network(data: xr.Dataset, engine: str, seed: int = 0) -> Surrogate:
    """Fit the networks."""
    model = lotka_volterra_model()
    return hw.fit(model, data, schedule=SCHEDULE, seed=seed, engine=engine, **COMMON)


def equations(fits: list[Surrogate], data: xr.Dataset, engine: str) -> Surrogate:
    """Return the equations that the data prefer in the place of the networks."""
    fronts = {name: hw.discover(fits, name, data) for name in ("eaten", "born")}
    for name, front in fronts.items():
        print(f"    {name} by the network alone: {front.recommended}", flush=True)
    models = replacements(fits[0], fronts, each=3)
    finish = (Stage("joint", 100, 0.05), Stage("joint", 60, optimiser="lbfgs"))
    found = hw.compare(models, data, schedule=finish, engine=engine, **COMMON)
    fit = found.fits[found.preferred]
    for name in fronts:
        law = next(f.expression for f in fit.ude.fluxes if f.name == name)
        print(f"    {name} that the data prefer: {law}", flush=True)
    return fit


def errors(fit: Surrogate, days: int, engine: str) -> tuple[float, float]:
    """Return the largest errors within the days of training, and in as many days after them."""
    exact = lotka_volterra_truth(2 * days)
    times = pd.date_range("2000-01-01", periods=exact.shape[1], freq="144min")
    run = hw.simulate(
        fit.ude,
        xr.Dataset(coords={"time": times}),
        fit.parameters,
        fit.weights,
        engine=engine,
        substeps=4,
        output="instantaneous",
    )
    miss = np.abs(np.stack([run[s].values[0] for s in ("prey", "predators")]) - exact)
    inside, after = slice(0, 10 * days + 1), slice(10 * days + 1, None)
    within = (miss[:, inside].max(1) / exact[:, inside].max(1)).max()
    return float(within), float((miss[:, after].max(1) / exact.max(1)).max())


def row(what: str, fit: Surrogate, days: int, seed: int, engine: str, begun: float) -> str:
    spent = time.perf_counter() - begun
    try:
        within, after = errors(fit, days, engine)
    except HybridwaterError as error:
        return f"| {what} | {days} | {seed} | {engine} | {error.what} | | {spent:.0f} s |"
    return f"| {what} | {days} | {seed} | {engine} | {within:.1%} | {after:.1%} | {spent:.0f} s |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", nargs="+", default=["embedded", "julia"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[4], help="of the noise")
    parser.add_argument("--days", nargs="+", type=int, default=[3, 6])
    args = parser.parse_args()
    print("| what | days | noise | engine | error within | error after | time |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for days in args.days:
        for seed in args.seeds:
            data = lotka_volterra_data(seed, days)
            for engine in args.engine:
                begun = time.perf_counter()
                fits = [network(data, engine, k) for k in range(2)]
                print(row("networks", fits[0], days, seed, engine, begun), flush=True)
                begun = time.perf_counter()
                law = equations(fits, data, engine)
                print(row("equations", law, days, seed, engine, begun), flush=True)


if __name__ == "__main__":
    main()
