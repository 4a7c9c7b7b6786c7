"""What an ensemble is compared with, and how rare a flow is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybridwater import units
from hybridwater.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

_YEAR = 365
_FEWEST_YEARS = 10


def climatology(
    observed: xr.DataArray, times: xr.DataArray, *, window: int | None = None
) -> xr.DataArray:
    """Return past observations as an ensemble: what is known without any model.

    Parameters
    ----------
    observed : xarray.DataArray
        Shape (..., time): the past.
    times : xarray.DataArray
        The times to be forecast, shape (time,).
    window : int, optional
        Days before and after the day of the year from which members are taken. All observations
        are members at all times if left out.

    Returns
    -------
    xarray.DataArray
        Shape (member, ..., time). Where fewer were observed, members are repeated.

    Raises
    ------
    DataError
        If a series has no observation within the window.
    UnitError
        If there are no units.
    """
    import xarray as xr

    units.require(observed)
    series = observed.transpose(..., "time")
    others = series.isel(time=0, drop=True)
    flat = series.values.reshape(-1, series.sizes["time"])
    day, wanted = series["time"].dt.dayofyear.values, times.dt.dayofyear.values
    if window is None:
        day, wanted, window = np.zeros_like(day), np.zeros_like(wanted), _YEAR
    found = {}
    for one in np.unique(wanted):  # not each of the times: days of the year come again
        apart = np.abs(day - one) % _YEAR
        usable = (np.minimum(apart, _YEAR - apart) <= window) & np.isfinite(flat)
        counts = usable.sum(-1)
        if not counts.all():
            raise DataError(
                "There is no observation to take a climatology from.",
                where=f"series {int(np.argmin(counts))}, time {times.values[wanted == one][0]}",
                fix="Widen the window, or leave the series out",
            )
        first = np.argsort(~usable, axis=-1, kind="stable")  # usable records come first
        found[one] = first[:, : counts.max()].copy(), counts[:, np.newaxis]
    most = max(first.shape[1] for first, _ in found.values())
    members = np.empty((len(flat), times.size, most))
    for one, (first, counts) in found.items():
        pick = np.take_along_axis(first, np.arange(most) % counts, axis=-1)
        members[:, wanted == one] = np.take_along_axis(flat, pick, axis=-1)[:, np.newaxis]
    members = members.reshape(*others.shape, times.size, -1)
    result = xr.DataArray(
        members,
        {**others.coords, "time": times.values, "member": np.arange(members.shape[-1])},
        (*others.dims, "time", "member"),
        name=observed.name,
        attrs={"units": observed.attrs["units"], "long_name": "climatology"},
    )
    return result.transpose("member", ..., "time")


def persistence(observed: xr.DataArray, lead: int = 1) -> xr.DataArray:
    """Return the forecast that nothing changes: the observation ``lead`` records before.

    Its CRPS is :func:`hybridwater.scores.absolute_error`.

    Parameters
    ----------
    observed : xarray.DataArray
        Shape (..., time).
    lead : int
        Records.

    Returns
    -------
    xarray.DataArray
        Same shape, NaN in the first records.

    Raises
    ------
    DataError
        If the lead is not positive.
    """
    if lead < 1:
        raise DataError(f"The lead is {lead}.", "lead", "Give at least one record")
    return observed.shift(time=lead).assign_attrs(observed.attrs)


def skill(score: xr.DataArray, reference: xr.DataArray, dim: str = "time") -> xr.DataArray:
    """Skill: what part of the reference's mean score is saved, ``1 - mean score / mean reference``.

    Parameters
    ----------
    score, reference : xarray.DataArray
        A score that is best at 0 (CRPS, absolute error) and the same of the reference, in the same
        unit; averaged where both have a value.
    dim : str
        The dimension to average over.

    Returns
    -------
    xarray.DataArray
        Dimensionless, 1 is perfect, 0 no better than the reference.

    Raises
    ------
    UnitError
        If units are missing or incompatible.
    """
    reference = units.to_units(reference, units.require(score))
    both = score.notnull() & reference.notnull()
    result = 1 - score.where(both).mean(dim) / reference.where(both).mean(dim)
    return result.rename("skill").assign_attrs(units="1", long_name="skill score")


def return_period(observed: xr.DataArray, flow: xr.DataArray) -> xr.DataArray:
    """Return how many years lie between floods of a size, from annual maxima.

    The size is looked up among annual maxima with Weibull's plotting positions, ``(n + 1) / rank``,
    and interpolated linearly in the flow; beyond the largest it is only known to be longer.

    Parameters
    ----------
    observed : xarray.DataArray
        Shape (..., time), several years.
    flow : xarray.DataArray
        Flows to be judged; dimensions of ``observed`` without time, or others besides.

    Returns
    -------
    xarray.DataArray
        Shape of ``flow``, in years; infinite above the largest maximum, NaN without ten years.

    Raises
    ------
    UnitError
        If units are missing or incompatible.

    References
    ----------
    Makkonen, L. (2006), J. Appl. Meteorol. Climatol. 45, 334-340. doi:10.1175/JAM2349.1
    """
    import xarray as xr

    flow = units.to_units(flow, units.require(observed))
    maxima = observed.groupby("time.year").max("time")

    def periods(peaks: np.ndarray, q: np.ndarray) -> np.ndarray:
        peaks = np.sort(peaks[np.isfinite(peaks)])
        if len(peaks) < _FEWEST_YEARS:
            return np.full(q.shape, np.nan)
        years = (len(peaks) + 1) / np.arange(len(peaks), 0, -1)
        return np.interp(q, peaks, years, left=1.0, right=np.inf)

    flow = flow.expand_dims(_flow_=1)
    result = xr.apply_ufunc(
        periods, maxima, flow, input_core_dims=[["year"], ["_flow_"]],
        output_core_dims=[["_flow_"]], vectorize=True,
    )  # fmt: skip
    return (
        result.isel(_flow_=0)
        .rename("return_period")
        .assign_attrs(units="year", long_name="return period of annual maxima")
    )
