"""The files that records are written to: NetCDF, and optionally Zarr.

In both each record has a fixed place and nothing depends on the time of day: a run that is killed
leaves a file that a resumed run goes on with, and the result is the same to the last byte.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hybridwater.coupling.records import SITES
from hybridwater.errors import CouplingError, MissingDependency, nearest

if TYPE_CHECKING:
    import xarray as xr

    from hybridwater.coupling.records import Layout


class RecordFile(ABC):
    """A file of records, which is made with the first of them.

    Parameters
    ----------
    layout : Layout
        What a record holds.
    path : pathlib.Path
        The file.
    """

    suffix: ClassVar[str]

    def __init__(self, layout: Layout, path: Path) -> None:
        self.layout, self.path = layout, path
        self._open: Any = None

    @abstractmethod
    def count(self) -> int:
        """Return how many records there are; none if there is no file."""

    @abstractmethod
    def write(self, first: int, bounds: np.ndarray, rows: np.ndarray) -> None:
        """Write records; the first ever begin a new file.

        Parameters
        ----------
        first : int
            Number of records before these.
        bounds, rows : numpy.ndarray
            Shapes (time, 2), in seconds, and (time, width).
        """

    @abstractmethod
    def shorten(self, count: int) -> None:
        """Keep the first records only."""

    @abstractmethod
    def dataset(self) -> xr.Dataset:
        """Return the content, read when it is used."""

    def sync(self) -> None:  # noqa: B027 - not all need it
        """See that all is on the disk."""

    def close(self) -> None:
        """Close the file; `write` opens it again."""
        self._open = None


class NetcdfFile(RecordFile):
    """NetCDF of the classic format (CDF-5), in which records have fixed places."""

    suffix = ".nc"

    def count(self) -> int:
        """Return how many records there are."""
        from netCDF4 import Dataset

        if not self.path.is_file():
            return 0
        with Dataset(self.path) as file:
            return len(file.dimensions["time"])

    def write(self, first: int, bounds: np.ndarray, rows: np.ndarray) -> None:
        """Write records."""
        from netCDF4 import Dataset

        if self._open is None:
            self._open = Dataset(self.path, "r+") if first else self._create(self.path)
            self._open.set_auto_mask(False)
        where = slice(first, first + len(rows))
        self._open["time"][where] = bounds[:, 0]
        self._open["time_bounds"][where] = bounds
        for f, values in self.layout.split(rows):
            self._open[f.name][where] = values

    def _create(self, path: Path) -> Any:
        from netCDF4 import Dataset

        path.parent.mkdir(parents=True, exist_ok=True)
        file = Dataset(path, "w", format="NETCDF3_64BIT_DATA")
        file.set_fill_off()
        file.setncatts(self.layout.attributes)
        file.createDimension("time", None)
        file.createDimension("bound", 2)
        file.createVariable("time", "f8", ("time",)).setncatts(self.layout.time_attributes)
        file.createVariable("time_bounds", "f8", ("time", "bound"))
        for f in self.layout.fields:
            if f.dimension and f.dimension not in file.dimensions:
                file.createDimension(f.dimension, f.size)
            file.createVariable(f.name, f.dtype, f.dimensions).setncatts(dict(f.attributes))
        for name, cells in self.layout.sites.items():
            file.createVariable(name, "i4", (name,)).setncatts(SITES)
            file[name][:] = cells
        return file

    def shorten(self, count: int) -> None:
        """Write the file anew with its first records."""
        from netCDF4 import Dataset

        part = self.path.with_name(f".{self.path.name}.part")
        with Dataset(self.path) as old:
            new = self._create(part)
            for first in range(0, count, self.layout.most):
                rows = slice(first, min(first + self.layout.most, count))
                for name in self.layout.names:
                    new[name][rows] = old[name][rows]
            new.close()
        part.replace(self.path)

    def sync(self) -> None:
        """See that all is on the disk."""
        if self._open is not None:
            self._open.sync()

    def close(self) -> None:
        """Close the file."""
        if self._open is not None:
            self._open.close()
        super().close()

    def dataset(self) -> xr.Dataset:
        """Return the content."""
        import xarray as xr

        return xr.open_dataset(self.path, engine="netcdf4")


class ZarrFile(RecordFile):
    """A Zarr group of format 2, which all readers know; chunks are what is written at once."""

    suffix = ".zarr"

    def __init__(self, layout: Layout, path: Path) -> None:
        super().__init__(layout, path)
        _zarr()

    def count(self) -> int:
        """Return how many records there are."""
        if not self.path.is_dir():
            return 0
        return _zarr().open_group(self.path, mode="r")["time"].shape[0]

    def write(self, first: int, bounds: np.ndarray, rows: np.ndarray) -> None:
        """Write records."""
        if self._open is None:
            self._open = (
                _zarr().open_group(self.path, mode="r+") if first else self._create(self.path)
            )
        values = {f.name: part for f, part in self.layout.split(rows)}
        # Time comes last: what it counts is there.
        for name, part in {**values, "time_bounds": bounds, "time": bounds[:, 0]}.items():
            array = self._open[name]
            array.resize((first + len(part), *array.shape[1:]))
            array[first:] = part

    def _create(self, path: Path) -> Any:
        layout = self.layout
        group = _zarr().create_group(
            path, zarr_format=2, overwrite=True, attributes=dict(layout.attributes)
        )

        def create(
            name: str, dimensions: tuple[str, ...], size: int, dtype: str, said: dict[str, str]
        ) -> None:
            cells = (size,) if len(dimensions) > 1 else ()
            group.create_array(
                name,
                shape=(0, *cells),
                chunks=(layout.most, *cells),
                dtype=dtype,
                fill_value=None,
                attributes={**said, "_ARRAY_DIMENSIONS": list(dimensions)},
            )

        create("time", ("time",), 1, "float64", layout.time_attributes)
        create("time_bounds", ("time", "bound"), 2, "float64", {})
        for f in layout.fields:
            create(f.name, f.dimensions, f.size, f.dtype, dict(f.attributes))
        for name, cells in layout.sites.items():
            said = {**SITES, "_ARRAY_DIMENSIONS": [name]}
            numbers = np.array(cells, "i4")
            group.create_array(name, data=numbers, fill_value=None, attributes=said)
        return group

    def shorten(self, count: int) -> None:
        """Forget the records after the first ones."""
        group = _zarr().open_group(self.path, mode="r+")
        for name in self.layout.names:
            array = group[name]
            array.resize((count, *array.shape[1:]))

    def dataset(self) -> xr.Dataset:
        """Return the content."""
        import xarray as xr

        return xr.open_zarr(self.path, consolidated=False)


def _zarr() -> Any:
    try:
        import zarr  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingDependency(
            "Zarr files need the package 'zarr', which is not installed.",
            "format = 'zarr'",
            'pip install "hybridwater[zarr]"',
        ) from error
    return zarr


_FORMATS: dict[str, type[RecordFile]] = {"netcdf": NetcdfFile, "zarr": ZarrFile}


def suffix_of(form: str) -> str:
    """Return how the names of the files of a format end.

    Raises
    ------
    CouplingError
        If there is no such format.
    MissingDependency
        If it needs a package that is not installed.
    """
    if form not in _FORMATS:
        raise CouplingError(
            f"There is no output format '{form}' ({nearest(form, _FORMATS)}).", "output_format"
        )
    return _FORMATS[form].suffix


def record_file(layout: Layout, path: Path) -> RecordFile:
    """Return the file of a name, which ends in the suffix of a format."""
    return next(kind for kind in _FORMATS.values() if kind.suffix == path.suffix)(layout, path)
