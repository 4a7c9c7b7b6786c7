"""Synthetic truth: simulations, and observations whose errors are known."""

import numpy as np
import xarray as xr


def flows(values, start="2001-01-01", units="m3 s-1", dim="gage"):
    values = np.asarray(values, dtype=float)
    time = np.datetime64(start, "ns") + np.arange(values.shape[-1]) * np.timedelta64(1, "D")
    coords = {"time": time}
    dims = ("time",)
    if values.ndim == 2:
        dims = (dim, "time")
        coords[dim] = [f"g{i}" for i in range(len(values))]
    return xr.DataArray(values, coords, dims, name="q", attrs={"units": units})


def storms(sites, times, seed=0):
    """Simulated flow of a few sites that share storms."""
    rng = np.random.default_rng(seed)
    rain = rng.gamma(0.3, 8.0, times) * (rng.uniform(size=times) < 0.4)
    flow = np.empty((sites, times))
    store = np.full(sites, 5.0)
    speed = np.linspace(0.05, 0.3, sites)
    for t in range(times):
        store = store * (1 - speed) + rain[t]
        flow[:, t] = speed * store + 0.05
    return flow * np.logspace(0, 2, sites)[:, np.newaxis]


def erring(simulated, memory=0.8, bias=0.1, scale=0.3, seed=1, shared=0.0):
    """Observations: Box-Cox errors of power 0.2, an AR(1) with a correlation between sites."""
    rng = np.random.default_rng(seed)
    n = np.empty_like(simulated)
    now = rng.standard_normal(len(simulated))
    for t in range(simulated.shape[1]):
        fresh = rng.standard_normal(len(now))
        if shared:
            fresh = np.sqrt(shared) * rng.standard_normal() + np.sqrt(1 - shared) * fresh
        now = memory * now + np.sqrt(1 - memory**2) * fresh
        n[:, t] = now
    level = simulated.mean(1, keepdims=True)
    for _ in range(30):  # the model scales by the mean of what is observed
        z = ((simulated / level + 0.01) ** 0.2 - 1) / 0.2 + bias + scale * n
        observed = np.maximum(np.maximum(1 + 0.2 * z, 0) ** 5 - 0.01, 0) * level
        level = observed.mean(1, keepdims=True)
    return observed
