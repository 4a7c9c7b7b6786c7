"""Records that a coupled run adds to as it goes: in memory, or in a NetCDF file.

The file is of the classic format (CDF-5), in which each record has a fixed place and nothing
depends on the time of day: a run that is killed leaves a file that a resumed run goes on with, and
the result is the same to the last byte.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater.errors import CouplingError

if TYPE_CHECKING:
    import xarray as xr

# Bytes and number of records that are kept in memory before they are written.
_CHUNK, _MOST = 2**24, 64


@dataclass(frozen=True)
class Field:
    """One variable of the records.

    Parameters
    ----------
    name, dimension : str
        Of the variable, and of its cells; an empty dimension is a single number.
    size : int
        Number of values in a record.
    dtype : str
        NumPy type.
    attributes : mapping of str to str
        CF attributes.
    """

    name: str
    dimension: str
    size: int
    dtype: str = "float64"
    attributes: Mapping[str, str] = field(default_factory=dict)


class Records:
    """Records over intervals of time.

    Parameters
    ----------
    fields : sequence of Field
        What a record holds.
    origin : datetime or None
        Date of time zero.
    path : pathlib.Path or None
        The file, or None for memory.
    title : str
        Of the file.
    interval : str
        What the intervals are, in words.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        origin: dt.datetime | None,
        path: Path | None,
        title: str,
        interval: str,
    ) -> None:
        self.fields, self.origin, self.path = list(fields), origin, path
        self.count = 0
        self._title, self._interval = title, interval
        self._times: list[tuple[float, float]] = []
        self._rows: list[list[Any]] = []
        self._file: Any = None
        self._held: int | None = None
        width = sum(f.size * np.dtype(f.dtype).itemsize for f in fields)
        self._most = min(_MOST, max(1, _CHUNK // max(1, width)))

    def append(self, begin: float, end: float, row: list[Any]) -> None:
        """Add a record: one array of shape (size,) or number per field, kept and not copied."""
        self._rows.append(row)
        self._times.append((begin, end))
        self.count += 1
        self._write_if_many()

    # ---- tentative records, of a pass that may be repeated

    def hold(self) -> None:
        """From now on keep records so that `drop` can forget them."""
        self._held = len(self._rows)

    def drop(self) -> None:
        """Forget the records since `hold`."""
        assert self._held is not None
        self.count -= len(self._rows) - self._held
        del self._rows[self._held :], self._times[self._held :]

    def release(self) -> None:
        """Keep the records since `hold` for good."""
        self._held = None
        self._write_if_many()

    # ---- files

    def flush(self) -> None:
        """Write what is in memory, and see that it is in the file.

        Raises
        ------
        CouplingError
            If the file cannot be written.
        """
        if self.path is not None and self.count:
            self._write()
            if self._file is not None:
                self._file.sync()

    def close(self) -> None:
        """Flush, and close the file; the next record opens it again."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def go_on(self, count: int) -> None:
        """Keep that many records of an earlier run, and forget those that came after.

        Raises
        ------
        CouplingError
            If the file is missing or has fewer.
        """
        if self._file is not None:
            self._file.close()
            self._file = None
        self._times, self._rows, self._held, self.count = [], [], None, count
        if self.path is None:
            self.count = 0
            return
        there = self._records_in_file()
        if there < count:
            raise CouplingError(
                f"The file holds {there} records, but {count} were written before the checkpoint.",
                str(self.path),
                "Bring the file back to where it was, or start anew",
            )
        if there > count:
            self._shorten(count)

    def _records_in_file(self) -> int:
        from netCDF4 import Dataset

        assert self.path is not None
        if not self.path.is_file():
            return 0
        with Dataset(self.path) as file:
            return len(file.dimensions["time"])

    def _shorten(self, count: int) -> None:
        """Write the file anew with its first records."""
        from netCDF4 import Dataset

        path = self.path
        assert path is not None
        part = path.with_name(f".{path.name}.part")
        with Dataset(path) as old:
            new = self._create(part)
            for first in range(0, count, self._most):
                rows = slice(first, min(first + self._most, count))
                for name in new.variables:
                    new[name][rows] = old[name][rows]
            new.close()
        part.replace(path)

    def _write_if_many(self) -> None:
        if self.path is not None and self._held is None and len(self._rows) >= self._most:
            self._write()

    def _write(self) -> None:
        from netCDF4 import Dataset

        if not self._rows:
            return
        first = self.count - len(self._rows)
        try:
            if self._file is None:
                assert self.path is not None
                self._file = Dataset(self.path, "r+") if first else self._create(self.path)
                self._file.set_auto_mask(False)
            rows, bounds = slice(first, self.count), np.array(self._times)
            self._file["time"][rows] = bounds[:, 0]
            self._file["time_bounds"][rows] = bounds
            for i, f in enumerate(self.fields):
                self._file[f.name][rows] = np.array([row[i] for row in self._rows])
        except (OSError, RuntimeError) as error:
            raise CouplingError(
                f"The records cannot be written ({error}).",
                str(self.path),
                "Free some space, or write where you have permission; go on from the checkpoint",
            ) from error
        self._times, self._rows = [], []

    def _create(self, path: Path) -> Any:
        from netCDF4 import Dataset

        path.parent.mkdir(parents=True, exist_ok=True)
        file = Dataset(path, "w", format="NETCDF3_64BIT_DATA")
        file.set_fill_off()
        file.Conventions, file.title = "CF-1.11", self._title
        file.createDimension("time", None)
        file.createDimension("bound", 2)
        file.createVariable("time", "f8", ("time",)).setncatts(self._time_attributes())
        file.createVariable("time_bounds", "f8", ("time", "bound"))
        for f in self.fields:
            if f.dimension and f.dimension not in file.dimensions:
                file.createDimension(f.dimension, f.size)
            dimensions = ("time", f.dimension) if f.dimension else ("time",)
            file.createVariable(f.name, f.dtype, dimensions).setncatts(dict(f.attributes))
        return file

    def _time_attributes(self) -> dict[str, str]:
        since = "s" if self.origin is None else f"seconds since {self.origin:%Y-%m-%d %H:%M:%S}"
        return {
            "units": since,
            "standard_name": "time",
            "long_name": f"start of the {self._interval}",
            "bounds": "time_bounds",
        }

    # ---- results

    def to_dataset(self) -> xr.Dataset:
        """Return all records as a dataset; those of a file are read when they are used."""
        import xarray as xr

        if self.path is not None and self.count:
            self.close()
            return xr.open_dataset(self.path, engine="netcdf4")
        bounds = np.array(self._times).reshape(-1, 2)
        data = xr.Dataset(coords={"time": ("time", bounds[:, 0], self._time_attributes())})
        data["time_bounds"] = (("time", "bound"), bounds)
        for i, f in enumerate(self.fields):
            shape = (len(bounds), f.size) if f.dimension else (len(bounds),)
            values = np.array([row[i] for row in self._rows], f.dtype).reshape(shape)
            dimensions = ("time", f.dimension) if f.dimension else ("time",)
            data[f.name] = (dimensions, values, dict(f.attributes))
        return xr.decode_cf(data)
