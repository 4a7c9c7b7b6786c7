"""Members on disk: each batch in a file as soon as it is done, all in one dataset at the end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater.ensembles.simulators import Batch
from hybridwater.errors import EnsembleError, MissingDependency
from hybridwater.files import whole, write_bytes, write_netcdf

if TYPE_CHECKING:
    import xarray as xr

_FORMAT = 1
_MANIFEST = "ensemble_manifest"


class Store:
    """Where an ensemble keeps finished batches, and then all members.

    Parameters
    ----------
    path : pathlib.Path
        File of the ensemble: NetCDF, or Zarr if its name ends in ``.zarr``. Finished batches are in
        the folder beside it that ends in ``.parts`` until then.

    Raises
    ------
    MissingDependency
        If Zarr is asked for and not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.with_name(f"{path.name}.parts")
        if path.suffix == ".zarr":
            try:
                import zarr  # noqa: F401  # pyright: ignore
            except ImportError as error:
                raise MissingDependency(
                    "Zarr output needs the package 'zarr', which is not installed.",
                    str(path),
                    "pip install zarr; or name a file that ends in .nc",
                ) from error

    def begin(self, manifest: Mapping[str, Any], resume: bool) -> None:
        """Make the folder, or go on with what is in it.

        Raises
        ------
        EnsembleError
            If there is another ensemble, or one that is not gone on with.
        """
        said = self.folder / "manifest.json"
        manifest = {"format": _FORMAT, **manifest}
        if self.path.exists():
            raise EnsembleError(
                "There is an ensemble already.", str(self.path), "Name another file, or remove it"
            )
        if not said.is_file():
            write_bytes(said, json.dumps(manifest, indent=1).encode())
            return
        if not resume:
            raise EnsembleError(
                f"There are {len(self.numbers())} finished batches of an ensemble already.",
                str(self.folder),
                "Go on with it (resume), or remove the folder",
            )
        try:
            theirs = json.loads(said.read_bytes())
        except ValueError as error:
            raise EnsembleError(
                "The manifest is damaged.", str(said), "Remove the folder"
            ) from error
        _compare(theirs, manifest, self.folder)

    def finished(self, manifest: Mapping[str, Any]) -> bool:
        """Return whether all members are in the file already.

        Raises
        ------
        EnsembleError
            If the file is of another ensemble.
        """
        if not self.path.exists():
            return False
        with self.open() as there:
            theirs = json.loads(there.attrs.get(_MANIFEST, "{}"))
        _compare(theirs, {"format": _FORMAT, **manifest}, self.path)
        return True

    def open(self) -> xr.Dataset:
        """Return the dataset, which is read when it is used."""
        import xarray as xr

        engine = "zarr" if self.path.suffix == ".zarr" else "netcdf4"
        return xr.open_dataset(self.path, engine=engine, chunks={})

    def numbers(self) -> list[int]:
        """Return the numbers of finished batches."""
        return sorted(int(p.stem) for p in self.folder.glob("[0-9]*.json"))

    def failures(self, number: int) -> dict[int, str]:
        """Return which members of a finished batch failed, and why."""
        said = json.loads((self.folder / f"{number:06d}.json").read_bytes())
        return {int(k): why for k, why in said.items()}

    def put(self, number: int, batch: Batch) -> None:
        """Keep a batch; it is there once its failures are."""
        if batch.data is not None:
            write_netcdf(batch.data, self.folder / f"{number:06d}.nc")
        said = json.dumps({str(k): why for k, why in sorted(batch.failures.items())})
        write_bytes(self.folder / f"{number:06d}.json", said.encode())

    def assemble(self, coordinates: xr.Dataset, attributes: Mapping[str, Any]) -> None:
        """Put all batches into one dataset, one after the other, and remove their files.

        Parameters
        ----------
        coordinates : xarray.Dataset
            Variables over ``member`` that are known without running anything; the index of all
            members among them.
        attributes : mapping
            Attributes of the dataset.

        Raises
        ------
        EnsembleError
            If no member finished.
        """
        said = (self.folder / "manifest.json").read_text("utf-8")
        parts = [self.folder / f"{n:06d}.nc" for n in self.numbers()]
        parts = [p for p in parts if p.exists()]
        attributes = {**attributes, **_engines(parts), _MANIFEST: said}
        if not parts:
            raise EnsembleError(
                "No member finished.", str(self.folder), "Look at what the members say; run again"
            )
        if self.path.suffix == ".zarr":
            self._to_zarr(parts, coordinates, attributes)
        else:
            with whole(self.path) as (new,):
                _to_netcdf(new, parts, coordinates, attributes)
        shutil.rmtree(self.folder)

    def _to_zarr(
        self, parts: list[Path], coordinates: xr.Dataset, attributes: Mapping[str, Any]
    ) -> None:
        import xarray as xr

        new = self.folder / "all.zarr"
        if new.exists():
            shutil.rmtree(new)
        members = coordinates.sizes["member"]
        with xr.open_dataset(parts[0], engine="netcdf4") as first:
            template = _blank(first, members).assign_attrs(attributes)
            template = template.assign(coordinates)
            template.to_zarr(new, compute=False, zarr_format=2, consolidated=True)
        for path in parts:
            with xr.open_dataset(path, engine="netcdf4") as part:
                where = int(part["member"][0])
                region = {"member": slice(where, where + part.sizes["member"])}
                drop = [n for n, v in part.variables.items() if "member" not in v.dims]
                part.drop_vars([*drop, "member"]).load().to_zarr(new, region=region, zarr_format=2)
        new.replace(self.path)


def _compare(theirs: Mapping[str, Any], ours: Mapping[str, Any], where: Path) -> None:
    """Refuse members of another ensemble, and say what is different."""
    for key, value in ours.items():
        if theirs.get(key) != value:
            raise EnsembleError(
                f"The finished members are of another ensemble: {key} was {theirs.get(key)!r}, and "
                f"is {value!r} now.",
                str(where),
                "Go on with what was asked for then, or remove what is there",
            )


def _blank(first: xr.Dataset, members: int) -> xr.Dataset:
    """Return a dataset like a batch, with all members and nothing in them, that takes no memory."""
    import dask.array
    import xarray as xr

    found = {}
    for name, variable in first.data_vars.items():
        values = variable.variable
        if "member" in variable.dims:
            shape = (members, *variable.shape[1:])
            empty = dask.array.full(shape, np.nan, variable.dtype, chunks=(1, *variable.shape[1:]))
            values = xr.Variable(variable.dims, empty, variable.attrs)
        found[name] = values
    return xr.Dataset(found, {k: c for k, c in first.coords.items() if "member" not in c.dims})


def _engines(parts: list[Path]) -> dict[str, str]:
    """Return the attribute ``engine`` of batches: workers may not all have had the same."""
    import netCDF4

    found = set()
    for file in parts:
        with netCDF4.Dataset(file) as part:
            found |= {part.getncattr(name) for name in part.ncattrs() if name == "engine"}
    return {"engine": ", ".join(sorted(found))} if found else {}


def _to_netcdf(
    path: Path, parts: list[Path], coordinates: xr.Dataset, attributes: Mapping[str, Any]
) -> None:
    """Copy batches, as they are on disk, into one file: one batch is in memory at a time."""
    import netCDF4

    coordinates.to_netcdf(path, engine="netcdf4")
    with netCDF4.Dataset(path, "a") as new:
        new.set_auto_maskandscale(False)
        for number, file in enumerate(parts):
            with netCDF4.Dataset(file) as part:
                part.set_auto_maskandscale(False)
                if not number:
                    _declare(new, part)
                    new.setncatts({**{k: part.getncattr(k) for k in part.ncattrs()}, **attributes})
                where = int(part["member"][0])
                rows = slice(where, where + len(part.dimensions["member"]))
                for name, variable in part.variables.items():
                    if "member" in variable.dimensions and name != "member":
                        new[name][rows] = variable[:]


def _declare(new: Any, part: Any) -> None:
    """Make the dimensions and variables of a batch, and copy what is the same for all members."""
    for name, dimension in part.dimensions.items():
        if name not in new.dimensions:
            new.createDimension(name, len(dimension))
    for name, variable in part.variables.items():
        if name in new.variables:
            continue
        attributes = {k: variable.getncattr(k) for k in variable.ncattrs()}
        fill = attributes.pop("_FillValue", None)
        shape = [1 if d == "member" else part.dimensions[d].size for d in variable.dimensions]
        made = new.createVariable(
            name,
            variable.dtype,
            variable.dimensions,
            fill_value=fill,
            chunksizes=shape if "member" in variable.dimensions else None,
        )
        made.setncatts(attributes)
        if "member" not in variable.dimensions:
            made[...] = variable[...]
