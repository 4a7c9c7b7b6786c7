"""Static attributes of the CAMELS basins: names, units, and which of them are forbidden inputs.

Addor, N. et al. (2017): The CAMELS data set: catchment attributes and meteorology for
large-sample studies. Hydrology and Earth System Sciences 21, 5293-5313,
doi:10.5194/hess-21-5293-2017, Tables 1 to 6.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from hybridwater.errors import DataError, nearest

DISCHARGE_ATTRIBUTES: tuple[str, ...] = (
    "q_mean",
    "runoff_ratio",
    "slope_fdc",
    "baseflow_index",
    "stream_elas",
    "q5",
    "q95",
    "high_q_freq",
    "high_q_dur",
    "low_q_freq",
    "low_q_dur",
    "zero_q_freq",
    "hfd_mean",
)
"""Attributes computed from observed discharge: feeding them to a model of discharge is cheating.

Readers leave them out unless they are asked for by name.
"""

ATTRIBUTES: dict[str, tuple[str, str]] = {
    "gauge_lat": ("degrees_north", "latitude of the gauge"),
    "gauge_lon": ("degrees_east", "longitude of the gauge"),
    "elev_mean": ("m", "mean elevation"),
    "slope_mean": ("m km-1", "mean slope"),
    "area_gages2": ("km2", "catchment area (GAGES-II)"),
    "area_geospa_fabric": ("km2", "catchment area (geospatial fabric)"),
    "p_mean": ("mm d-1", "mean precipitation"),
    "pet_mean": ("mm d-1", "mean potential evapotranspiration"),
    "p_seasonality": ("1", "seasonality and timing of precipitation"),
    "frac_snow": ("1", "fraction of precipitation that falls as snow"),
    "aridity": ("1", "mean potential evapotranspiration over mean precipitation"),
    "high_prec_freq": ("d year-1", "frequency of days with high precipitation"),
    "high_prec_dur": ("d", "mean duration of high precipitation"),
    "low_prec_freq": ("d year-1", "frequency of dry days"),
    "low_prec_dur": ("d", "mean duration of dry periods"),
    "q_mean": ("mm d-1", "mean discharge"),
    "runoff_ratio": ("1", "mean discharge over mean precipitation"),
    "slope_fdc": ("1", "slope of the flow-duration curve"),
    "baseflow_index": ("1", "baseflow over discharge"),
    "stream_elas": ("1", "elasticity of discharge to precipitation"),
    "q5": ("mm d-1", "5 % quantile of discharge (low flow)"),
    "q95": ("mm d-1", "95 % quantile of discharge (high flow)"),
    "high_q_freq": ("d year-1", "frequency of days with high flow"),
    "high_q_dur": ("d", "mean duration of high flow"),
    "low_q_freq": ("d year-1", "frequency of days with low flow"),
    "low_q_dur": ("d", "mean duration of low flow"),
    "zero_q_freq": ("1", "fraction of days without flow"),
    "hfd_mean": ("d", "mean day of the water year of half the annual flow"),
    "soil_depth_pelletier": ("m", "depth to bedrock, at most 50 m"),
    "soil_depth_statsgo": ("m", "soil depth, at most 1.5 m"),
    "soil_porosity": ("1", "volumetric porosity"),
    "soil_conductivity": ("cm h-1", "saturated hydraulic conductivity"),
    "max_water_content": ("m", "maximum water content of the soil"),
    "sand_frac": ("%", "sand in the soil"),
    "silt_frac": ("%", "silt in the soil"),
    "clay_frac": ("%", "clay in the soil"),
    "water_frac": ("%", "water in the topmost 1.5 m"),
    "organic_frac": ("%", "organic material in the soil"),
    "other_frac": ("%", "other material in the soil"),
    "frac_forest": ("1", "fraction of forest"),
    "lai_max": ("1", "maximum monthly leaf area index"),
    "lai_diff": ("1", "annual range of monthly leaf area index"),
    "gvf_max": ("1", "maximum monthly green vegetation fraction"),
    "gvf_diff": ("1", "annual range of monthly green vegetation fraction"),
    "dom_land_cover_frac": ("1", "fraction of the dominant land cover"),
    "root_depth_50": ("m", "depth that holds 50 % of the roots"),
    "root_depth_99": ("m", "depth that holds 99 % of the roots"),
    "glim_1st_class_frac": ("1", "fraction of the most common geological class"),
    "glim_2nd_class_frac": ("1", "fraction of the second most common geological class"),
    "carbonate_rocks_frac": ("1", "fraction of carbonate rocks"),
    "geol_porostiy": ("1", "subsurface porosity"),
    "geol_permeability": ("1", "log10 of the subsurface permeability in m2"),
}
"""Numeric attributes: unit and meaning (``geol_porostiy`` is spelled as in the data set)."""

CLASS_ATTRIBUTES: dict[str, str] = {
    "huc_02": "hydrologic region",
    "gauge_name": "name of the gauge",
    "high_prec_timing": "season of most high precipitation",
    "low_prec_timing": "season of most dry days",
    "dom_land_cover": "dominant land cover",
    "geol_1st_class": "most common geological class",
    "geol_2nd_class": "second most common geological class",
}
"""Attributes that are text; read only where asked for by name."""


def read_attribute_tables(files: Iterable[Path], separator: str) -> pd.DataFrame:
    """Read tables of attributes and join them.

    Parameters
    ----------
    files : iterable of pathlib.Path
        Text files with the column ``gauge_id``.
    separator : str
        Between columns.

    Returns
    -------
    pandas.DataFrame
        One row per basin, index ``gauge_id`` (text, eight digits).
    """
    text: Any = dict.fromkeys(("gauge_id", "huc_02"), str)
    tables = [pd.read_csv(file, sep=separator, dtype=text) for file in files]
    for table in tables:
        table["gauge_id"] = table["gauge_id"].str.zfill(8)
    return pd.concat([table.set_index("gauge_id") for table in tables], axis=1)


def select_attributes(
    table: pd.DataFrame, basins: list[str], attributes: Iterable[str] | None
) -> xr.Dataset:
    """Take attributes of some basins out of a table and give them units.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per basin.
    basins : list of str
        Basins, in the wanted order.
    attributes : iterable of str, optional
        Names; by default all numeric ones that are not computed from discharge.

    Returns
    -------
    xarray.Dataset
        One variable per attribute, dimension ``basin``, NaN where the table has no value.

    Raises
    ------
    DataError
        For an unknown attribute, or a basin that the table does not have.
    """
    known = [name for name in table if name in ATTRIBUTES or name in CLASS_ATTRIBUTES]
    if attributes is None:
        names = [n for n in known if n in ATTRIBUTES and n not in DISCHARGE_ATTRIBUTES]
    else:
        names = [attributes] if isinstance(attributes, str) else list(attributes)
    for name in names:
        if name not in known:
            raise DataError(
                f"There is no attribute '{name}': {nearest(name, known)}",
                where="the attributes of the basins",
                fix="Ask for attributes that the tables have",
            )
    lost = [basin for basin in basins if basin not in table.index]
    if names and lost:
        raise DataError(
            f"The attribute tables lack the basin '{lost[0]}' ({len(lost)} in all).",
            where=f"basin '{lost[0]}'",
            fix="Leave these basins out, or pass attributes=()",
        )
    rows = table.reindex(basins)
    variables = {}
    for name in names:
        if name in ATTRIBUTES:
            unit, meaning = ATTRIBUTES[name]
            values = rows[name].to_numpy(dtype=float)
        else:
            unit, meaning = "1", CLASS_ATTRIBUTES[name]
            values = rows[name].fillna("").to_numpy(dtype=str)
        variables[name] = ("basin", values, {"units": unit, "long_name": meaning})
    return xr.Dataset(variables, coords={"basin": ("basin", basins)})
