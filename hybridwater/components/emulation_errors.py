"""How far a surrogate is from what it emulates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybridwater import scores

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: A cell with this efficiency counts as emulated well.
WELL = 0.99


def compare(
    truth: xr.Dataset,
    emulated: xr.Dataset,
    names: Sequence[str],
    periods: Mapping[str, slice],
    areas: np.ndarray,
) -> pd.DataFrame:
    """Compare a surrogate's run with the one that it emulates.

    Parameters
    ----------
    truth, emulated : xarray.Dataset
        Dims (basin, time).
    names : sequence of str
        Variables to compare.
    periods : mapping of str to slice
        Name to records.
    areas : numpy.ndarray
        Area of each cell [m2], shape (basin,), by which means over the cells are weighted.

    Returns
    -------
    pandas.DataFrame
        Index ``variable``, ``period``. ``NSE`` of the mean over the cells; ``NSE median`` of the
        cells where the variable varies, and the ``share >= 0.99`` of them; ``bias`` (0.01 is a
        hundredth too much) and ``RMSE``, in the unit of the variable, over cells and records.
    """
    import pandas as pd
    import xarray as xr

    weights = xr.DataArray(areas, dims="basin")
    rows = {}
    for name in names:
        for period, records in periods.items():
            seen, made = (d[name].isel(time=records) for d in (truth, emulated))
            made = made.assign_coords(basin=seen["basin"])
            each = scores.nse(made, seen).values
            each = each[np.isfinite(each)]
            means = [x.weighted(weights).mean("basin", keep_attrs=True) for x in (made, seen)]
            total = float(seen.weighted(weights).sum())
            difference = (made - seen).weighted(weights)
            rows[name, period] = {
                "NSE": float(scores.nse(*means)),
                "NSE median": float(np.median(each)) if each.size else np.nan,
                f"share >= {WELL}": float(np.mean(each >= WELL)) if each.size else np.nan,
                "bias": float(difference.sum()) / total if total else np.nan,
                "RMSE": float(np.sqrt(((made - seen) ** 2).weighted(weights).mean())),
            }
    index = pd.MultiIndex.from_tuples(rows, names=["variable", "period"])
    return pd.DataFrame(list(rows.values()), index)
