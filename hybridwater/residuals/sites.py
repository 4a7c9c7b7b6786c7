"""What errors of sites have in common on a day: the correlation of their innovations.

It leaves the distribution of each single error as it is: a Gaussian copula between sites (Joe, H.
(1997), Multivariate Models and Dependence Concepts, sec. 5.1).
"""

from __future__ import annotations

import numpy as np

_FEWEST = 30  # records that two sites have in common, below which they count as independent
_LEAST = 1e-4  # eigenvalue


def correlation(innovations: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the correlation between sites, shrunk towards none, and positive definite.

    Correlations of pairs of sites are shrunk by the factor that makes their expected squared error
    least, from their sampling variances (Schäfer, J. and Strimmer, K. (2005), Stat. Appl. Genet.
    Mol. Biol. 4, 32, target D with unit variances. doi:10.2202/1544-6115.1175).

    Parameters
    ----------
    innovations : numpy.ndarray, shape (site, time)
        Standard normal numbers, independent in time.
    seen : numpy.ndarray of bool, shape (site, time)
        Where there is one.

    Returns
    -------
    numpy.ndarray, shape (site, site)
    """
    there = seen.astype(float)
    known = np.where(seen, innovations, 0.0)
    counts = there @ there.T
    power = (known**2) @ there.T  # of the one site, where there is the other one, too
    found = known @ known.T / np.sqrt(np.maximum(power * power.T, 1e-300))
    apart = ~np.eye(len(found), dtype=bool)
    used = apart & (counts >= _FEWEST)
    variance = (1 - found[used] ** 2) ** 2 / counts[used]
    square = (found[used] ** 2).sum()
    kept = max(0.0, 1 - variance.sum() / square) if square > 0 else 0.0
    whole = np.where(used, kept * found, np.where(apart, 0.0, 1.0))
    values, vectors = np.linalg.eigh(whole)
    whole = (vectors * np.maximum(values, _LEAST)) @ vectors.T
    scale = np.sqrt(np.diag(whole))
    return whole / np.outer(scale, scale)
