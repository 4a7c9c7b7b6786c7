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
from hybridwater.training.misfit import Misfit
from hybridwater.training.surrogate import Surrogate, observations
from hybridwater.units import to_units

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: Standard deviation of the free number of a parameter that is uniform between its bounds.
_PRIOR = math.pi / math.sqrt(3)
_STEP = 1e-2
_FEWEST = 3  # observations whose errors have a spread and a correlation


def parameter_uncertainty(
    surrogate: Surrogate, data: xr.Dataset, *, basin: str | None = None
) -> pd.DataFrame:
    """Estimate how uncertain parameters are after a fit, from the curvature of the misfit.

    The posterior is taken as Gaussian around the fit (Tarantola 2005,
    doi:10.1137/1.9780898717921, ch. 3): its precision is that of a uniform distribution between the
    bounds plus what each observed series says about the parameters, by its sensitivities to them
    over the training period. The standard deviation of an error is linear in what is simulated, as
    the errors themselves say (Schoups and Vrugt 2010, doi:10.1029/2009WR008933, eq. 5), and errors
    are autocorrelated of first order, which makes a record as short as it is worth. Networks are
    held fixed.

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
        the data say nothing. A series with fewer than three observations says nothing.

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
    trained = data["time"].values >= np.datetime64(surrogate.periods["train"][0])
    bounded = Bounded(used)
    fitted = surrogate.parameters_of(data)
    centre = bounded.free(torch.tensor([float(fitted[p.name][0]) for p in used]).double())
    steps = torch.cat([torch.zeros(1, len(used)), *(s * torch.eye(len(used)) for s in (1, -1))])
    values = bounded.constrain(centre + _STEP * steps).numpy()
    varied = {p.name: v for p, v in zip(used, values.T, strict=True)}
    n = len(used)
    precision = np.eye(n) / _PRIOR**2
    for name, runs in _runs(surrogate, data, fitted, varied).items():
        observed = to_units(observations(data, surrogate.observed[name]), ude.units[name])
        error = runs[0] - observed.values.reshape(-1)
        counts = trained & np.isfinite(error)
        if counts.sum() < _FEWEST:
            continue
        misfit = Misfit.of(runs[0, counts], error[counts])
        slopes = (runs[1 : n + 1] - runs[n + 1 :])[:, counts] / (2 * _STEP * misfit.scale)
        precision += slopes @ slopes.T * misfit.worth / len(misfit.error)
    deviation = np.sqrt(np.diag(np.linalg.inv(precision)))
    per_free = (values[1 : n + 1] - values[n + 1 :]).diagonal() / (2 * _STEP)
    table = {
        "value": values[0],
        "units": [p.unit for p in used],
        "sd": np.abs(per_free) * deviation,
        "remaining": deviation / _PRIOR,
    }
    return pd.DataFrame(table, pd.Index([p.name for p in used], name="parameter"), columns)


def _runs(
    surrogate: Surrogate,
    data: xr.Dataset,
    fitted: dict[str, np.ndarray],
    varied: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Simulate what is observed of one basin, with many parameters side by side: (run, time)."""
    ude = surrogate.ude
    records = read_records(ude, data)
    batch = len(next(iter(varied.values())))
    values = {n: np.repeat(v, batch) for n, v in fitted.items()} | varied
    weights = surrogate.weights
    if weights.ndim == 2:
        weights = weights[surrogate.basins.index(records.basins[0])]
    states = ude.program.value_names
    fluxes = tuple(n for n in surrogate.observed if n not in states)
    options = dataclasses.replace(surrogate.options, fluxes=fluxes)
    solver = get_engine(options=options).compile(ude, options)
    records = dataclasses.replace(
        records, values=np.repeat(records.values, batch, axis=0), basins=records.basins * batch
    )
    flat, first = program_values(ude, values, batch), initial_states(ude, values, batch)
    first = first_states(surrogate.begin, solver, flat, weights, records, first)
    solution = solver.solve(flat, weights, records.values, first, records.step)
    solution.raise_if_failed([s.name for s in ude.states], lambda _, k: records.describe(0, k))
    return {
        n: solution.states[:, :, states.index(n)] if n in states else solution.flux(n)
        for n in surrogate.observed
    }
