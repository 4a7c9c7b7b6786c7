"""Potential evapotranspiration from air temperature."""

from __future__ import annotations

from typing import cast

import numpy as np
import xarray as xr

from hybridwater import units

_SOLAR_CONSTANT = 0.0820
"""Solar constant [MJ m-2 min-1] (Allen et al. 1998)."""

_LATENT_HEAT = 2.45
"""Latent heat of vaporisation [MJ kg-1] (Allen et al. 1998)."""


def hamon(tmean: xr.DataArray, dayl: xr.DataArray) -> xr.DataArray:
    """Compute Hamon's potential evapotranspiration.

    ``pet = 29.8 D e*(T) / (T + 273.2)`` with the day length D [h] and the saturation vapour
    pressure ``e* = 0.611 exp(17.3 T / (T + 237.3))`` [kPa], as in EXP-Hydro.

    Parameters
    ----------
    tmean : xarray.DataArray, shape (basin, time)
        Daily mean air temperature, any temperature unit.
    dayl : xarray.DataArray, shape (basin, time)
        Day length, any unit of time.

    Returns
    -------
    xarray.DataArray, shape (basin, time)
        ``pet`` [mm d-1].

    Raises
    ------
    UnitError
        If a unit is missing or incompatible.

    References
    ----------
    Hamon, W. R. (1963): Computation of direct runoff amounts from storm rainfall. IAHS Publ. 63;
    Patil, S. and Stieglitz, M. (2014): Modelling daily streamflow at ungauged catchments.
    Hydrological Processes 28, 1159-1171, doi:10.1002/hyp.9660, Table 1.
    """
    temperature = units.to_units(tmean, "degC")
    hours = units.to_units(dayl, "h")
    saturation = 0.611 * np.exp(17.3 * temperature / (temperature + 237.3))
    return _named(29.8 * hours * saturation / (temperature + 273.2), "Hamon (1963)")


def oudin(tmean: xr.DataArray, latitude: xr.DataArray) -> xr.DataArray:
    """Compute Oudin's potential evapotranspiration.

    ``pet = Re / (lambda rho) (T + 5) / 100`` where T > -5 degC, else 0, with the
    extraterrestrial radiation Re of Allen et al. (1998), equations 21 to 25.

    Parameters
    ----------
    tmean : xarray.DataArray, shape (basin, time)
        Daily mean air temperature, any temperature unit.
    latitude : xarray.DataArray, shape (basin,)
        Latitude [degrees_north].

    Returns
    -------
    xarray.DataArray, shape (basin, time)
        ``pet`` [mm d-1].

    Raises
    ------
    UnitError
        If a unit is missing or incompatible.

    References
    ----------
    Oudin, L. et al. (2005): Which potential evapotranspiration input for a lumped rainfall-runoff
    model? Part 2. Journal of Hydrology 303, 290-306, doi:10.1016/j.jhydrol.2004.08.026, eq. 3;
    Allen, R. G. et al. (1998): Crop evapotranspiration. FAO Irrigation and Drainage Paper 56.
    """
    temperature = units.to_units(tmean, "degC")
    radiation = _extraterrestrial_radiation(latitude, tmean["time"])
    pet = radiation / _LATENT_HEAT * (temperature + 5.0).clip(min=0.0) / 100.0
    return _named(pet.transpose(*tmean.dims), "Oudin et al. (2005)")


def _extraterrestrial_radiation(latitude: xr.DataArray, time: xr.DataArray) -> xr.DataArray:
    """Daily radiation at the top of the atmosphere [MJ m-2 d-1], FAO-56 equations 21 to 25."""
    phi = units.to_units(latitude, "degrees_north") * (np.pi / 180.0)
    angle = 2.0 * np.pi / 365.0 * time.dt.dayofyear
    distance = 1.0 + 0.033 * np.cos(angle)
    declination = 0.409 * np.sin(angle - 1.39)
    sunset = np.arccos((-np.tan(phi) * np.tan(declination)).clip(-1.0, 1.0))
    radiation = (
        (24.0 * 60.0 / np.pi * _SOLAR_CONSTANT)
        * distance
        * (
            sunset * np.sin(phi) * np.sin(declination)
            + np.cos(phi) * np.cos(declination) * np.sin(sunset)
        )
    )
    return cast("xr.DataArray", radiation)


def _named(pet: xr.DataArray, source: str) -> xr.DataArray:
    pet.attrs = {
        "units": "mm d-1",
        "long_name": "potential evapotranspiration",
        "standard_name": "water_potential_evapotranspiration_flux",
        "source": source,
        "cell_methods": "time: mean",
    }
    return pet.rename("pet")
