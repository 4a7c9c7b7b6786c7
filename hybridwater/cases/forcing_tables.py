"""Records that drive a coupled case: ``[forcing.NAME]``, a component with outputs only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridwater.cases import checks
from hybridwater.cases.checks import Check
from hybridwater.cases.sources import SOURCES, Source, read_source
from hybridwater.cases.tables import Table
from hybridwater.components.base import Variable
from hybridwater.errors import CaseError, HybridwaterError, nearest

if TYPE_CHECKING:
    import xarray as xr

    from hybridwater.components import Component

_OWN: dict[str, Check] = {"variables": checks.texts, "mesh": checks.text}
_PRMS = "delaware_prms"


@dataclass(frozen=True)
class ForcingTable:
    """One forcing of a case file.

    Parameters
    ----------
    table : Table
        Where it is, for errors.
    source : Source or None
        A source of records; None for the weather of the Delaware HRUs in PRMS's units.
    names : mapping of str to str or None
        Names that the records get, and the variables that they come from.
    mesh : str or None
        Name of the mesh of their cells.
    records : xarray.Dataset, optional
        What takes the place of the records of the source.
    """

    table: Table
    source: Source | None
    names: Mapping[str, str] | None
    mesh: str | None
    records: xr.Dataset | None = None

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Its variables as far as they are known before the records are read: units are not."""
        return tuple(Variable(n, "1", "out", "rate", "") for n in self.names or ())

    def make(self, start: str | None, meshes: Mapping[str, Any]) -> Component:
        """Read the records, from a date on, and make the component.

        Raises
        ------
        CaseError
            If they cannot be used.
        """
        from hybridwater.components.forcing_records import ForcingRecords

        try:
            records = self.read()
            numbers = [n for n, v in records.data_vars.items() if "time" in v.dims]
            records = records[numbers]
            if start is not None:
                records = self._from(records, start)
            mesh = None if self.mesh is None else meshes[self.mesh]
            return ForcingRecords(data=records, variables=self.names, mesh=mesh)
        except HybridwaterError as error:
            raise self.table.within(error) from error

    def read(self) -> xr.Dataset:
        """Read the records, time first.

        Raises
        ------
        DataError, UnitError, MissingDependency
            As the reader does.
        """
        if self.records is not None:
            return self.records
        from hybridwater.data import delaware_weather

        records = delaware_weather() if self.source is None else self.source.read()
        return records.transpose("time", ...)

    def _from(self, records: xr.Dataset, start: str) -> xr.Dataset:
        import numpy as np

        first = np.datetime64(start, "ns")
        times = records["time"].values
        if first not in times:
            raise CaseError(
                f"No record begins at {start}: they go from {times[0]} to {times[-1]}.",
                fix="Choose another start in [run], or give longer records",
            )
        return records.sel(time=slice(first, None))


def read_forcing(table: Table) -> ForcingTable:
    """Read a table of forcing.

    Raises
    ------
    CaseError
        If the source or a key is unknown, a key is missing, or there is no file.
    """
    own = {key: value for key, value in table.content.items() if key in _OWN}
    rest = {key: value for key, value in table.content.items() if key not in _OWN}
    values = Table(table.file, table.name, own).check(_OWN)
    name = table.require("source")
    if name == _PRMS:
        Table(table.file, table.name, rest).check({"source": checks.text})
        source = None
    elif name in SOURCES:
        source = read_source(Table(table.file, table.name, rest))
    else:
        known = (*SOURCES, _PRMS)
        raise CaseError(
            f"There is no source of data {name!r} ({nearest(str(name), known)}).",
            table.where("source"),
        )
    return ForcingTable(table, source, values.get("variables"), values.get("mesh"))
