"""How long errors remember, and so how much a record of them really says."""

from __future__ import annotations

import numpy as np

_FORGOTTEN = 0.05  # autocorrelation that counts as none


def independent_fraction(error: np.ndarray, terms: np.ndarray, valid: np.ndarray) -> float:
    """Return the effective over the actual number of observations.

    One over the integrated autocorrelation time, ``1 + 2 sum r_k``, of what a linear regression on
    the terms leaves of the errors of each site. The autocorrelation is averaged over sites and
    summed until it is first below 0.05: that of one site is too uncertain to be used alone.

    Parameters
    ----------
    error : numpy.ndarray, shape (site, time)
        Of the transformed simulation.
    terms : numpy.ndarray, shape (term, site, time)
        Of the bias.
    valid : numpy.ndarray of bool, shape (site, time)
        Where there is an observation.

    Returns
    -------
    float
        Above 0, at most 1.

    References
    ----------
    Sokal, A. (1997), Monte Carlo methods in statistical mechanics, in Functional Integration,
    131-192, sec. 3. doi:10.1007/978-1-4899-0319-8_6
    """
    rest = np.zeros_like(error)
    for site, seen in enumerate(valid):
        columns = terms[:, site, seen].T
        fitted, *_ = np.linalg.lstsq(columns, error[site, seen], rcond=None)
        rest[site, seen] = error[site, seen] - columns @ fitted
    length = error.shape[1]
    power = np.abs(np.fft.rfft(rest, 2 * length)) ** 2
    pairs = np.abs(np.fft.rfft(valid.astype(float), 2 * length)) ** 2
    products = np.fft.irfft(power)[:, : length // 2]
    counts = np.maximum(np.fft.irfft(pairs)[:, : length // 2], 1.0)
    covariance = products / counts
    correlation = (covariance / np.maximum(covariance[:, :1], 1e-300)).mean(0)
    forgotten = correlation < _FORGOTTEN
    end = int(np.argmax(forgotten)) if forgotten.any() else len(correlation)
    return float(min(1.0, 1 / (1 + 2 * correlation[1:end].sum())))
