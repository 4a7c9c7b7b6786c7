"""How well data have pinned down the parameters of a fit."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from hybridwater.engines import get_engine, read_records
from hybridwater.engines.records import initial_states, program_values
from hybridwater.engines.steady import first_states
from hybridwater.errors import DataError, nearest
from hybridwater.training.bijection import Bounded
from hybridwater.training.surrogate import Surrogate, observations
from hybridwater.units import to_units

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: Standard deviation of the free number of a parameter that is uniform between its bounds.
_PRIOR = math.pi / math.sqrt(3)
_STEP = 1e-2
_LAST = 0.98  # largest autocorrelation of errors that is believed


def parameter_uncertainty(
    surrogate: Surrogate, data: xr.Dataset, *, basin: str | None = None
) -> pd.DataFrame:
    """Estimate how uncertain parameters are after a fit, from the curvature of the misfit.

    The posterior is taken as Gaussian around the fit (Tarantola 2005,
    doi:10.1137/1.9780898717921, ch. 3): its precision is that of a uniform distribution between the
    bounds plus what the first observed flux says about the parameters, by its sensitivities to
    them over the training period. Errors are taken as autocorrelated of first order, which
    makes the record as short as it is worth. Networks are held fixed.

    Parameters
    ----------
    surrogate : Surrogate
        The fit.
    data : xarray.Dataset
        Forcing and observations.
    basin : str, optional
        Which basin; the first if left out.

    Returns
    -------
    pandas.DataFrame
        Index ``parameter``, those in use; columns ``value``, ``units``, ``sd`` (in these units)
        and ``remaining``: the standard deviation over that before the fit, 1 for one of which
        the data say nothing.

    Raises
    ------
    DataError
        If there is no such basin, or there are no observations.
    """
    import pandas as pd

    data = surrogate.with_basins(data)
    there = [str(b) for b in data["basin"].values]
    basin = there[0] if basin is None else basin
    if basin not in there:
        raise DataError(f"The data have no basin '{basin}' ({nearest(basin, there)}).")
    data = data.isel(basin=[there.index(basin)])
    data = data.sel(time=slice(None, surrogate.periods["train"][1]))
    ude = surrogate.ude
    used = [p for p in ude.parameters if p.name in ude.used_parameters]
    columns = ["value", "units", "sd", "remaining"]
    if not used:
        return pd.DataFrame(columns=columns).rename_axis("parameter")
    flux, variable = next(iter(surrogate.observed.items()))
    observed = to_units(observations(data, variable), ude.units[flux]).values.reshape(-1)
    counts = data["time"].values >= np.datetime64(surrogate.periods["train"][0])
    counts &= np.isfinite(observed)
    bounded = Bounded(used)
    fitted = surrogate.parameters_of(data)
    centre = bounded.free(torch.tensor([float(fitted[p.name][0]) for p in used]).double())
    steps = torch.cat([torch.zeros(1, len(used)), *(s * torch.eye(len(used)) for s in (1, -1))])
    values = bounded.constrain(centre + _STEP * steps).numpy()
    runs = _runs(
        surrogate, data, flux, fitted, {p.name: v for p, v in zip(used, values.T, strict=True)}
    )
    runs = runs[:, counts]
    n = len(used)
    slopes = (runs[1 : n + 1] - runs[n + 1 :]).T / (2 * _STEP)
    errors = runs[0] - observed[counts]
    variance = np.mean(errors**2) * len(errors) / effective_count(errors)
    precision = slopes.T @ slopes / variance + np.eye(n) / _PRIOR**2
    deviation = np.sqrt(np.diag(np.linalg.inv(precision)))
    per_free = (values[1 : n + 1] - values[n + 1 :]).diagonal() / (2 * _STEP)
    table = {
        "value": values[0],
        "units": [p.unit for p in used],
        "sd": np.abs(per_free) * deviation,
        "remaining": deviation / _PRIOR,
    }
    return pd.DataFrame(table, pd.Index([p.name for p in used], name="parameter"), columns)


def effective_count(errors: np.ndarray) -> float:
    """Return how many independent errors a series is worth that is autocorrelated of first order.

    ``n (1 - r) / (1 + r)`` with the correlation r of successive errors (Bayley and Hammersley 1946,
    doi:10.2307/2983560).
    """
    correlation = float(np.clip(np.corrcoef(errors[1:], errors[:-1])[0, 1], 0.0, _LAST))
    return len(errors) * (1 - correlation) / (1 + correlation)


def _runs(
    surrogate: Surrogate,
    data: xr.Dataset,
    flux: str,
    fitted: dict[str, np.ndarray],
    varied: dict[str, np.ndarray],
) -> np.ndarray:
    """Simulate one basin with many parameters side by side, shape (run, time)."""
    ude = surrogate.ude
    records = read_records(ude, data)
    batch = len(next(iter(varied.values())))
    values = {n: np.repeat(v, batch) for n, v in fitted.items()} | varied
    weights = surrogate.weights
    if weights.ndim == 2:
        weights = weights[surrogate.basins.index(records.basins[0])]
    options = dataclasses.replace(surrogate.options, fluxes=(flux,))
    solver = get_engine(options=options).compile(ude, options)
    records = dataclasses.replace(
        records, values=np.repeat(records.values, batch, axis=0), basins=records.basins * batch
    )
    flat, first = program_values(ude, values, batch), initial_states(ude, values, batch)
    first = first_states(surrogate.begin, solver, flat, weights, records, first)
    solution = solver.solve(flat, weights, records.values, first, records.step)
    solution.raise_if_failed([s.name for s in ude.states], lambda _, k: records.describe(0, k))
    return solution.fluxes[:, :, 0]
