"""Readers of records and attributes, and the checks at the door.

All readers return `xarray.Dataset` with dimensions (basin, time), CF names and units. Names are
loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridwater._lazy import attach

if TYPE_CHECKING:
    from hybridwater.data.camels import read_camels_netcdf, read_camels_us
    from hybridwater.data.camels_attributes import DISCHARGE_ATTRIBUTES
    from hybridwater.data.checks import (
        check_attributes,
        check_covers,
        check_observations,
        check_records,
    )
    from hybridwater.data.daylight import day_length
    from hybridwater.data.delaware_case import (
        Delaware,
        delaware_parameters,
        delaware_weather,
        read_delaware,
    )
    from hybridwater.data.delaware_catchments import (
        delaware,
        delaware_catchment,
        delaware_gages,
        upstream_segments,
    )
    from hybridwater.data.discharge import specific_discharge
    from hybridwater.data.pet import hamon, oudin
    from hybridwater.data.schwingbach import read_fulda, read_hymod_catchment, read_schwingbach
    from hybridwater.data.tables import read_csv, read_netcdf
    from hybridwater.data.times import check_time

__all__ = [
    "DISCHARGE_ATTRIBUTES",
    "Delaware",
    "check_attributes",
    "check_covers",
    "check_observations",
    "check_records",
    "check_time",
    "day_length",
    "delaware",
    "delaware_catchment",
    "delaware_gages",
    "delaware_parameters",
    "delaware_weather",
    "hamon",
    "oudin",
    "read_camels_netcdf",
    "read_camels_us",
    "read_csv",
    "read_delaware",
    "read_fulda",
    "read_hymod_catchment",
    "read_netcdf",
    "read_schwingbach",
    "specific_discharge",
    "upstream_segments",
]

_MODULES = {
    "camels": ("read_camels_netcdf", "read_camels_us"),
    "camels_attributes": ("DISCHARGE_ATTRIBUTES",),
    "checks": ("check_attributes", "check_covers", "check_observations", "check_records"),
    "daylight": ("day_length",),
    "delaware_case": ("Delaware", "delaware_parameters", "delaware_weather", "read_delaware"),
    "delaware_catchments": (
        "delaware",
        "delaware_catchment",
        "delaware_gages",
        "upstream_segments",
    ),
    "discharge": ("specific_discharge",),
    "pet": ("hamon", "oudin"),
    "schwingbach": ("read_fulda", "read_hymod_catchment", "read_schwingbach"),
    "tables": ("read_csv", "read_netcdf"),
    "times": ("check_time",),
}
__getattr__, __dir__ = attach(__name__, _MODULES)
