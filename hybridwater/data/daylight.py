"""Length of the day from latitude and date."""

from __future__ import annotations

import numpy as np
import xarray as xr

from hybridwater import units


def day_length(latitude: xr.DataArray, time: xr.DataArray, *, horizon: float = 0.0) -> xr.DataArray:
    """Compute the hours of daylight with the CBM model.

    Parameters
    ----------
    latitude : xarray.DataArray
        Latitude [degrees_north], any shape, usually (basin,).
    time : xarray.DataArray, shape (time,)
        Dates; only the day of the year counts.
    horizon : float, optional
        Angle [degrees] of the sun's centre below the horizon at sunrise and sunset. The default,
        0, is how Daymet (and so CAMELS-US) counts; 0.8333 includes the sun's radius and
        refraction, as in almanacs, and gives days about 0.15 h longer.

    Returns
    -------
    xarray.DataArray, shape of the latitude, and time
        ``dayl`` [h], between 0 and 24.

    Raises
    ------
    UnitError
        If the latitude has no units, or units that are not an angle.

    References
    ----------
    Forsythe, W. C. et al. (1995): A model comparison for daylength as a function of latitude and
    day of year. Ecological Modelling 80, 87-95, doi:10.1016/0304-3800(94)00034-F, equations 1-3.
    """
    phi = np.deg2rad(units.to_units(latitude, "degrees_north").drop_attrs())
    day = time.dt.dayofyear.drop_attrs()
    revolution = 0.2163108 + 2.0 * np.arctan(0.9671396 * np.tan(0.00860 * (day - 186)))
    declination = np.arcsin(0.39795 * np.cos(revolution))
    cosine = (np.sin(np.deg2rad(horizon)) + np.sin(phi) * np.sin(declination)) / (
        np.cos(phi) * np.cos(declination)
    )
    hours = 24.0 - 24.0 / np.pi * np.arccos(cosine.clip(-1.0, 1.0))
    hours = hours.transpose(*latitude.dims, *time.dims)
    hours.attrs = {"units": "h", "long_name": "day length", "cell_methods": "time: mean"}
    return hours.rename("dayl")
