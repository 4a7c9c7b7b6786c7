"""The Delaware River Basin of the National Hydrologic Model, 1979-1980, daily.

The package pywatershed carries it: 765 hydrologic response units (HRUs), 456 river segments, PRMS
parameters, and discharge observed by the USGS at 168 gages. Its files are read without importing
pywatershed. Every function raises `MissingDependency` where pywatershed is not installed.

Regan, R. S. et al. (2019): The U.S. Geological Survey National Hydrologic Model infrastructure.
Environmental Modelling & Software 111, 192-203, doi:10.1016/j.envsoft.2018.09.023.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from hybridwater import units
from hybridwater.data.packages import package_folder

_ACRE = 43560.0
"""Square feet per acre."""


class Delaware(NamedTuple):
    """The Delaware case.

    Attributes
    ----------
    forcing : xarray.Dataset
        Dimensions (basin, time), where a basin is an HRU: ``prcp`` [mm d-1], ``tmin``, ``tmax``,
        ``tmean`` [degC]; static attributes with dimension (basin).
    structure : xarray.Dataset
        Dimension (segment): ``downstream`` (index of the next segment, -1 at an outlet), geometry;
        dimension (basin): ``hru_segment`` (index of the segment that an HRU drains to, or -1).
    observed : xarray.Dataset
        Dimensions (gage, time): ``discharge`` [m3 s-1], NaN where missing; dimension (gage):
        ``gage_segment`` (index of the segment that ends at the gage), name, place, drainage area.
    """

    forcing: xr.Dataset
    structure: xr.Dataset
    observed: xr.Dataset


def read_delaware() -> Delaware:
    """Read forcing, river structure and observed discharge of the Delaware case.

    Returns
    -------
    Delaware
        ``forcing``, ``structure`` and ``observed``.

    Raises
    ------
    MissingDependency
        If pywatershed is not installed.
    """
    folder = _folder()
    parameters = delaware_parameters()
    return Delaware(
        _read_forcing(folder, parameters),
        _read_structure(parameters),
        _read_observed(folder, parameters),
    )


def delaware_parameters() -> xr.Dataset:
    """Read all PRMS parameters of the Delaware case, as they are.

    Many of them were calibrated on discharge: they are no static inputs of a learned model.

    Returns
    -------
    xarray.Dataset
        Dimensions (nhru), (nsegment), (nmonth, nhru), (npoigages); names, units and indices (from
        one) as in PRMS.

    Raises
    ------
    MissingDependency
        If pywatershed is not installed.
    """
    folder = _folder()
    parts = [folder / "parameters_dis_both.nc", *sorted(folder.glob("parameters_PRMS*.nc"))]
    opened = [xr.load_dataset(part) for part in parts]
    return xr.merge(opened, compat="no_conflicts", join="exact", combine_attrs="override")


def delaware_weather() -> xr.Dataset:
    """Read the weather of the HRUs of the Delaware case as PRMS takes it.

    Numbers are those of the files, in their units: a conversion's rounding could turn rain on a
    threshold to snow.

    Returns
    -------
    xarray.Dataset
        Dimensions (time, nhm_id): ``prcp`` [inch d-1], ``tmin`` and ``tmax`` [degF], in the order
        of `delaware_parameters`; coordinates (nhm_id): ``latitude``, ``longitude``.

    Raises
    ------
    MissingDependency
        If pywatershed is not installed.
    """
    parameters = delaware_parameters()
    folder, order = _folder(), parameters["nhm_id"].values
    records = {}
    for name, unit, meaning, standard_name in (
        ("prcp", "inch d-1", "precipitation", "lwe_precipitation_rate"),
        ("tmin", "degF", "daily minimum air temperature", "air_temperature"),
        ("tmax", "degF", "daily maximum air temperature", "air_temperature"),
    ):
        data = xr.load_dataset(folder / f"{name}.nc")[name].sel(nhm_id=order).astype(float)
        attributes = {"units": unit, "long_name": meaning, "standard_name": standard_name}
        records[name] = data.transpose("time", "nhm_id").assign_attrs(attributes)
    places = {
        name: ("nhm_id", parameters[theirs].values, {"units": unit, "standard_name": name})
        for name, theirs, unit in (
            ("latitude", "hru_lat", "degrees_north"),
            ("longitude", "hru_lon", "degrees_east"),
        )
    }
    return xr.Dataset(records).assign_coords(places)


def _folder() -> Path:
    return package_folder("pywatershed", "data", "drb_2yr")


def _read_forcing(folder: Path, parameters: xr.Dataset) -> xr.Dataset:
    names = parameters["nhm_id"].values
    records = {}
    for name, theirs, ours, meaning, standard_name in (
        ("prcp", "in d-1", "mm d-1", "precipitation", "lwe_precipitation_rate"),
        ("tmin", "degF", "degC", "daily minimum air temperature", "air_temperature"),
        ("tmax", "degF", "degC", "daily maximum air temperature", "air_temperature"),
    ):
        data = xr.load_dataset(folder / f"{name}.nc")[name].sel(nhm_id=names)
        values = units.convert(data.values.T.astype(float), theirs, ours, name)
        records[name] = (
            ("basin", "time"),
            values,
            {"units": ours, "long_name": meaning, "standard_name": standard_name},
        )
        times = data["time"].values
    forcing = xr.Dataset(
        records, {"basin": ("basin", names.astype(str), {"long_name": "HRU"}), "time": times}
    )
    forcing["tmean"] = (forcing["tmin"] + forcing["tmax"]) / 2.0
    forcing["tmean"].attrs = {
        "units": "degC",
        "long_name": "daily mean air temperature, (tmin + tmax) / 2",
        "standard_name": "air_temperature",
    }
    forcing = forcing.assign(_hru_attributes(parameters))
    return forcing.assign_attrs(
        title="Delaware River Basin, National Hydrologic Model, 1979-1980",
        source="pywatershed data/drb_2yr (U.S. Geological Survey, CC0)",
    )


def _hru_attributes(p: xr.Dataset) -> dict[str, tuple[str, np.ndarray, dict[str, str]]]:
    """Attributes of the land only: nothing that was calibrated on discharge."""
    cover, soil = p["cov_type"].values, p["soil_type"].values
    attributes = {
        "area": (_square_kilometres(p["hru_area"].values), "km2", "area"),
        "elevation": (p["hru_elev"].values, "m", "mean elevation"),
        "latitude": (p["hru_lat"].values, "degrees_north", "latitude"),
        "longitude": (p["hru_lon"].values, "degrees_east", "longitude"),
        "slope": (p["hru_slope"].values, "1", "mean slope"),
        "impervious_frac": (p["hru_percent_imperv"].values, "1", "impervious fraction"),
        "depression_frac": (p["dprst_frac"].values, "1", "fraction of surface depressions"),
        "cover_summer": (p["covden_sum"].values, "1", "vegetation cover density, summer"),
        "cover_winter": (p["covden_win"].values, "1", "vegetation cover density, winter"),
        "forest_frac": (cover >= 3, "1", "fraction with trees as the dominant cover"),
        "sand_frac": (soil == 1, "1", "fraction with sand as the dominant soil"),
        "clay_frac": (soil == 3, "1", "fraction with clay as the dominant soil"),
    }
    return {
        name: ("basin", values.astype(float), {"units": unit, "long_name": meaning})
        for name, (values, unit, meaning) in attributes.items()
    }


def _read_structure(p: xr.Dataset) -> xr.Dataset:
    variables = {
        "downstream": (p["tosegment"].values - 1, "1", "index of the next segment, -1 at outlets"),
        "length": (p["seg_length"].values, "m", "length"),
        "slope": (p["seg_slope"].values, "1", "slope"),
        "width": (p["seg_width"].values, "m", "width"),
        "depth": (p["seg_depth"].values, "m", "bankfull depth"),
        "elevation": (p["seg_elev"].values, "m", "elevation of the midpoint"),
        "latitude": (p["seg_lat"].values, "degrees_north", "latitude"),
        "roughness": (p["mann_n"].values, "s m-0.333333", "Manning's roughness"),
        "muskingum_x": (p["x_coef"].values, "1", "Muskingum weighting factor"),
    }
    structure = xr.Dataset(
        {
            name: ("segment", values, {"units": unit, "long_name": meaning})
            for name, (values, unit, meaning) in variables.items()
        },
        {
            "segment": ("segment", p["nhm_seg"].values.astype(str), {"long_name": "segment"}),
            "basin": ("basin", p["nhm_id"].values.astype(str), {"long_name": "HRU"}),
        },
    )
    structure["hru_segment"] = (
        "basin",
        p["hru_segment"].values - 1,
        {"units": "1", "long_name": "index of the segment that the HRU drains to, -1 for none"},
    )
    return structure


def _read_observed(folder: Path, parameters: xr.Dataset) -> xr.Dataset:
    raw = xr.load_dataset(folder / "drb_2yr_gage_poi_obs.nc")
    gages = raw["poi_id"].values.astype(str)
    segments = pd.Series(
        parameters["poi_gage_segment"].values - 1, parameters["poi_gage_id"].values.astype(str)
    )
    gage_segment = segments.reindex(gages, fill_value=-1).to_numpy()
    mapped = np.flatnonzero(gage_segment >= 0)
    raw, gages, gage_segment = raw.isel(poi_id=mapped), gages[mapped], gage_segment[mapped]
    flow = units.convert(raw["discharge"].values.astype(float), "ft3 s-1", "m3 s-1", "discharge")
    size = units.convert(raw["drainage_area"].values.astype(float), "mi2", "km2", "drainage_area")
    static = {
        "gage_segment": (gage_segment, "1", "index of the segment above the gage"),
        "name": (raw["poi_name"].values.astype(str), "1", "name of the gage"),
        "latitude": (raw["latitude"].values.astype(float), "degrees_north", "latitude"),
        "longitude": (raw["longitude"].values.astype(float), "degrees_east", "longitude"),
        "drainage_area": (size, "km2", "drainage area by the USGS"),
    }
    observed = xr.Dataset(
        {
            name: ("gage", values, {"units": unit, "long_name": meaning})
            for name, (values, unit, meaning) in static.items()
        },
        {"gage": ("gage", gages, {"long_name": "USGS gage"}), "time": raw["time"].values},
    )
    observed["discharge"] = (
        ("gage", "time"),
        flow,
        {
            "units": "m3 s-1",
            "long_name": "observed discharge, daily mean",
            "standard_name": "water_volume_transport_in_river_channel",
        },
    )
    return observed


def _square_kilometres(acres: np.ndarray) -> np.ndarray:
    """Convert international acres of 43,560 square feet, as PRMS counts them."""
    return np.asarray(units.convert(acres * _ACRE, "ft2", "km2", "hru_area"))
