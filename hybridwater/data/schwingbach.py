"""Sites in Hesse, Germany, whose records the package spotpy carries.

Houska, T. et al. (2015): SPOTting model parameters using a ready-made Python package. PLoS ONE
10(12), e0145180, doi:10.1371/journal.pone.0145180. The Schwingbach data are by the Chair of
Landscape, Water and Biogeochemical Cycles, Justus-Liebig-University Giessen, for any purpose with
proper reference. Every function raises `MissingDependency` where spotpy is not installed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridwater.data.discharge import specific_discharge
from hybridwater.data.packages import package_folder
from hybridwater.errors import DataError

_METEOROLOGY: dict[str, tuple[str, str, str]] = {
    "rain_mmday": ("prcp", "mm d-1", "precipitation"),
    "airpressure_hPa": ("pressure", "hPa", "air pressure"),
    "solarrad_Wm2": ("srad", "W m-2", "solar radiation, mean of the record interval"),
    "relhum_perc": ("relative_humidity", "%", "relative humidity"),
    "airtemp_degC": ("tmean", "degC", "air temperature"),
    "windspeed_ms": ("wind", "m s-1", "wind speed"),
    "gwhead_m": ("groundwater_head", "m", "groundwater head above sea level"),
}
_STANDARD_NAMES = {
    "prcp": "lwe_precipitation_rate",
    "pressure": "air_pressure",
    "srad": "surface_downwelling_shortwave_flux_in_air",
    "relative_humidity": "relative_humidity",
    "tmean": "air_temperature",
    "tmin": "air_temperature",
    "tmax": "air_temperature",
    "wind": "wind_speed",
}

_HYMOD_AREA = 1.783
"""Area [km2] of the HYMOD example catchment (spotpy, spot_setup_hymod_python.py)."""

_FULDA_AREA = 2976.41
"""Area [km2] of the Fulda above Grebenau (spotpy, spot_setup_cmf_lumped.py)."""


def read_schwingbach() -> xr.Dataset:
    """Read the Schwingbach site 24: hourly weather, groundwater and soil moisture, 2014-2016.

    Returns
    -------
    xarray.Dataset
        Dimensions (basin, time) with one basin: ``prcp`` [mm d-1], ``pressure`` [hPa], ``srad``
        [W m-2], ``relative_humidity`` [%], ``tmean`` [degC], ``wind`` [m s-1],
        ``groundwater_head`` [m] (NaN where missing), ``soil_moisture_10cm``, ``_25cm`` and
        ``_40cm`` [m3 m-3].

    Raises
    ------
    DataError
        If the dates of the two files no longer match.
    MissingDependency
        If spotpy is not installed.

    Notes
    -----
    The weather file exchanges day and month in the dates of the first twelve days of every month,
    though its rows are in true order. Times are therefore taken from the soil-moisture file, once
    it is certain that both agree but for that exchange.
    """
    folder = _examples() / "cmf_data"
    weather = pd.read_csv(folder / "driver_data_site24.csv", comment="#")
    moisture = pd.read_csv(
        folder / "soilmoisture_site24.csv",
        comment="#",
        header=None,
        names=["time", "soil_moisture_10cm", "soil_moisture_25cm", "soil_moisture_40cm"],
    )
    times = pd.to_datetime(moisture.pop("time"), format="ISO8601")
    _check_exchanged(pd.to_datetime(weather.pop("time"), format="ISO8601"), times)
    table = pd.concat([weather, moisture], axis=1).set_index(pd.DatetimeIndex(times, name="time"))
    meanings = _METEOROLOGY | {
        f"soil_moisture_{depth}cm": (
            f"soil_moisture_{depth}cm",
            "m3 m-3",
            f"volumetric soil moisture at {depth} cm",
        )
        for depth in (10, 25, 40)
    }
    return _one_basin(table, meanings, "schwingbach", "Schwingbach site 24, Rechtenbach, Hesse")


def read_hymod_catchment() -> xr.Dataset:
    """Read the catchment of spotpy's HYMOD example: daily, 2012-2016, 1.783 km2.

    Returns
    -------
    xarray.Dataset
        Dimensions (basin, time) with one basin: ``prcp`` [mm d-1], ``pet`` [mm d-1] after Turc,
        ``qobs`` [mm d-1] (NaN in 2012); dimension (basin): ``area`` [km2].

    Raises
    ------
    MissingDependency
        If spotpy is not installed.
    """
    table = pd.read_csv(_examples() / "hymod_python" / "hymod_input.csv", sep=";")
    table.index = _german_dates(table.pop("Date"))
    meanings = {
        "rainfall[mm]": ("prcp", "mm d-1", "precipitation"),
        "TURC [mm d-1]": ("pet", "mm d-1", "potential evapotranspiration (Turc)"),
        "Discharge[ls-1]": ("discharge", "l s-1", "observed discharge"),
    }
    dataset = _one_basin(table, meanings, "hymod", "HYMOD example catchment of spotpy")
    return _with_specific_discharge(dataset, _HYMOD_AREA)


def read_fulda() -> xr.Dataset:
    """Read the Fulda above Grebenau: daily, 1979-1988, 2976 km2.

    Returns
    -------
    xarray.Dataset
        Dimensions (basin, time) with one basin: ``prcp`` [mm d-1], ``tmin``, ``tmax``, ``tmean``
        [degC], ``qobs`` [mm d-1]; dimension (basin): ``area`` [km2].

    Raises
    ------
    MissingDependency
        If spotpy is not installed.
    """
    table = pd.read_csv(_examples() / "cmf_data" / "fulda_climate.csv", skiprows=[1])
    table.index = _german_dates(table.pop("date"))
    meanings = {
        "Prec": ("prcp", "mm d-1", "precipitation"),
        "tmin": ("tmin", "degC", "daily minimum air temperature"),
        "tmax": ("tmax", "degC", "daily maximum air temperature"),
        "tmean": ("tmean", "degC", "daily mean air temperature"),
        "Q": ("discharge", "m3 s-1", "observed discharge"),
    }
    dataset = _one_basin(table, meanings, "fulda", "Fulda above Grebenau, Hesse")
    return _with_specific_discharge(dataset, _FULDA_AREA)


def _examples() -> Path:
    return package_folder("spotpy", "examples")


def _german_dates(text: pd.Series) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(text, format="%d.%m.%Y"), name="time")


def _check_exchanged(labels: pd.Series, times: pd.Series) -> None:
    """Refuse labels that are not the times with day and month exchanged up to the 12th."""
    early = times.dt.day <= 12
    expected = pd.to_datetime(
        {
            "year": times.dt.year,
            "month": times.dt.day.where(early, times.dt.month),
            "day": times.dt.month.where(early, times.dt.day),
            "hour": times.dt.hour,
        }
    )
    wrong = labels.to_numpy() != expected.to_numpy()
    if len(labels) != len(times) or wrong.any():
        raise DataError(
            "The dates of weather and soil moisture at the Schwingbach do not match.",
            where=f"row {int(np.argmax(wrong))}",
            fix="Install spotpy 1.6.7, whose files are known",
        )


def _one_basin(
    table: pd.DataFrame, meanings: dict[str, tuple[str, str, str]], basin: str, title: str
) -> xr.Dataset:
    variables = {}
    for column, (name, unit, meaning) in meanings.items():
        attrs = {"units": unit, "long_name": meaning}
        if name in _STANDARD_NAMES:
            attrs["standard_name"] = _STANDARD_NAMES[name]
        values = table[column].to_numpy(dtype=float)[np.newaxis]
        variables[name] = (("basin", "time"), values, attrs)
    return xr.Dataset(
        variables,
        {"basin": [basin], "time": table.index},
        {"title": title, "source": "spotpy (MIT); Houska et al. 2015"},
    )


def _with_specific_discharge(dataset: xr.Dataset, area: float) -> xr.Dataset:
    dataset["area"] = ("basin", [area], {"units": "km2", "long_name": "catchment area"})
    dataset["qobs"] = specific_discharge(dataset["discharge"], dataset["area"])
    return dataset.drop_vars("discharge")
