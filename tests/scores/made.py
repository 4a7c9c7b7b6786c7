"""Series and ensembles made by hand."""

import numpy as np
import xarray as xr


def flow(values, dims=("time",), units="m3 s-1"):
    values = np.asarray(values, dtype=float)
    coords = {d: np.arange(n) for d, n in zip(dims, values.shape, strict=True) if d != "time"}
    coords["time"] = np.datetime64("2001-01-01", "ns") + np.arange(
        values.shape[dims.index("time")]
    ) * np.timedelta64(1, "D")
    return xr.DataArray(values, coords, dims, name="q", attrs={"units": units})


def ensemble(values, units="m3 s-1"):
    values = np.asarray(values, dtype=float)
    return flow(values, ("member", "gage", "time")[-values.ndim + 1 :] if values.ndim == 3 else
                ("member", "time"), units)  # fmt: skip
