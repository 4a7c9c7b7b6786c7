"""How far beyond its data a learned interaction can be trusted: Lotka and Volterra in both engines.

The experiment of Rackauckas et al. (2020, arXiv:2001.04385): growth of the prey and death of the
predators are known, networks learn how the two meet from ten observations a day, with noise of
0.5 % of the mean. Their scenario 1 trains on three days, half of a cycle, and what goes beyond the
data in its figure are the recovered equations, not the networks. Their scenario 2 has six days, one
cycle, and multiple shooting, as here: Adam over windows that begin at observed states, then L-BFGS
over the whole span from initial states that are fitted.

For each engine and seed of the noise, the largest error within the days of training, and in as many
days after them, relative to the largest number of the species.

    python benchmarks/lotka_volterra.py [--days 12] [--seeds 0 1 2] [--engine embedded julia]
    python benchmarks/lotka_volterra.py --equations

The second is scenario 1 with noise of 1 % (seed 4): a search turns the networks of two fits into
equations, which are fitted in their place.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
import xarray as xr
from discovery import (
    RELATIVE,
    lotka_volterra_data,
    lotka_volterra_model,
    lotka_volterra_truth,
)

import hybridwater as hw
from hybridwater.discovery import replacements
from hybridwater.errors import HybridwaterError
from hybridwater.training import Stage, Surrogate

#: Of the mean number of each species (scenario 1 and 2).
NOISE = 0.005
SPECIES = ("prey", "predators")
#: Multiple shooting over one day and over three.
SHOOTING = (
    Stage("joint", 300, 0.01, 0.01, window=10),
    Stage("joint", 200, 0.003, 0.003, window=10),
    Stage("joint", 200, 0.002, 0.002, window=30),
)
#: The whole span: Adam, then BFGS with limited memory.
WHOLE = (Stage("joint", 200, 0.002, 0.002), Stage("joint", 2000, optimiser="lbfgs"))
#: Half of a cycle needs no shooting.
HALF = (
    Stage("joint", 300, 0.02, 0.02),
    Stage("joint", 200, 0.005, 0.005),
    Stage("joint", 300, optimiser="lbfgs"),
)
COMMON = {"train": slice(None), "warmup": 0, "loss": "mse", "substeps": 4, "show_progress": False}
WHOLE_SPAN = COMMON | {
    "observed": {f"seen_{s}": f"seen_{s}" for s in SPECIES},
    "output": "instantaneous",
}


def observations(seed: int, days: int) -> xr.Dataset:
    """Return ten observations a day with the noise of the paper."""
    exact = lotka_volterra_truth(days)
    noise = np.random.default_rng(seed).standard_normal(exact.shape)
    seen = exact + NOISE * exact.mean(1, keepdims=True) * noise
    time = pd.date_range("2000-01-01", periods=exact.shape[1], freq="144min")
    values = {f"seen_{s}": ("time", v, {"units": "1"}) for s, v in zip(SPECIES, seen, strict=True)}
    return xr.Dataset(values, {"time": time})


def networks(data: xr.Dataset, engine: str) -> Surrogate:
    """Fit the networks, first over windows and then over all days."""
    model = lotka_volterra_model(8, 6, 5)
    # A state is observed at the end of a record.
    ends = data.isel(time=slice(1, None)).assign_coords(time=data["time"].values[:-1])
    begun = hw.fit(
        model,
        ends,
        observed={s: f"seen_{s}" for s in SPECIES},
        begin="observed",
        schedule=SHOOTING,
        patience=1000,
        engine=engine,
        **COMMON,
    )
    return hw.fit(
        model, data, start=begun, schedule=WHOLE, patience=1000, engine=engine, **WHOLE_SPAN
    )


def equations(data: xr.Dataset, engine: str) -> Surrogate:
    """Return the equations that the data prefer in the place of the networks of two fits."""
    model = lotka_volterra_model()
    fits = [
        hw.fit(model, data, schedule=HALF, seed=k, engine=engine, **WHOLE_SPAN) for k in range(2)
    ]
    fronts = {name: hw.discover(fits, name, data) for name in ("eaten", "born")}
    models = replacements(fits[0], fronts, each=3)
    finish = (Stage("joint", 40, optimiser="lm"),)
    found = hw.compare(models, data, schedule=finish, engine=engine, **WHOLE_SPAN | RELATIVE)
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
    miss = np.abs(np.stack([run[s].values[0] for s in SPECIES]) - exact)
    inside, after = slice(0, 10 * days + 1), slice(10 * days + 1, None)
    within = (miss[:, inside].max(1) / exact[:, inside].max(1)).max()
    return float(within), float((miss[:, after].max(1) / exact.max(1)).max())


def row(what: str, fit: Surrogate, days: int, seed: int, engine: str, begun: float) -> str:
    spent = time.perf_counter() - begun
    try:
        within, after = errors(fit, days, engine)
    except HybridwaterError as error:
        return f"| {what} | {days} | {seed} | {engine} | {error.what} | | {spent:.0f} s |"
    return f"| {what} | {days} | {seed} | {engine} | {within:.2%} | {after:.2%} | {spent:.0f} s |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", nargs="+", default=["embedded", "julia"])
    parser.add_argument("--seeds", nargs="+", type=int, default=range(10), help="of the noise")
    parser.add_argument("--days", nargs="+", type=int, default=[12])
    parser.add_argument("--equations", action="store_true", help="three days, and the search")
    args = parser.parse_args()
    print("| what | days | noise | engine | error within | error after | time |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for engine in args.engine:
        if args.equations:
            begun = time.perf_counter()
            law = equations(lotka_volterra_data(4, 3), engine)
            print(row("equations", law, 3, 4, engine, begun), flush=True)
            continue
        for days in args.days:
            for seed in args.seeds:
                begun = time.perf_counter()
                fit = networks(observations(seed, days), engine)
                print(row("networks", fit, days, seed, engine, begun), flush=True)


if __name__ == "__main__":
    main()
