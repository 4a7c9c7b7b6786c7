"""Posteriors of residual models against the truth: is it within as often as they say.

Draws parameters of three sites from their prior, makes observations with them in plain NumPy, fits,
and counts how often the truth lies within the central 90 % of the posterior, for every kind of
parameter. Without autocorrelation the likelihood is exact. With it, single errors are fitted as if
they were fewer and independent, which should not make intervals too narrow.

    python benchmarks/residual_recovery.py [--runs 100] [--method svi] [--memory 0.0] [--keep FILE]

With a file, every run is kept in it, and what is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import xarray as xr

from hybridwater.residuals import Inference, NotConverged, ResidualModel

SITES, TIMES, POWER, OFFSET = 3, 400, 0.2, 0.01
_LARGEST = 1e3  # mean of the observations over that of the flow, beyond which terms have no scale
# centre, its prior spread, and spread between sites, as in the documentation of the priors
PRIOR = {
    ("bias", "constant"): (0.0, 0.5, 0.4),
    ("bias", "level"): (0.0, 0.5, 0.2),
    ("log_scale", "constant"): (-0.7, 0.7, 0.3),
    ("log_scale", "extremity"): (0.0, 0.3, 0.1),
    ("tails", "skew"): (0.0, 0.3, 0.1),
    ("tails", "log_tail"): (-0.1, 0.2, 0.1),
}


def draw(rng: np.random.Generator) -> dict[tuple[str, str], np.ndarray]:
    """Draw coefficients of the sites, each (site, 1)."""
    return {
        key: centre
        + scale * rng.standard_normal()
        + spread * np.exp(0.5 * rng.standard_normal()) * rng.standard_normal((SITES, 1))
        for key, (centre, scale, spread) in PRIOR.items()
    }


def observe(flow, truth, memory, rng):
    """Return observations of a simulated flow (site, time), NaN where there is no fixed point."""
    n = rng.standard_normal(flow.shape)
    for t in range(1, TIMES):
        n[:, t] = memory * n[:, t - 1] + np.sqrt(1 - memory**2) * n[:, t]
    skew, log_tail = truth["tails", "skew"], truth["tails", "log_tail"]
    x = np.sinh((np.arcsinh(n) + skew) / np.exp(log_tail))
    level = np.ones((SITES, 1))
    for _ in range(50):  # terms are scaled by the mean of what is observed, so it is iterated
        z = ((flow / level + OFFSET) ** POWER - 1) / POWER
        c = (z - z.mean(1, keepdims=True)) / z.std(1, keepdims=True)
        bias = truth["bias", "constant"] + truth["bias", "level"] * c
        scale = truth["log_scale", "constant"] + truth["log_scale", "extremity"] * np.log1p(c * c)
        y = z + bias + np.exp(scale) * x
        observed = np.maximum(np.maximum(1 + POWER * y, 0) ** (1 / POWER) - OFFSET, 0) * level
        before, level = level, observed.mean(1, keepdims=True)
    settled = np.abs(level - before) < 1e-9 * before
    return np.where(settled & (level < _LARGEST), observed, np.nan)


def series(values: np.ndarray) -> xr.DataArray:
    times = np.datetime64("2001-01-01", "ns") + np.arange(TIMES) * np.timedelta64(1, "D")
    sites = [f"s{i}" for i in range(SITES)]
    return xr.DataArray(
        values, {"site": sites, "time": times}, ("site", "time"), attrs={"units": "m3 s-1"}
    )


def run(seed: int, method: str, memory: float) -> dict[tuple[str, str], np.ndarray] | None:
    """Return whether the truth of each site lies within, or None where there is no fixed point."""
    rng = np.random.default_rng(seed)
    truth = draw(rng)
    flow = np.exp(rng.standard_normal((SITES, TIMES)))
    with np.errstate(over="ignore", invalid="ignore"):
        observed = observe(flow, truth, memory, rng)
    if not np.isfinite(observed).all() or not (observed.mean(1) > 1e-3).all():
        return None
    model = ResidualModel(
        transform="box-cox",
        bias=["level"],
        scale=["extremity"],
        persistence=[],
        autocorrelated=memory > 0,
    )
    inference = Inference(method=method, draws=400, steps=4000, seed=seed)
    fitted = model.fit(series(flow), series(observed), inference=inference).parameters()
    result = {}
    for (part, term), values in truth.items():
        found = fitted[part].sel({f"{part}_term": term})
        low, high = found.quantile([0.05, 0.95], "draw").values
        result[part, term] = (values[:, 0] >= low) & (values[:, 0] <= high)
    return result


def table(results: list[dict[str, list[bool]]]) -> str:
    """Return, per kind of parameter, how often the truth lies within, and its standard error.

    Sites of a run share what they are drawn around, so runs are counted, not sites.
    """
    rows = []
    for name in [*results[0], "all"]:
        shares = [np.mean(r[name] if name != "all" else list(r.values())) for r in results]
        error = np.std(shares) / np.sqrt(len(shares))
        rows.append(f"| {name} | {np.mean(shares):.1%} | {error:.1%} |")
    return "\n".join(["| parameter | within | standard error |", "|---|---|---|", *rows])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--method", default="svi")
    parser.add_argument("--memory", type=float, default=0.0)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", NotConverged)
    lines = []
    if arguments.keep and arguments.keep.exists():
        lines = [json.loads(line) for line in arguments.keep.read_text().splitlines()]
    while sum(line is not None for line in lines) < arguments.runs:
        found = run(len(lines), arguments.method, arguments.memory)
        kept = found and {" ".join(key): inside.tolist() for key, inside in found.items()}
        lines.append(kept)
        if arguments.keep:
            with arguments.keep.open("a") as stream:
                stream.write(json.dumps(kept) + "\n")
    results = [line for line in lines if line is not None][: arguments.runs]
    print(f"{len(results)} runs of {SITES} sites, {arguments.method}, AR(1) {arguments.memory}")
    print(table(results))
