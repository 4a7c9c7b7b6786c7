"""Readers for CAMELS-US: 671 basins of the contiguous United States, daily.

Newman, A. J. et al. (2015): Development of a large-sample watershed-scale hydrometeorological
data set for the contiguous USA. Hydrology and Earth System Sciences 19, 209-223,
doi:10.5194/hess-19-209-2015.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from rich.progress import track

from hybridwater import units
from hybridwater.data.camels_attributes import (
    ATTRIBUTES,
    CLASS_ATTRIBUTES,
    read_attribute_tables,
    select_attributes,
)
from hybridwater.data.checks import check_covers
from hybridwater.data.discharge import specific_discharge
from hybridwater.errors import DataError, nearest
from hybridwater.files import open_netcdf

_COLUMNS: dict[str, tuple[str, str, str, str]] = {
    "dayl(s)": ("dayl", "s", "h", "day length"),
    "prcp(mm/day)": ("prcp", "mm d-1", "mm d-1", "basin-mean precipitation"),
    "srad(w/m2)": ("srad", "W m-2", "W m-2", "shortwave radiation, mean of the daylight hours"),
    "swe(mm)": ("swe", "mm", "mm", "snow water equivalent as supplied with the forcing"),
    "tmax(c)": ("tmax", "degC", "degC", "daily maximum air temperature"),
    "tmin(c)": ("tmin", "degC", "degC", "daily minimum air temperature"),
    "vp(pa)": ("vp", "Pa", "Pa", "vapour pressure"),
}
"""Column of the official files, in lower case: our name, their unit, our unit, meaning."""

_STANDARD_NAMES = {
    "prcp": "lwe_precipitation_rate",
    "srad": "surface_downwelling_shortwave_flux_in_air",
    "swe": "lwe_thickness_of_surface_snow_amount",
    "tmin": "air_temperature",
    "tmax": "air_temperature",
    "tmean": "air_temperature",
    "vp": "water_vapor_partial_pressure_in_air",
}

_MISSING_DISCHARGE = -999.0


def read_camels_us(
    root: str | Path,
    basins: Iterable[str] | None = None,
    forcing: str = "daymet",
    start: str | None = None,
    end: str | None = None,
    *,
    attributes: Iterable[str] | None = None,
) -> xr.Dataset:
    """Read CAMELS-US in its official layout.

    Parameters
    ----------
    root : str or pathlib.Path
        The folder that holds ``basin_dataset_public_v1p2`` and ``camels_attributes_v2.0``
        (or the former itself).
    basins : iterable of str, optional
        Gauge ids of eight digits; by default all.
    forcing : str, optional
        Folder of ``basin_mean_forcing``: ``"daymet"``, ``"maurer"`` or ``"nldas"``.
    start, end : str, optional
        First and last day; by default the days that all basins have forcing for.
    attributes : iterable of str, optional
        Static attributes; by default all numeric ones but `DISCHARGE_ATTRIBUTES`, which must be
        asked for by name; ``()`` for none.

    Returns
    -------
    xarray.Dataset
        Dimensions (basin, time): ``prcp`` [mm d-1], ``tmin``, ``tmax``, ``tmean`` [degC], ``dayl``
        [h], ``srad`` [W m-2], ``vp`` [Pa], ``swe`` [mm], ``qobs`` [mm d-1] (discharge divided by
        the area in the forcing file; NaN where missing). Dimension (basin): ``area`` [km2],
        ``elevation`` [m], ``latitude`` [degrees_north] from the forcing files, and attributes.

    Raises
    ------
    DataError
        Where the layout, a basin, a forcing, an attribute or a column is not found, or a basin's
        forcing does not cover the period.
    """
    data = _official_folder(Path(root))
    files = _forcing_files(data, forcing)
    streams = {f.name[:8]: f for f in sorted(data.glob("usgs_streamflow/*/*_streamflow_qc.txt"))}
    wanted = _wanted(basins, list(files))
    records = []
    for basin in track(wanted, "Reading CAMELS-US", transient=True, disable=len(wanted) < 20):
        if basin not in streams:
            raise DataError(
                f"Basin '{basin}' has forcing but no streamflow file.",
                where=str(data / "usgs_streamflow"),
                fix="Complete the data set, or leave the basin out",
            )
        record = _read_forcing(files[basin], basin)
        record["qobs"] = _read_discharge(streams[basin], record)
        try:
            check_covers(record, start, end)
        except DataError as error:
            raise DataError(error.what, f"basin '{basin}', {error.where}", error.fix) from error
        records.append(record.sel(time=slice(start, end)))
    dataset = xr.concat(records, "basin", join="inner", data_vars="all", combine_attrs="override")
    tables = _attribute_files(data)
    if tables:
        table = read_attribute_tables(tables, ";")
        dataset = dataset.merge(select_attributes(table, wanted, attributes))
    elif attributes is not None and list(attributes):
        raise DataError(
            "The attribute tables camels_*.txt were not found.",
            where=str(root),
            fix="Unpack camels_attributes_v2.0 beside basin_dataset_public_v1p2",
        )
    return dataset.assign_attrs(
        title=f"CAMELS-US, forcing {forcing}",
        source="Newman et al. 2015 (doi:10.5194/hess-19-209-2015); "
        "Addor et al. 2017 (doi:10.5194/hess-21-5293-2017)",
    )


def read_camels_netcdf(
    path: str | Path,
    attributes: Iterable[str] | None = None,
    basins: Iterable[str] | None = None,
    start: str | None = None,
    end: str | None = None,
) -> xr.Dataset:
    """Read CAMELS-US from one NetCDF file, with its attribute table beside it.

    Parameters
    ----------
    path : str or pathlib.Path
        File with records (basin, time), day length (basin, doy) and some static attributes; more
        attributes in ``camels_attributes.csv`` in the same folder, if it is there.
    attributes : iterable of str, optional
        Static attributes; by default all numeric ones but `DISCHARGE_ATTRIBUTES`, which must be
        asked for by name; ``()`` for none.
    basins : iterable of str, optional
        Gauge ids of eight digits; by default all.
    start, end : str, optional
        First and last day; by default all.

    Returns
    -------
    xarray.Dataset
        Dimensions (basin, time): the records of the file in float64, with ``tmean`` where only
        ``tmin`` and ``tmax`` are given, and ``dayl`` [h] for every day. Dimension (basin): the
        attributes.

    Raises
    ------
    DataError
        Where the file, a basin or an attribute is not found, or the period is not covered.
    """
    path = Path(path)
    with open_netcdf(path, lazy=True) as opened:
        wanted = _wanted(basins, [str(b) for b in opened["basin"].values])
        check_covers(opened, start, end)
        dataset = opened.sel(basin=wanted, time=slice(start, end)).load()
    static = [name for name, data in dataset.data_vars.items() if data.dims == ("basin",)]
    table = dataset[static].to_dataframe()
    dataset = dataset.drop_vars(static).astype(float).assign_coords(basin=wanted)
    if "doy" in dataset.dims:
        day = dataset["time"].dt.dayofyear - 1
        dataset["dayl"] = dataset["dayl"].isel(doy=day).drop_vars("doy", errors="ignore")
    if "tmean" not in dataset:
        dataset["tmean"] = _mean_temperature(dataset)
    csv = path.with_name("camels_attributes.csv")
    if csv.is_file():
        table = read_attribute_tables([csv], ",").combine_first(table)
    table = table.loc[:, [n for n in (*ATTRIBUTES, *CLASS_ATTRIBUTES) if n in table]]
    for name in dataset.data_vars:
        if name in _STANDARD_NAMES:
            dataset[name].attrs["standard_name"] = _STANDARD_NAMES[str(name)]
    return dataset.merge(select_attributes(table, wanted, attributes))


def _official_folder(root: Path) -> Path:
    for folder in (
        root,
        root / "basin_dataset_public_v1p2",
        root / "basin_timeseries_v1p2_metForcing_obsFlow" / "basin_dataset_public_v1p2",
    ):
        if (folder / "basin_mean_forcing").is_dir():
            return folder
    raise DataError(
        "No folder 'basin_mean_forcing' was found.",
        where=str(root),
        fix="Point to the folder that holds basin_dataset_public_v1p2 of CAMELS-US",
    )


def _attribute_files(data: Path) -> list[Path]:
    for folder in (data, data.parent, data.parent.parent):
        for place in (folder / "camels_attributes_v2.0", folder):
            files = sorted(place.glob("camels_*.txt"))
            if files:
                return files
    return []


def _forcing_files(data: Path, forcing: str) -> dict[str, Path]:
    sources = sorted(f.name for f in (data / "basin_mean_forcing").iterdir() if f.is_dir())
    if forcing not in sources:
        raise DataError(
            f"There is no forcing '{forcing}': {nearest(forcing, sources)}",
            where=str(data / "basin_mean_forcing"),
            fix="Choose a forcing that was unpacked",
        )
    pattern = f"basin_mean_forcing/{forcing}/*/*_lump_*_forcing_leap.txt"
    return {file.name[:8]: file for file in sorted(data.glob(pattern))}


def _wanted(basins: Iterable[str] | None, known: list[str]) -> list[str]:
    if basins is None:
        wanted = known
    else:
        wanted = [basins] if isinstance(basins, str) else [str(basin) for basin in basins]
    for basin in wanted:
        if basin not in known:
            raise DataError(
                f"There is no basin '{basin}': {nearest(basin, known[:1000])}",
                where=f"basin '{basin}'",
                fix="Give gauge ids of eight digits, as text with leading zeros",
            )
    if not wanted:
        raise DataError("There are no basins to read.", fix="Name at least one basin")
    return wanted


def _read_forcing(file: Path, basin: str) -> xr.Dataset:
    try:
        with file.open() as stream:
            latitude, elevation, area = (float(stream.readline().split()[0]) for _ in range(3))
            table = pd.read_csv(stream, sep=r"\s+")
    except (IndexError, ValueError) as error:
        raise DataError(
            f"The forcing file is damaged ({error}).",
            where=str(file),
            fix="Unpack the unchanged file of CAMELS-US again",
        ) from error
    table.columns = table.columns.str.lower()
    lost = [c for c in ("year", "mnth", "day", *_COLUMNS) if c not in table]
    if lost:
        raise DataError(
            f"The forcing file lacks the column '{lost[0]}': {nearest(lost[0], table.columns)}",
            where=str(file),
            fix="Use the unchanged files of CAMELS-US",
        )
    variables = {
        name: ("time", units.convert(table[column].to_numpy(dtype=float), theirs, ours, name),
               {"units": ours, "long_name": meaning})
        for column, (name, theirs, ours, meaning) in _COLUMNS.items()
    }  # fmt: skip
    times = _days(table)
    record = xr.Dataset(variables, coords={"time": times}).expand_dims(basin=[basin])
    record["tmean"] = _mean_temperature(record)
    for name, standard_name in _STANDARD_NAMES.items():
        record[name].attrs["standard_name"] = standard_name
    static = {
        "area": (area / 1e6, "km2", "catchment area, as in the forcing file"),
        "elevation": (elevation, "m", "mean elevation, as in the forcing file"),
        "latitude": (latitude, "degrees_north", "latitude, as in the forcing file"),
    }
    for name, (value, unit, meaning) in static.items():
        record[name] = ("basin", [value], {"units": unit, "long_name": meaning})
    return record


def _read_discharge(file: Path, record: xr.Dataset) -> xr.DataArray:
    columns = ["gauge", "year", "mnth", "day", "discharge", "flag"]
    table = pd.read_csv(file, sep=r"\s+", header=None, names=columns, dtype={"gauge": str})
    flow = table["discharge"].astype(float).replace(_MISSING_DISCHARGE, np.nan)
    flow.index = _days(table)
    discharge = xr.DataArray(
        flow.reindex(record.indexes["time"]).to_numpy()[np.newaxis],
        {"basin": record["basin"], "time": record["time"]},
        ("basin", "time"),
        attrs={"units": "ft3 s-1"},
        name="discharge",
    )
    return specific_discharge(discharge, record["area"])


def _days(table: pd.DataFrame) -> pd.DatetimeIndex:
    parts = {"year": table["year"], "month": table["mnth"], "day": table["day"]}
    return pd.DatetimeIndex(pd.to_datetime(pd.DataFrame(parts)), name="time")


def _mean_temperature(dataset: xr.Dataset) -> xr.DataArray:
    mean = (dataset["tmin"] + dataset["tmax"]) / 2.0
    mean.attrs = {"units": "degC", "long_name": "daily mean air temperature, (tmin + tmax) / 2"}
    return mean
