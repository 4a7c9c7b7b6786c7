"""Trying terms side by side: fit each, and see what each is worth."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater.engines import balance_error
from hybridwater.errors import DataError, SolveFailed
from hybridwater.training import Surrogate, fit
from hybridwater.training.uncertainty import parameter_uncertainty
from hybridwater.ude.model import UDE

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What :func:`compare` found.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per model, those that failed without numbers. ``NSE`` by period, and ``KGE`` and
        ``bias`` of the last period (medians of basins); ``imbalance``, the residual of the water
        balance over the water that moved; ``parameters`` and ``weights`` that are fitted;
        ``uncertainty``, the median of what the fit leaves of the prior uncertainty of parameters in
        the first basin (see :func:`hybridwater.training.parameter_uncertainty`); ``fit (s)`` and
        ``run (s)``.
    fits : dict of str to Surrogate
        The fitted models.
    simulations : dict of str to xarray.Dataset
        Dims (basin, time).
    failures : dict of str to str
        Model to the reason why it could not be fitted or run.
    data : xarray.Dataset
        Forcing and observations.
    """

    table: pd.DataFrame
    fits: dict[str, Surrogate]
    simulations: dict[str, xr.Dataset]
    failures: dict[str, str]
    data: xr.Dataset

    def __repr__(self) -> str:
        lines = [self.table.round(3).to_string()]
        return "\n".join([*lines, *(f"{n} failed: {why}" for n, why in self.failures.items())])

    def _repr_html_(self) -> str:
        from hybridwater.report.comparison import as_html

        return as_html(self)


def compare(
    models: Mapping[str, UDE | Surrogate],
    data: xr.Dataset,
    **keywords: Any,
) -> Comparison:
    """Fit models to the same data and put skill, balance, uncertainty and cost side by side.

    Parameters
    ----------
    models : mapping of str to UDE or Surrogate
        Name to a model that is to be fitted, or to a fit that is taken as it is.
    data : xarray.Dataset
        Forcing and observations.
    **keywords
        As in :func:`hybridwater.fit`, the same for all: ``observed``, ``train``, ``test``, ... A
        ``schedule`` may be a mapping from the name of a model to its stages. The run directory of
        each model is a folder of its name in ``directory``.

    Returns
    -------
    Comparison
        Shows itself in a notebook as table, skill and hydrographs.

    Raises
    ------
    DataError, DeclarationError, SettingsError, UnitError
        If the input cannot be used. A model that cannot be solved does not stop the others.
    """
    if not models:
        raise DataError("There is no model to compare.", fix="Give a mapping of names to models")
    schedule = keywords.pop("schedule", None)
    directory = keywords.pop("directory", None)
    fits: dict[str, Surrogate] = {}
    simulations: dict[str, xr.Dataset] = {}
    failures: dict[str, str] = {}
    rows: dict[str, dict[str, float]] = {}
    for name, model in models.items():
        own = dict(keywords)
        own["schedule"] = schedule.get(name) if isinstance(schedule, Mapping) else schedule
        if directory is not None:
            own["directory"] = f"{directory}/{name}"
        try:
            begun = time.perf_counter()
            fitted = model if isinstance(model, Surrogate) else fit(model, data, **own)
            spent = time.perf_counter() - begun
            simulation, seconds = _timed(fitted, data)
            rows[name] = _row(fitted, data, simulation)
        except SolveFailed as error:
            failures[name] = str(error)
            logger.warning("The model '%s' cannot be solved: %s", name, error)
            continue
        taken = np.nan if isinstance(model, Surrogate) else spent
        rows[name] |= {"fit (s)": taken, "run (s)": seconds}
        fits[name], simulations[name] = fitted, simulation
    import pandas as pd

    table = pd.DataFrame.from_dict(rows, orient="index").reindex(list(models))
    return Comparison(table.rename_axis("model"), fits, simulations, failures, data)


def _timed(fitted: Surrogate, data: xr.Dataset) -> tuple[xr.Dataset, float]:
    """Simulate twice, as the first time compiles; return the seconds of the second."""
    fitted.simulate(data)
    begun = time.perf_counter()
    simulation = fitted.simulate(data)
    return simulation, time.perf_counter() - begun


def _row(fitted: Surrogate, data: xr.Dataset, simulation: xr.Dataset) -> dict[str, float]:
    scored = fitted.scores(data, simulations={"model": simulation})
    medians = scored.groupby(level="period", sort=False).median()
    last = medians.iloc[-1]
    row = {f"NSE {period}": float(medians.loc[period, "NSE"]) for period in medians.index}
    row |= {f"{s} {last.name}": float(last[s]) for s in ("KGE", "bias")}
    row["imbalance"] = np.nan
    if fitted.ude.boundary and fitted.options.output == "mean":
        row["imbalance"] = balance_error(fitted.water_balance(simulation))
    spread = parameter_uncertainty(fitted, data)["remaining"]
    row["parameters"] = len(fitted.ude.used_parameters)
    row["weights"] = fitted.ude.program.n_weights
    row["uncertainty"] = float(spread.median()) if len(spread) else np.nan
    return row
