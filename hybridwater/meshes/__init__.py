"""Meshes, river networks, overlap weights between them, and hierarchies of ever coarser levels.

Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridwater._lazy import attach

if TYPE_CHECKING:
    from hybridwater.meshes.basins import basin_map
    from hybridwater.meshes.columns import column_mesh
    from hybridwater.meshes.conservative import conservative_remap
    from hybridwater.meshes.healpix import healpix_mesh
    from hybridwater.meshes.hierarchy import Hierarchy, Level, coarsen, coarsen_rivers
    from hybridwater.meshes.latlon import bounds_of_centres, latlon_mesh
    from hybridwater.meshes.mesh import Mesh
    from hybridwater.meshes.mpas import read_mpas
    from hybridwater.meshes.overlap import Overlaps, overlap_areas
    from hybridwater.meshes.polygons import polygon_mesh
    from hybridwater.meshes.raster import raster_mesh
    from hybridwater.meshes.reaches import reach_map
    from hybridwater.meshes.remap import Remap
    from hybridwater.meshes.remeshing import quality, remesh
    from hybridwater.meshes.river_files import d8_network, read_routelink
    from hybridwater.meshes.river_pieces import RiverPieces
    from hybridwater.meshes.rivers import RiverNetwork
    from hybridwater.meshes.sizing import Sizing
    from hybridwater.meshes.ugrid import read_ugrid, to_ugrid, write_ugrid
    from hybridwater.meshes.weights_file import read_remap, remap_to_dataset, write_remap

__all__ = [
    "Hierarchy",
    "Level",
    "Mesh",
    "Overlaps",
    "Remap",
    "RiverNetwork",
    "RiverPieces",
    "Sizing",
    "basin_map",
    "bounds_of_centres",
    "coarsen",
    "coarsen_rivers",
    "column_mesh",
    "conservative_remap",
    "d8_network",
    "healpix_mesh",
    "latlon_mesh",
    "overlap_areas",
    "polygon_mesh",
    "quality",
    "raster_mesh",
    "reach_map",
    "read_mpas",
    "read_remap",
    "read_routelink",
    "read_ugrid",
    "remap_to_dataset",
    "remesh",
    "to_ugrid",
    "write_remap",
    "write_ugrid",
]

_MODULES = {
    "basins": ("basin_map",),
    "columns": ("column_mesh",),
    "conservative": ("conservative_remap",),
    "healpix": ("healpix_mesh",),
    "hierarchy": ("Hierarchy", "Level", "coarsen", "coarsen_rivers"),
    "latlon": ("bounds_of_centres", "latlon_mesh"),
    "mesh": ("Mesh",),
    "mpas": ("read_mpas",),
    "overlap": ("Overlaps", "overlap_areas"),
    "polygons": ("polygon_mesh",),
    "raster": ("raster_mesh",),
    "remap": ("Remap",),
    "remeshing": ("quality", "remesh"),
    "river_files": ("d8_network", "read_routelink"),
    "reaches": ("reach_map",),
    "river_pieces": ("RiverPieces",),
    "rivers": ("RiverNetwork",),
    "sizing": ("Sizing",),
    "ugrid": ("read_ugrid", "to_ugrid", "write_ugrid"),
    "weights_file": ("read_remap", "remap_to_dataset", "write_remap"),
}
__getattr__, __dir__ = attach(__name__, _MODULES)
