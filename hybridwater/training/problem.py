"""What a fit works on: forcing, observations and periods as tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hybridwater.data.checks import check_attributes, check_observations
from hybridwater.engines.records import Records, read_records
from hybridwater.errors import DataError, DeclarationError, nearest
from hybridwater.training.losses import Reference
from hybridwater.ude.model import UDE

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

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
        Flux to observations in its unit, shape (basin, time), NaN where missing.
    references : dict of str to Reference
        Statistics of the scored part of the training period.
    run : slice
        Records that training simulates: the training period and the warm-up before it.
    scored : dict of str to slice
        Records that count: ``train`` (without the warm-up), ``validation``, ``test``.
    attributes : torch.Tensor or None
        Static attributes, standardised, shape (basin, n_attributes).
    """

    ude: UDE
    records: Records
    forcing: Tensor
    observed: dict[str, Tensor]
    references: dict[str, Reference]
    run: slice
    scored: dict[str, slice]
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

    Raises
    ------
    DataError
        If the period is not a pair of dates or no record lies in it.
    """
    bounds = (period.start, period.stop) if isinstance(period, slice) else tuple(period)
    if len(bounds) != 2:
        raise DataError(f"The {name} period {period!r} is not a pair of dates.")
    try:
        start, stop, _ = time.slice_indexer(bounds[0], bounds[1]).indices(len(time))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The {name} period {period!r} cannot be read ({error}).",
            fix="Write a pair such as ('1980-10-01', '2000-09-30')",
        ) from error
    if stop - start < 2:
        raise DataError(
            f"There are no records in the {name} period {bounds[0]} to {bounds[1]}.",
            f"the data run from {time[0]:%Y-%m-%d} to {time[-1]:%Y-%m-%d}",
            "Choose a period inside the data",
        )
    return slice(start, stop)


def make_problem(
    ude: UDE,
    data: xr.Dataset,
    observed: Mapping[str, str],
    *,
    train: Period | slice,
    validation: Period | slice | float | None = None,
    test: Period | slice | None = None,
    warmup: int = 365,
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
        Flux of the model to variable of the data.
    train, validation, test : (str, str) or slice
        Periods, ends included. ``validation`` may be a fraction: that last part of ``train``.
    warmup : int
        Records at the beginning that are simulated but do not count. They are taken from before
        the training period where the data begin early enough, else from its beginning.
    attributes : sequence of str, optional
        Static attributes (numeric variables with dim basin) to use.

    Raises
    ------
    DataError, UnitError, DeclarationError
        If something is missing, has the wrong unit, or a period has no observations.
    """
    records = read_records(ude, data)
    if not observed:
        raise DataError("No observations are named.", fix="Give observed={'q': 'qobs'}")
    tensors = {}
    for flux, variable in observed.items():
        if flux not in ude.order:
            raise DeclarationError(
                f"The model '{ude.name}' has no flux '{flux}' ({nearest(flux, ude.order)}).",
                "observed",
            )
        if variable not in data:
            raise DataError(
                f"The data have no variable '{variable}' ({nearest(variable, map(str, data))}).",
                "observed",
            )
        checked = check_observations(data[variable], ude.units[flux])
        values = np.broadcast_to(checked.values, (len(records.basins), len(records.time)))
        tensors[flux] = torch.from_numpy(np.array(values, dtype=np.float64))
    period = find_period(records.time, train, "training")
    scored = {}
    if isinstance(validation, float):
        if not 0 < validation < 0.9:
            raise DataError(f"The validation fraction {validation} is not between 0 and 0.9.")
        cut = period.stop - max(2, round(validation * (period.stop - period.start)))
        scored["validation"] = slice(cut, period.stop)
        period = slice(period.start, cut)
    elif validation is not None:
        scored["validation"] = find_period(records.time, validation, "validation")
    if test is not None:
        scored["test"] = find_period(records.time, test, "test")
    begin = max(0, period.start - warmup)
    first = begin + warmup
    if first >= period.stop - 1:
        raise DataError(
            f"The warm-up of {warmup} records leaves nothing of the training period.",
            fix="Shorten the warm-up or lengthen the training period",
        )
    scored = {"train": slice(max(first, period.start), period.stop), **scored}
    for flux, values in tensors.items():
        for name, part in scored.items():
            empty = torch.isnan(values[:, part]).all(1)
            if name != "test" and bool(empty.any()):
                basin = records.basins[int(empty.nonzero()[0])]
                raise DataError(
                    f"There is no observation of '{observed[flux]}' in the {name} period.",
                    f"basin '{basin}'",
                    "Leave the basin out or choose another period",
                )
    references = {f: Reference.of(v[:, scored["train"]]) for f, v in tensors.items()}
    problem = {
        "ude": ude,
        "records": records,
        "forcing": torch.from_numpy(records.values),
        "observed": tensors,
        "references": references,
        "run": slice(begin, period.stop),
        "scored": scored,
    }
    if attributes:
        needed = {a: str(data[a].attrs.get("units", "")) for a in attributes if a in data}
        needed |= {a: "1" for a in attributes if a not in data}
        table = check_attributes(data, needed)
        raw = np.stack([np.asarray(table[a].values, dtype=float) for a in attributes], axis=1)
        mean, std = raw.mean(0), raw.std(0)
        std = np.where(std > 0, std, 1.0)
        problem |= {
            "attributes": torch.from_numpy((raw - mean) / std),
            "attribute_names": tuple(attributes),
            "attribute_units": tuple(needed[a] for a in attributes),
            "attribute_mean": mean,
            "attribute_std": std,
        }
    return Problem(**problem)
