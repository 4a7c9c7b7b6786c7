"""Skill of a simulation against observations: NSE, KGE, log-NSE, bias and flow-duration biases.

Every function takes two :class:`xarray.DataArray` with ``units`` and a ``time`` dimension, compares
them where both have a value, and returns a data array without ``time`` (all other dimensions kept).
A series for which a score is not defined (no pairs, constant observations) gives NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import DataError
from hybridwater.scores.pairs import paired

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["bias", "high_flow_bias", "kge", "log_nse", "low_flow_bias", "nse"]

_FLOOR = 1e-6  # smallest flow taken to a logarithm, as a fraction of the mean observed flow


def nse(simulated: xr.DataArray, observed: xr.DataArray) -> xr.DataArray:
    """Nash-Sutcliffe efficiency, ``1 - sum (s - o)^2 / sum (o - mean o)^2``.

    Parameters
    ----------
    simulated, observed : xarray.DataArray
        Shape (..., time), in compatible units; NaN marks a missing value.

    Returns
    -------
    xarray.DataArray
        Shape (...), dimensionless, at most 1.

    Raises
    ------
    DataError
        If there is no ``time`` dimension, no common time, or other coordinates differ.
    UnitError
        If units are missing or incompatible.

    References
    ----------
    Nash, J. E. and Sutcliffe, J. V. (1970), J. Hydrol. 10, 282-290, eq. 3.
    doi:10.1016/0022-1694(70)90255-6
    """
    return _score(_nse, simulated, observed, "nse", "Nash-Sutcliffe efficiency")


def kge(simulated: xr.DataArray, observed: xr.DataArray) -> xr.DataArray:
    """Kling-Gupta efficiency of 2009 from correlation, variability ratio and bias ratio.

    ``1 - sqrt((r - 1)^2 + (alpha - 1)^2 + (beta - 1)^2)``, ``alpha = std s / std o``,
    ``beta = mean s / mean o``.

    Parameters
    ----------
    simulated, observed : xarray.DataArray
        Shape (..., time), in compatible units; NaN marks a missing value.

    Returns
    -------
    xarray.DataArray
        Shape (...), dimensionless, at most 1. NaN where either series is constant, since the
        correlation is then undefined.

    Raises
    ------
    DataError, UnitError
        As :func:`nse`.

    References
    ----------
    Gupta, H. V., Kling, H., Yilmaz, K. K. and Martinez, G. F. (2009), J. Hydrol. 377, 80-91,
    eqs. 9 and 10. doi:10.1016/j.jhydrol.2009.08.003
    """
    return _score(_kge, simulated, observed, "kge", "Kling-Gupta efficiency (2009)")


def log_nse(simulated: xr.DataArray, observed: xr.DataArray) -> xr.DataArray:
    """Nash-Sutcliffe efficiency of logarithms, which weighs low flows.

    Flows are transformed by ``log(q + mean(o) / 100)``, so that days without flow count and the
    score does not depend on the unit.

    Parameters
    ----------
    simulated, observed : xarray.DataArray
        Shape (..., time), in compatible units; NaN marks a missing value.

    Returns
    -------
    xarray.DataArray
        Shape (...), dimensionless, at most 1. NaN where a flow is so negative that it has no
        logarithm.

    Raises
    ------
    DataError, UnitError
        As :func:`nse`.

    References
    ----------
    Pushpalatha, R., Perrin, C., Le Moine, N. and Andreassian, V. (2012), J. Hydrol. 420-421,
    171-182 (the constant of one hundredth of the mean). doi:10.1016/j.jhydrol.2011.11.055
    """
    long_name = "Nash-Sutcliffe efficiency of logarithms"
    return _score(_log_nse, simulated, observed, "log_nse", long_name)


def bias(simulated: xr.DataArray, observed: xr.DataArray) -> xr.DataArray:
    """Relative volume bias, ``sum (s - o) / sum o``: 0.1 is a tenth too much water.

    Parameters
    ----------
    simulated, observed : xarray.DataArray
        Shape (..., time), in compatible units; NaN marks a missing value.

    Returns
    -------
    xarray.DataArray
        Shape (...), dimensionless, best 0.

    Raises
    ------
    DataError, UnitError
        As :func:`nse`.

    References
    ----------
    Yilmaz, K. K., Gupta, H. V. and Wagener, T. (2008), Water Resour. Res. 44, W09417, eq. A1
    (there in percent). doi:10.1029/2007WR006716
    """
    return _score(_bias, simulated, observed, "bias", "relative bias")


def high_flow_bias(
    simulated: xr.DataArray, observed: xr.DataArray, fraction: float = 0.02
) -> xr.DataArray:
    """Relative bias of the highest flows of the flow-duration curve (FHV).

    Both series are ranked by themselves; ``sum (s_h - o_h) / sum o_h`` over the highest ones.

    Parameters
    ----------
    simulated, observed : xarray.DataArray
        Shape (..., time), in compatible units; NaN marks a missing value.
    fraction : float
        Part of the records that counts as high flow.

    Returns
    -------
    xarray.DataArray
        Shape (...), dimensionless, best 0; a hundred times this is the paper's percentage.

    Raises
    ------
    DataError, UnitError
        As :func:`nse`; DataError also if ``fraction`` is not between 0 and 1.

    References
    ----------
    Yilmaz, K. K., Gupta, H. V. and Wagener, T. (2008), Water Resour. Res. 44, W09417, eq. A3.
    doi:10.1029/2007WR006716
    """
    _check_fraction(fraction)

    def kernel(s: np.ndarray, o: np.ndarray) -> float:
        count = max(1, round(fraction * o.size))
        return _bias(np.sort(s)[-count:], np.sort(o)[-count:])

    long_name = f"bias of the highest {fraction:.3g} of flows (FHV)"
    return _score(kernel, simulated, observed, "high_flow_bias", long_name)


def low_flow_bias(
    simulated: xr.DataArray, observed: xr.DataArray, fraction: float = 0.3
) -> xr.DataArray:
    """Relative bias of the low-flow segment of the flow-duration curve, in logarithms (FLV).

    ``-(S - O) / O`` with ``S = sum (log s_l - log s_L)`` over the lowest flows, ``s_L`` the very
    lowest, and ``O`` likewise. Positive means that low flows are sustained more than observed.
    Flows below a millionth of the mean observed flow, zero among them, count as that much.

    Parameters
    ----------
    simulated, observed : xarray.DataArray
        Shape (..., time), in compatible units; NaN marks a missing value.
    fraction : float
        Part of the records that counts as low flow.

    Returns
    -------
    xarray.DataArray
        Shape (...), dimensionless, best 0; a hundred times this is the paper's percentage. NaN
        where all observed low flows are equal, for example zero.

    Raises
    ------
    DataError, UnitError
        As :func:`nse`; DataError also if ``fraction`` is not between 0 and 1.

    References
    ----------
    Yilmaz, K. K., Gupta, H. V. and Wagener, T. (2008), Water Resour. Res. 44, W09417, eq. A4.
    doi:10.1029/2007WR006716
    """
    _check_fraction(fraction)

    def kernel(s: np.ndarray, o: np.ndarray) -> float:
        floor = _FLOOR * o.mean()
        if not floor > 0:
            return np.nan
        count = max(1, round(fraction * o.size))
        low_s, low_o = (np.log(np.maximum(np.sort(q)[:count], floor)) for q in (s, o))
        volume_s, volume_o = (low_s - low_s[0]).sum(), (low_o - low_o[0]).sum()
        return -(volume_s - volume_o) / volume_o if volume_o > 0 else np.nan

    long_name = f"bias of the lowest {fraction:.3g} of flows (FLV)"
    return _score(kernel, simulated, observed, "low_flow_bias", long_name)


def _nse(s: np.ndarray, o: np.ndarray) -> float:
    if np.ptp(o) == 0:
        return np.nan
    return 1.0 - ((s - o) ** 2).sum() / ((o - o.mean()) ** 2).sum()


def _kge(s: np.ndarray, o: np.ndarray) -> float:
    if np.ptp(s) == 0 or np.ptp(o) == 0 or o.mean() == 0:
        return np.nan
    r = np.corrcoef(s, o)[0, 1]
    alpha, beta = s.std() / o.std(), s.mean() / o.mean()
    return 1.0 - np.sqrt((r - 1) ** 2 + (alpha - 1) ** 2 + (beta - 1) ** 2)


def _log_nse(s: np.ndarray, o: np.ndarray) -> float:
    offset = o.mean() / 100
    if min(s.min(), o.min()) + offset <= 0:
        return np.nan
    return _nse(np.log(s + offset), np.log(o + offset))


def _bias(s: np.ndarray, o: np.ndarray) -> float:
    return (s - o).sum() / o.sum() if o.sum() != 0 else np.nan


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction <= 1:
        raise DataError(
            f"The fraction of flows is {fraction}, which is not between 0 and 1.",
            where="fraction",
            fix="Give it as a fraction, for example 0.02 for the highest 2 %",
        )


def _score(
    kernel: Callable[[np.ndarray, np.ndarray], float],
    simulated: xr.DataArray,
    observed: xr.DataArray,
    name: str,
    long_name: str,
) -> xr.DataArray:
    import xarray as xr

    simulated, observed = paired(simulated, observed)

    def masked(s: np.ndarray, o: np.ndarray) -> float:
        valid = ~(np.isnan(s) | np.isnan(o))
        with np.errstate(invalid="ignore", over="ignore"):
            return kernel(s[valid], o[valid]) if valid.any() else np.nan

    result = xr.apply_ufunc(
        masked,
        simulated.astype(float),
        observed.astype(float),
        input_core_dims=[["time"], ["time"]],
        vectorize=True,
        dask="parallelized",
        output_dtypes=[float],
        keep_attrs=False,
    )
    return result.rename(name).assign_attrs(units="1", long_name=long_name)
