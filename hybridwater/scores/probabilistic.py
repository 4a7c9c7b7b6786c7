"""Proper scores of ensembles, by scoringrules: CRPS, interval score, energy score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import DataError
from hybridwater.scores.pairs import paired, with_members

if TYPE_CHECKING:
    import xarray as xr


def crps(ensemble: xr.DataArray, observed: xr.DataArray, *, fair: bool = False) -> xr.DataArray:
    """Continuous ranked probability score of every record, ``E|X - y| - E|X - X'| / 2``.

    Average it over what you like, then compare averages by :func:`skill`.

    Parameters
    ----------
    ensemble : xarray.DataArray
        Shape (member, ..., time).
    observed : xarray.DataArray
        Shape (..., time).
    fair : bool
        Whether to estimate the score of an endless ensemble from which the members are drawn,
        rather than that of the members themselves.

    Returns
    -------
    xarray.DataArray
        Shape (..., time), in the unit of the ensemble, best 0; NaN where either is missing.

    Raises
    ------
    DataError
        If there are not two members, no common time, or other coordinates differ.
    UnitError
        If units are missing or incompatible.

    References
    ----------
    Gneiting, T. and Raftery, A. E. (2007), J. Am. Stat. Assoc. 102, 359-378, eq. 21.
    doi:10.1198/016214506000001437. Fair: Ferro, C. A. T. (2014), Q. J. R. Meteorol. Soc. 140,
    1917-1923. doi:10.1002/qj.2270
    """
    import scoringrules

    ensemble, observed = with_members(ensemble, observed)
    values = scoringrules.crps_ensemble(
        observed.values, ensemble.values, estimator="fair" if fair else "qd"
    )
    name = "fair continuous ranked probability score" if fair else (
        "continuous ranked probability score"
    )  # fmt: skip
    return _like(observed, values, "crps", name, ensemble.attrs["units"])


def absolute_error(forecast: xr.DataArray, observed: xr.DataArray) -> xr.DataArray:
    """Absolute error of every record of a single forecast, which is its CRPS.

    For the skill of an ensemble against a single forecast, such as that of
    :func:`hybridwater.scores.persistence`.

    Parameters
    ----------
    forecast, observed : xarray.DataArray
        Shape (..., time).

    Returns
    -------
    xarray.DataArray
        Shape (..., time), in the unit of the forecast, best 0; NaN where either is missing.

    Raises
    ------
    DataError
        If there is no common time, or other coordinates differ.
    UnitError
        If units are missing or incompatible.

    References
    ----------
    Gneiting, T. and Raftery, A. E. (2007), J. Am. Stat. Assoc. 102, 359-378, sec. 4.2.
    doi:10.1198/016214506000001437
    """
    forecast, observed = paired(forecast, observed)
    error = abs(forecast.astype(float) - observed.astype(float)).transpose(*observed.dims)
    unit = forecast.attrs["units"]
    return _like(observed, error.values, "absolute_error", "absolute error", unit)


def interval_score(
    ensemble: xr.DataArray, observed: xr.DataArray, *, level: float = 0.9
) -> xr.DataArray:
    """Interval score of the central interval: its width, and a penalty for what falls outside.

    Parameters
    ----------
    ensemble : xarray.DataArray
        Shape (member, ..., time).
    observed : xarray.DataArray
        Shape (..., time).
    level : float
        Probability that the interval holds.

    Returns
    -------
    xarray.DataArray
        Shape (..., time), in the unit of the ensemble, best 0.

    Raises
    ------
    DataError, UnitError
        As :func:`crps`; DataError also if the level is not between 0 and 1.

    References
    ----------
    Gneiting, T. and Raftery, A. E. (2007), J. Am. Stat. Assoc. 102, 359-378, eq. 43.
    doi:10.1198/016214506000001437
    """
    import scoringrules

    check_level(level)
    ensemble, observed = with_members(ensemble, observed)
    lower, upper = central_interval(ensemble, level)
    values = scoringrules.interval_score(observed.values, lower, upper, 1 - level)
    name = f"interval score of the central {level:.3g}"
    return _like(observed, np.asarray(values), "interval_score", name, ensemble.attrs["units"])


def energy_score(ensemble: xr.DataArray, observed: xr.DataArray, dim: str) -> xr.DataArray:
    """Energy score: the CRPS of many values at once, such as all sites of a day.

    Parameters
    ----------
    ensemble : xarray.DataArray
        Shape (member, ..., time).
    observed : xarray.DataArray
        Shape (..., time).
    dim : str
        The dimension whose values belong together. Flows of large and small rivers should be
        brought to one scale first, or the largest decides.

    Returns
    -------
    xarray.DataArray
        Without ``dim``, in the unit of the ensemble, best 0; NaN where any value is missing.

    Raises
    ------
    DataError, UnitError
        As :func:`crps`; DataError also if there is no such dimension.

    References
    ----------
    Gneiting, T. and Raftery, A. E. (2007), J. Am. Stat. Assoc. 102, 359-378, eq. 22.
    doi:10.1198/016214506000001437
    """
    import scoringrules

    ensemble, observed = with_members(ensemble, observed)
    if dim not in observed.dims:
        raise DataError(
            f"There is no dimension '{dim}' to take together, only {observed.dims}.",
            where="energy_score",
            fix="Name a dimension of the observations",
        )
    e = ensemble.transpose(..., "member", dim)
    o = observed.transpose(..., dim)
    values = np.asarray(scoringrules.es_ensemble(o.values, e.values))
    template = o.isel({dim: 0}, drop=True)
    return _like(template, values, "energy_score", "energy score", ensemble.attrs["units"])


def central_interval(ensemble: xr.DataArray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the central interval of members, without the dimension of these."""
    tail, axis = (1 - level) / 2, ensemble.get_axis_num("member")
    # Weibull's positions: k of m members are below the k / (m + 1) quantile
    return tuple(np.quantile(ensemble.values, [tail, 1 - tail], axis=axis, method="weibull"))


def reach(members: int) -> float:
    """Return the probability of what lies between the lowest and the highest member.

    No central interval of more can be had of so few: it ends at these.
    """
    return (members - 1) / (members + 1)


def check_level(level: float) -> None:
    """Refuse a probability that is none."""
    if not 0 < level < 1:
        raise DataError(
            f"The level is {level}, which is not between 0 and 1.",
            where="level",
            fix="Give it as a fraction, for example 0.9",
        )


def _like(
    template: xr.DataArray, values: np.ndarray, name: str, long_name: str, unit: str
) -> xr.DataArray:
    result = template.copy(data=np.reshape(values, template.shape)).rename(name)
    result.attrs = {"units": unit, "long_name": long_name}
    return result
