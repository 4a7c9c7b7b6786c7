"""Records that a coupled run adds to as it goes: in memory, or in a file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.errors import CouplingError

if TYPE_CHECKING:
    import xarray as xr

    from hybridwater.coupling.record_files import RecordFile

#: CF attributes of a coordinate that says which cells are kept.
SITES = {"long_name": "number of the cell, from 0"}

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
    sites : tuple of int, optional
        Numbers of its cells, where these are not all cells that there are.
    """

    name: str
    dimension: str
    size: int
    dtype: str = "float64"
    attributes: Mapping[str, str] = field(default_factory=dict)
    sites: tuple[int, ...] | None = None

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Dimensions of the variable."""
        return ("time", self.dimension) if self.dimension else ("time",)


@dataclass(frozen=True)
class Layout:
    """What records hold, and what they are about.

    Parameters
    ----------
    fields : sequence of Field
        The variables; a record is their values one after the other, in one array.
    origin : datetime or None
        Date of time zero.
    title : str
        Of the file.
    interval : str
        What the intervals are, in words.
    """

    fields: Sequence[Field]
    origin: dt.datetime | None
    title: str
    interval: str

    @cached_property
    def width(self) -> int:
        """Number of values in a record."""
        return sum(f.size for f in self.fields)

    @cached_property
    def slices(self) -> list[slice]:
        """Where each field is in a record."""
        ends = np.cumsum([f.size for f in self.fields], dtype=int)
        return [
            slice(int(end) - f.size, int(end)) for f, end in zip(self.fields, ends, strict=True)
        ]

    @cached_property
    def sites(self) -> dict[str, tuple[int, ...]]:
        """Numbers of the cells along dimensions that do not have all."""
        return {f.dimension: f.sites for f in self.fields if f.sites is not None}

    @property
    def names(self) -> list[str]:
        """Names of all variables that have a value in each record."""
        return ["time", "time_bounds", *(f.name for f in self.fields)]

    @cached_property
    def most(self) -> int:
        """How many records are written at once."""
        return min(_MOST, max(1, _CHUNK // max(1, 8 * self.width)))

    def split(self, rows: np.ndarray) -> Iterator[tuple[Field, np.ndarray]]:
        """Yield each field with its values in some records.

        Parameters
        ----------
        rows : numpy.ndarray
            Shape (..., time, width).
        """
        for f, where in zip(self.fields, self.slices, strict=True):
            values = rows[..., where].astype(f.dtype, copy=False)
            yield f, values if f.dimension else values[..., 0]

    def to_dataset(
        self, times: Sequence[tuple[float, float]], rows: np.ndarray, *, of: tuple[str, ...] = ()
    ) -> xr.Dataset:
        """Return records as a dataset.

        Parameters
        ----------
        times : sequence of (float, float)
            Begin and end of each [s].
        rows : numpy.ndarray
            Shape (..., time, width).
        of : tuple of str
            Names of the dimensions before time.
        """
        import xarray as xr

        bounds = np.array(times).reshape(-1, 2)
        time = ("time", bounds[:, 0], self.time_attributes)
        kept = {f.name: ((*of, *f.dimensions), v, dict(f.attributes)) for f, v in self.split(rows)}
        data = {"time_bounds": (("time", "bound"), bounds), **kept}
        sites = {name: (name, list(cells), SITES) for name, cells in self.sites.items()}
        return xr.decode_cf(xr.Dataset(data, {"time": time, **sites}))

    @property
    def time_attributes(self) -> dict[str, str]:
        """CF attributes of time."""
        since = "s" if self.origin is None else f"seconds since {self.origin:%Y-%m-%d %H:%M:%S}"
        return {
            "units": since,
            "standard_name": "time",
            "long_name": f"start of the {self.interval}",
            "bounds": "time_bounds",
        }

    @property
    def attributes(self) -> dict[str, str]:
        """CF attributes of the file."""
        return {"Conventions": "CF-1.11", "title": self.title}


class Records:
    """Records over intervals of time.

    Parameters
    ----------
    layout : Layout
        What a record holds.
    path : pathlib.Path or None
        The file, ``.nc`` or ``.zarr``, or None for memory.
    """

    def __init__(self, layout: Layout, path: Path | None) -> None:
        from hybridwater.coupling.record_files import record_file

        self.layout = layout
        self.count = 0
        self._file: RecordFile | None = None if path is None else record_file(layout, path)
        self._times: list[tuple[float, float]] = []
        self._rows: list[np.ndarray] = []
        self._held: int | None = None

    def append(self, begin: float, end: float, row: np.ndarray) -> None:
        """Add a record of shape (width,), which is kept and not copied."""
        self.extend([(begin, end)], [row])

    def extend(self, times: Sequence[tuple[float, float]], rows: Sequence[np.ndarray]) -> None:
        """Add some records with the begin and end of each; they are kept and not copied."""
        self._rows += rows
        self._times += times
        self.count += len(times)
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
        if self._file is not None and self.count:
            self._write()
            self._file.sync()

    def close(self) -> None:
        """Flush, and close the file; the next record opens it again."""
        self.flush()
        if self._file is not None:
            self._file.close()

    def go_on(self, count: int) -> None:
        """Keep that many records of an earlier run, and forget those that came after.

        Raises
        ------
        CouplingError
            If the file is missing or has fewer.
        """
        self._times, self._rows, self._held = [], [], None
        self.count = 0 if self._file is None else count
        if self._file is None:
            return
        self._file.close()
        there = self._file.count()
        if there < count:
            raise CouplingError(
                f"The file holds {there} records, but {count} were written before the checkpoint.",
                str(self._file.path),
                "Bring the file back to where it was, or start anew",
            )
        if there > count:
            self._file.shorten(count)

    def _write_if_many(self) -> None:
        if self._file is not None and self._held is None and len(self._rows) >= self.layout.most:
            self._write()

    def _write(self) -> None:
        if not self._rows:
            return
        assert self._file is not None
        first = self.count - len(self._rows)
        try:
            self._file.write(first, np.array(self._times), np.array(self._rows))
        except (OSError, RuntimeError) as error:
            raise CouplingError(
                f"The records cannot be written ({error}).",
                str(self._file.path),
                "Free some space, or write where you have permission; go on from the checkpoint",
            ) from error
        self._times, self._rows = [], []

    # ---- results

    def to_dataset(self) -> xr.Dataset:
        """Return all records as a dataset; those of a file are read when they are used."""
        if self._file is not None and self.count:
            self.close()
            return self._file.dataset()
        return self.layout.to_dataset(self._times, self.rows)

    @property
    def times(self) -> list[tuple[float, float]]:
        """Begin and end [s] of the records that are in memory."""
        return self._times

    @property
    def rows(self) -> np.ndarray:
        """The records that are in memory, shape (time, width)."""
        return np.array(self._rows).reshape(-1, self.layout.width)
