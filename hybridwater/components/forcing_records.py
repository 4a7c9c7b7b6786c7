"""Records of weather, or of anything else, as a component that gives one record per step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr

from hybridwater import units
from hybridwater.components.base import Variable
from hybridwater.components.configuration import require_same
from hybridwater.components.declared import DeclaredComponent
from hybridwater.components.grids import Grid, cells
from hybridwater.data.times import check_time
from hybridwater.errors import ComponentError, nearest
from hybridwater.files import open_netcdf

# Bytes of one variable that are read at once.
_BLOCK = 2**25


class ForcingRecords(DeclaredComponent):
    """A component that reads records; it keeps no water, and its step is their interval.

    Parameters
    ----------
    data : xarray.Dataset or path-like, optional
        Records over ``time``, which labels the start of each interval, and at most one more
        dimension, the cells. Records of one cell, or over time alone, hold in all cells of the
        others, or of the mesh. Every variable has ``units``. A path is one NetCDF file. Left out if
        the configuration file names it.
    variables : mapping of str to str, optional
        Names that the records get, and the variables of the dataset that they come from; all of
        them under their own names if left out.
    mesh : Mesh, optional
        Mesh of the cells.

    Raises
    ------
    ComponentError
        If a variable is missing, or its dimensions are not as above.
    DataError
        If the times are not regular.
    UnitError
        If a variable has no units, or unknown ones.
    """

    name = "forcing"
    title = "records of a dataset, one per step"
    time_units = "s"
    has_storage = False
    can_stack = True

    def __init__(
        self,
        *,
        data: xr.Dataset | str | Path | None = None,
        variables: Mapping[str, str] | None = None,
        mesh: Any = None,
    ) -> None:
        if data is None:  # the configuration file names them
            super().__init__(meshes={0: mesh})
            return
        dataset = open_netcdf(data, lazy=True)
        interval = check_time(dataset)
        names = dict(variables or {name: name for name in map(str, dataset.data_vars)})
        records = {name: _records(dataset, name, source) for name, source in names.items()}
        self._records = {name: [record] for name, record in records.items()}
        counts = sorted({r.shape[1] for r in records.values() if r.ndim > 1} - {1})
        if len(counts) > 1:
            raise ComponentError(
                f"The variables have different numbers of cells: {counts}.",
                f"component '{self.name}'",
                "Make one component for each grid",
            )
        super().__init__(
            step=interval.total_seconds(),
            start=dataset["time"].values[0],
            end=dataset["time"].values[-1] + interval.to_timedelta64(),
            meshes={0: mesh},
        )
        self.variables = tuple(
            Variable(
                name,
                str(record.attrs["units"]),
                "out",
                "rate",
                str(record.attrs.get("long_name", name)),
                standard_name=record.attrs.get("standard_name"),
            )
            for name, record in records.items()
        )
        self._size = counts[0] if counts else 1 if mesh is None else mesh.size
        self._copies = 1
        self._first, self._block = 0, {}
        self._digest = b""

    def _stack(self, parts: Sequence[Self]) -> None:
        require_same(self.name, "cells", [p._size for p in parts])
        self._records = {n: [r for p in parts for r in p._records[n]] for n in self._records}
        self._copies, self._block, self._digest = len(parts), {}, b""
        self._size *= self._copies

    @property
    def _rows(self) -> int:
        """How many records are read at once."""
        return max(1, _BLOCK // (8 * self._size))

    def _make_grids(self) -> dict[int, Grid]:
        if not self.variables:
            raise ComponentError(
                "The component has no records.",
                f"component '{self.name}'",
                "Give data=..., or a configuration file with data = 'records.nc'",
            )
        return {0: cells(self._size)}

    def _reset(self) -> None:
        self._block = {}

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {}

    def _configuration(self) -> dict[str, Any]:
        if not self._digest:  # all values are read for it, once, where a state is asked for
            digest = hashlib.blake2b(digest_size=8)
            for name, records in self._records.items():
                one = records[0]
                digest.update(f"{name} {one.sizes} {one.attrs['units']}|".encode())
                for first in range(0, one.shape[0], self._rows):
                    digest.update(self._read(records, first).tobytes())
            self._digest = digest.digest()
        return {"records": np.frombuffer(self._digest, np.uint8)}

    def _read(self, records: Sequence[xr.DataArray], first: int) -> np.ndarray:
        """Read a block of records from one on, shape (record, run, cell); one run if all share."""
        every = [r.variable[first : first + self._rows].values for r in records]
        if len({(rows.ctypes.data, rows.strides) for rows in every}) == 1:
            every = every[:1]
        block = np.empty((len(every[0]), len(every), self._size // self._copies))
        for k, rows in enumerate(every):
            block[:, k] = rows.reshape(len(rows), -1)
        return block

    def _advance(self) -> None:
        index = int(self._steps)
        if not self._block or not 0 <= index - self._first < self._rows:
            self._first = index - index % self._rows
            self._block = {n: self._read(r, self._first) for n, r in self._records.items()}
            for name, rows in self._block.items():  # of one run if all have the same
                self._records[name] = self._records[name][: rows.shape[1]]
            self._finite = {n for n, rows in self._block.items() if np.isfinite(rows).all()}
        for name, rows in self._block.items():
            self._values[name].reshape(self._copies, -1)[:] = rows[index - self._first]

    def storage(self) -> dict[str, np.ndarray]:
        """Return nothing: records are no store."""
        return {}

    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return nothing: what is given is booked where it arrives."""
        return {}


def _records(dataset: xr.Dataset, name: str, source: str) -> xr.DataArray:
    if source not in dataset:
        raise ComponentError(
            f"The records have no '{source}' ({nearest(source, map(str, dataset.data_vars))}).",
            f"component 'forcing', variable '{name}'",
        )
    record = dataset[source]
    units.require(record)
    if record.dims[:1] != ("time",) or record.ndim > 2:
        raise ComponentError(
            f"'{source}' has the dimensions {record.dims}.",
            f"component 'forcing', variable '{name}'",
            "Give (time, cell): data.transpose('time', ...), and stack() what else there is",
        )
    return record
