"""What a fit works on: forcing, observations and periods as tensors."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from hybridwater.data.checks import check_attributes, check_observations
from hybridwater.engines.records import Records, read_records
from hybridwater.errors import DataError, DeclarationError, SettingsError, nearest
from hybridwater.training.losses import Reference
from hybridwater.ude.model import UDE

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

logger = logging.getLogger(__name__)

#: Where a simulation in training begins.
BEGINNINGS = ("initial", "observed", "steady")
Beginning = Literal["initial", "observed", "steady"]
#: First and last day or moment, both included; partial dates such as "2000-09" are allowed.
Period = tuple[str, str]


@dataclass(frozen=True)
class Problem:
    """Everything a fit needs but the parameters.

    Parameters
    ----------
    records : Records
        Forcing of all records.
    forcing : torch.Tensor
        The same as a tensor, shape (basin, time, n_forcings).
    observed : dict of str to torch.Tensor
        Flux or state to observations in its unit, shape (basin, time), NaN where missing; of a
        state, those at the end of each record.
    references : dict of str to Reference
        Statistics of the scored part of the training period.
    run : slice
        Records that training simulates: the training period and the warm-up before it.
    assessed : slice
        Records that an assessment simulates: those, and validation with a warm-up before it.
    scored : dict of str to slice
        Records that count: ``train`` (without the warm-up), ``validation``, ``test``.
    begin : {"initial", "observed", "steady"}
        Where simulations begin; steady: at the equilibrium under the mean of all forcing.
    starts : torch.Tensor or None
        Observed states at the start of each record, shape (basin, time, n_states), if simulations
        begin at them.
    attributes : torch.Tensor or None
        Static attributes, standardised, shape (basin, n_attributes).
    """

    ude: UDE
    records: Records
    forcing: Tensor
    observed: dict[str, Tensor]
    references: dict[str, Reference]
    run: slice
    assessed: slice
    scored: dict[str, slice]
    begin: Beginning = "initial"
    starts: Tensor | None = None
    attributes: Tensor | None = None
    attribute_names: tuple[str, ...] = ()
    attribute_units: tuple[str, ...] = ()
    attribute_mean: np.ndarray | None = None
    attribute_std: np.ndarray | None = None

    @property
    def n_basins(self) -> int:
        """Number of basins."""
        return len(self.records.basins)


def find_period(time: pd.DatetimeIndex, period: Period | slice, name: str) -> slice:
    """Return the records of a period as a slice of indices.

    Parameters
    ----------
    time : pandas.DatetimeIndex
        Start of each record, regular.
    period : (str, str) or slice
        First and last date, both included; partial dates mean all of the month or year. An open
        end of a slice is that of the data.
    name : str
        What the period is for, for the error.

    Raises
    ------
    DataError
        If the period is not a pair of dates, or there are no records for a part of it.
    """
    bounds = (period.start, period.stop) if isinstance(period, slice) else period
    advice = "Write a pair such as ('1980-10-01', '2000-09-30')"
    if isinstance(bounds, str) or not isinstance(bounds, Sequence) or len(bounds) != 2:
        raise DataError(f"The {name} period {period!r} is not a pair of dates.", fix=advice)
    try:
        begin = time[0] if bounds[0] is None else _moment(bounds[0], "start_time")
        end = time[-1] if bounds[1] is None else _moment(bounds[1], "end_time")
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The {name} period {period!r} cannot be read ({error}).", fix=advice
        ) from error
    where = f"the data run from {time[0]} to {time[-1]}"
    if end < begin:
        raise DataError(
            f"The {name} period ends ({bounds[1]}) before it begins ({bounds[0]}).",
            fix="Exchange the two dates",
        )
    if begin < time[0]:
        raise DataError(
            f"The records start late: the {name} period begins on {bounds[0]}.",
            where,
            "Begin the period later, or add the records before it",
        )
    if end >= time[-1] + (time[1] - time[0]):
        raise DataError(
            f"The records end early: the {name} period ends on {bounds[1]}.",
            where,
            "End the period earlier, or add the records after it",
        )
    start, stop = int(time.searchsorted(begin)), int(time.searchsorted(end, side="right"))
    if stop - start < 2:
        raise DataError(
            f"There are fewer than two records in the {name} period {bounds[0]} to {bounds[1]}.",
            where,
            "Choose a longer period",
        )
    return slice(start, stop)


def _moment(date: object, side: Literal["start_time", "end_time"]) -> pd.Timestamp:
    import pandas as pd

    if isinstance(date, bool | int | float):
        raise TypeError(f"{date!r} is not a date")
    return getattr(pd.Period(date), side) if isinstance(date, str) else pd.Timestamp(date)  # type: ignore[arg-type, return-value]


def make_problem(
    ude: UDE,
    data: xr.Dataset,
    observed: Mapping[str, str],
    *,
    train: Period | slice,
    validation: Period | slice | float | None = None,
    test: Period | slice | None = None,
    warmup: int = 365,
    begin: Beginning = "initial",
    attributes: Sequence[str] | None = None,
) -> Problem:
    """Check data and periods and bring them to tensors.

    Parameters
    ----------
    ude : UDE
        The model.
    data : xarray.Dataset
        Forcing and observations, dims (time) or (basin, time); attributes (basin).
    observed : mapping of str to str
        Flux or state of the model to variable of the data.
    train, validation, test : (str, str) or slice
        Periods, ends included. ``validation`` may be a fraction: that last part of ``train``.
    warmup : int
        Records at the beginning that are simulated but do not count. They are taken from before
        the training period where the data begin early enough, else from its beginning.
    begin : {"initial", "observed", "steady"}
        Whether simulations begin at the declared initial states, at observed ones, or at the
        equilibrium under the mean of the forcing.
    attributes : sequence of str, optional
        Static attributes (numeric variables with dim basin) to use.

    Raises
    ------
    DataError, UnitError, DeclarationError
        If something is missing, has the wrong unit, or a period has no observations.
    """
    if isinstance(warmup, bool) or not isinstance(warmup, int) or warmup < 0:
        raise SettingsError(f"warmup={warmup!r} is not a number of records, zero or more.")
    if begin not in BEGINNINGS:
        raise SettingsError(f"begin={begin!r} is not known ({nearest(str(begin), BEGINNINGS)}).")
    records = read_records(ude, data)
    tensors = _observations(ude, data, observed, records)
    first = int(begin == "observed")  # the state before it is not known
    scored, run, assessed = _periods(records.time, train, validation, test, warmup, first)
    starts = _starts(ude, tensors, records, assessed) if begin == "observed" else None
    for flux, values in tensors.items():
        for name in scored.keys() - {"test"}:
            empty = torch.isnan(values[:, scored[name]]).all(1)
            if bool(empty.any()):
                period = {"train": "training"}.get(name, name)
                raise DataError(
                    f"There is no observation of '{observed[flux]}' in the {period} period.",
                    f"basin '{records.basins[int(empty.nonzero()[0])]}'",
                    "Leave the basin out or choose another period",
                )
    return Problem(
        ude=ude,
        records=records,
        forcing=torch.from_numpy(records.values),
        observed=tensors,
        references={f: Reference.of(v[:, scored["train"]]) for f, v in tensors.items()},
        run=run,
        assessed=assessed,
        scored=scored,
        begin=begin,
        starts=starts,
        **(_attributes(data, attributes) if attributes else {}),
    )


def _observations(
    ude: UDE, data: xr.Dataset, observed: Mapping[str, str], records: Records
) -> dict[str, Tensor]:
    """Check observations and bring them to (basin, time) and the units of the model."""
    if not observed:
        raise DataError("No observations are named.", fix="Give observed={'q': 'qobs'}")
    tensors = {}
    for flux, variable in observed.items():
        known = (*ude.order, *(s.name for s in ude.states))
        if flux not in known:
            raise DeclarationError(
                f"The model '{ude.name}' has no flux or state '{flux}' ({nearest(flux, known)}).",
                "observed",
            )
        if flux in ude.places:
            raise DeclarationError(
                f"The flux '{flux}' has values on {ude.places[flux]}.",
                "observed",
                "Declare a flux that is one number, with uppermost, lowermost or column_sum",
            )
        if variable not in data:
            raise DataError(
                f"The data have no variable '{variable}' ({nearest(variable, map(str, data))}).",
                "observed",
            )
        checked = check_observations(data[variable], ude.units[flux])
        values = np.broadcast_to(checked.values, (len(records.basins), len(records.time)))
        tensors[flux] = torch.from_numpy(np.array(values, dtype=np.float64))
    return tensors


def _starts(ude: UDE, observed: Mapping[str, Tensor], records: Records, needed: slice) -> Tensor:
    """Return the observed states at the start of each record, shape (basin, time, n_states)."""
    for state in ude.states:
        if state.name not in observed:
            raise DataError(
                f"The state '{state.name}' is not observed, so no simulation can begin at it.",
                "observed",
                "Name its observations too, or begin at the initial states (begin='initial')",
            )
    ends = torch.stack([observed[s.name] for s in ude.states], dim=-1)
    starts = torch.cat([torch.full_like(ends[:, :1], torch.nan), ends[:, :-1]], dim=1)
    gaps = torch.isnan(starts[:, needed]).any(-1)
    if bool(gaps.any()):
        basin, record = (int(k) for k in gaps.nonzero()[0])
        raise DataError(
            "An observed state is missing, so no simulation can begin at it.",
            records.describe(basin, needed.start + record - 1),
            "Fill the gap, or begin at the initial states (begin='initial')",
        )
    return starts


def _periods(
    time: pd.DatetimeIndex,
    train: Period | slice,
    validation: Period | slice | float | None,
    test: Period | slice | None,
    warmup: int,
    earliest: int,
) -> tuple[dict[str, slice], slice, slice]:
    """Return the records that count, by period; those of training; those of an assessment.

    None of the latter two lie before the record ``earliest``.
    """
    period = find_period(time, train, "training")
    others = {}
    if isinstance(validation, int | float):
        if not 0 < validation < 0.9:
            raise DataError(f"The validation fraction {validation} is not between 0 and 0.9.")
        cut = period.stop - max(2, round(validation * (period.stop - period.start)))
        others["validation"] = slice(cut, period.stop)
        period = slice(period.start, cut)
    elif validation is not None:
        others["validation"] = find_period(time, validation, "validation")
    if test is not None:
        others["test"] = find_period(time, test, "test")
    begin = max(earliest, period.start - warmup)
    first = max(begin + warmup, period.start)
    if first > period.stop - 2:
        raise DataError(
            f"The warm-up of {warmup} records leaves nothing of the training period.",
            f"{period.stop - begin} records from {time[begin]} to its end",
            "Shorten the warm-up (warmup=...) or lengthen the training period",
        )
    scored = {"train": slice(first, period.stop), **others}
    for name, part in others.items():
        if part.start < period.stop and first < part.stop:
            logger.warning("The %s period overlaps the training period.", name)
    start, stop = begin, period.stop
    if "validation" in others:
        start = min(start, max(earliest, others["validation"].start - warmup))
        stop = max(stop, others["validation"].stop)
    return scored, slice(begin, period.stop), slice(start, stop)


def _attributes(data: xr.Dataset, names: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a problem that hold static attributes, standardised."""
    units = {a: str(data[a].attrs.get("units", "")) if a in data else "1" for a in names}
    table = check_attributes(data, units)
    raw = np.stack([np.asarray(table[a].values, dtype=float) for a in names], axis=1)
    mean, std = raw.mean(0), raw.std(0)
    std = np.where(std > 0, std, 1.0)
    return {
        "attributes": torch.from_numpy((raw - mean) / std),
        "attribute_names": tuple(names),
        "attribute_units": tuple(units.values()),
        "attribute_mean": mean,
        "attribute_std": std,
    }
