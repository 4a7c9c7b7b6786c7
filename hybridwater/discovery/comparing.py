"""Trying terms side by side: fit each, and see what each is worth."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy

from hybridwater.discovery.front import Front
from hybridwater.engines import balance_error
from hybridwater.errors import DataError, SolveFailed
from hybridwater.training import Surrogate, fit
from hybridwater.training.losses import is_even
from hybridwater.training.misfit import Misfit
from hybridwater.training.surrogate import observations
from hybridwater.training.uncertainty import parameter_uncertainty
from hybridwater.ude.model import UDE
from hybridwater.ude.terms import Equation
from hybridwater.units import to_units

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

logger = logging.getLogger(__name__)

_STRONG = 6.0
#: What an operation adds to the length, on the scale of BIC.
_OPERATION = 2 * math.log(10)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What :func:`compare` found.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per model, those that failed without numbers. ``NSE`` by period, and ``KGE`` and
        ``bias`` of the last period (medians of basins); ``imbalance``, the residual of the water
        balance over the water that moved; ``BIC``, the information criterion of Schwarz (1978,
        doi:10.1214/aos/1176344136) over the training and validation periods, with the number of
        independent errors that the records are worth; ``length``, that plus the cost of writing
        the equations down, see :attr:`preferred`; ``parameters`` and ``weights`` that are fitted,
        and ``operations`` of all equations but the networks;
        ``uncertainty``, the median of what the fit leaves of the prior uncertainty of parameters in
        the first basin (see :func:`hybridwater.training.parameter_uncertainty`); ``fit (s)`` and
        ``run (s)``.
    fits : dict of str to Surrogate
        The fitted models, those that could not be run included.
    simulations : dict of str to xarray.Dataset
        Dims (basin, time).
    failures : dict of str to str
        Model to the reason why it could not be fitted or run, or is not one that may be preferred.
    data : xarray.Dataset
        Forcing and observations.
    """

    table: pd.DataFrame
    fits: dict[str, Surrogate]
    simulations: dict[str, xr.Dataset]
    failures: dict[str, str]
    data: xr.Dataset

    @property
    def preferred(self) -> str:
        """The model that training data prefer; the test period has no say.

        A search tries thousands of equations, and one of them follows the noise: what was chosen
        among many must be better by more. As in a description length (Rissanen 1978,
        doi:10.1016/0005-1098(78)90005-5; for equations Bartlett et al. 2022, arXiv:2211.11461) each
        operation costs what it takes to name it, the logarithm of the number of symbols to choose
        from, of which there are about ten. Of those whose length is within 6 of the smallest, a
        difference that Kass and Raftery (1995, doi:10.1080/01621459.1995.10476572) call strong
        evidence, the one with the fewest constants; of these the one with the smallest length.

        Raises
        ------
        DataError
            If every model failed.
        """
        self._refuse_failed()
        table = self.table.assign(constants=self.table["parameters"] + self.table["weights"])
        near = table[table["length"] <= table["length"].min() + _STRONG]
        return str(near.sort_values(["constants", "length"]).index[0])

    @property
    def most_skilful(self) -> str:
        """The model with the largest NSE in the validation period; the test period has no say.

        :attr:`preferred` asks which law the data support, and pays for every constant and
        operation. This asks which model does best on records that no constant was fitted to,
        however long its equations are: the one for a forecast.

        Raises
        ------
        DataError
            If every model failed, or there is no validation period.
        """
        self._refuse_failed()
        if "NSE validation" not in self.table:
            raise DataError(
                "No model is the most skilful: there is no validation period.",
                fix="Give one, validation=('1990-10', '1993-09'), or take the preferred one",
            )
        return str(self.table["NSE validation"].idxmax())

    def _refuse_failed(self) -> None:
        if len(self.failures) == len(self.table):
            raise DataError(
                "No model is preferred: every one failed.",
                fix="Read the attribute 'failures' of the comparison",
            )

    def __repr__(self) -> str:
        lines = [self.table.round(3).to_string()]
        return "\n".join([*lines, *(f"{n} failed: {why}" for n, why in self.failures.items())])

    def _repr_html_(self) -> str:
        from hybridwater.report.comparison import as_html

        return as_html(self)


def compare(
    models: Mapping[str, UDE | Surrogate] | Sequence[UDE | Surrogate],
    data: xr.Dataset,
    *,
    fronts: Mapping[str, Front] | None = None,
    **keywords: Any,
) -> Comparison:
    """Fit models to the same data and put skill, balance, uncertainty and cost side by side.

    Models are judged (``BIC``, ``length``, ``preferred``) as they are fitted. With the losses
    ``mse`` and ``nse`` every error counts the same; with others, errors may grow with the flow, by
    a share that they say themselves. Choose the loss that suits the noise.

    Parameters
    ----------
    models : mapping of str to UDE or Surrogate, or sequence of these
        Name to a model that is to be fitted, or to a fit that is taken as it is. Those of a
        sequence have the names of the models.
    data : xarray.Dataset
        Forcing and observations.
    fronts : mapping of str to Front, optional
        Term to the front that its equations come from. A model whose fitted equation breaks what
        the network had to keep is among the failures.
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
    models = _named(models)
    schedule = keywords.pop("schedule", None)
    directory = keywords.pop("directory", None)
    even = is_even(keywords.get("loss", "nse"))
    fits: dict[str, Surrogate] = {}
    simulations: dict[str, xr.Dataset] = {}
    failures: dict[str, str] = {}
    rows: dict[str, dict[str, float]] = {}
    misfits: dict[str, dict[tuple[str, str], Misfit]] = {}
    for name, model in models.items():
        own = dict(keywords)
        own["schedule"] = schedule.get(name) if isinstance(schedule, Mapping) else schedule
        if directory is not None:
            own["directory"] = f"{directory}/{name}"
        try:
            begun = time.perf_counter()
            fitted = model if isinstance(model, Surrogate) else fit(model, data, **own)
            spent = time.perf_counter() - begun
            fits[name] = fitted
            if why := _broken(fitted, fronts or {}):
                failures[name] = why
                logger.warning("The model '%s' is left out: %s", name, why)
                continue
            simulation, seconds = _timed(fitted, data)
            row = _row(fitted, data, simulation)
            misfit = _misfits(fitted, data, simulation, even=even)
        except SolveFailed as error:
            failures[name] = str(error)
            logger.warning("The model '%s' cannot be solved: %s", name, error)
            continue
        taken = np.nan if isinstance(model, Surrogate) else spent
        rows[name] = row | {"fit (s)": taken, "run (s)": seconds}
        misfits[name], simulations[name] = misfit, simulation
    _inform(rows, misfits)
    import pandas as pd

    table = pd.DataFrame.from_dict(rows, orient="index").reindex(list(models))
    return Comparison(table.rename_axis("model"), fits, simulations, failures, data)


def _named(
    models: Mapping[str, UDE | Surrogate] | Sequence[UDE | Surrogate],
) -> Mapping[str, UDE | Surrogate]:
    if not models:
        raise DataError("There is no model to compare.", fix="Give a mapping of names to models")
    if isinstance(models, Mapping):
        return models
    names = [m.ude.name if isinstance(m, Surrogate) else m.name for m in models]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise DataError(
            f"More than one model is called '{twice[0]}'.", fix="Give a mapping of names to models"
        )
    return dict(zip(names, models, strict=True))


def _broken(fitted: Surrogate, fronts: Mapping[str, Front]) -> str:
    """Say which fitted equation breaks the physics of its network; empty if none."""
    written = {flux.name for flux in fitted.ude.fluxes}
    for term, front in fronts.items():
        if term in written and (why := front.broken(fitted)):
            return f"The fitted equation of {term} is {why}."
    return ""


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
    row["operations"] = _operations(fitted.ude)
    row["uncertainty"] = float(spread.median()) if len(spread) else np.nan
    return row


def _operations(ude: UDE) -> int:
    equations = [f.expression for f in ude.fluxes]
    return int(sum(sympy.count_ops(e) for e in (*equations, *ude.derivatives.values())))


def _misfits(
    fitted: Surrogate, data: xr.Dataset, simulation: xr.Dataset, *, even: bool
) -> dict[tuple[str, str], Misfit]:
    """Return the errors outside the test period, by observed variable and basin."""
    data = fitted.with_basins(data)
    times = [data["time"].sel(time=slice(*p)) for n, p in fitted.periods.items() if n != "test"]
    inside = data["time"].isin(np.concatenate(times)).values
    found = {}
    for flux, variable in fitted.observed.items():
        seen = to_units(observations(data, variable), fitted.ude.units[flux])
        for row, basin in enumerate(seen["basin"].values):
            simulated = simulation[flux].isel(basin=row).values
            error = simulated - seen.isel(basin=row).values
            counts = inside & np.isfinite(error)
            found[variable, str(basin)] = Misfit.of(simulated[counts], error[counts], even=even)
    return found


def _inform(
    rows: dict[str, dict[str, float]], misfits: dict[str, dict[tuple[str, str], Misfit]]
) -> None:
    """Add BIC, ``n level + count ln(n)`` summed over basins and variables, and the length.

    How many independent errors a record is worth is the same for all models, or the logarithm of
    an error, which depends on its unit, would be counted more often for one than for another. The
    errors of the most likely model say it.
    """
    nearest: dict[tuple[str, str], Misfit] = {}
    for one in misfits.values():
        for series, misfit in one.items():
            if series not in nearest or misfit.level < nearest[series].level:
                nearest[series] = misfit
    worth = {series: misfit.worth for series, misfit in nearest.items()}
    for name, row in rows.items():
        variables = len({variable for variable, _ in misfits[name]})
        count = (row["parameters"] + row["weights"]) / variables
        row["BIC"] = sum(
            worth[series] * misfit.level + count * np.log(worth[series])
            for series, misfit in misfits[name].items()
        )
        row["length"] = row["BIC"] + _OPERATION * row["operations"]


def replacements(
    fit: Surrogate,
    fronts: Mapping[str, Front],
    *,
    each: int = 3,
    basin: str | None = None,
) -> dict[str, UDE]:
    """Return the models in which equations of fronts take the place of their networks.

    A network is known only as well as the data have taught it, so that several equations may be as
    near to it. Which of them the data prefer is seen when each is fitted to them:
    :func:`compare` does that, and its table has the information criterion.

    Parameters
    ----------
    fit : Surrogate
        The fit whose networks are replaced; its parameters are the defaults.
    fronts : mapping of str to Front
        Network to the front that was found for it.
    each : int
        Equations of each front and its rivals: the simplest ones that explain at least half of the
        variance of the term on held-out time, and the recommended one.
    basin : str, optional
        Whose parameters are the defaults; the first if left out.

    Returns
    -------
    dict of str to UDE
        By the numbers of the equations, for example ``"et 3, q 5"``; every combination.

    Raises
    ------
    DataError
        If no equation of a front explains half of its term.
    """
    models: dict[str, UDE] = {}
    shortlists = [front.shortlist(each) for front in fronts.values()]
    for (term, front), numbers in zip(fronts.items(), shortlists, strict=True):
        if not numbers:
            raise DataError(
                f"No equation is good enough to take the place of '{term}'. {front.why}",
                f"the front of '{term}'",
                "Leave it out of the fronts, and its network stays",
            )
    for numbers in itertools.product(*shortlists):
        names = [f"{term} {k}" for term, k in zip(fronts, numbers, strict=True)]
        first, *others = zip(fronts, numbers, strict=True)
        model = fit.replace(first[0], _equation(fronts, *first), basin=basin)
        for term, k in others:
            model = model.replace(term, _equation(fronts, term, k))
        models[", ".join(names)] = model
    return models


def _equation(fronts: Mapping[str, Front], term: str, number: int) -> Equation:
    return fronts[term].proposal(number).equation
