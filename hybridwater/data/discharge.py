"""Discharge as a depth of water over the catchment."""

from __future__ import annotations

import xarray as xr

from hybridwater import units
from hybridwater.errors import DataError

_MM_KM2_PER_M3_S = 86.4
"""1 m3 s-1 over 1 km2 is 86.4 mm d-1 (86400 s d-1 * 1000 mm m-1 / 1e6 m2 km-2)."""


def specific_discharge(discharge: xr.DataArray, area: xr.DataArray) -> xr.DataArray:
    """Divide discharge by catchment area.

    Parameters
    ----------
    discharge : xarray.DataArray, shape (basin, time)
        Volume per time, any unit compatible with m3 s-1.
    area : xarray.DataArray, shape (basin,)
        Catchment area, any unit compatible with km2.

    Returns
    -------
    xarray.DataArray, shape (basin, time)
        ``qobs`` [mm d-1]; NaN where discharge is NaN.

    Raises
    ------
    UnitError
        If a unit is missing or incompatible.
    DataError
        If an area is not positive.
    """
    flow = units.to_units(discharge, "m3 s-1")
    surface = units.to_units(area, "km2")
    if not bool((surface > 0).all()):
        raise DataError(
            "A catchment area is zero, negative or missing.",
            where=f"area = {float(surface.min())} km2",
            fix="Give every basin its area",
        )
    depth = flow * _MM_KM2_PER_M3_S / surface
    depth.attrs = {
        "units": "mm d-1",
        "long_name": "observed specific discharge",
        "cell_methods": "time: mean",
    }
    return depth.rename("qobs")
