"""Meshes of a coupled case: ``[meshes.NAME]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridwater.cases import checks
from hybridwater.cases.checks import Check
from hybridwater.cases.tables import Table
from hybridwater.errors import CaseError, HybridwaterError, nearest

if TYPE_CHECKING:
    from hybridwater.meshes import Mesh, RiverNetwork


def _ugrid(name: str, path: Path, topology: str | None = None) -> Mesh:
    from hybridwater.meshes import read_ugrid

    return read_ugrid(path, topology=topology, name=name)


def _latlon(name: str, lon_bounds: Any, lat_bounds: Any) -> Mesh:
    import numpy as np

    from hybridwater.meshes import latlon_mesh

    return latlon_mesh(np.array(lon_bounds), np.array(lat_bounds), name=name)


def _polygons(name: str, path: Path, names: str = "", crs: str = "") -> Mesh:
    from hybridwater.components.registry import require_package
    from hybridwater.meshes import polygon_mesh

    require_package("geopandas", f"mesh {name}")
    import geopandas

    frame = geopandas.read_file(path)
    frame = frame if not crs else frame.to_crs(crs)
    return polygon_mesh(frame, name=name, names=names or ())


def _columns(name: str, areas: Any, lon: Any = None, lat: Any = None) -> Mesh:
    import numpy as np

    from hybridwater.meshes import column_mesh

    lonlat = lon is not None and lat is not None
    x, y = (lon, lat) if lonlat else (np.arange(len(areas)), np.zeros(len(areas)))
    points = np.stack([np.array(x, float), np.array(y, float)], axis=1)
    return column_mesh(np.array(areas, float), points, name=name, lonlat=lonlat)


def _healpix(name: str, nside: int) -> Mesh:
    from hybridwater.meshes import healpix_mesh

    return healpix_mesh(nside, name=name)


def _mpas(name: str, path: Path) -> Mesh:
    from hybridwater.meshes import read_mpas

    return read_mpas(path, name=name)


def _rivers(name: str, path: Path) -> RiverNetwork:
    from hybridwater.meshes import read_routelink

    return read_routelink(path, name=name)


def _reaches(
    name: str, to: Any, lengths: Any, areas: Any = (), lon: Any = None, lat: Any = None
) -> RiverNetwork:
    import numpy as np

    from hybridwater.meshes import RiverNetwork

    points = np.zeros((0, 2)) if lon is None or lat is None else np.stack([lon, lat], axis=1)
    return RiverNetwork(np.array(to), lengths, areas=np.array(areas), points=points, name=name)


def _delaware(name: str) -> Mesh:
    from hybridwater.data import read_delaware

    hrus = read_delaware().forcing
    areas = hrus["area"].values * 1e6
    return _columns(name, areas, hrus["longitude"].values, hrus["latitude"].values)


@dataclass(frozen=True)
class _Kind:
    """A kind of mesh: what makes it, its keys, and those that it needs."""

    make: Callable[..., Mesh | RiverNetwork]
    keys: Mapping[str, Check]
    needs: tuple[str, ...] = ()


KINDS = {
    "ugrid": _Kind(_ugrid, {"path": checks.text, "topology": checks.text}, ("path",)),
    "latlon": _Kind(
        _latlon,
        {"lon_bounds": checks.numbers, "lat_bounds": checks.numbers},
        ("lon_bounds", "lat_bounds"),
    ),
    "polygons": _Kind(
        _polygons, {"path": checks.text, "names": checks.text, "crs": checks.text}, ("path",)
    ),
    "columns": _Kind(
        _columns,
        {"areas": checks.numbers, "lon": checks.numbers, "lat": checks.numbers},
        ("areas",),
    ),
    "healpix": _Kind(_healpix, {"nside": checks.whole}, ("nside",)),
    "mpas": _Kind(_mpas, {"path": checks.text}, ("path",)),
    "rivers": _Kind(_rivers, {"path": checks.text}, ("path",)),
    "reaches": _Kind(
        _reaches,
        {
            "to": checks.wholes,
            **dict.fromkeys(("lengths", "areas", "lon", "lat"), checks.numbers),
        },
        ("to", "lengths"),
    ),
    "delaware": _Kind(_delaware, {}),
}


@dataclass(frozen=True)
class MeshTable:
    """One mesh of a case file.

    Parameters
    ----------
    table : Table
        Where it is, for errors.
    kind : str
        A key of `KINDS`.
    arguments : mapping
        What makes it.
    """

    table: Table
    kind: str
    arguments: Mapping[str, Any]

    def make(self) -> Mesh | RiverNetwork:
        """Make the mesh, or the river network.

        Raises
        ------
        CaseError
            If it cannot be made.
        """
        name = self.table.name.partition(".")[2]
        try:
            return KINDS[self.kind].make(name, **self.arguments)
        except HybridwaterError as error:
            raise self.table.within(error) from error


def read_mesh(table: Table) -> MeshTable:
    """Read a table of a mesh.

    Raises
    ------
    CaseError
        If its kind or a key is unknown, a key is missing, or there is no file.
    """
    kind = table.require("kind")
    if kind not in KINDS:
        raise CaseError(
            f"There is no kind of mesh {kind!r} ({nearest(str(kind), KINDS)}).", table.where("kind")
        )
    rest = {key: value for key, value in table.content.items() if key != "kind"}
    values = Table(table.file, table.name, rest).check(KINDS[kind].keys)
    for key in KINDS[kind].needs:
        table.require(key)
    if "path" in values:
        values["path"] = table.existing("path", values["path"])
    return MeshTable(table, kind, values)
