"""Whether an ensemble is as uncertain as it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybridwater import units
from hybridwater.errors import DataError
from hybridwater.scores.pairs import with_members
from hybridwater.scores.probabilistic import central_interval, check_level

if TYPE_CHECKING:
    import xarray as xr


def pit(ensemble: xr.DataArray, observed: xr.DataArray, *, seed: int = 0) -> xr.DataArray:
    """Probability integral transform: where the observation falls in its forecast distribution.

    Uniform between 0 and 1 if forecasts are calibrated. It is spread at random between the ranks
    of the members, and among members that equal the observation (a dry day), so that it is
    continuous.

    Parameters
    ----------
    ensemble : xarray.DataArray
        Shape (member, ..., time).
    observed : xarray.DataArray
        Shape (..., time).
    seed : int
        Of the spreading.

    Returns
    -------
    xarray.DataArray
        Shape (..., time), dimensionless; NaN where either is missing.

    Raises
    ------
    DataError, UnitError
        As :func:`hybridwater.scores.crps`.

    References
    ----------
    Gneiting, T., Balabdaoui, F. and Raftery, A. E. (2007), J. R. Stat. Soc. B 69, 243-268.
    Czado, C., Gneiting, T. and Held, L. (2009), Biometrics 65, 1254-1261 (spreading).
    """
    ensemble, observed = with_members(ensemble, observed)
    truth = observed.values[..., np.newaxis]
    below = (ensemble.values < truth).sum(-1)
    equal = (ensemble.values == truth).sum(-1)
    uniform = np.random.default_rng(seed).uniform(size=below.shape)
    values = (below + uniform * (equal + 1)) / (ensemble.sizes["member"] + 1)
    result = observed.copy(data=np.where(np.isfinite(observed.values), values, np.nan))
    result.attrs = {"units": "1", "long_name": "probability integral transform"}
    return result.rename("pit")


def rank_histogram(
    ensemble: xr.DataArray, observed: xr.DataArray, *, bins: int = 10, seed: int = 0
) -> xr.DataArray:
    """Rank histogram: frequency of the observation's place among the members, flat if calibrated.

    Parameters
    ----------
    ensemble : xarray.DataArray
        Shape (member, ..., time).
    observed : xarray.DataArray
        Shape (..., time).
    bins : int
        Number of equal bins of the :func:`pit`.
    seed : int
        As in :func:`pit`.

    Returns
    -------
    xarray.DataArray
        Shape (..., bin), fractions that sum to one; coordinate ``bin`` is the middle of each.

    Raises
    ------
    DataError, UnitError
        As :func:`hybridwater.scores.crps`.

    References
    ----------
    Hamill, T. M. (2001), Mon. Weather Rev. 129, 550-560.
    """
    import xarray as xr

    places = pit(ensemble, observed, seed=seed)
    number = np.minimum(np.floor(places * bins), bins - 1)
    counts = xr.concat([(number == k).sum("time") for k in range(bins)], "bin")
    middle = xr.DataArray((np.arange(bins) + 0.5) / bins, dims="bin", attrs={"units": "1"})
    total = counts.sum("bin")
    result = (counts / total.where(total > 0)).assign_coords(bin=middle).transpose(..., "bin")
    return result.rename("frequency").assign_attrs(units="1", long_name="rank histogram")


def flatness(
    pit: xr.DataArray, *, bins: int = 10, block: int = 30, resamples: int = 999, seed: int = 0
) -> xr.Dataset:
    """Test whether probability integral transforms are uniform, although neighbours are alike.

    The statistic is the sum of squared deviations of the histogram from the flat one. How large it
    would be by chance is learned by resampling blocks of days, all series together, so that
    dependence in time and between series is kept; deviations are then taken from the histogram of
    the data instead of the flat one (the centred block bootstrap).

    Parameters
    ----------
    pit : xarray.DataArray
        Shape (..., time), as from :func:`hybridwater.scores.pit`; NaN is left out.
    bins : int
        Of the histogram.
    block : int
        Records in a block; longer than errors remember.
    resamples : int
        Number of resamples.
    seed : int
        Of the resampling.

    Returns
    -------
    xarray.Dataset
        ``statistic``, ``p_value`` (small: not flat) and ``largest_deviation`` (of a bin from
        ``1 / bins``, relative), dimensionless.

    Raises
    ------
    DataError
        If there are fewer than five blocks, or no value at all.

    References
    ----------
    Künsch, H. R. (1989), Ann. Stat. 17, 1217-1241 (moving blocks).
    Hall, P. and Wilson, S. R. (1991), Biometrics 47, 757-762 (centring).
    """
    import xarray as xr

    values = pit.transpose("time", ...).values.reshape(pit.sizes["time"], -1)
    if len(values) < 5 * block:
        raise DataError(
            f"{len(values)} records are fewer than five blocks of {block}.",
            where="time",
            fix="Give a longer period, or shorter blocks",
        )
    valid = np.isfinite(values)
    number = np.minimum(np.floor(np.where(valid, values, 0) * bins), bins - 1).astype(int)
    if not valid.any():
        raise DataError(
            "There is no value to test.", where="pit", fix="See why no forecast has an observation"
        )
    daily = np.stack([((number == k) & valid).sum(1) for k in range(bins)], axis=1)
    whole = daily.sum(0) / daily.sum()
    rng = np.random.default_rng(seed)
    count = -(-len(values) // block)
    starts = rng.integers(0, len(values), (resamples, count))
    days = (starts[..., np.newaxis] + np.arange(block)) % len(values)
    resampled = daily[days.reshape(resamples, -1)].sum(1)
    resampled = resampled[resampled.any(1)]  # others have no histogram
    chance = ((resampled / resampled.sum(1, keepdims=True) - whole) ** 2).sum(1)
    statistic = ((whole - 1 / bins) ** 2).sum()
    p_value = (1 + (chance >= statistic).sum()) / (1 + len(chance))
    found = {
        "statistic": statistic,
        "p_value": p_value,
        "largest_deviation": np.abs(whole * bins - 1).max(),
    }
    return xr.Dataset({name: ((), value, {"units": "1"}) for name, value in found.items()})


def coverage(
    ensemble: xr.DataArray,
    observed: xr.DataArray,
    *,
    level: float = 0.9,
    by: xr.DataArray | None = None,
) -> xr.DataArray:
    """Fraction of observations within the central interval of the ensemble.

    Parameters
    ----------
    ensemble : xarray.DataArray
        Shape (member, ..., time).
    observed : xarray.DataArray
        Shape (..., time).
    level : float
        Probability that the interval should hold. Of m members none holds more than
        ``(m - 1) / (m + 1)``: 90 % takes 19 of them, and of fewer the interval ends at the lowest
        and the highest.
    by : xarray.DataArray, optional
        Group of every record or series, any dimensions of ``observed``: for example
        ``observed["time.season"]``, or classes of a site's area. Groups by what is forecast, never
        by what is observed: large observations lie above any honest forecast more often.

    Returns
    -------
    xarray.DataArray
        Shape (...), dimensionless; with ``by``, one value per group.

    Raises
    ------
    DataError, UnitError
        As :func:`hybridwater.scores.crps`; DataError also if the level is not between 0 and 1.
    """
    check_level(level)
    ensemble, observed = with_members(ensemble, observed)
    lower, upper = central_interval(ensemble, level)
    inside = observed.copy(data=(observed.values >= lower) & (observed.values <= upper))
    inside = inside.where(observed.notnull())
    if by is None:
        result = inside.mean("time")
    else:
        inside, by = inside.broadcast_like(inside), by.broadcast_like(inside)
        by = by.transpose(*inside.dims).reindex_like(inside)
        by = by.rename(by.name or "group")
        result = inside.groupby(by).mean(...)
    name = f"coverage of the central {level:.3g}"
    return result.rename("coverage").assign_attrs(units="1", long_name=name)


def spread_skill(ensemble: xr.DataArray, observed: xr.DataArray, *, bins: int = 10) -> xr.Dataset:
    """Spread of the ensemble against the error of its mean, in bins of equal counts by spread.

    The two agree in every bin if the ensemble is calibrated.

    Parameters
    ----------
    ensemble : xarray.DataArray
        Shape (member, ..., time); all series are taken together.
    observed : xarray.DataArray
        Shape (..., time).
    bins : int
        Number of bins.

    Returns
    -------
    xarray.Dataset
        ``spread`` (root mean variance, times ``(m + 1) / m``) and ``error`` (root mean square of
        the ensemble mean's), dimension (bin), in the unit of the ensemble.

    Raises
    ------
    DataError, UnitError
        As :func:`hybridwater.scores.crps`.

    References
    ----------
    Fortin, V., Abaza, M., Anctil, F. and Turcotte, R. (2014), J. Hydrometeorol. 15, 1708-1713,
    eq. 15. doi:10.1175/JHM-D-14-0008.1
    """
    import xarray as xr

    ensemble, observed = with_members(ensemble, observed)
    members = ensemble.sizes["member"]
    valid = observed.notnull().values
    values, truth = ensemble.values[valid], observed.values[valid]
    variance = values.var(-1, ddof=1) * (members + 1) / members
    error = (values.mean(-1) - truth) ** 2
    parts = np.array_split(np.argsort(variance, kind="stable"), bins)
    unit = ensemble.attrs["units"]
    return xr.Dataset(
        {
            "spread": ("bin", [_root_mean(variance[p]) for p in parts], {"units": unit}),
            "error": ("bin", [_root_mean(error[p]) for p in parts], {"units": unit}),
        },
        {"bin": np.arange(bins)},
    )


def reliability(
    ensemble: xr.DataArray, observed: xr.DataArray, threshold: xr.DataArray, *, bins: int = 10
) -> xr.Dataset:
    """How often a threshold was exceeded where it was forecast with a probability.

    Parameters
    ----------
    ensemble : xarray.DataArray
        Shape (member, ..., time); all series are taken together.
    observed : xarray.DataArray
        Shape (..., time).
    threshold : xarray.DataArray
        With units; a number, or one per series.
    bins : int
        Equal bins of the forecast probability.

    Returns
    -------
    xarray.Dataset
        ``forecast`` (mean probability), ``observed`` (frequency) and ``count``, dimension (bin);
        NaN in empty bins.

    Raises
    ------
    DataError, UnitError
        As :func:`hybridwater.scores.crps`.

    References
    ----------
    Murphy, A. H. and Winkler, R. L. (1977), J. R. Stat. Soc. C 26, 41-47.
    """
    import xarray as xr

    ensemble, observed = with_members(ensemble, observed)
    threshold = units.to_units(threshold, units.require(ensemble))
    probability = (ensemble > threshold).mean("member").transpose(*observed.dims)
    happened = (observed > threshold).transpose(*observed.dims)
    valid = observed.notnull().values
    p, y = probability.values[valid], happened.values[valid]
    number = np.minimum((p * bins).astype(int), bins - 1)
    counts = np.bincount(number, minlength=bins)
    with np.errstate(invalid="ignore"):
        forecast = np.bincount(number, p, bins) / counts
        frequency = np.bincount(number, y, bins) / counts
    return xr.Dataset(
        {
            "forecast": ("bin", forecast, {"units": "1"}),
            "observed": ("bin", frequency, {"units": "1"}),
            "count": ("bin", counts, {"units": "1"}),
        },
        {"bin": (np.arange(bins) + 0.5) / bins},
    )


def _root_mean(values: np.ndarray) -> float:
    return float(np.sqrt(values.mean())) if len(values) else float("nan")
