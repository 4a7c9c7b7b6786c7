"""Where the records of a case come from: the reader, and what the case file hands it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridwater import data
from hybridwater.cases import checks
from hybridwater.cases.checks import Check
from hybridwater.cases.tables import Table
from hybridwater.errors import CaseError, nearest

if TYPE_CHECKING:
    import xarray as xr

_CAMELS: dict[str, Check] = {
    "path": checks.text,
    "basins": checks.names,
    "start": checks.day,
    "end": checks.day,
    "attributes": checks.names,
}

#: Source of records to its keys.
SOURCES: dict[str, dict[str, Check]] = {
    "delaware": {"gages": checks.names},
    "camels_us": {**_CAMELS, "forcing": checks.text},
    "camels_netcdf": _CAMELS,
    "netcdf": {"path": checks.text, "rename": checks.texts},
    "csv": {
        "path": checks.text,
        "units": checks.texts,
        "time": checks.text,
        "basin": checks.text,
        "time_format": checks.text,
        "missing": checks.numbers,
    },
}

_READERS = {
    "delaware": "delaware",
    "camels_us": "read_camels_us",
    "camels_netcdf": "read_camels_netcdf",
    "netcdf": "read_netcdf",
    "csv": "read_csv",
}


@dataclass(frozen=True)
class Source:
    """A source of records.

    Parameters
    ----------
    name : str
        A key of `SOURCES`.
    arguments : mapping
        Arguments of its reader.
    """

    name: str
    arguments: Mapping[str, Any]

    def read(self) -> xr.Dataset:
        """Read the records.

        Raises
        ------
        DataError, UnitError, MissingDependency
            As the reader does.
        """
        arguments = dict(self.arguments)
        if "path" in arguments:
            first = "root" if self.name == "camels_us" else "path"
            arguments[first] = arguments.pop("path")
        return getattr(data, _READERS[self.name])(**arguments)


def read_source(table: Table) -> Source:
    """Read a table with the key ``source`` and the arguments of its reader.

    Raises
    ------
    CaseError
        If the source is not known, a key is unknown or missing, or there is no file.
    """
    name = table.require("source")
    if name not in SOURCES:
        raise CaseError(
            f"There is no source of data {name!r} ({nearest(str(name), SOURCES)}).",
            table.where("source"),
        )
    rest = {key: value for key, value in table.content.items() if key != "source"}
    values = Table(table.file, table.name, rest).check(SOURCES[name])
    if "path" in SOURCES[name]:
        values["path"] = table.existing("path", checks.text(table.require("path")))
    if name == "csv":
        table.require("units")
    return Source(name, values)
